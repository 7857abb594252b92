//! Several instances on a database of their own, and what tests of them share.

use std::time::{Duration, Instant};

use onsale_testing::postgres::driver::Client;
use onsale_testing::postgres::{Database, shared};
use onsale_testing::{Launch, Sale, without};
use serde_json::Value;

use crate::support::{ONSALE, millis};

/// Instances that are one sale.
pub(crate) struct Many {
    pub(crate) sales: Vec<Sale>,
    pub(crate) launch: Launch,
    // Dropped last, when no instance uses it any more.
    pub(crate) database: Database,
}

/// A database with the schema and nothing else; `None` where this machine has no Postgres.
pub(crate) async fn database() -> Option<Database> {
    if without("postgres") {
        return None;
    }
    Some(shared().await.migrated(ONSALE).await)
}

impl Many {
    /// Starts this many at once.
    pub(crate) async fn start(count: usize, settings: &[(&str, &str)]) -> Option<Self> {
        let database = database().await?;
        let launch = Sale::launch(ONSALE).on(database.url());
        let launch = settings.iter().fold(launch, |launch, (name, value)| launch.set(name, value));
        let sales = Sale::start_many(&launch, count).await;
        Some(Self { sales, launch, database })
    }

    /// One after another, round and round.
    pub(crate) fn at(&self, number: usize) -> &Sale {
        &self.sales[number % self.sales.len()]
    }

    pub(crate) async fn sql(&self) -> Client {
        self.database.sql().await
    }

    /// Every invariant holds on the live data, and no transaction ever had to give way to another.
    pub(crate) async fn is_in_order(&self) {
        let audit = self.launch.run(&["audit"]).await;
        assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
        assert_eq!(self.database.deadlocks(), 0, "deadlocks");
    }
}

/// A token's place, as an instance returns it now.
pub(crate) async fn place_of(sale: &Sale, token: &str) -> Value {
    crate::support::room::place(sale, token).await
}

/// Polls a token at an instance until its place is as of a later instant than this one.
pub(crate) async fn place_after(sale: &Sale, token: &str, instant: i64) -> Value {
    sale.until(token, |place| millis(&place["asOf"]) > instant).await
}

/// Asks again and again until it is so; how long after `since` it was.
pub(crate) async fn until_since(since: Instant, what: &str, mut ask: impl AsyncFnMut() -> bool) -> Duration {
    crate::support::until(what, async || ask().await.then(|| since.elapsed())).await
}

/// The middle one and the longest of some durations. Other processes of the machine may delay a test, so bounds
/// apply to the middle one; the longest is printed.
pub(crate) fn middle_and_longest(mut all: Vec<Duration>) -> (Duration, Duration) {
    all.sort_unstable();
    (all[all.len() / 2], all[all.len() - 1])
}

/// The most turns of a concert that ran at once, settled ones included, by the database's own record. They are kept for
/// a minute.
pub(crate) async fn most_at_once(sql: &Client, concert: &str) -> i64 {
    // One that ends in the very millisecond in which another begins made room for it.
    let most = "SELECT coalesce(max(many), 0)::bigint FROM (
            SELECT sum(step) OVER (ORDER BY at, step) many FROM turns CROSS JOIN LATERAL
                (VALUES (admitted_at, 1), (settled_at, -1)) steps (at, step)
            WHERE concert_id = $1::text::uuid AND at IS NOT NULL) counted";
    sql.query_one(most, &[&concert]).await.unwrap().get(0)
}

/// When the turns of a concert began, in the order of their places.
pub(crate) async fn admissions(sql: &Client, concert: &str) -> Vec<i64> {
    let order = "SELECT admitted_at FROM turns WHERE concert_id = $1::text::uuid ORDER BY place";
    sql.query(order, &[&concert]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// The places of a concert that were handed out, with their users, in order.
pub(crate) async fn places(sql: &Client, concert: &str) -> Vec<(i64, String)> {
    let order = "SELECT place, user_id FROM places WHERE concert_id = $1::text::uuid ORDER BY place";
    sql.query(order, &[&concert]).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
}
