//! The servers of the laboratory: one durable Postgres, one Redis, and a proxy that delays bytes between clients and
//! both.

use std::sync::Arc;
use std::time::Duration;

use onsale_load_generator::Outcome;
use onsale_testing::WireCutter;
use onsale_testing::postgres::driver::Client;
use onsale_testing::postgres::{self, Server, Setup};
use onsale_testing::redis::{Keeps, Redis};
use redis::aio::ConnectionManager;
use tempfile::TempDir;

use super::controls::{Control, Needs, SQLITE_SCHEMA};
use super::lane::Lane;
use super::scene::{self, Constraints};
use super::session::{Session, Shared};
use super::verdict::{self, Answers, Verdict};

const DATABASE: &str = "postgres";

/// The running servers, and connections to them.
pub(crate) struct Bed {
    pub(crate) server: Server,
    redis: Redis,
    database_wire: WireCutter,
    redis_wire: WireCutter,
    sql: Client,
    folder: TempDir,
    /// Round-trip time that the proxy adds. Zero: clients connect without the proxy.
    delay: Duration,
}

impl Bed {
    /// Starts Postgres, Redis and the proxies.
    pub(crate) async fn start() -> Outcome<Self> {
        let setup = Setup::durable()
            .set("max_connections", 400)
            .set("shared_buffers", "256MB")
            .set("max_wal_size", "4GB")
            .set("checkpoint_timeout", "30min")
            // Short, so that an interleaving that ends in a deadlock does not take a second.
            .set("deadlock_timeout", "50ms");
        let server = setup.start().await;
        let redis = Redis::start(Keeps::Nothing).await;
        let database_wire = WireCutter::start(server.address()).await;
        let redis_wire = WireCutter::start(redis.address()).await;
        let sql = server.sql(DATABASE).await;
        let folder = tempfile::Builder::new().prefix("onsale-labs-").tempdir()?;
        Ok(Self { server, redis, database_wire, redis_wire, sql, folder, delay: Duration::ZERO })
    }

    /// Adds this round-trip time between clients and servers from now on.
    pub(crate) async fn delay(&mut self, round_trip: Duration) {
        // Half in each direction, so that a round trip is delayed by the whole.
        self.delay = round_trip;
        self.database_wire.slow(round_trip / 2).await;
        self.redis_wire.slow(round_trip / 2).await;
    }

    /// The URL at which clients reach the database, with the delay if there is one.
    pub(crate) fn database_url(&self) -> String {
        match self.delay {
            Duration::ZERO => self.server.url(DATABASE),
            _ => postgres::url(self.database_wire.address(), DATABASE),
        }
    }

    /// The URL at which clients reach Redis, with the delay if there is one.
    pub(crate) fn redis_url(&self) -> String {
        match self.delay {
            Duration::ZERO => self.redis.url(),
            _ => Redis::url_at(self.redis_wire.address()),
        }
    }

    /// A connection of the laboratory itself, without delay.
    pub(crate) async fn sql(&self) -> Client {
        self.server.sql(DATABASE).await
    }

    /// Fresh tables, and an empty Redis.
    pub(crate) async fn prepare(
        &self,
        control: &Control,
        wallets: u32,
        initial: i64,
        constraints: Constraints,
    ) -> Outcome<()> {
        // The unique index is this control: without it there is nothing to compare.
        let constraints = if control.letter == 'J' { Constraints::On } else { constraints };
        scene::create(&self.sql, wallets, initial, constraints).await?;
        self.empty_redis();
        Ok(())
    }

    /// Deletes all data of Redis (`FLUSHALL`).
    pub(crate) fn empty_redis(&self) {
        self.redis.run::<()>(&["FLUSHALL"]);
    }

    /// What the sessions of this process share.
    pub(crate) async fn shared(&self, control: &Control, wallets: u32, initial: i64) -> Outcome<Arc<Shared>> {
        let lane =
            if control.needs == Needs::Lane { Some(Lane::start(&self.database_url(), None).await) } else { None };
        let sqlite = match control.needs {
            Needs::Sqlite => {
                let path = self.folder.path().join(format!("{}.db", self.wal().await?));
                let connection = rusqlite::Connection::open(path)?;
                connection.execute_batch(SQLITE_SCHEMA)?;
                let fill = "INSERT INTO wallets (id, balance) SELECT value, ?2 FROM
                    (WITH RECURSIVE series(value) AS (SELECT 0 UNION ALL SELECT value + 1 FROM series WHERE value + 1 < ?1)
                     SELECT value FROM series)";
                connection.execute(fill, rusqlite::params![wallets, initial])?;
                Some(std::sync::Mutex::new(connection))
            }
            _ => None,
        };
        let mutexes = (0..wallets).map(|_| tokio::sync::Mutex::new(())).collect();
        Ok(Arc::new(Shared { mutexes, lane, sqlite }))
    }

    /// Opens a session for a control.
    pub(crate) async fn session(&self, control: &Control, shared: Arc<Shared>, seed: u64) -> Outcome<Session> {
        let redis = match control.needs {
            Needs::Redis => Some(connect(&self.redis_url()).await?),
            _ => None,
        };
        Ok(Session::open(&self.database_url(), redis, shared, seed).await)
    }

    /// Brings what a control keeps elsewhere into the tables that the auditor reads.
    pub(crate) async fn settle(&self, control: &Control, shared: &Shared) -> Outcome<()> {
        if control.letter == 'J' {
            let last = "UPDATE wallets SET balance = balance_after FROM (
                SELECT DISTINCT ON (wallet) wallet, balance_after FROM ledger ORDER BY wallet, version DESC) entries
                WHERE id = wallet";
            self.sql.batch_execute(last).await?;
        }
        if let Some(sqlite) = &shared.sqlite {
            let (wallets, ledger) = read_sqlite(&sqlite.lock().unwrap_or_else(std::sync::PoisonError::into_inner))?;
            let (ids, balances): (Vec<i32>, Vec<i64>) = wallets.into_iter().unzip();
            let update = "UPDATE wallets SET balance = new.balance
                FROM unnest($1::integer[], $2::bigint[]) AS new (id, balance) WHERE wallets.id = new.id";
            self.sql.execute(update, &[&ids, &balances]).await?;
            let insert = "INSERT INTO ledger (wallet, version, op, amount, balance_after)
                SELECT * FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])";
            let owners: Vec<i32> = ledger.iter().map(|entry| i32::try_from(entry[0])).collect::<Result<_, _>>()?;
            let column = |index: usize| -> Vec<i64> { ledger.iter().map(|entry| entry[index]).collect() };
            self.sql.execute(insert, &[&owners, &column(1), &column(2), &column(3), &column(4)]).await?;
        }
        Ok(())
    }

    /// Audits the tables against the clients' answers.
    pub(crate) async fn audit(&self, initial: i64, answers: &Answers) -> Outcome<Verdict> {
        verdict::audit(&self.sql, initial, answers).await
    }

    /// Processor time of the database so far.
    pub(crate) fn database_time(&self) -> Duration {
        self.server.process_time()
    }

    /// WAL bytes written so far.
    pub(crate) async fn wal(&self) -> Outcome<u64> {
        let row = self.sql.query_one("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint", &[]).await?;
        Ok(u64::try_from(row.get::<_, i64>(0))?)
    }
}

/// Connects to a Redis.
pub(crate) async fn connect(url: &str) -> Outcome<ConnectionManager> {
    Ok(redis::Client::open(url)?.get_connection_manager().await?)
}

type Rows = (Vec<(i32, i64)>, Vec<[i64; 5]>);

fn read_sqlite(connection: &rusqlite::Connection) -> rusqlite::Result<Rows> {
    let mut wallets = connection.prepare("SELECT id, balance FROM wallets")?;
    let wallets = wallets.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    let mut ledger = connection.prepare("SELECT wallet, version, op, amount, balance_after FROM ledger")?;
    let entry = |row: &rusqlite::Row<'_>| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?]);
    let ledger = ledger.query_map([], entry)?.collect::<Result<_, _>>()?;
    Ok((wallets, ledger))
}
