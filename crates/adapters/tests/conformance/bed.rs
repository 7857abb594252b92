//! A separate database for each test, and stores on it.

use std::sync::Arc;

use onsale_adapters::postgres::{PostgresStore, PostgresUrl, migrate};
use onsale_adapters::sqlite::SqliteStore;
use onsale_app::store::Store;
use onsale_testing::postgres::{Database, shared};
use tempfile::TempDir;

/// Connections for reads: more than one, so that reads run concurrently.
const READERS: usize = 2;

/// The database of one test.
pub(crate) enum Bed {
    /// A file, used by one store. The folder is deleted with this value.
    Sqlite { store: Arc<SqliteStore>, folder: TempDir },
    /// A database of the shared server, used by any number of stores.
    Postgres(Database),
}

impl Bed {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::Builder::new().prefix("onsale-conformance-").tempdir().expect("a temporary folder");
        let store = SqliteStore::open(&folder.path().join("sale.db")).expect("a new file");
        Self::Sqlite { store: Arc::new(store), folder }
    }

    pub(crate) async fn postgres() -> Self {
        let migrated = |url: String| async move {
            migrate(&PostgresUrl::parse(&url).expect("a URL")).await.expect("a schema");
        };
        Self::Postgres(shared().await.database("conformance", migrated).await)
    }

    /// A store. On Postgres each call opens another one, as another instance would.
    pub(crate) async fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Sqlite { store, .. } => store.clone(),
            Self::Postgres(database) => Arc::new(instance(database).await),
        }
    }
}

/// Opens the store of one more instance.
pub(crate) async fn instance(database: &Database) -> PostgresStore {
    let url = PostgresUrl::parse(&database.url()).expect("a URL");
    PostgresStore::open(&url, READERS).await.expect("a database that was migrated")
}

/// Runs tests that take a [`Bed`] on each database.
macro_rules! on_each_database {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $test() {
                Box::pin(super::$test($crate::bed::Bed::sqlite())).await;
            })+
        }

        mod postgres {
            $(#[tokio::test]
            async fn $test() {
                if !onsale_testing::without("postgres") {
                    Box::pin(super::$test($crate::bed::Bed::postgres().await)).await;
                }
            })+
        }
    };
}
pub(crate) use on_each_database;
