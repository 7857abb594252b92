//! While the database does not answer, each call gets its answer within the time of the contract.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use onsale_testing::postgres::shared;
use onsale_testing::{Call, Reply, Sale, without};
use serde_json::{Value, json};

use crate::scene::{ANSWER_MAX, Scene, charge, database, recovered};
use crate::support::room::room;
use crate::support::text;

/// This many clients request the same at once. They must not wait one after another for the same failure.
const TOGETHER: usize = 6;

/// A user with a turn and a hold, a user with a turn alone, and a user in line.
struct People {
    concert: String,
    performance: String,
    lecture: String,
    reservation: String,
    holder: String,
    looker: String,
    waiting: Vec<String>,
}

async fn people(sale: &Sale) -> People {
    let concert = sale.concert(&room(2)).await;
    let performance = sale.performance(&concert, &Value::Null).await;
    sale.performance_at(&concert, &Value::Null, 3 * 86_400).await;
    let lecture = sale.lecture(30).await;
    sale.charge("ada", 1_000_000).await;
    let (holder, looker) = (sale.active(&concert, "ada").await, sale.active(&concert, "bob").await);
    let reservation = text(&sale.hold(&holder, &performance, &[1]).await["reservationId"]);
    sale.caller.get(&format!("/concerts/{concert}/dates")).token(&looker).expect(200).await;
    let mut waiting = Vec::new();
    for number in 0..TOGETHER {
        waiting.push(text(&sale.enter(&concert, &format!("waits-{number}")).await["token"]));
    }
    People { concert, performance, lecture, reservation, holder, looker, waiting }
}

/// One of each call that asks the database for something, with a number for what has to differ.
fn every_call(sale: &Sale, people: &People, number: usize) -> Vec<Call> {
    let People { concert, performance, lecture, reservation, holder, looker, waiting } = people;
    let caller = &sale.caller;
    let hold = json!({"performanceId": performance, "seats": [10 + number]});
    let user = format!("new-{number}");
    vec![
        charge(sale, &user, 1, "key"),
        caller.get("/point/ada"),
        caller.get("/point/ada/histories"),
        caller.get("/lectures"),
        caller.post("/lectures/apply").json(&json!({"userId": user, "lectureId": lecture})),
        caller.get("/lectures/application/ada"),
        caller.delete(&format!("/lectures/application/{user}/{lecture}")),
        caller.post("/queue/tokens").json(&json!({"userId": user, "concertId": concert})),
        caller.get("/queue/token").token(&waiting[number]),
        caller.delete("/queue/token").token(&waiting[number]),
        caller.get("/concerts"),
        caller.get(&format!("/concerts/{concert}/dates")).token(looker),
        caller.get(&format!("/concerts/{concert}/dates")).token(&waiting[number]),
        caller.get(&format!("/concerts/{concert}/seats?date=2099-01-01")).token(looker),
        caller.post("/reservations").token(looker).json(&hold),
        caller.post("/reservations").token(&waiting[number]).json(&hold),
        caller.get(&format!("/reservations/{reservation}")),
        caller.delete(&format!("/reservations/{reservation}")).token(holder).key(&format!("release-{number}")),
        caller.get("/users/ada/reservations"),
        caller.get("/users/ada/payments"),
        caller.post("/payments").token(holder).json(&json!({"reservationId": reservation})),
        sale.admin(caller.get(&format!("/admin/concerts/{concert}/queue"))),
        sale.admin(caller.get(&format!("/admin/lectures/{lecture}/history"))),
        sale.admin(caller.patch(&format!("/admin/concerts/{concert}/queue")).json(&json!({"paused": false}))),
        sale.admin(caller.post("/admin/lectures").json(&json!({"title": "Late", "startsAt": "2099-01-01T00:00:00Z"}))),
    ]
}

async fn timed(call: Call) -> (Duration, Reply) {
    let since = Instant::now();
    let reply = call.send().await;
    (since.elapsed(), reply)
}

/// Sends everything at once; who waited longest, and for what.
async fn all_are_answered(sale: &Sale, people: &People) -> (Duration, String) {
    let calls = (0..TOGETHER).flat_map(|number| every_call(sale, people, number));
    let sent: Vec<_> = calls.map(|call| tokio::spawn(timed(call))).collect();
    let mut slowest = (Duration::ZERO, String::new());
    let mut late = Vec::new();
    for sent in sent {
        let (took, reply) = sent.await.unwrap();
        if reply.status == 503 {
            reply.refused(503, "unavailable");
            assert!(reply.header("retry-after").is_some(), "{}: when to come again", reply.call);
        }
        assert!(reply.status != 500, "{}: {}", reply.call, reply.json());
        if took >= ANSWER_MAX {
            late.push(format!("{}: {took:?}", reply.call));
        }
        slowest = slowest.max((took, reply.call));
    }
    assert!(late.is_empty(), "answered late: {late:#?}");
    slowest
}

/// The database is silent: since now, or for so long that queries wait and the snapshots are too old.
async fn silence(scene: &Scene, address: SocketAddr, lasts: Duration) {
    let sale = scene.sale();
    let people = people(sale).await;
    let open = scene.wire.connections();
    scene.wire.stall().await;
    let since = Instant::now();
    while since.elapsed() < lasts {
        sale.caller.get("/queue/token").token(&people.waiting[0]).expect(200).await;
    }
    let (took, call) = all_are_answered(sale, &people).await;
    scene.wire.heal().await;
    let (_, back) = recovered(|| charge(sale, "ada", 1, "after")).await;
    println!("silent for {lasts:?}: answered after {took:?} at most ({call}); served again after {back:?}");
    scene.is_in_order(address, 0).await;
    scene.wire.until_connections(|now| now == open).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_is_answered_in_time_when_silence_begins() {
    if without("postgres") {
        return;
    }
    let database = database().await;
    let address = shared().await.address();
    silence(&Scene::on(address, &database, 1).await, address, Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_is_answered_in_time_while_silence_lasts() {
    if without("postgres") {
        return;
    }
    let database = database().await;
    let address = shared().await.address();
    silence(&Scene::on(address, &database, 1).await, address, Duration::from_secs(4)).await;
}
