//! Live figures: what they show, their streams, and the ends of the streams.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod support;

use onsale_testing::postgres::shared;
use onsale_testing::{ADMIN_KEY, Sale, without};
use serde_json::{Value, json};
use support::room::room;
use support::stream::Stream;
use support::{ONSALE, answer, audit, millis, start, text, until};

const LIVE: &str = "/admin/live";

async fn live(sale: &Sale) -> Value {
    sale.admin(sale.caller.get(LIVE)).expect(200).await
}

async fn open(sale: &Sale, credential: &str) -> Stream {
    Stream::open(sale.instance.base(), LIVE, &["accept: text/event-stream", credential]).await
}

fn bearer(key: &str) -> String {
    format!("authorization: Bearer {key}")
}

/// The figures of a performance without its ids.
fn of(figures: &Value, performance: &str) -> Value {
    let all = figures["performances"].as_array().unwrap();
    let mut found = all.iter().find(|row| row["performanceId"] == performance).cloned().unwrap_or_default();
    if let Some(row) = found.as_object_mut() {
        for name in ["performanceId", "concertId", "startsAt"] {
            row.remove(name);
        }
    }
    found
}

/// Sells, holds and refunds, and compares the figures after each step.
async fn figures_follow_the_sale(sale: &Sale) {
    let concert = sale.concert(&room(2)).await;
    let performance = sale.performance(&concert, &json!(10)).await;
    let over = sale.performance_at(&concert, &json!(10), -3_700).await;
    let shows = async |expected: Value| {
        until(&format!("{expected}"), async || (of(&live(sale).await, &performance) == expected).then_some(())).await;
    };
    let row = |sold: u32, held: u32, revenue: i64, refunded: i64, sales: u32| {
        json!({
            "capacity": 10, "sold": sold, "held": held, "available": 10 - sold - held, "blocked": 0,
            "revenue": revenue, "refunded": refunded, "salesLastMinute": sales, "cancelled": false
        })
    };
    shows(row(0, 0, 0, 0, 0)).await;
    let ada = sale.active(&concert, "ada").await;
    sale.charge("ada", 1_000_000).await;
    let held = sale.hold(&ada, &performance, &[1, 2, 3]).await;
    shows(row(0, 3, 0, 0, 0)).await;
    let paid = sale.pay(&ada, &held).expect(201).await;
    shows(row(3, 0, 150_000, 0, 3)).await;
    let refund = format!("/admin/payments/{}/refunds", text(&paid["paymentId"]));
    let body = json!({"seats": [2], "fee": 10_000, "reason": "r"});
    sale.admin(sale.caller.post(&refund)).json(&body).expect(201).await;
    shows(row(2, 0, 110_000, 40_000, 3)).await;

    let bob = sale.active(&concert, "bob").await;
    sale.active(&concert, "cy").await;
    for waiting in ["dan", "eve", "fay"] {
        sale.enter(&concert, waiting).await;
    }
    let of_room = async || {
        let figures = live(sale).await;
        let room = figures["rooms"].as_array().unwrap().iter().find(|row| row["concertId"] == concert).cloned()?;
        let counts = (&room["waiting"], &room["active"], &room["admittedLastMinute"]);
        (counts == (&json!(3), &json!(2), &json!(3))).then_some((figures, room))
    };
    let (figures, room) = until("three were admitted and three wait", of_room).await;
    assert_eq!(room["title"], "A concert");
    assert!(millis(&room["estimatedEndAt"]) > millis(&figures["asOf"]), "{room}");
    let pause = json!({"paused": true});
    sale.admin(sale.caller.patch(&format!("/admin/concerts/{concert}/queue"))).json(&pause).expect(200).await;
    until("a paused line has no end", async || live(sale).await["rooms"][0]["estimatedEndAt"].is_null().then_some(()))
        .await;
    assert_eq!(of(&live(sale).await, &over), Value::Null, "a performance that is over is left out");

    // What the instance answered: known once its second is over.
    sale.hold(&bob, &performance, &[5]).await;
    let refused = json!({"performanceId": performance, "seats": [5]});
    sale.caller.post("/reservations").token(&bob).json(&refused).refused(409, "seat-taken").await;
    let answered = async || {
        let figures = live(sale).await;
        let instance = figures["instances"].as_array().unwrap().first().cloned()?;
        let holds =
            instance["routes"].as_array().unwrap().iter().find(|row| row["path"] == "/reservations").cloned()?;
        let taken = instance["refusals"].as_array().unwrap().iter().find(|row| row["code"] == "seat-taken").cloned()?;
        (holds["count"] == 3 && taken["count"] == 1).then_some((instance, holds))
    };
    let (instance, holds) = until("the answers of the last minute", answered).await;
    assert_eq!((&holds["method"], &instance["shed"]), (&json!("POST"), &json!(0)));
    let (p50, p99) = (holds["p50Ms"].as_f64().unwrap(), holds["p99Ms"].as_f64().unwrap());
    assert!(0.0 < p50 && p50 <= p99 && p99 < 10_000.0, "{holds}");
}

/// A cancelled performance is shown until it is over, with a mark.
async fn a_cancelled_performance_has_a_mark(sale: &Sale) {
    let concert = sale.concert(&room(2)).await;
    let [matinee, evening] =
        [sale.performance(&concert, &json!(10)).await, sale.performance(&concert, &json!(10)).await];
    let shown = async || (of(&live(sale).await, &matinee), of(&live(sale).await, &evening)["cancelled"].clone());
    until("both are shown", async || {
        let (matinee, other) = shown().await;
        ((&matinee["cancelled"], &other) == (&json!(false), &json!(false))).then_some(())
    })
    .await;
    let path = format!("/admin/performances/{matinee}/cancel");
    sale.admin(sale.caller.post(&path)).json(&json!({"reason": "rain"})).expect(202).await;
    let row = until("one of them is marked", async || {
        let (row, other) = shown().await;
        ((&row["cancelled"], &other) == (&json!(true), &json!(false))).then_some(row)
    })
    .await;
    assert_eq!((&row["capacity"], &row["available"]), (&json!(10), &json!(10)), "the sum holds");
}

#[tokio::test]
async fn figures_follow_the_sale_on_sqlite() {
    let sale = start(&[]).await;
    figures_follow_the_sale(&sale).await;
    a_cancelled_performance_has_a_mark(&sale).await;
    audit(&sale).await;
}

#[tokio::test]
async fn figures_follow_the_sale_on_postgres() {
    if without("postgres") {
        return;
    }
    let database = shared().await.migrated(ONSALE).await;
    let sale = Sale::start(&Sale::launch(ONSALE).on(database.url())).await;
    figures_follow_the_sale(&sale).await;
    a_cancelled_performance_has_a_mark(&sale).await;
}

#[tokio::test]
async fn a_stream_sends_the_figures_once_a_second() {
    let sale = start(&[]).await;
    let performance = sale.performance(&sale.concert(&room(2)).await, &json!(10)).await;
    let mut stream = open(&sale, &bearer(ADMIN_KEY)).await;
    assert_eq!((stream.status, &*stream.media_type), (200, "text/event-stream"));
    assert_eq!(stream.header("cache-control"), Some("no-store, no-transform"));
    let first = stream.next_event().await.unwrap();
    assert_eq!((&*first.name, first.retry, first.id), ("live", Some(1_000), None));
    let (mut last, mut apart) = (millis(&first.data["asOf"]), Vec::new());
    for _ in 0..5 {
        let event = stream.next_event().await.unwrap();
        assert_eq!((&*event.name, event.retry), ("live", None));
        assert_eq!(of(&event.data, &performance)["capacity"], 10);
        let at = millis(&event.data["asOf"]);
        apart.push(at - last);
        last = at;
    }
    // A busy machine may delay one of them, so the bounds apply to the middle one.
    apart.sort_unstable();
    assert!((500..2_500).contains(&apart[2]), "{apart:?} ms apart");
}

#[tokio::test]
async fn an_instance_has_twenty_streams() {
    let sale = start(&[]).await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(open(&sale, &bearer(ADMIN_KEY)).await);
    }
    for stream in &mut streams {
        assert_eq!((stream.status, stream.next().await.unwrap().0), (200, "live".to_owned()));
    }
    let call = || sale.admin(sale.caller.get(LIVE)).header("accept", "text/event-stream");
    call().refused(503, "overloaded").await;
    live(&sale).await;
    drop(streams.pop());
    until("another stream may be opened", async || (open(&sale, &bearer(ADMIN_KEY)).await.status == 200).then_some(()))
        .await;
}

#[tokio::test]
async fn a_stream_ends_within_a_second_after_its_key_or_its_session() {
    let sale = start(&[]).await;
    let made = sale.admin(sale.caller.post("/admin/keys")).json(&json!({"name": "desk", "role": "support"}));
    let made = made.expect(201).await;
    let origin = sale.instance.base().to_owned();
    let sign_in = sale.caller.post("/desk/session").header("origin", &origin).json(&json!({"key": ADMIN_KEY}));
    let cookie = sign_in.send().await.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let mut by_key = open(&sale, &bearer(&text(&made["key"]))).await;
    let mut by_session = open(&sale, &format!("cookie: {cookie}")).await;
    let mut by_root = open(&sale, &bearer(ADMIN_KEY)).await;
    for stream in [&mut by_key, &mut by_session, &mut by_root] {
        assert_eq!(stream.next().await.unwrap().0, "live");
    }
    let path = format!("/admin/keys/{}", text(&made["keyId"]));
    sale.admin(sale.caller.delete(&path)).expect(204).await;
    let sign_out = sale.caller.delete("/desk/session").header("origin", &origin).header("cookie", &cookie);
    sign_out.expect(204).await;
    let ended = std::time::Instant::now();
    while by_key.next().await.is_some() {}
    while by_session.next().await.is_some() {}
    // One second, and what a busy machine may add.
    assert!(ended.elapsed() < std::time::Duration::from_secs(1 + 3), "after {:?}", ended.elapsed());
    assert_eq!(by_root.next().await.unwrap().0, "live", "the key of the settings goes on");
}

#[tokio::test]
async fn a_lost_database_is_shown_and_the_figures_come_back() {
    if without("postgres") {
        return;
    }
    let server = onsale_testing::postgres::Server::start().await;
    let database = server.migrated(ONSALE).await;
    let sale = Sale::start(&Sale::launch(ONSALE).on(database.url())).await;
    let mut stream = open(&sale, &bearer(ADMIN_KEY)).await;
    stream.next_named("live").await;
    server.stop().await;
    let unavailable = stream.next_named("unavailable").await;
    millis(&unavailable["at"]);
    sale.admin(sale.caller.get(LIVE)).refused(503, "unavailable").await;
    server.restart().await;
    stream.next_named("live").await;
}

#[tokio::test]
async fn bad_calls_and_other_roles_are_refused() {
    let sale = start(&[]).await;
    sale.caller.get(LIVE).refused(401, "admin-key-invalid").await;
    sale.admin(sale.caller.get("/admin/live?key=x")).refused(422, "invalid-request").await;
    for role in ["door", "cashier"] {
        let body = json!({"name": role, "role": role});
        let key = text(&sale.admin(sale.caller.post("/admin/keys")).json(&body).expect(201).await["key"]);
        for accept in ["application/json", "text/event-stream"] {
            let call = || sale.caller.get(LIVE).bearer(&key).header("accept", accept);
            answer(call).await.refused(403, "role-insufficient");
        }
    }
}
