//! One snapshot of the database, shared by several connections.

use tokio::task::AbortHandle;
use tokio_postgres::{Client, IsolationLevel, Transaction};

use super::super::connection::Role;
use super::super::error::DbError;
use super::super::values::Sql;
use super::super::{OpenError, PostgresUrl, fitness, schema};

/// An exported snapshot. It can be imported for as long as this lives. The transaction that keeps it open writes nothing and
/// locks only the table of the schema's version, so no other transaction waits for it. The server cannot remove row
/// versions that the snapshot may still see.
pub(super) struct Snapshot {
    url: PostgresUrl,
    id: String,
    _keeper: Link,
}

/// A connection that is closed at once when it is dropped: a server that sorts would not read a polite goodbye.
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
    /// Takes a snapshot of now. Checks the schema in it.
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
