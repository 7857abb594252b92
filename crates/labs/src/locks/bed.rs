//! The servers of the laboratory: one durable Postgres, one Redis, one Kafka, and proxies that put a distance between them and
//! their clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use onsale_load_generator::{Histogram, Outcome};
use onsale_testing::kafka::Kafka;
use onsale_testing::postgres::driver::Client;
use onsale_testing::postgres::{self, Server, Setup};
use onsale_testing::redis::{Keeps, Redis};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::controls::{Control, Needs, SQLITE_SCHEMA};
use super::distance::Distance;
use super::lane::{BATCH_MAX, Lane};
use super::partition::{Link, Place};
use super::scene::{self, Constraints};
use super::session::{Servers, Session, Shared};
use super::verdict::{self, Answers, Verdict};

const DATABASE: &str = "postgres";

/// Name of the clients' connections, by which the database counts them.
const CLIENTS: &str = "clients";

/// Number of Redis databases: one for each bed of a laboratory.
const REDIS_DATABASES: &str = "1024";

/// The servers of all beds, and the count of runs.
struct Machines {
    postgres: Server,
    redis: Redis,
    /// Started by the first control that uses it.
    kafka: OnceCell<Kafka>,
    far_postgres: Distance,
    far_redis: Distance,
    folder: TempDir,
    beds: AtomicU32,
    runs: AtomicU32,
}

/// A place for experiments: a schema of the database, and a database of Redis.
pub(crate) struct Bed {
    machines: Arc<Machines>,
    number: u32,
    sql: Client,
    /// Round-trip time that the proxies add. Zero: clients connect without a proxy.
    distance: Duration,
}

impl Bed {
    /// Starts Postgres, Redis and the proxies.
    pub(crate) async fn start(setup: Setup) -> Outcome<Self> {
        let setup = setup
            .set("max_connections", 600)
            .set("shared_buffers", "256MB")
            .set("max_wal_size", "4GB")
            .set("checkpoint_timeout", "30min")
            // Short, so that an interleaving that ends in a deadlock does not take a second.
            .set("deadlock_timeout", "50ms");
        let postgres = setup.start().await;
        let redis = Redis::start_with(Keeps::Nothing, &["--databases", REDIS_DATABASES]).await;
        let machines = Machines {
            far_postgres: Distance::start(postgres.address())?,
            far_redis: Distance::start(redis.address())?,
            postgres,
            redis,
            kafka: OnceCell::new(),
            folder: tempfile::Builder::new().prefix("onsale-labs-").tempdir()?,
            beds: AtomicU32::new(0),
            runs: AtomicU32::new(0),
        };
        Self::on(Arc::new(machines)).await
    }

    /// Another place on the same servers, so that experiments can run at the same time.
    pub(crate) async fn another(&self) -> Outcome<Self> {
        Self::on(self.machines.clone()).await
    }

    async fn on(machines: Arc<Machines>) -> Outcome<Self> {
        // Relaxed: a count on which no other memory depends.
        let number = machines.beds.fetch_add(1, Ordering::Relaxed);
        let sql = machines.postgres.sql(DATABASE).await;
        sql.batch_execute(&format!("CREATE SCHEMA bed_{number}; SET search_path = bed_{number}")).await?;
        Ok(Self { machines, number, sql, distance: Duration::ZERO })
    }

    /// Adds this round-trip time between clients and servers from now on. Kafka stays near.
    pub(crate) fn distance(&mut self, round_trip: Duration) {
        self.distance = round_trip;
        self.machines.far_postgres.set(round_trip);
        self.machines.far_redis.set(round_trip);
    }

    /// The URL at which clients reach the database, at the distance if there is one.
    pub(crate) fn database_url(&self) -> String {
        let url = match self.distance {
            Duration::ZERO => self.machines.postgres.url(DATABASE),
            _ => postgres::url(self.machines.far_postgres.address(), DATABASE),
        };
        format!("{url}?application_name={CLIENTS}&options=-csearch_path%3Dbed_{}", self.number)
    }

    /// The URL at which clients reach Redis, at the distance if there is one.
    pub(crate) fn redis_url(&self) -> String {
        let url = match self.distance {
            Duration::ZERO => self.machines.redis.url(),
            _ => Redis::url_at(self.machines.far_redis.address()),
        };
        format!("{url}/{}", self.number)
    }

    /// A connection of the laboratory itself, without a distance.
    pub(crate) async fn sql(&self) -> Outcome<Client> {
        let sql = self.machines.postgres.sql(DATABASE).await;
        sql.batch_execute(&format!("SET search_path = bed_{}", self.number)).await?;
        Ok(sql)
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
        self.machines.runs.fetch_add(1, Ordering::Relaxed);
        self.empty_redis()
    }

    /// Deletes all data of this bed's Redis database.
    pub(crate) fn empty_redis(&self) -> Outcome<()> {
        let client = redis::Client::open(format!("{}/{}", self.machines.redis.url(), self.number))?;
        Ok(redis::cmd("FLUSHDB").exec(&mut client.get_connection()?)?)
    }

    /// The queue of the current run, if the control uses one.
    pub(crate) async fn place(&self, control: &Control) -> Option<Place> {
        if control.needs != Needs::Kafka {
            return None;
        }
        let kafka = self.machines.kafka.get_or_init(Kafka::start).await;
        let commands = format!("bed-{}-run-{}", self.number, self.machines.runs.load(Ordering::Relaxed));
        Some(Place { brokers: kafka.brokers(), commands, database: self.database_url() })
    }

    /// What the sessions of this process share.
    pub(crate) async fn shared(&self, control: &Control, wallets: u32, initial: i64) -> Outcome<Arc<Shared>> {
        self.shared_with(control, wallets, initial, BATCH_MAX).await
    }

    /// [`Bed::shared`] with a lane of another size of batches.
    pub(crate) async fn shared_with(
        &self,
        control: &Control,
        wallets: u32,
        initial: i64,
        batch_max: usize,
    ) -> Outcome<Arc<Shared>> {
        let lane = match control.needs {
            Needs::Lane => Some(Lane::start(&self.database_url(), batch_max, None).await),
            _ => None,
        };
        let partition = match self.place(control).await {
            Some(place) => Some(Link::start(&place, "own", None).await?),
            None => None,
        };
        let sqlite = match control.needs {
            Needs::Sqlite => Some(std::sync::Mutex::new(self.sqlite(wallets, initial)?)),
            _ => None,
        };
        let mutexes = (0..wallets).map(|_| tokio::sync::Mutex::new(())).collect();
        Ok(Arc::new(Shared { mutexes, lane, sqlite, partition }))
    }

    fn sqlite(&self, wallets: u32, initial: i64) -> Outcome<rusqlite::Connection> {
        let name = format!("{}-{}.db", self.number, self.machines.runs.load(Ordering::Relaxed));
        let connection = rusqlite::Connection::open(self.machines.folder.path().join(name))?;
        connection.execute_batch(SQLITE_SCHEMA)?;
        let fill = "INSERT INTO wallets (id, balance) SELECT value, ?2 FROM
            (WITH RECURSIVE series(value) AS (SELECT 0 UNION ALL SELECT value + 1 FROM series WHERE value + 1 < ?1)
             SELECT value FROM series)";
        connection.execute(fill, rusqlite::params![wallets, initial])?;
        Ok(connection)
    }

    /// The addresses of the servers for the sessions of a control.
    pub(crate) fn servers(&self, control: &Control) -> Servers {
        Servers {
            database: control.needs.connection().then(|| self.database_url()),
            redis: (control.needs == Needs::Redis).then(|| self.redis_url()),
        }
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
        self.machines.postgres.process_time()
    }

    /// WAL bytes written so far.
    pub(crate) async fn wal(&self) -> Outcome<u64> {
        let row = self.sql.query_one("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint", &[]).await?;
        Ok(u64::try_from(row.get::<_, i64>(0))?)
    }

    /// Connections of clients and lanes that are open now.
    pub(crate) async fn connections(&self) -> Outcome<i64> {
        let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1";
        Ok(self.sql.query_one(count, &[&CLIENTS]).await?.get(0))
    }

    /// The median of some round trips of a statement that does nothing, at the current distance.
    pub(crate) async fn round_trip(&self) -> Outcome<Duration> {
        let client = postgres::sql(&self.database_url()).await;
        let (statement, mut times) = (client.prepare("SELECT 1").await?, Histogram::default());
        for _ in 0..200 {
            let began = Instant::now();
            client.query_one(&statement, &[]).await?;
            times.add(began.elapsed());
        }
        Ok(times.permille(500))
    }

    /// Versions of the servers, as they name themselves.
    pub(crate) async fn versions(&self) -> Outcome<String> {
        let postgres: String = self.sql.query_one("SHOW server_version", &[]).await?.get(0);
        let info: String = self.machines.redis.run(&["INFO", "server"]);
        let redis = info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or("?");
        let postgres = postgres.split(' ').next().unwrap_or("?");
        Ok(format!("PostgreSQL {postgres}, Redis {}, SQLite {}", redis.trim(), rusqlite::version()))
    }
}

/// Opens this many sessions, some at a time.
pub(crate) async fn sessions(servers: &Servers, shared: &Arc<Shared>, count: usize) -> Outcome<Vec<Session>> {
    use futures_util::{StreamExt, TryStreamExt};
    /// Connections that are opened at the same time.
    const AT_A_TIME: usize = 16;
    let opening = (0..count).map(|number| Session::open(servers, shared.clone(), number as u64 + 1));
    futures_util::stream::iter(opening).buffered(AT_A_TIME).try_collect().await
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
