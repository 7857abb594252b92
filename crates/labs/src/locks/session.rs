//! A client's session: one database connection with the few statements that controls are made of, and what it counts.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use onsale_load_generator::Outcome;
use onsale_testing::Dice;
use onsale_testing::postgres::driver::types::ToSql;
use onsale_testing::postgres::driver::{self, Client, Row, Statement};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};

use super::alarm::Alarm;
use super::lane::Lane;
use super::partition::Link;
use super::scene::Op;

/// A failure of one attempt.
#[derive(Debug)]
pub(crate) enum Failure {
    Database(driver::Error),
    Redis(redis::RedisError),
    Sqlite(rusqlite::Error),
    /// A part of the harness has ended.
    Closed,
}

impl Failure {
    /// The class of a failure: the SQLSTATE of the database, or a word.
    pub(crate) fn class(&self) -> &str {
        match self {
            Self::Database(error) => error.code().map_or("cut", |code| code.code()),
            Self::Redis(_) => "redis",
            Self::Sqlite(_) => "sqlite",
            Self::Closed => "closed",
        }
    }

    /// Whether the database rolled the transaction back and asks for a retry: a serialization failure, a deadlock, or a
    /// lock that is not available.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self.class(), "40001" | "40P01" | "55P03")
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Database(error) => write!(f, "{error:?}"),
            Self::Redis(error) => write!(f, "{error}"),
            Self::Sqlite(error) => write!(f, "{error}"),
            Self::Closed => f.write_str("closed"),
        }
    }
}

impl From<driver::Error> for Failure {
    fn from(error: driver::Error) -> Self {
        Self::Database(error)
    }
}

impl From<redis::RedisError> for Failure {
    fn from(error: redis::RedisError) -> Self {
        Self::Redis(error)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// What the sessions of one process share.
pub(crate) struct Shared {
    /// One mutex for each wallet: the control that works in one process only.
    pub(crate) mutexes: Vec<tokio::sync::Mutex<()>>,
    /// The batching lane, if the control uses it.
    pub(crate) lane: Option<Lane>,
    /// The embedded database, if the control uses it. A file has one writer.
    pub(crate) sqlite: Option<std::sync::Mutex<rusqlite::Connection>>,
    /// The queue and its consumer, if the control uses them.
    pub(crate) partition: Option<Link>,
}

/// What happens once between a read and its write, if an experiment wants something there.
pub(crate) type Between = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>;

/// How long a client waits before it tries again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pause {
    /// A random time below a ceiling that doubles with each attempt.
    #[default]
    Random,
    /// The ceiling itself: clients that met once meet again.
    Fixed,
    /// None.
    None,
}

/// The addresses of the servers for a session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Servers {
    /// `None` if the control's clients have no connection of their own.
    pub(crate) database: Option<String>,
    pub(crate) redis: Option<String>,
}

/// One client: its database connection, and what it has counted.
pub(crate) struct Session {
    /// `None` if the control's clients have no connection of their own.
    client: Option<Client>,
    statements: HashMap<&'static str, Statement>,
    pub(crate) redis: Option<ConnectionManager>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) dice: Dice,
    /// Attempts that were repeated.
    pub(crate) retries: u64,
    /// Failures by SQLSTATE, or by a word.
    pub(crate) failures: BTreeMap<String, u64>,
    /// When a queue accepted the last command, if the control has one.
    pub(crate) accepted: Option<Instant>,
    pub(crate) between: Option<Between>,
    pub(crate) pause: Pause,
    alarm: Alarm,
}

/// A wallet as read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wallet {
    pub(crate) balance: i64,
    pub(crate) version: i64,
}

impl Wallet {
    fn of(row: &Row) -> Self {
        Self { balance: row.get(0), version: row.get(1) }
    }
}

/// Changes a wallet and adds its ledger entry, in one statement and one round trip.
pub(crate) const WRITE: &str = "WITH changed AS (
        UPDATE wallets SET balance = $2, version = $3 WHERE id = $1 RETURNING id)
    INSERT INTO ledger (wallet, version, op, amount, balance_after) SELECT id, $3, $4, $5, $2 FROM changed";

impl Session {
    /// Connects a client. `seed` makes its random choices repeatable.
    pub(crate) async fn open(servers: &Servers, shared: Arc<Shared>, seed: u64) -> Outcome<Self> {
        let client = match &servers.database {
            Some(url) => Some(onsale_testing::postgres::sql(url).await),
            None => None,
        };
        let redis = match &servers.redis {
            Some(url) => Some(connect(url).await?),
            None => None,
        };
        Ok(Self {
            client,
            statements: HashMap::new(),
            redis,
            shared,
            dice: Dice::new(seed),
            retries: 0,
            failures: BTreeMap::new(),
            accepted: None,
            between: None,
            pause: Pause::Random,
            alarm: Alarm::new()?,
        })
    }

    fn client(&self) -> Result<&Client, Failure> {
        self.client.as_ref().ok_or(Failure::Closed)
    }

    async fn prepared(&mut self, sql: &'static str) -> Result<Statement, Failure> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client()?.prepare(sql).await?;
        self.statements.insert(sql, statement.clone());
        Ok(statement)
    }

    /// Runs a statement that returns at most one row.
    pub(crate) async fn row(
        &mut self,
        sql: &'static str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, Failure> {
        let statement = self.prepared(sql).await?;
        Ok(self.client()?.query_opt(&statement, values).await?)
    }

    /// Runs a statement. Returns the number of rows that it changed.
    pub(crate) async fn execute(&mut self, sql: &'static str, values: &[&(dyn ToSql + Sync)]) -> Result<u64, Failure> {
        let statement = self.prepared(sql).await?;
        Ok(self.client()?.execute(&statement, values).await?)
    }

    /// Runs a statement without values, such as `BEGIN`.
    pub(crate) async fn command(&mut self, sql: &str) -> Result<(), Failure> {
        Ok(self.client()?.batch_execute(sql).await?)
    }

    /// Reads a wallet with a statement that selects its balance and version.
    pub(crate) async fn read(&mut self, sql: &'static str, op: &Op) -> Result<Wallet, Failure> {
        let row = self.row(sql, &[&op.wallet]).await?.ok_or(Failure::Closed)?;
        self.gap().await;
        Ok(Wallet::of(&row))
    }

    /// Here is a gap between a read and its write: an experiment does once what it wants.
    pub(crate) async fn gap(&mut self) {
        if let Some(between) = self.between.take() {
            between().await;
        }
    }

    /// Writes a wallet without asking what is there, with its ledger entry.
    pub(crate) async fn write(&mut self, op: &Op, read: Wallet, after: i64) -> Result<u64, Failure> {
        self.execute(WRITE, &[&op.wallet, &after, &(read.version + 1), &op.id, &op.amount]).await
    }

    /// Reads, decides and writes inside a transaction that is already open, then ends it. The core of every control that
    /// locks first.
    pub(crate) async fn decide_in_transaction(&mut self, read: &'static str, op: &Op) -> Result<bool, Failure> {
        let wallet = self.read(read, op).await?;
        let Some(after) = super::scene::decide(wallet.balance, op.amount) else {
            self.command("ROLLBACK").await?;
            return Ok(false);
        };
        self.write(op, wallet, after).await?;
        self.command("COMMIT").await?;
        Ok(true)
    }

    /// Notes a failed attempt, and waits before the next: a random time below a ceiling that grows with the number of
    /// attempts, so that clients that met once do not meet again.
    pub(crate) async fn back_off(&mut self, class: &str, attempt: u32) -> Result<(), Failure> {
        self.retries += 1;
        *self.failures.entry(class.to_owned()).or_default() += 1;
        let ceiling_micros = 200_u64 << attempt.min(8);
        let micros = match self.pause {
            Pause::Random => self.dice.below(ceiling_micros),
            Pause::Fixed => ceiling_micros,
            Pause::None => return Ok(()),
        };
        self.sleep(Duration::from_micros(micros)).await
    }

    /// Waits this long, to within some microseconds.
    pub(crate) async fn sleep(&mut self, time: Duration) -> Result<(), Failure> {
        self.alarm.sleep(time).await.map_err(|_| Failure::Closed)
    }
}

/// Connects to a Redis. A request waits for its answer as long as a test waits for anything: after a shorter time-out
/// the client would not know whether the request was done.
async fn connect(url: &str) -> Outcome<ConnectionManager> {
    let settings = ConnectionManagerConfig::new()
        .set_response_timeout(Some(onsale_testing::PATIENCE))
        .set_connection_timeout(Some(onsale_testing::PATIENCE));
    Ok(redis::Client::open(url)?.get_connection_manager_with_config(settings).await?)
}
