//! One moment of the database, shared by several connections.

use tokio::task::AbortHandle;
use tokio_postgres::{Client, IsolationLevel, Transaction};

use super::super::connection::Role;
use super::super::error::DbError;
use super::super::values::Sql;
use super::super::{OpenError, PostgresUrl, fitness, schema};

/// A snapshot, there to be taken over for as long as this lives. The transaction that keeps it writes nothing and
/// locks only the schema's version, so nobody waits for it; the server cannot clean up what it may still see.
pub(super) struct Snapshot {
    url: PostgresUrl,
    id: String,
    _keeper: Link,
}

/// A connection, cut when it is dropped: a server in the midst of a sort would not hear a farewell.
struct Link {
    client: Client,
    driver: AbortHandle,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Link {
    async fn new(url: &PostgresUrl) -> Sql<Self> {
        let (client, driver) = url.connect(Role::Audit).await?;
        Ok(Self { client, driver })
    }
}

impl Snapshot {
    /// Takes the moment's. The schema is checked in it.
    pub(super) async fn take(url: &PostgresUrl) -> Result<Self, OpenError> {
        let keeper = Link::new(url).await?;
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";
        keeper.client.batch_execute(begin).await.map_err(DbError::from)?;
        fitness::check(&keeper.client).await?;
        schema::check(&keeper.client).await?;
        let export = keeper.client.query_one("SELECT pg_export_snapshot()", &[]).await.map_err(DbError::from)?;
        Ok(Self { url: url.clone(), id: export.get(0), _keeper: keeper })
    }

    /// Another connection, to read from the same snapshot.
    pub(super) async fn connect(&self) -> Sql<Connection> {
        Ok(Connection { link: Link::new(&self.url).await?, snapshot: self.id.clone() })
    }
}

/// A connection that reads from a snapshot.
pub(super) struct Connection {
    link: Link,
    snapshot: String,
}

impl Connection {
    /// A transaction that sees the snapshot. Its locks, the weakest there are, keep migrations away and nothing else,
    /// until the stream ends.
    pub(super) async fn begin(&mut self) -> Sql<Transaction<'_>> {
        let how = self.link.client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
        let transaction = how.start().await?;
        transaction.batch_execute(&format!("SET TRANSACTION SNAPSHOT '{}'", self.snapshot)).await?;
        Ok(transaction)
    }
}
