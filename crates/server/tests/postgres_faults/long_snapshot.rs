//! While a backup or an audit keeps a snapshot open, every version of a hot row is kept. The sale does not read them.

use onsale_testing::postgres::driver::Client;
use onsale_testing::postgres::shared;
use onsale_testing::{Call, Sale, without};
use serde_json::json;

use crate::scene::{Scene, charge, database};
use crate::support::{at_once, until};

/// So many versions pile up before it is measured.
const VERSIONS: u32 = 1_600;

/// So many changes are measured.
const MEASURED: u32 = 200;

/// So many pages of the table each change may touch, on average: a few for the version that is locked and the one that
/// is written. By key it would be the pages of all versions, several times.
const PAGES_MAX: f64 = 12.0;

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

async fn is_cheap(sale: &Sale, sql: &Client, table: &str, change: impl Fn(&Sale, u32) -> Call) {
    let mut number = 0;
    let mut all = async |changes: u32| {
        for _ in 0..changes / 4 {
            let calls: Vec<Call> = (0..4)
                .map(|_| {
                    number += 1;
                    change(sale, number)
                })
                .collect();
            at_once(calls).await.iter().for_each(|reply| assert!(reply.status.is_success(), "{:?}", reply.body));
        }
    };
    let updated = "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = $1";
    all(VERSIONS).await;
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    let before: i64 = sql.query_one(updated, &[&table]).await.unwrap().get(0);
    let pages_before = pages(sql, table, before).await;
    all(MEASURED).await;
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    let after: i64 = sql.query_one(updated, &[&table]).await.unwrap().get(0);
    let each = (pages(sql, table, after).await - pages_before) as f64 / (after - before) as f64;
    println!("{table}: {before} versions, then {each:.1} pages for each of {} changes", after - before);
    assert!(before > i64::from(VERSIONS / 8), "{table}: only {before} versions");
    assert!(each < PAGES_MAX, "{table}: {each:.1} pages for each change");
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
    snapshot.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM lectures").await.unwrap();
    is_cheap(sale, &sql, "accounts", |sale, number| charge(sale, "ada", 1, &format!("ada-{number}"))).await;
    let apply = |sale: &Sale, number| {
        let body = json!({"userId": format!("user-{number}"), "lectureId": lecture});
        sale.caller.post("/lectures/apply").json(&body)
    };
    is_cheap(sale, &sql, "lectures", apply).await;
    snapshot.batch_execute("ROLLBACK").await.unwrap();
    scene.is_in_order(address, 0).await;
}
