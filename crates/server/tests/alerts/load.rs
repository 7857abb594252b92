//! Alerts for overload, slow disks and locks in the wrong order.

use onsale_testing::postgres::driver::Client;
use onsale_testing::postgres::{Database, shared};
use onsale_testing::{Faults, Sale, allow_open_files, without};
use serde_json::{Value, json};

use crate::support::flood::{REQUESTS_MAX, flood};
use crate::support::room::room;
use crate::support::{ONSALE, at_once, until};
use crate::watch::{Watch, address};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_lanes_fire_their_alert() {
    if without("prometheus") {
        return;
    }
    allow_open_files(REQUESTS_MAX as u64 + 1_000);
    let (faults, launch) = Faults::under(Sale::launch(ONSALE));
    let sale = Sale::start(&launch).await;
    let watch = Watch::over(&[address(&sale)]).await;
    watch.is_quiet(&["Shedding"]).await;
    faults.stall_syncs();
    let waiting = flood(&sale).await;
    watch.fires("Shedding").await;
    faults.mend();
    drop(waiting);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_disk_fires_its_alert() {
    if without("prometheus") {
        return;
    }
    let (faults, launch) = Faults::under(Sale::launch(ONSALE));
    let sale = Sale::start(&launch).await;
    let watch = Watch::over(&[address(&sale)]).await;
    let charge = |number| sale.caller.patch(&format!("/point/user-{number}/charge")).json(&json!({"amount": 7}));
    at_once((0..10).map(charge)).await.iter().for_each(|reply| drop(reply.expect(200)));
    watch.is_quiet(&["SlowAnswers"]).await;
    faults.slow_syncs(1_200);
    at_once((0..10).map(charge)).await.iter().for_each(|reply| drop(reply.expect(200)));
    watch.fires("SlowAnswers").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_session_that_causes_deadlocks_fires_its_alert() {
    if without("prometheus") || without("postgres") {
        return;
    }
    let database = shared().await.migrated(ONSALE).await;
    // The server finds deadlocks before a batch gives up waiting for a lock; usually it is the other way round.
    let early = format!("ALTER DATABASE {} SET deadlock_timeout = '150ms'", database.name());
    database.sql().await.batch_execute(&early).await.unwrap();
    let sale = Sale::start(&Sale::launch(ONSALE).on(database.url())).await;
    let watch = Watch::over(&[address(&sale)]).await;
    watch.is_quiet(&["Deadlocks"]).await;
    let concert = sale.concert(&room(100)).await;
    let performance = sale.performance(&concert, &Value::Null).await;
    let sql = database.sql().await;
    // It waits for locks longer than the server, so Postgres ends the server's transaction.
    sql.batch_execute("SET deadlock_timeout = '10min'").await.unwrap();
    let mut tries = 0;
    let deadlocked = async || {
        tries += 1;
        // The server looks for a deadlock once, 150 ms after its wait began: on a slow machine the circle may close later.
        lock_in_the_wrong_order(&database, &sql, &sale, (&concert, &performance), tries).await;
        (database.deadlocks() > 0).then_some(())
    };
    until("the server finds a deadlock", deadlocked).await;
    watch.fires("Deadlocks").await;
}

/// A foreign session locks the performance and then the wallet, while the server holds the wallet and waits for the performance.
async fn lock_in_the_wrong_order(database: &Database, sql: &Client, sale: &Sale, at: (&str, &str), tries: u32) {
    let (user, (concert, performance)) = (format!("user-{tries}"), at);
    let token = sale.active(concert, &user).await;
    sale.charge(&user, 100).await;
    sql.batch_execute("BEGIN").await.unwrap();
    let lock = "SELECT FROM performances WHERE performance_id = $1::text::uuid FOR UPDATE";
    sql.execute(lock, &[&performance]).await.unwrap();
    let body = json!({"performanceId": performance, "seats": [tries]});
    let held = tokio::spawn(sale.caller.post("/reservations").token(&token).json(&body).send());
    let other = database.sql().await;
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let waits = async || (other.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) > 0).then_some(());
    until("the instance waits for the performance", waits).await;
    sql.execute("SELECT FROM accounts WHERE user_id = $1 FOR UPDATE", &[&user]).await.unwrap();
    sql.batch_execute("COMMIT").await.unwrap();
    held.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_session_that_keeps_a_row_locked_fires_its_alerts() {
    if without("prometheus") || without("postgres") {
        return;
    }
    let database = shared().await.migrated(ONSALE).await;
    let sale = Sale::start(&Sale::launch(ONSALE).on(database.url())).await;
    let watch = Watch::over(&[address(&sale)]).await;
    sale.charge("ada", 100).await;
    watch.is_quiet(&["LockedOut"]).await;
    let sql = database.sql().await;
    sql.batch_execute("BEGIN; SELECT FROM accounts WHERE user_id = 'ada' FOR UPDATE").await.unwrap();
    let charge = sale.caller.patch("/point/ada/charge").json(&json!({"amount": 7}));
    charge.refused(503, "unavailable").await;
    watch.fires("LockedOut").await;
}
