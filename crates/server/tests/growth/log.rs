//! A foreign reader keeps SQLite's log from being truncated. The server reports it before the disk is full.

use onsale_testing::{Sale, is_shared};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::idle::open;
use crate::support::{ONSALE, logged, until};

/// Longer than the log gets without a foreign reader: 16 MiB and some more.
const ROWS: u32 = 400_000;

/// A read transaction of a shell that was left open.
fn forgotten_reader(sale: &Sale) -> Connection {
    let reader = open(sale);
    reader.execute_batch("BEGIN; SELECT count(*) FROM accounts").unwrap();
    reader
}

/// The log grows, and the server commits.
async fn grow(sale: &Sale) {
    let writer = open(sale);
    let rows = "INSERT INTO deliveries WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
        SELECT randomblob(16), 9000000000000 FROM n";
    writer.execute(rows, [ROWS]).unwrap();
    sale.charge("ada", 1_000).await;
}

async fn database(sale: &Sale) -> Value {
    sale.caller.get("/readyz").expect(200).await["parts"][0].clone()
}

async fn metric(sale: &Sale, name: &str) -> Option<f64> {
    let metrics = sale.caller.get("/metrics").send().await;
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

const CONDITION: &str = "onsale_part_degraded{part=\"database\",condition=\"log-growth\"}";

#[tokio::test]
async fn a_reader_that_holds_the_log_back_is_reported() {
    if is_shared() {
        return;
    }
    let sale = Sale::start(&Sale::launch(ONSALE)).await;
    assert_eq!(metric(&sale, CONDITION).await, Some(0.0), "an alert finds its series before it fires");
    let reader = forgotten_reader(&sale);
    grow(&sale).await;
    let reason = async || {
        let reasons = database(&sale).await["reasons"].as_array()?.clone();
        reasons.first().map(|reason| reason.as_str().unwrap().to_owned())
    };
    let reason = until("the reader is reported", reason).await;
    assert!(reason.contains("MiB") && reason.contains("read transaction"), "{reason}");
    assert_eq!(metric(&sale, CONDITION).await, Some(1.0));
    let length = metric(&sale, "onsale_sqlite_log_bytes").await.unwrap();
    assert!(length > 16.0 * 1024.0 * 1024.0, "{length} bytes");
    logged(&sale, "log-growth").await;
    sale.charge("ada", 1_000).await;

    drop(reader);
    let is_over = async || (database(&sale).await == json!({"part": "database", "status": "ok"})).then_some(());
    until("the log is moved once the reader is gone", is_over).await;
    assert_eq!(metric(&sale, CONDITION).await, Some(0.0));
}

#[tokio::test]
async fn writes_are_refused_before_the_log_fills_the_disk() {
    if is_shared() {
        return;
    }
    // No disk has so much free.
    let sale = Sale::start(&Sale::launch(ONSALE).set("ONSALE_DISK_RESERVE_MIB", 1_000_000_000)).await;
    let reader = forgotten_reader(&sale);
    grow(&sale).await;
    let charge = || sale.caller.patch("/point/bob/charge").json(&json!({"amount": 1_000}));
    let refused = async || {
        let reply = charge().send().await;
        (reply.status == 503).then(|| reply.refused(503, "unavailable"))
    };
    until("writes are refused", refused).await;
    let balance = sale.caller.get("/point/ada").expect(200).await["balance"].clone();
    assert_eq!(balance, 1_000, "reads go on");

    drop(reader);
    until("writes go on", async || (charge().send().await.status == 200).then_some(())).await;
}
