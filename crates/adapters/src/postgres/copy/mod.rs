//! A database on Postgres as the source or the target of a copy, by `COPY` in its binary format.

mod catalog;
mod values;

use std::pin::pin;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::task::AbortHandle;
use tokio_postgres::Client;
use tokio_postgres::binary_copy::{BinaryCopyInWriter, BinaryCopyOutStream};
use tokio_postgres::types::Type;

use super::connection::Role;
use super::error::DbError;
use super::values::Sql;
use super::{PostgresUrl, fitness, schema};
use crate::copy::plan::{Step, quoted};
use crate::copy::{Batch, Batches, CopyError, Database, Source, Table, Target, Value};
use crate::sqlite::copy::seeded_tables;

/// How long the sessions of a process that was killed may take to end.
const SESSIONS_END_WITHIN: Duration = Duration::from_secs(3);

/// The time between two checks of the other sessions of the database.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A copy waits on the other database for minutes, and reads long tables in one statement. Its sessions have a name of their own,
/// so that one copy does not take another for a server.
const SETTINGS: &str = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0;
    SET application_name = 'onsale copy'";

/// Sessions of this program other than this one. `$1` is the name that the URL gives to sessions.
const OTHERS: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
    AND pid <> pg_backend_pid() AND application_name IN ('onsale', $1)";

/// How far new positions of events must be raised so that they come after all copied positions and marks: see `positions.rs`.
const PLACE_EVENTS: &str = "UPDATE event_positions
    SET added = greatest(0, (last >> 16) + 1 - pg_snapshot_xmin(pg_current_snapshot())::text::bigint)
    FROM (SELECT greatest((SELECT max(position) FROM events), (SELECT max(sent_to) FROM relay_parts),
        (SELECT max(checked_to) FROM relay_parts), 0) AS last) log";

impl From<DbError> for CopyError {
    fn from(error: DbError) -> Self {
        Self::failed(error)
    }
}

/// A connection that is closed at once when it is dropped, which rolls its transaction back.
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
    async fn new(url: &PostgresUrl) -> Result<Self, CopyError> {
        let (client, driver) = url.connect(Role::Tool).await?;
        let link = Self { client, driver };
        fitness::check(&link.client).await?;
        link.run(SETTINGS).await?;
        Ok(link)
    }

    async fn run(&self, sql: &str) -> Sql<()> {
        Ok(self.client.batch_execute(sql).await?)
    }

    /// Waits for at most 3 seconds until no other session of this program is there: those of a process that was killed end a
    /// moment later.
    async fn until_alone(&self, url: &PostgresUrl) -> Result<(), CopyError> {
        let name = url.config.get_application_name().unwrap_or_default();
        let asked = Instant::now();
        loop {
            let row = self.client.query_one(OTHERS, &[&name]).await.map_err(DbError::from)?;
            let others: i64 = row.try_get(0).map_err(DbError::from)?;
            if others == 0 {
                return Ok(());
            }
            if asked.elapsed() > SESSIONS_END_WITHIN {
                let found = format!("{others} session(s) named {name} are connected to it");
                return Err(CopyError::InUse(found));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// All tables but that of the schema's version, in a list.
    async fn names(&self) -> Sql<Vec<String>> {
        let tables = catalog::tables(&self.client).await?;
        Ok(tables.into_iter().map(|table| table.name).filter(|name| name != "onsale_schema").collect())
    }

    /// The types of columns of a statement.
    async fn types(&self, select: &str) -> Sql<Vec<Type>> {
        let statement = self.client.prepare(select).await?;
        Ok(statement.columns().iter().map(|column| column.type_().clone()).collect())
    }

    /// Checks that no table has rows, except those that a new schema has.
    async fn check_empty(&self) -> Result<(), CopyError> {
        let mut seeded = seeded_tables()?;
        seeded.push("event_positions".to_owned());
        for name in self.names().await? {
            let sql = format!("SELECT EXISTS (SELECT FROM {})", quoted(&name));
            let row = self.client.query_one(&sql, &[]).await.map_err(DbError::from)?;
            if row.try_get(0).map_err(DbError::from)? && !seeded.contains(&name) {
                return Err(CopyError::NotEmpty(name));
            }
        }
        Ok(())
    }
}

/// A database that a sale is copied from. No other session can write to it while this exists.
pub struct PostgresSource {
    link: Link,
}

impl PostgresSource {
    /// Connects, waits for at most 3 seconds until no server, relay or consumer is connected, and takes a snapshot. Changes nothing.
    /// Sessions are known by their `application_name`, so those of another sale in the same database count too, unless its
    /// URL gives them another one.
    ///
    /// # Errors
    /// [`CopyError::InUse`], [`CopyError::Server`] if the schema is not this binary's, or any other if the server refuses.
    pub async fn open(url: &PostgresUrl) -> Result<Self, CopyError> {
        let link = Link::new(url).await?;
        schema::check(&link.client).await?;
        link.until_alone(url).await?;
        let tables = link.names().await?;
        let tables: Vec<String> = tables.iter().map(|name| quoted(name)).collect();
        // The locks before the snapshot: every write that was under way is either in the snapshot or undone. They keep writers
        // out, and no reader.
        link.run("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?;
        link.run(&format!("LOCK TABLE {} IN SHARE MODE", tables.join(", "))).await?;
        Ok(Self { link })
    }
}

#[async_trait]
impl Source for PostgresSource {
    fn database(&self) -> Database {
        Database::Postgres
    }

    async fn tables(&mut self) -> Result<Vec<Table>, CopyError> {
        Ok(catalog::tables(&self.link.client).await?)
    }

    async fn read(&mut self, step: &Step, rows: Sender<Batch>) -> Result<(), CopyError> {
        send(&self.link, &step.select, &rows).await.map_err(|error| CopyError::of_table(&step.table, error))
    }
}

/// Sends the rows of a statement, until the last or until the receiver is gone.
async fn send(link: &Link, select: &str, rows: &Sender<Batch>) -> Sql<()> {
    let types = link.types(select).await?;
    let out = link.client.copy_out(&format!("COPY ({select}) TO STDOUT (FORMAT binary)")).await?;
    let mut found = pin!(BinaryCopyOutStream::new(out, &types));
    let mut batches = Batches::new();
    while let Some(row) = found.try_next().await? {
        let values = (0..types.len()).map(|column| row.try_get::<Value>(column)).collect::<Result<Vec<_>, _>>()?;
        if let Some(batch) = batches.add(values)
            && rows.send(batch).await.is_err()
        {
            return Ok(());
        }
    }
    // If this fails, the writer has failed, and its error counts.
    let _ = rows.send(batches.take()).await;
    Ok(())
}

/// A database that a sale is copied into.
pub struct PostgresTarget {
    link: Link,
    tables: Vec<String>,
}

impl PostgresTarget {
    /// Makes the schema if it does not exist, and begins the transaction. An empty database may have an older schema. No other
    /// session can write to it while this exists.
    ///
    /// # Errors
    /// [`CopyError::NotEmpty`], [`CopyError::InUse`] if a server is connected, or any other if the server refuses.
    pub async fn open(url: &PostgresUrl) -> Result<Self, CopyError> {
        let link = Link::new(url).await?;
        // Before the schema is changed: a database with a sale stays as it is.
        link.check_empty().await?;
        link.until_alone(url).await?;
        super::migrate(url).await?;
        let tables = link.names().await?;
        link.run("BEGIN").await?;
        for table in &tables {
            // Also locks the table against every other writer. No rule of a trigger is for rows that were right before.
            link.run(&format!("ALTER TABLE {} DISABLE TRIGGER USER", quoted(table))).await?;
        }
        // Again under the locks.
        link.check_empty().await?;
        for table in tables.iter().filter(|name| *name != "event_positions") {
            link.run(&format!("DELETE FROM {}", quoted(table))).await?;
        }
        Ok(Self { link, tables })
    }
}

#[async_trait]
impl Target for PostgresTarget {
    fn database(&self) -> Database {
        Database::Postgres
    }

    async fn tables(&mut self) -> Result<Vec<Table>, CopyError> {
        Ok(catalog::tables(&self.link.client).await?)
    }

    async fn write(&mut self, step: &Step, rows: Receiver<Batch>) -> Result<(), CopyError> {
        receive(&self.link, step, rows).await.map_err(|error| CopyError::of_table(&step.table, error))
    }

    async fn commit(self: Box<Self>) -> Result<(), CopyError> {
        // A trigger cannot be enabled while a deferred constraint is unchecked.
        self.link.run("SET CONSTRAINTS ALL IMMEDIATE").await?;
        for table in &self.tables {
            self.link.run(&format!("ALTER TABLE {} ENABLE TRIGGER USER", quoted(table))).await?;
        }
        self.link.run(PLACE_EVENTS).await?;
        for table in &self.tables {
            // Without statistics the first plans would be those of empty tables.
            self.link.run(&format!("ANALYZE {}", quoted(table))).await?;
        }
        Ok(self.link.run("COMMIT").await?)
    }
}

/// Writes the rows of a table.
async fn receive(link: &Link, step: &Step, mut rows: Receiver<Batch>) -> Sql<()> {
    let columns: Vec<String> = step.columns.iter().map(|column| quoted(column)).collect();
    let (table, columns) = (quoted(&step.table), columns.join(", "));
    let types = link.types(&format!("SELECT {columns} FROM {table}")).await?;
    let sink = link.client.copy_in(&format!("COPY {table} ({columns}) FROM STDIN (FORMAT binary)")).await?;
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
    while let Some(Batch(batch)) = rows.recv().await {
        for row in &batch {
            // The statement and the types have one value for each column of the step.
            writer.as_mut().write_raw(row).await?;
        }
    }
    writer.finish().await?;
    Ok(())
}
