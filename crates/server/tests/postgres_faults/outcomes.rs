//! The connection is lost around a commit: its outcome is unknown until a lane asks the server.

use std::net::SocketAddr;
use std::time::Duration;

use onsale_testing::postgres::Database;
use onsale_testing::{Call, Dice, Sale, Workload, without};
use serde_json::json;

use crate::scene::{Scene, answered_in_time, charge, database, in_time, metric, recovered, unavailable};
use crate::support::until;

const ASKED: &str = "onsale_postgres_outcomes_asked_total";

/// How often the connection is lost under load.
fn losses() -> usize {
    if std::env::var_os("ONSALE_TEST_LONG").is_some() { 100 } else { 12 }
}

/// A text that is in the statement that saves a charge of this amount, and in no statement before.
fn trace(amount: i64) -> String {
    format!(r#""amount":{amount}"#)
}

async fn start() -> (Database, Scene, SocketAddr) {
    let database = database().await;
    let address = onsale_testing::postgres::shared().await.address();
    let scene = Scene::on(address, &database, 1).await;
    (database, scene, address)
}

/// Which points a user has, past the wire.
async fn balance(scene: &Scene, address: SocketAddr, user: &str) -> i64 {
    let balance = "SELECT coalesce((SELECT balance FROM accounts WHERE user_id = $1), 0)";
    scene.sql(address).await.query_one(balance, &[&user]).await.unwrap().get(0)
}

/// A charge whose commit reached the server while its answer is held back.
async fn committed_unheard(scene: &Scene, address: SocketAddr, user: &str, amount: i64) -> InFlight {
    scene.wire.stall_answers_after(&trace(amount)).await;
    let sent = tokio::spawn(in_time(charge(scene.sale(), user, amount, "key")));
    scene.wire.until_held().await;
    until("it is committed", async || (balance(scene, address, user).await == amount).then_some(())).await;
    sent
}

/// A charge whose writes and commit are held back on their way to the server.
async fn never_arrived(scene: &Scene, user: &str, amount: i64) -> InFlight {
    scene.wire.stall_before(&trace(amount)).await;
    let sent = tokio::spawn(in_time(charge(scene.sale(), user, amount, "key")));
    scene.wire.until_held().await;
    sent
}

type InFlight = tokio::task::JoinHandle<onsale_testing::Reply>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_without_an_answer_is_found_done() {
    if without("postgres") {
        return;
    }
    let (_database, scene, address) = start().await;
    for round in 0..4 {
        let (user, amount) = (format!("user-{round}"), 4_000 + round);
        let sent = committed_unheard(&scene, address, &user, amount).await;
        let asked = metric(scene.sale(), ASKED).await;
        scene.wire.drop_connections().await;
        scene.wire.heal().await;
        let reply = sent.await.unwrap();
        assert_eq!(reply.expect(200)["balance"], amount);
        assert_eq!(reply.header("idempotency-replayed"), None, "answered as if nothing had been");
        assert!(metric(scene.sale(), ASKED).await > asked, "a lane asked the server");
        let again = charge(scene.sale(), &user, amount, "key").send().await;
        assert_eq!((again.header("idempotency-replayed"), &again.body), (Some("true"), &reply.body));
        assert_eq!(balance(&scene, address, &user).await, amount, "done once");
    }
    scene.is_in_order(address, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_never_arrived_is_run_again() {
    if without("postgres") {
        return;
    }
    let (_database, scene, address) = start().await;
    for round in 0..4 {
        let (user, amount) = (format!("user-{round}"), 4_000 + round);
        let sent = never_arrived(&scene, &user, amount).await;
        assert_eq!(balance(&scene, address, &user).await, 0, "nothing arrived");
        scene.wire.drop_connections().await;
        scene.wire.heal().await;
        let reply = sent.await.unwrap();
        assert_eq!(reply.expect(200)["balance"], amount, "done once");
        assert_eq!(reply.header("idempotency-replayed"), None);
    }
    scene.is_in_order(address, 0).await;
}

/// The database stays away after the loss; then the same key is sent again.
async fn away_for_long(scene: &Scene, sent: InFlight, user: &str, amount: i64) -> (bool, Duration) {
    scene.wire.cut().await;
    sent.await.unwrap().refused(503, "unavailable");
    let other = unavailable(charge(scene.sale(), "another-user", 1, "another-key")).await;
    println!("while it was away, another user got a 503 after {other:?}");
    scene.wire.heal().await;
    let (reply, took) = recovered(|| charge(scene.sale(), user, amount, "key")).await;
    assert_eq!(reply.expect(200)["balance"], amount, "done once");
    (reply.header("idempotency-replayed") == Some("true"), took)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_outcome_is_safe_to_retry_with_its_key() {
    if without("postgres") {
        return;
    }
    let (_database, scene, address) = start().await;
    let sent = committed_unheard(&scene, address, "ada", 4_711).await;
    let (replayed, took) = away_for_long(&scene, sent, "ada", 4_711).await;
    assert!(replayed, "it had been done, and its first answer is given");
    println!("a commit that was done: served again after {took:?}");

    let sent = never_arrived(&scene, "bob", 4_712).await;
    let (replayed, took) = away_for_long(&scene, sent, "bob", 4_712).await;
    assert!(!replayed, "it had not been done, and is done now");
    println!("a commit that was not: served again after {took:?}");
    scene.is_in_order(address, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_on_a_silent_wire_is_answered_in_time() {
    if without("postgres") {
        return;
    }
    let (_database, scene, address) = start().await;
    // No connection is closed, so no error is reported.
    let sent = committed_unheard(&scene, address, "ada", 4_711).await;
    scene.wire.stall().await;
    let others = (0..8).map(|number| charge(scene.sale(), &format!("user-{number}"), 1, "key"));
    let others: Vec<_> = others.map(|call| tokio::spawn(unavailable(call))).collect();
    sent.await.unwrap().refused(503, "unavailable");
    let mut slowest = Duration::ZERO;
    for other in others {
        slowest = slowest.max(other.await.unwrap());
    }
    scene.wire.heal().await;
    let (reply, took) = recovered(|| charge(scene.sale(), "ada", 4_711, "key")).await;
    assert_eq!((reply.expect(200)["balance"].as_i64(), balance(&scene, address, "ada").await), (Some(4_711), 4_711));
    println!("other users were answered after {slowest:?} at most; served again after {took:?}");
    for number in 0..8 {
        let (reply, _) = recovered(|| charge(scene.sale(), &format!("user-{number}"), 1, "key")).await;
        assert_eq!(reply.expect(200)["balance"], 1, "done once");
    }
    scene.is_in_order(address, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_lost_at_commits_under_load() {
    if without("postgres") {
        return;
    }
    let (_database, scene, address) = start().await;
    let load = Workload::prepare(scene.sale(), 16, Dice::seed()).await;
    let running = load.start(&scene.sale().caller);
    let (mut longest, mut asked) = (Duration::ZERO, 0);
    for round in 0..losses() {
        // Of each commit's fate, one in three: done and unheard, not arrived, whatever happens to be under way.
        match round % 3 {
            0 => scene.wire.stall_answers_after("COMMIT").await,
            1 => scene.wire.stall_before("COMMIT").await,
            _ => scene.wire.stall_answers().await,
        }
        scene.wire.until_held().await;
        scene.wire.drop_connections().await;
        scene.wire.heal().await;
        let (reply, took) = recovered(|| probe(scene.sale(), round)).await;
        assert_eq!(reply.expect(200)["balance"], 1);
        longest = longest.max(took);
        asked = metric(scene.sale(), ASKED).await;
    }
    let mut load = running.stop().await;
    assert!(asked > 0, "lanes asked the server for outcomes of commits");
    println!("{} acknowledged, {asked} outcomes asked, served again after {longest:?} at most", load.acknowledged());
    scene.agrees_with(address, &mut load).await;
    answered_in_time(&load);
}

fn probe(sale: &Sale, round: usize) -> Call {
    sale.caller.patch(&format!("/point/probe-{round}/charge")).json(&json!({"amount": 1})).key("probe")
}
