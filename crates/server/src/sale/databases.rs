//! The database that the settings name: SQLite or Postgres. This is the only file that distinguishes the two.

use std::path::Path;
use std::sync::Arc;

use onsale_adapters::copy::{CopyError, Source, Target};
use onsale_adapters::postgres::{self, PostgresAudit, PostgresOutbox, PostgresSource, PostgresStore, PostgresTarget};
use onsale_adapters::sqlite::{self, SqliteAudit, SqliteOutbox, SqliteSource, SqliteStore, SqliteTarget};
use onsale_app::audit::source::AuditSource;
use onsale_app::relay::Outbox;
use onsale_app::store::{Reader, Store};
use onsale_domain::ids::EventId;
use onsale_domain::time::Timestamp;

use super::SaleError;
use crate::settings::{DatabaseUrl, Settings};

/// Opens the database to serve from it. Creates it or updates its schema if needed.
pub(super) async fn open_store(settings: &Settings) -> Result<Arc<dyn Store>, SaleError> {
    match &settings.database {
        DatabaseUrl::Sqlite(path) => Ok(Arc::new(SqliteStore::open(path).map_err(of_file(path))?)),
        DatabaseUrl::Postgres(url) => {
            let readers = settings.database_readers as usize;
            Ok(Arc::new(PostgresStore::open(url, readers).await.map_err(of_server(url))?))
        }
    }
}

/// Opens the database to read from it, also while servers work on it. Creates nothing.
///
/// # Errors
/// `SaleError` if the database does not exist, or has another schema than this program needs.
pub(crate) async fn open_reader(settings: &Settings) -> Result<Arc<dyn Reader>, SaleError> {
    match &settings.database {
        DatabaseUrl::Sqlite(path) => sqlite::open_beside(path).map_err(of_file(path)),
        DatabaseUrl::Postgres(url) => Ok(PostgresStore::open_beside(url).await.map_err(of_server(url))?.reader()),
    }
}

/// Opens a database for `onsale audit`, in one snapshot.
pub(crate) async fn audit_source(database: &DatabaseUrl) -> Result<Box<dyn AuditSource>, SaleError> {
    match database {
        DatabaseUrl::Sqlite(path) => {
            // Opened once before the audit opens it: this error names what is wrong with the file.
            sqlite::open_beside(path).map_err(of_file(path))?;
            Ok(Box::new(SqliteAudit::new(path)))
        }
        DatabaseUrl::Postgres(url) => Ok(Box::new(PostgresAudit::open(url).await.map_err(of_server(url))?)),
    }
}

/// Opens a database that a sale is copied from, and keeps every other process from writing to it.
pub(crate) async fn copy_source(database: &DatabaseUrl) -> Result<Box<dyn Source>, SaleError> {
    match database {
        DatabaseUrl::Sqlite(path) => Ok(Box::new(SqliteSource::open(path).await.map_err(of_copy(database))?)),
        DatabaseUrl::Postgres(url) => Ok(Box::new(PostgresSource::open(url).await.map_err(of_copy(database))?)),
    }
}

/// Opens an empty database that a sale is copied into. Creates it or updates its schema if needed.
pub(crate) async fn copy_target(database: &DatabaseUrl) -> Result<Box<dyn Target>, SaleError> {
    match database {
        DatabaseUrl::Sqlite(path) => Ok(Box::new(SqliteTarget::open(path).await.map_err(of_copy(database))?)),
        DatabaseUrl::Postgres(url) => Ok(Box::new(PostgresTarget::open(url).await.map_err(of_copy(database))?)),
    }
}

/// Creates the database or updates its schema. Returns the number of steps.
pub(crate) async fn migrate(settings: &Settings) -> Result<usize, SaleError> {
    match &settings.database {
        DatabaseUrl::Sqlite(path) => sqlite::migrate(path).map_err(of_file(path)),
        DatabaseUrl::Postgres(url) => postgres::migrate(url).await.map_err(of_server(url)),
    }
}

/// Makes the relay send dead letters again: those with these ids, or all if there are none. `report` receives the number of
/// events of each transaction.
pub(crate) async fn retry_dead_events(
    settings: &Settings,
    ids: &[EventId],
    report: impl FnMut(usize),
) -> Result<(), SaleError> {
    match &settings.database {
        DatabaseUrl::Sqlite(path) => sqlite::retry_dead_events(path, ids, report).map_err(of_file(path)),
        DatabaseUrl::Postgres(url) => postgres::retry_dead_events(url, ids, report).await.map_err(of_server(url)),
    }
}

/// Makes the relay send events since an instant again. Returns whether any of them had been sent.
pub(crate) async fn replay_events(settings: &Settings, since: Timestamp) -> Result<bool, SaleError> {
    match &settings.database {
        DatabaseUrl::Sqlite(path) => sqlite::replay_events(path, since).map_err(of_file(path)),
        DatabaseUrl::Postgres(url) => postgres::replay_events(url, since).await.map_err(of_server(url)),
    }
}

/// The outbox of the database.
pub(crate) fn outbox(settings: &Settings) -> Arc<dyn Outbox> {
    match &settings.database {
        DatabaseUrl::Sqlite(path) => Arc::new(SqliteOutbox::new(path)),
        DatabaseUrl::Postgres(url) => Arc::new(PostgresOutbox::new(url)),
    }
}

fn of_file(path: &Path) -> impl Fn(sqlite::OpenError) -> SaleError {
    move |source| SaleError::File { path: path.display().to_string(), source }
}

fn of_server(url: &postgres::PostgresUrl) -> impl Fn(postgres::OpenError) -> SaleError {
    move |source| SaleError::Server { url: url.to_string(), source }
}

fn of_copy(database: &DatabaseUrl) -> impl Fn(CopyError) -> SaleError {
    move |source| SaleError::Copy { url: database.to_string(), source }
}

/// The number of lanes: one for SQLite, which has one writer.
pub(super) fn lanes(settings: &Settings) -> u32 {
    match settings.database {
        DatabaseUrl::Sqlite(_) => 1,
        DatabaseUrl::Postgres(_) => settings.database_lanes,
    }
}
