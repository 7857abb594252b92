//! A connection to one of the databases, and what can fail on it.

use std::collections::HashMap;
use std::time::Duration;

use onsale_testing::postgres::driver::types::ToSql;
use onsale_testing::postgres::driver::{self, Client, NoTls, Row, Statement};

/// The longest time that a connection may take to open.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Every session of the laboratory's load has a name that begins with this, so that its end can be observed.
pub(crate) const NAME_PREFIX: &str = "split-";

/// A connection to one database, with its prepared statements.
pub(crate) struct Session {
    client: Client,
    statements: HashMap<&'static str, Statement>,
}

/// The database does not answer, or has rolled the statement back.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<driver::Error> for Failure {
    fn from(error: driver::Error) -> Self {
        Self(format!("{error:?}"))
    }
}

impl Session {
    /// Connects under a name that `pg_stat_activity` shows.
    pub(crate) async fn open(url: &str, name: &str) -> Result<Self, Failure> {
        let url = format!("{url}?application_name={name}&options=-c%20lock_timeout%3D20s");
        let connecting = tokio::time::timeout(CONNECT_MAX, driver::connect(&url, NoTls));
        let (client, connection) = connecting.await.map_err(|_| Failure("no connection in time".to_owned()))??;
        // The client's calls return the error with which it ended.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self { client, statements: HashMap::new() })
    }

    /// Connects as soon as the database accepts connections.
    pub(crate) async fn open_patiently(url: &str, name: &str) -> Self {
        loop {
            match Self::open(url, name).await {
                Ok(session) => return session,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Whether the connection has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    async fn prepared(&mut self, sql: &'static str) -> Result<Statement, Failure> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await?;
        self.statements.insert(sql, statement.clone());
        Ok(statement)
    }

    /// Runs a statement, prepared on its first use.
    pub(crate) async fn rows(
        &mut self,
        sql: &'static str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Failure> {
        let statement = self.prepared(sql).await?;
        Ok(self.client.query(&statement, values).await?)
    }

    /// Calls a function that answers a word for each payment.
    pub(crate) async fn words(
        &mut self,
        sql: &'static str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<String>, Failure> {
        one(&self.rows(sql, values).await?)
    }

    /// The same in a transaction that is then prepared for a two-phase commit, in one round trip. If the statement fails,
    /// nothing is prepared.
    pub(crate) async fn words_prepared(
        &mut self,
        gid: &str,
        sql: &'static str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<String>, Failure> {
        let statement = self.prepared(sql).await?;
        let prepare = format!("PREPARE TRANSACTION '{gid}'");
        // The requests are sent in the order in which they are first polled.
        let (begun, answered, prepared) = tokio::join!(
            self.client.batch_execute("BEGIN"),
            self.client.query(&statement, values),
            self.client.batch_execute(&prepare)
        );
        begun?;
        let words = one(&answered?)?;
        prepared?;
        Ok(words)
    }

    /// Runs a statement without values.
    pub(crate) async fn command(&self, sql: &str) -> Result<(), Failure> {
        Ok(self.client.batch_execute(sql).await?)
    }
}

fn one(rows: &[Row]) -> Result<Vec<String>, Failure> {
    rows.first().map(|row| row.get(0)).ok_or_else(|| Failure("no row".to_owned()))
}
