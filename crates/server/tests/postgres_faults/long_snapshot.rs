//! While a backup or an audit keeps a snapshot open, every version of a hot row is kept. The sale does not read them.

use onsale_testing::postgres::Setup;
use onsale_testing::postgres::driver::Client;
use onsale_testing::without;
use serde_json::json;

use crate::scene::{alone_on, metric};
use crate::support::until;

/// Versions of rows that pile up before the measurement.
const VERSIONS: u32 = 1_600;

/// Number of measured changes.
const MEASURED: u32 = 200;

/// Additional pages that a change may touch after that. A search by key would read the pages of all versions.
const PAGES_MORE_MAX: i64 = 8;

/// The pages that the statements which lock or change rows of a table touched so far. What instances read in the background
/// is not among them.
async fn pages(sql: &Client, table: &str) -> i64 {
    let counted = "SELECT coalesce(sum(shared_blks_hit + shared_blks_read), 0)::bigint FROM pg_stat_statements
        JOIN pg_database ON oid = dbid
        WHERE datname = current_database() AND query ~* ('\\m' || $1 || '\\M') AND query ~* '\\mupdate\\M'";
    sql.query_one(counted, &[&table]).await.unwrap().get(0)
}

/// The most pages that nine of ten changes touch. A lane that has lost its hint (after a new connection, or because the server
/// moved the row) searches by key once, and that one change reads everything.
async fn pages_of_one(sql: &Client, table: &str, change: &mut impl AsyncFnMut()) -> i64 {
    let mut each = Vec::new();
    let mut before = pages(sql, table).await;
    for _ in 0..MEASURED {
        change().await;
        let after = pages(sql, table).await;
        each.push(after - before);
        before = after;
    }
    each.sort_unstable();
    each[each.len() * 9 / 10]
}

/// A change costs about as much with very many versions as with none.
async fn is_cheap(sql: &Client, snapshot: &Client, table: &str, mut change: impl AsyncFnMut()) {
    let usual = pages_of_one(sql, table, &mut change).await;
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM lectures";
    snapshot.batch_execute(begin).await.unwrap();
    for _ in 0..VERSIONS {
        change().await;
    }
    sql.batch_execute("ANALYZE").await.unwrap();
    let late = pages_of_one(sql, table, &mut change).await;
    println!("{table}: {usual} pages for each change, and {late} after {VERSIONS} versions");
    assert!(usual > 0, "{table}: no statement was counted");
    assert!(late <= usual + PAGES_MORE_MAX, "{table}: {late} pages for each change, usually {usual}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_row_stays_cheap_while_a_snapshot_is_open() {
    if without("postgres") {
        return;
    }
    let (server, _database, scene) =
        alone_on(Setup::unsynced().set("shared_preload_libraries", "pg_stat_statements")).await;
    let address = server.address();
    let (sale, sql) = (scene.sale(), scene.sql(address).await);
    sql.batch_execute("CREATE EXTENSION pg_stat_statements").await.unwrap();
    sale.charge("ada", 1).await;
    let lecture = sale.lecture(1_000_000).await;
    let snapshot = scene.sql(address).await;
    // Statements are planned anew after statistics were gathered, which the server does by itself every minute.
    sql.batch_execute("ANALYZE").await.unwrap();
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
