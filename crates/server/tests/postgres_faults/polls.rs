//! While the database is away, a poll is answered from memory, with the age of the answer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use onsale_testing::postgres::{Database, shared};
use onsale_testing::{Call, Sale, without};
use serde_json::{Value, json};

use crate::scene::{Scene, database, in_time, recovered, unavailable};
use crate::support::room::room;
use crate::support::{millis, text, until};

/// A poll sends no query, so it takes no time. The rest is for a slow machine: a query would fail only after some seconds.
const POLL_MAX: Duration = Duration::from_millis(2_500);

/// How far an answer is to lie back before the database returns.
const AGE_MILLIS: i64 = 3_000;

/// This many waiting users try to hold a seat.
const IMPATIENT: usize = 24;

/// A room with one inside and the others in line.
struct Line {
    tokens: Vec<String>,
    performance: String,
}

async fn start() -> (Database, Scene, SocketAddr, Line) {
    let database = database().await;
    let address = shared().await.address();
    let scene = Scene::on(address, &database, 1).await;
    let concert = scene.sale().concert(&room(1)).await;
    let performance = scene.sale().performance(&concert, &Value::Null).await;
    let mut tokens = vec![scene.sale().active(&concert, "ada").await];
    for number in 0..IMPATIENT {
        tokens.push(text(&scene.sale().enter(&concert, &format!("user-{number}")).await["token"]));
    }
    (database, scene, address, Line { tokens, performance })
}

/// A poll, answered at once.
async fn poll(sale: &Sale, token: &str) -> Value {
    let since = Instant::now();
    let place = sale.caller.get("/queue/token").token(token).expect(200).await;
    assert!(since.elapsed() < POLL_MAX, "a poll took {:?}", since.elapsed());
    place
}

/// Polls go on until their answers are this old; how old they became. The database has been away since `lost_at`.
async fn goes_on(sale: &Sale, tokens: &[String], lost_at: i64) -> i64 {
    let began = Instant::now();
    while began.elapsed().as_millis() < AGE_MILLIS as u128 {
        assert_eq!(poll(sale, &tokens[0]).await["status"], "ACTIVE");
        for (position, token) in (1..).zip(&tokens[1..]) {
            let place = poll(sale, token).await;
            assert_eq!((&place["status"], &place["position"]), (&json!("WAITING"), &json!(position)), "{place}");
            // Both clocks are the machine's; an instance knows the database's to a few milliseconds.
            assert!(millis(&place["asOf"]) <= lost_at + 250, "the answer has its instant: {place}");
        }
    }
    let last = millis(&poll(sale, &tokens[1]).await["asOf"]);
    onsale_testing::now_millis() - last
}

/// After the return, answers are fresh again.
async fn is_fresh_again(sale: &Sale, token: &str) -> Duration {
    let (since, then) = (Instant::now(), onsale_testing::now_millis());
    let fresh = async || (millis(&poll(sale, token).await["asOf"]) > then).then_some(());
    until("answers are fresh again", fresh).await;
    let took = since.elapsed();
    assert!(took < crate::scene::RECOVERY_MAX, "fresh again after {took:?}");
    took
}

fn hold(sale: &Sale, token: &str, performance: &str) -> Call {
    let body = json!({"performanceId": performance, "seats": [1]});
    sale.caller.post("/reservations").token(token).json(&body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polls_go_on_without_a_database() {
    if without("postgres") {
        return;
    }
    let (_database, scene, address, line) = start().await;
    let sale = scene.sale();
    for is_silent in [false, true] {
        if is_silent {
            scene.wire.stall().await;
        } else {
            scene.wire.cut().await;
        }
        let age = goes_on(sale, &line.tokens, onsale_testing::now_millis()).await;
        assert!(age >= AGE_MILLIS - 250, "{age} ms");
        scene.wire.heal().await;
        let fresh = is_fresh_again(sale, &line.tokens[1]).await;
        println!("a poll's answer was {age} ms old; fresh again after {fresh:?}");
    }
    // The line moves on where it stood.
    sale.caller.delete("/queue/token").token(&line.tokens[0]).expect(204).await;
    sale.until_status(&line.tokens[1], "ACTIVE").await;
    scene.is_in_order(address, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_needs_the_database_gets_503_in_time() {
    if without("postgres") {
        return;
    }
    let (_database, scene, address, line) = start().await;
    let sale = scene.sale();
    scene.wire.stall().await;
    // Memory refuses each of them, but the database is queried first: once for all, not one after another.
    let asked = line.tokens[1..].iter().map(|token| tokio::spawn(unavailable(hold(sale, token, &line.performance))));
    let mut slowest = Duration::ZERO;
    for asked in asked.collect::<Vec<_>>() {
        slowest = slowest.max(asked.await.unwrap());
    }
    scene.wire.heal().await;
    let (reply, took) = recovered(|| hold(sale, &line.tokens[1], &line.performance)).await;
    reply.refused(403, "queue-token-waiting");
    let (reply, _) = recovered(|| hold(sale, &line.tokens[0], &line.performance)).await;
    reply.expect(201);
    in_time(sale.caller.get("/readyz")).await;
    println!("answered after {slowest:?} at most, refused as usual after {took:?}");
    scene.is_in_order(address, 0).await;
}
