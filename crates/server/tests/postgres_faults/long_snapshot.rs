//! While a backup or an audit keeps a snapshot open, every version of a hot row is kept. The sale does not read them.

use std::time::{Duration, Instant};

use onsale_testing::postgres::driver::Client;
use onsale_testing::postgres::shared;
use onsale_testing::without;
use serde_json::json;

use crate::scene::{Scene, database, metric};
use crate::support::until;

/// Versions of rows that pile up before the measurement.
const VERSIONS: u32 = 1_600;

/// Number of measured changes.
const MEASURED: u32 = 200;

/// Measurements with many versions, until one is low.
const MEASUREMENTS_MAX: u32 = 4;

/// Additional pages that each change may touch after that. A search by key would read the pages of all versions.
const PAGES_MORE_MAX: f64 = 8.0;

/// The pages of a table that were touched, once this many rows of it were changed.
async fn pages(sql: &Client, table: &str, changed: i64) -> i64 {
    let counted = "SELECT heap_blks_hit + heap_blks_read + coalesce(idx_blks_hit + idx_blks_read, 0), n_tup_upd
        FROM pg_statio_user_tables JOIN pg_stat_user_tables USING (relid, relname) WHERE relname = $1";
    let counted = async || {
        let row = sql.query_one(counted, &[&table]).await.unwrap();
        (row.get::<_, i64>(1) >= changed).then(|| row.get::<_, i64>(0))
    };
    until("the server has counted", counted).await
}

/// Average number of pages that one change touches, without those that instances read each second with or without changes.
async fn pages_each(sql: &Client, table: &str, changes: u32, change: &mut impl AsyncFnMut()) -> f64 {
    let counted = "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = $1";
    let changed = async || sql.query_one(counted, &[&table]).await.unwrap().get::<_, i64>(0);
    // The server counts within a second after a session's last transaction.
    let settled = async || {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        changed().await
    };
    let before = settled().await;
    let began = Instant::now();
    let pages_before = pages(sql, table, before).await;
    for _ in 0..changes {
        change().await;
    }
    let after = settled().await;
    let (pages_after, took) = (pages(sql, table, after).await, began.elapsed());
    settled().await;
    let idle = (pages(sql, table, after).await - pages_after) as f64 / (began.elapsed() - took).as_secs_f64();
    let touched = (pages_after - pages_before) as f64 - idle * took.as_secs_f64();
    touched / (after - before).max(1) as f64
}

/// A change costs about as much with very many versions as with none.
async fn is_cheap(sql: &Client, snapshot: &Client, table: &str, mut change: impl AsyncFnMut()) {
    let usual = pages_each(sql, table, MEASURED, &mut change).await;
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM lectures";
    snapshot.batch_execute(begin).await.unwrap();
    for _ in 0..VERSIONS {
        change().await;
    }
    // What instances read in the meantime is only estimated, so on a busy machine one measurement may be too high. A search by
    // key would make each of them too high.
    let mut late = f64::INFINITY;
    for _ in 0..MEASUREMENTS_MAX {
        late = late.min(pages_each(sql, table, MEASURED, &mut change).await);
        if late < usual + PAGES_MORE_MAX {
            break;
        }
    }
    println!("{table}: {usual:.1} pages for each change, and {late:.1} after {VERSIONS} versions");
    assert!(late < usual + PAGES_MORE_MAX, "{table}: {late:.1} pages for each change, usually {usual:.1}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_row_stays_cheap_while_a_snapshot_is_open() {
    if without("postgres") {
        return;
    }
    let database = database().await;
    let address = shared().await.address();
    let scene = Scene::on(address, &database, 1).await;
    let (sale, sql) = (scene.sale(), scene.sql(address).await);
    sale.charge("ada", 1).await;
    let lecture = sale.lecture(1_000_000).await;
    let snapshot = scene.sql(address).await;
    is_cheap(&sql, &snapshot, "accounts", async || drop(sale.charge("ada", 1).await)).await;
    snapshot.batch_execute("ROLLBACK").await.unwrap();
    let mut number = 0;
    let apply = async || {
        number += 1;
        let body = json!({"userId": format!("user-{number}"), "lectureId": lecture});
        sale.caller.post("/lectures/apply").json(&body).expect(201).await;
    };
    is_cheap(&sql, &snapshot, "lectures", apply).await;
    let shown = async || metric(sale, "onsale_postgres_oldest_snapshot_seconds").await;
    until("the age of the snapshot is shown", async || (shown().await > 0).then_some(())).await;
    snapshot.batch_execute("ROLLBACK").await.unwrap();
    scene.is_in_order(address, 0).await;
}
