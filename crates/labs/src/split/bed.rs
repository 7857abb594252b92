//! The servers of the laboratory: two durable Postgres servers, and proxies that delay bytes between clients and both.

use std::time::Duration;

use onsale_load_generator::Outcome;
use onsale_testing::postgres::driver::Client;
use onsale_testing::postgres::{self, Server, Setup};
use onsale_testing::{PATIENCE, WireCutter};

use super::session::NAME_PREFIX;
use super::teller::{Places, Way};

const DATABASE: &str = "postgres";

/// The two servers. A way with one database uses that of the sale for everything.
pub(crate) struct Bed {
    pub(crate) sale: Server,
    pub(crate) wallet: Server,
    wires: [WireCutter; 2],
    /// Round-trip time that the proxies add. Zero: clients connect without them.
    delay: Duration,
}

/// What the servers have spent so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    pub(crate) wal_bytes: i64,
    pub(crate) syncs: i64,
    pub(crate) processor: Duration,
}

impl Spent {
    /// The difference to an earlier reading.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            wal_bytes: self.wal_bytes - before.wal_bytes,
            syncs: self.syncs - before.syncs,
            processor: self.processor.saturating_sub(before.processor),
        }
    }
}

impl Bed {
    /// Starts both servers with the same settings.
    pub(crate) async fn start() -> Self {
        let setup = || {
            Setup::durable()
                .set("max_connections", 100)
                .set("max_prepared_transactions", 64)
                // The statement of a killed client ends soon, also while it waits for a lock.
                .set("client_connection_check_interval", "20ms")
                .set("track_commit_timestamp", "on")
                .set("shared_buffers", "128MB")
                .set("max_wal_size", "4GB")
                .set("checkpoint_timeout", "30min")
        };
        let (sale, wallet) = tokio::join!(setup().start(), setup().start());
        let wires = [WireCutter::start(sale.address()).await, WireCutter::start(wallet.address()).await];
        Self { sale, wallet, wires, delay: Duration::ZERO }
    }

    /// Adds this round-trip time between clients and both servers from now on.
    pub(crate) async fn delay(&mut self, round_trip: Duration) {
        self.delay = round_trip;
        for wire in &self.wires {
            // Half in each direction, so that a round trip is delayed by the whole.
            wire.slow(round_trip / 2).await;
        }
    }

    /// The URLs to which the clients of a way connect, with the delay if there is one.
    pub(crate) fn places(&self, way: Way) -> Places {
        let url = |server: &Server, wire: &WireCutter| match self.delay {
            Duration::ZERO => server.url(DATABASE),
            _ => postgres::url(wire.address(), DATABASE),
        };
        let sale = url(&self.sale, &self.wires[0]);
        let wallet = if way.is_split() { url(&self.wallet, &self.wires[1]) } else { sale.clone() };
        Places { sale, wallet }
    }

    /// Connections of the laboratory itself to the databases of the sale and of the wallet, without delay.
    pub(crate) async fn books(&self, way: Way) -> Books {
        let wallet = if way.is_split() { &self.wallet } else { &self.sale };
        Books { sale: self.sale.sql(DATABASE).await, wallet: wallet.sql(DATABASE).await, is_split: way.is_split() }
    }

    /// The servers that a way uses.
    pub(crate) fn servers(&self, way: Way) -> Vec<&Server> {
        if way.is_split() { vec![&self.sale, &self.wallet] } else { vec![&self.sale] }
    }

    /// Fresh, empty tables for a way.
    pub(crate) async fn reset(&self, way: Way) -> Outcome<Books> {
        self.until_quiet(way).await?;
        let books = self.books(way).await;
        let fresh = "DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public;";
        books.sale.batch_execute(fresh).await?;
        if way.is_split() {
            books.wallet.batch_execute(fresh).await?;
        }
        books.wallet.batch_execute(include_str!("schema/wallet.sql")).await?;
        books.sale.batch_execute(include_str!("schema/sale.sql")).await?;
        if !way.is_split() {
            books.sale.batch_execute(include_str!("schema/one.sql")).await?;
        }
        Ok(books)
    }

    /// Waits until all sessions of clients have ended. Only then are their statistics complete.
    pub(crate) async fn until_quiet(&self, way: Way) -> Outcome<()> {
        let count = "SELECT count(*) FROM pg_stat_activity WHERE starts_with(application_name, $1)";
        let quiet = async {
            for server in self.servers(way) {
                let sql = server.sql(DATABASE).await;
                while sql.query_one(count, &[&NAME_PREFIX]).await?.get::<_, i64>(0) > 0 {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
            Ok(())
        };
        tokio::time::timeout(PATIENCE, quiet).await?
    }

    /// What the servers of a way have spent so far. Exact if they are quiet.
    pub(crate) async fn spent(&self, way: Way) -> Outcome<Spent> {
        let mut spent = Spent::default();
        for server in self.servers(way) {
            let sql = server.sql(DATABASE).await;
            let read = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint, wal_sync FROM pg_stat_wal";
            let row = sql.query_one(read, &[]).await?;
            spent.wal_bytes += row.get::<_, i64>(0);
            spent.syncs += row.get::<_, i64>(1);
            spent.processor += server.process_time();
        }
        Ok(spent)
    }
}

/// Connections that read and prepare both databases. The same database twice if the way is not split.
pub(crate) struct Books {
    pub(crate) sale: Client,
    pub(crate) wallet: Client,
    pub(crate) is_split: bool,
}

impl Books {
    /// Runs a command on each database once.
    pub(crate) async fn each(&self, command: &str) -> Outcome<()> {
        self.sale.batch_execute(command).await?;
        if self.is_split {
            self.wallet.batch_execute(command).await?;
        }
        Ok(())
    }
}

impl Books {
    /// Waits until a worker has sold something.
    pub(crate) async fn until_paid(&self, worker: i32) -> Outcome<()> {
        let first = i64::from(worker) * super::worker::IDS;
        let any = "SELECT count(*) FROM payments WHERE payment >= $1";
        let paid = async {
            while self.sale.query_one(any, &[&first]).await?.get::<_, i64>(0) == 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            Ok(())
        };
        tokio::time::timeout(PATIENCE, paid).await?
    }
}
