//! A sale on one Postgres database, shared by any number of instances.
//!
//! A lane's unit of work is one transaction in two round trips. The first locks and reads all rows and reads the clock; the
//! second writes and commits. Instances are kept apart by row locks on parents, which all take in one order. See
//! `docs/design/postgres.md` for the locks of each command and their reasons.

mod audit;
mod cancellation;
mod charge;
mod clock;
mod code;
mod concert;
mod concert_reads;
mod concert_row;
mod concert_rows;
mod connection;
pub(crate) mod copy;
mod dead_letters;
mod draw;
mod ended_session;
mod error;
mod event;
mod export;
mod extension;
mod figures;
mod fitness;
mod hall;
mod held;
mod idempotency;
mod identity;
mod leaving;
mod lecture;
mod lecture_reads;
mod liveness;
mod news;
mod outbox;
mod payment;
mod positions;
mod reader;
mod refund;
mod reservation;
mod retention;
mod room_rows;
mod room_statements;
mod row_address;
mod schema;
mod seat;
mod seat_list;
mod session;
mod slow_queries;
mod staff;
mod staff_session;
#[cfg(test)]
mod tests;
mod ticket;
mod ticket_reads;
mod tls;
mod url;
mod values;
mod waiting_list;
mod waiting_room;
mod wallet;
mod writer;

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use onsale_app::store::news::News;
use onsale_app::store::{Exports, FigureBoard, LeaveBoard, Retention};
use onsale_app::store::{Reader, Store, StoreError, Writer};
use onsale_domain::ids::EventId;
use onsale_domain::time::Timestamp;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use tokio::task::AbortHandle;
use tokio_postgres::Client;

pub use audit::PostgresAudit;
pub use copy::{PostgresSource, PostgresTarget};
pub use outbox::PostgresOutbox;
pub use url::PostgresUrl;

use clock::Clock;
use connection::Role;
use error::DbError;
use export::PostgresExports;
use liveness::Liveness;
use news::PostgresNews;
use reader::PostgresReader;
use retention::PostgresRetention;
use session::Session;
use writer::PostgresWriter;

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The server does not answer, or refuses the connection.
    #[error("{0}")]
    Unreachable(String),
    /// The tables belong to another program.
    #[error("this database has tables of another program; name a database or schema of its own")]
    Foreign,
    /// A newer onsale has changed its schema.
    #[error("a newer onsale made this database (schema {found}, this one knows {known}); use that or a newer one")]
    NewerSchema {
        /// The schema version of the database.
        found: usize,
        /// The schema version of this binary.
        known: usize,
    },
    /// The server's version is not supported.
    #[error("this server is PostgreSQL {found}; onsale needs 15 or later")]
    TooOld {
        /// The version that the server reports.
        found: String,
    },
    /// The database's encoding cannot store all names and titles.
    #[error(
        "this database is encoded in {found}; onsale needs UTF8 \
         (`createdb --template=template0 --encoding=UTF8 --locale=C DATABASE` makes one)"
    )]
    Encoding {
        /// The name of the database's encoding.
        found: String,
    },
    /// There is no schema to make tables in.
    #[error("the search_path of this user names no schema that is there and that it may use")]
    NoSchema,
    /// The user lacks a right.
    #[error("this user may not read and write the table {table}; grant it SELECT, INSERT, UPDATE and DELETE")]
    Forbidden {
        /// The first table that the user may not use.
        table: String,
    },
    /// The schema is older than this binary's.
    #[error("the schema of this database is older than this onsale; run `onsale migrate` first")]
    OlderSchema,
}

impl From<DbError> for OpenError {
    fn from(error: DbError) -> Self {
        Self::Unreachable(error.to_string())
    }
}

/// Maximum number of dead letters that one transaction puts back.
const PUT_BACK_TOGETHER_MAX: usize = 500;

/// What all connections of one store share.
struct Shared {
    url: PostgresUrl,
    clock: Clock,
    liveness: Liveness,
    metrics: Metrics,
}

/// Metrics of this process's connections.
#[derive(Default)]
struct Metrics {
    /// Deadlocks that the server resolved. Zero by design.
    deadlocks: Counter,
    /// Opened connections, including the first ones.
    connections: Counter,
    /// Commits whose outcome had to be queried after the connection was lost.
    outcomes: Counter,
    /// Age of the oldest snapshot of another session at the last check, in seconds.
    oldest_snapshot: Gauge,
}

impl Shared {
    /// Opens a connection with prepared statements, and counts it.
    async fn session(&self, role: Role, statements: &[&[&'static str]]) -> Result<Session, DbError> {
        self.metrics.connections.inc();
        self.url.open(role, &self.liveness, statements).await
    }

    /// Counts and logs an error if it is a deadlock.
    fn count(&self, error: &DbError) {
        if error.is_deadlock() {
            self.metrics.deadlocks.inc();
            tracing::error!(%error, "the database resolved a deadlock, which the order of locks should prevent; please report it");
        }
    }
}

/// A store on one Postgres database.
pub struct PostgresStore {
    shared: Arc<Shared>,
    reader: Arc<PostgresReader>,
    news: Arc<PostgresNews>,
}

impl PostgresStore {
    /// Connects, and makes or migrates the schema if needed. `readers` is the number of connections for reads.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(url: &PostgresUrl, readers: usize) -> Result<Self, OpenError> {
        migrate(url).await?;
        let (client, _driver) = url.connect(Role::Tool).await?;
        fitness::check_rights(&client).await?;
        positions::settle(&client).await?;
        Self::connect(url, readers).await
    }

    /// Connects for a command that runs in addition to servers. Does not migrate: the schema must be this binary's.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open_beside(url: &PostgresUrl) -> Result<Self, OpenError> {
        let (client, _driver) = url.connect(Role::Tool).await?;
        fitness::check(&client).await?;
        schema::check(&client).await?;
        if let Err(error) = positions::settle(&client).await {
            tracing::warn!(%error, "failed to compare event positions with this server's transactions; a running server does it again");
        }
        Self::connect(url, 1).await
    }

    async fn connect(url: &PostgresUrl, readers: usize) -> Result<Self, OpenError> {
        let (client, _driver) = url.connect(Role::Tool).await?;
        let asked = Instant::now();
        let at = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
        let at: i64 = client.query_one(at, &[]).await.map_err(DbError::from)?.get(0);
        // Set before the store exists: `now` never has to fall back to this machine's clock.
        let clock = Clock::new(Timestamp::from_millis(at), asked);
        let shared =
            Arc::new(Shared { url: url.clone(), clock, liveness: Liveness::default(), metrics: Metrics::default() });
        let news = Arc::new(PostgresNews::new(shared.clone()));
        let reader = Arc::new(PostgresReader::new(shared.clone(), readers, news.clone()));
        Ok(Self { shared, reader, news })
    }

    /// Number of deadlocks that the server resolved for this process.
    pub fn deadlocks(&self) -> u64 {
        self.shared.metrics.deadlocks.get()
    }
}

/// Makes or migrates the schema. Returns the number of steps.
///
/// # Errors
/// See [`OpenError`].
pub async fn migrate(url: &PostgresUrl) -> Result<usize, OpenError> {
    let (mut client, _driver) = url.connect(Role::Migration).await?;
    fitness::check(&client).await?;
    schema::migrate(&mut client).await
}

/// Puts dead letters back to be sent again: the named ones, or all. Servers may be running. Works in short transactions, and
/// calls `report` with the number of each.
///
/// # Errors
/// See [`OpenError`]. Letters that were reported stay put back.
pub async fn retry_dead_events(
    url: &PostgresUrl,
    ids: &[EventId],
    mut report: impl FnMut(usize),
) -> Result<(), OpenError> {
    let (client, _driver) = checked(url).await?;
    loop {
        let put_back = event::retry_dead(&client, ids, PUT_BACK_TOGETHER_MAX).await?;
        report(put_back);
        if put_back < PUT_BACK_TOGETHER_MAX {
            return Ok(());
        }
    }
}

/// Has all events since an instant sent again. Returns whether any of them had been sent.
///
/// # Errors
/// See [`OpenError`].
pub async fn replay_events(url: &PostgresUrl, since: Timestamp) -> Result<bool, OpenError> {
    let (client, _driver) = checked(url).await?;
    Ok(event::replay(&client, since).await?)
}

/// Connects a tool to a database, and checks that its schema is this binary's.
async fn checked(url: &PostgresUrl) -> Result<(Client, AbortHandle), OpenError> {
    let (client, driver) = url.connect(Role::Tool).await?;
    fitness::check(&client).await?;
    schema::check(&client).await?;
    Ok((client, driver))
}

#[async_trait]
impl Store for PostgresStore {
    async fn writer(&self) -> Result<Box<dyn Writer>, StoreError> {
        Ok(Box::new(PostgresWriter::new(self.shared.clone())))
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.reader.clone()
    }

    fn board(&self) -> Option<Arc<dyn FigureBoard>> {
        Some(self.reader.clone())
    }

    fn leave_board(&self) -> Option<Arc<dyn LeaveBoard>> {
        Some(self.reader.clone())
    }

    fn exports(&self) -> Arc<dyn Exports> {
        Arc::new(PostgresExports::new(&self.shared.url))
    }

    fn retention(&self) -> Arc<dyn Retention> {
        Arc::new(PostgresRetention::new(&self.shared.url))
    }

    fn news(&self) -> Option<Arc<dyn News>> {
        Some(self.news.clone())
    }

    fn register(&self, registry: &mut Registry) {
        let Metrics { deadlocks, connections, outcomes, oldest_snapshot } = &self.shared.metrics;
        let postgres = registry.sub_registry_with_prefix("postgres");
        postgres.register(
            "deadlocks",
            "Deadlocks that Postgres reported to this process; more than 0 is a defect of onsale",
            deadlocks.clone(),
        );
        postgres.register("connections_opened", "Connections to Postgres opened", connections.clone());
        postgres.register(
            "outcomes_asked",
            "Commits whose answer was lost, so that their outcome was queried",
            outcomes.clone(),
        );
        let help = "Age of the oldest snapshot that another session keeps open in this database";
        postgres.register_with_unit("oldest_snapshot", help, Unit::Seconds, oldest_snapshot.clone());
    }

    async fn oldest_snapshot(&self) -> Result<Option<u64>, StoreError> {
        let seconds = self.reader.oldest_snapshot().await?;
        self.shared.metrics.oldest_snapshot.set(i64::try_from(seconds).unwrap_or(i64::MAX));
        Ok(Some(seconds))
    }

    async fn secret(&self, name: &str, offered: &[u8]) -> Result<Vec<u8>, StoreError> {
        let (client, _driver) = self.shared.url.connect(Role::Tool).await?;
        // Insert, then read: of instances that start at once, the first one's value counts for all.
        let insert = "INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        client.execute(insert, &[&name, &offered]).await.map_err(DbError::from)?;
        let select = "SELECT value FROM secrets WHERE name = $1";
        Ok(client.query_one(select, &[&name]).await.map_err(DbError::from)?.get(0))
    }

    async fn note_ticket_keys(&self, keys: &[[u8; 32]], at: Timestamp) -> Result<(), StoreError> {
        let (client, _driver) = self.shared.url.connect(Role::Tool).await?;
        Ok(ticket_reads::note_keys(&client, keys, at).await?)
    }

    /// Does nothing: each connection is closed by its owner.
    async fn close(&self) {}
}
