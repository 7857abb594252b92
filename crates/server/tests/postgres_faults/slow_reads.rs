//! A read that is slow fails or is late by itself: other reads go on, and no connection is lost for it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use onsale_testing::postgres::driver::Client;
use onsale_testing::postgres::{Database, shared};
use onsale_testing::{Call, Sale, without};
use serde_json::json;

use crate::scene::{Scene, charge, database, in_time, recovered};
use crate::support::room::room;
use crate::support::{at_once, until};

/// How long most reads may take that are not slow themselves, at the most: less than the slow ones. One of them may stand behind
/// the first of a slow kind for a moment.
const STRANGER_MAX: Duration = Duration::from_millis(1_500);

/// Number of slow reads at once: more than there are connections.
const SLOW: usize = 12;

async fn start() -> (Database, Scene, SocketAddr, Client) {
    let database = database().await;
    let address = shared().await.address();
    let scene = Scene::on(address, &database, 1).await;
    let sale = scene.sale();
    sale.charge("ada", 100).await;
    let concert = sale.concert(&room(10)).await;
    let performance = sale.performance(&concert, &json!([{"from": 1, "to": 10, "price": 10}])).await;
    let token = sale.active(&concert, "ada").await;
    let held = sale.hold(&token, &performance, &[1]).await;
    sale.pay(&token, &held).expect(201).await;
    let sql = scene.sql(address).await;
    (database, scene, address, sql)
}

/// The server's processes that work for the instance.
async fn sessions(sql: &Client) -> BTreeSet<i32> {
    let pids = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'onsale'";
    sql.query(pids, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

fn payments(sale: &Sale) -> Call {
    sale.caller.get("/users/ada/payments")
}

/// Reads and writes of other kinds go on while these slow reads are under way, and then for a moment.
async fn others_go_on(sale: &Sale, slow: Vec<Call>) -> Vec<onsale_testing::Reply> {
    let slow: Vec<_> = slow.into_iter().map(|call| tokio::spawn(in_time(call))).collect();
    let (mut took, mut round) = (Vec::new(), 0);
    let since = Instant::now();
    while slow.iter().any(|slow| !slow.is_finished()) || since.elapsed() < STRANGER_MAX {
        let calls = [
            sale.caller.get("/point/ada"),
            sale.caller.get("/point/ada/histories"),
            sale.caller.get("/users/ada/reservations"),
            charge(sale, "bob", 1, &format!("bob-{round}-{}", slow.len())),
        ];
        let began = Instant::now();
        for reply in at_once(calls).await {
            assert!(reply.status.is_success(), "a stranger: {} {:?}", reply.call, reply.body);
        }
        took.push(began.elapsed());
        round += 1;
    }
    took.sort_unstable();
    let (middle, slowest) = (took[took.len() / 2], took[took.len() - 1]);
    println!("{round} rounds of other reads, half of them in {middle:?}, the slowest in {slowest:?}");
    assert!(middle < STRANGER_MAX, "half of the others took {middle:?}");
    let mut replies = Vec::new();
    for slow in slow {
        replies.push(slow.await.unwrap());
    }
    replies
}

/// Makes every read of payments take this many seconds.
async fn slow_payments(sql: &Client, seconds: u32) {
    let slow = format!(
        "ALTER TABLE payments RENAME TO payments_kept;
         CREATE VIEW payments AS WITH slow AS MATERIALIZED (SELECT pg_sleep({seconds}))
            SELECT payments_kept.* FROM payments_kept CROSS JOIN slow"
    );
    sql.batch_execute(&slow).await.unwrap();
}

async fn quick_payments(sql: &Client) {
    sql.batch_execute("DROP VIEW payments; ALTER TABLE payments_kept RENAME TO payments").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_read_is_late_alone() {
    if without("postgres") {
        return;
    }
    let (_database, scene, address, sql) = start().await;
    let sale = scene.sale();
    slow_payments(&sql, 2).await;
    for _ in 0..2 {
        let reply = others_go_on(sale, vec![payments(sale)]).await.remove(0);
        assert_eq!(reply.expect(200).as_array().unwrap().len(), 1);
    }
    for reply in others_go_on(sale, (0..SLOW).map(|_| payments(sale)).collect()).await {
        assert!(reply.status == 200 || reply.status == 503, "{:?}", reply.body);
    }
    quick_payments(&sql).await;
    recovered(|| payments(sale)).await.0.expect(200);
    scene.is_in_order(address, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_never_ends_fails_alone_and_no_other_connection_is_lost() {
    if without("postgres") {
        return;
    }
    let (_database, scene, address, sql) = start().await;
    let sale = scene.sale();
    let before = sessions(&sql).await;
    slow_payments(&sql, 60).await;
    for replies in [
        others_go_on(sale, vec![payments(sale)]).await,
        others_go_on(sale, (0..SLOW).map(|_| payments(sale)).collect()).await,
    ] {
        replies.iter().for_each(|reply| drop(reply.refused(503, "unavailable")));
    }
    let kept = before.intersection(&sessions(&sql).await).count();
    assert!(kept >= before.len() - 1, "only {kept} of {} connections were kept", before.len());
    quick_payments(&sql).await;
    recovered(|| payments(sale)).await.0.expect(200);
    scene.is_in_order(address, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_of_a_locked_table_fail_alone() {
    if without("postgres") {
        return;
    }
    let (_database, scene, address, sql) = start().await;
    let sale = scene.sale();
    let before = sessions(&sql).await;
    sql.batch_execute("BEGIN; LOCK TABLE payments").await.unwrap();
    for _ in 0..2 {
        let replies = others_go_on(sale, (0..SLOW).map(|_| payments(sale)).collect()).await;
        replies.iter().for_each(|reply| drop(reply.refused(503, "unavailable")));
    }
    sql.batch_execute("ROLLBACK").await.unwrap();
    let kept = before.intersection(&sessions(&sql).await).count();
    assert!(kept >= before.len() - 2, "only {kept} of {} connections were kept", before.len());
    recovered(|| payments(sale)).await.0.expect(200);
    // The connection for slow reads is closed once nothing is slow.
    let is_closed = async || (sessions(&sql).await.len() <= before.len()).then_some(());
    until("no connection is left over", is_closed).await;
    scene.is_in_order(address, 0).await;
}
