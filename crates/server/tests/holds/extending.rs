//! Extending holds, as a caller sees it.

use onsale_testing::{Call, Sale};
use serde_json::{Value, json};

use crate::BRIEF;
use crate::support::evening::Evening;
use crate::support::room::{place, room};
use crate::support::stream::Stream;
use crate::support::{ONSALE, audit, millis, start, text};

const UNKNOWN: &str = "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01";

/// Milliseconds by which one end is later than another.
fn later(after: &Value, before: &Value, name: &str) -> i64 {
    millis(&after[name]) - millis(&before[name])
}

#[tokio::test]
async fn live_holds_last_longer_and_are_shown_so_at_once() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, ada, bob, .. } = &evening;
    sale.charge("ada", 1_000_000).await;
    let first = evening.hold(ada, &json!([1, 2])).expect(201).await;
    let second = evening.hold(bob, &json!([3])).expect(201).await;
    evening.release(bob, &evening.hold(bob, &json!([4])).expect(201).await).expect(204).await;

    let extended = evening.extend(86_400).expect(200).await;
    assert_eq!((&extended["seconds"], &extended["holds"]), (&json!(86_400), &json!(2)));
    assert!(millis(&extended["at"]) < millis(&first["heldUntil"]), "{extended}");
    for held in [&first, &second] {
        let shown = evening.show(held).await;
        assert_eq!(later(&shown, held, "heldUntil"), 86_400_000, "{shown}");
        assert_eq!(shown["status"], "HELD");
    }
    let shown = place(sale, ada).await;
    assert_eq!(millis(&shown["activeUntil"]), millis(&first["heldUntil"]) + 86_400_000, "{shown}");
    let listed = sale.caller.get("/users/bob/reservations").expect(200).await;
    assert_eq!(later(&listed[1], &second, "heldUntil"), 86_400_000, "{listed}");
    let refused = evening.hold(bob, &json!([1])).send().await;
    refused.refused(409, "seat-taken");
    let wait: i64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!(wait > 86_400, "it is held for {wait} s");

    // A hold of now is not extended by what was decided before it.
    let third = evening.hold(bob, &json!([5])).expect(201).await;
    assert!(millis(&third["heldUntil"]) < millis(&first["heldUntil"]) + 86_400_000);
    assert_eq!(evening.extend(1).expect(200).await["holds"], 3);
    assert_eq!(later(&evening.show(&third).await, &third, "heldUntil"), 1_000);
    assert_eq!(later(&evening.show(&first).await, &first, "heldUntil"), 86_401_000);
    sale.pay(ada, &first).expect(201).await;
    evening.release(bob, &second).expect(204).await;
    assert_eq!(evening.extend(1).expect(200).await["holds"], 1);
    audit(sale).await;
}

#[tokio::test]
async fn a_hold_of_a_second_can_be_paid_long_after() {
    let evening = Evening::start(&BRIEF).await;
    let Evening { sale, ada, bob, .. } = &evening;
    sale.charge("ada", 1_000_000).await;
    // On a busy machine the second may be over before the extension.
    let held = loop {
        let held = evening.hold(ada, &json!([1, 2])).expect(201).await;
        if evening.extend(3_600).expect(200).await["holds"] == 1 {
            break held;
        }
    };
    // A hold that was taken later lapses: by then the first would have lapsed without the extension.
    let other = evening.hold(bob, &json!([3])).expect(201).await;
    evening.until_status(&other, "EXPIRED").await;
    assert_eq!(evening.show(&held).await["status"], "HELD");
    evening.hold(bob, &json!([1])).refused(409, "seat-taken").await;
    evening.until_seats("HELD", &[1, 2]).await;
    sale.pay(ada, &held).expect(201).await;
    audit(sale).await;
}

#[tokio::test]
async fn a_hold_that_has_lapsed_is_not_revived() {
    let evening = Evening::start(&BRIEF).await;
    let Evening { sale, ada, bob, .. } = &evening;
    sale.charge("ada", 1_000_000).await;
    let held = evening.hold(ada, &json!([1])).expect(201).await;
    evening.until_status(&held, "EXPIRED").await;
    assert_eq!(evening.extend(3_600).expect(200).await["holds"], 0);
    assert_eq!(evening.show(&held).await["status"], "EXPIRED");
    sale.pay(ada, &held).refused(410, "hold-expired").await;
    evening.hold(bob, &json!([1])).expect(201).await;
    audit(sale).await;
}

/// An extension is in time if it comes this long before the first hold ends, in milliseconds: a server that reads it from the
/// database shows it before that end, on a slow machine too.
const BEFORE_THE_END: i64 = 1_000;

/// A server with a turn of a few seconds and a hold that ends a little later, extended before it ended. A machine that was
/// too slow for that gets twice the time.
async fn extended_in_time() -> (Sale, String, Value, Stream, Value) {
    let mut seconds = 4;
    loop {
        let sale = start(&[("ONSALE_HOLD_SECONDS", &(seconds + 2).to_string())]).await;
        let settings =
            json!({"maxActive": 10, "admitPerSecond": 1_000, "activeSeconds": seconds, "claimSeconds": 3_600});
        let concert = sale.concert(&settings).await;
        let performance = sale.performance(&concert, &Value::Null).await;
        let token = sale.active(&concert, "ada").await;
        let body = json!({"performanceId": performance, "seats": [1]});
        let held = sale.caller.post("/reservations").token(&token).json(&body).send().await;
        let headers = [&*format!("Queue-Token: {token}")];
        let mut stream = Stream::open(sale.instance.base(), "/queue/token/events", &headers).await;
        let (_, first) = stream.next().await.unwrap();
        let path = format!("/admin/concerts/{concert}/holds/extend");
        let body = json!({"seconds": 600, "reason": "payment was down"});
        let extended = sale.admin(sale.caller.post(&path)).json(&body).expect(200).await;
        let is_taken = held.status == 201 && extended["holds"] == 1 && first["status"] == "ACTIVE";
        if is_taken && millis(&extended["at"]) + BEFORE_THE_END < millis(&held.json()["heldUntil"]) {
            return (sale, token, held.json(), stream, first);
        }
        seconds *= 2;
    }
}

/// A turn that only a hold keeps running goes on, and its stream sends the new end.
#[tokio::test]
async fn the_turn_goes_on_and_its_stream_sends_the_new_end() {
    let (sale, token, held, mut stream, first) = extended_in_time().await;
    assert!(millis(&first["activeUntil"]) >= millis(&held["heldUntil"]), "{first}");
    let end = millis(&held["heldUntil"]);
    let next = loop {
        let next = stream.next_named("active").await;
        if millis(&next["activeUntil"]) == end + 600_000 {
            break next;
        }
    };
    // Beyond the end of the turn and of the hold, as they were.
    let shown = sale.until(&token, |place| {
        assert_eq!(place["status"], "ACTIVE", "it holds a seat: {place}");
        millis(&place["asOf"]) > end + 1_500
    });
    assert_eq!(shown.await["activeUntil"], next["activeUntil"]);
    sale.charge("ada", 1_000_000).await;
    sale.pay(&token, &held).expect(201).await;
    sale.until_status(&token, "EXPIRED").await;
    audit(&sale).await;
}

#[tokio::test]
async fn a_concert_extends_the_holds_of_all_its_performances() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, ada, bob, concert, .. } = &evening;
    let matinee = sale.performance(concert, &Value::Null).await;
    let elsewhere = sale.concert(&room(10)).await;
    let other = sale.performance(&elsewhere, &Value::Null).await;
    let token = sale.active(&elsewhere, "ada").await;
    let held = [
        evening.hold(ada, &json!([1])).expect(201).await,
        sale.hold(bob, &matinee, &[1]).await,
        sale.hold(&token, &other, &[1]).await,
    ];
    let path = format!("/admin/concerts/{concert}/holds/extend");
    let body = json!({"seconds": 60, "reason": "fire alarm"});
    assert_eq!(sale.admin(sale.caller.post(&path)).json(&body).expect(200).await["holds"], 2);
    for (held, longer) in held.iter().zip([60_000, 60_000, 0]) {
        assert_eq!(later(&evening.show(held).await, held, "heldUntil"), longer);
    }
    audit(sale).await;
}

#[tokio::test]
async fn what_is_not_so_is_refused_in_the_order_of_the_contract() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, concert, performance, .. } = &evening;
    let of_performance = |id: &str| format!("/admin/performances/{id}/holds/extend");
    let of_concert = |id: &str| format!("/admin/concerts/{id}/holds/extend");
    let body = json!({"seconds": 60, "reason": "late"});
    let call = |path: &str, body: &Value| sale.admin(sale.caller.post(path)).json(body);
    for path in [of_performance(performance), of_concert(concert)] {
        sale.caller.post(&path).json(&json!({})).refused(401, "admin-key-invalid").await;
        for (body, field) in [
            (json!({"reason": "late"}), "seconds"),
            (json!({"seconds": 0, "reason": "late"}), "seconds"),
            (json!({"seconds": 86_401, "reason": "late"}), "seconds"),
            (json!({"seconds": 1.5, "reason": "late"}), "seconds"),
            (json!({"seconds": "60", "reason": "late"}), "seconds"),
            (json!({"seconds": 60}), "reason"),
            (json!({"seconds": 60, "reason": ""}), "reason"),
            (json!({"seconds": 60, "reason": "x".repeat(201)}), "reason"),
            (json!({"seconds": 60, "reason": "late", "of": 1}), "of"),
        ] {
            let refused = call(&path, &body).refused(422, "invalid-request").await;
            assert_eq!(refused["errors"][0]["field"], field, "{body}: {refused}");
        }
        for seconds in [1, 86_400] {
            let body = json!({"seconds": seconds, "reason": "x".repeat(200)});
            assert_eq!(call(&path, &body).expect(200).await["holds"], 0);
        }
    }
    call(&of_performance(UNKNOWN), &body).refused(404, "performance-not-found").await;
    call(&of_performance(concert), &body).refused(404, "performance-not-found").await;
    call(&of_concert(UNKNOWN), &body).refused(404, "concert-not-found").await;
}

#[tokio::test]
async fn the_same_key_extends_once() {
    let evening = Evening::start(&[]).await;
    let held = evening.hold(&evening.ada, &json!([1])).expect(201).await;
    let first = evening.extend(60).key("once").send().await;
    let again = evening.extend(60).key("once").send().await;
    assert_eq!((first.expect(200), first.header("idempotency-replayed")), (again.expect(200), None));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(first.body, again.body, "byte for byte");
    evening.extend(61).key("once").refused(422, "idempotency-key-reused").await;
    assert_eq!(later(&evening.show(&held).await, &held, "heldUntil"), 60_000);
    // Without a key each call extends.
    evening.extend(60).expect(200).await;
    assert_eq!(later(&evening.show(&held).await, &held, "heldUntil"), 120_000);
    audit(&evening.sale).await;
}

/// The events of a performance, by type and version.
async fn events(evening: &Evening) -> Vec<(String, Value)> {
    let mut command = Sale::launch(ONSALE).command(&["events", "--json"]);
    let run = command.current_dir(evening.sale.instance.folder()).output().await.unwrap();
    let lines = String::from_utf8(run.stdout).unwrap();
    let all = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let own = all.filter(|event| event["subject"] == evening.performance.as_str());
    own.map(|event| (text(&event["type"]), event["data"].clone())).collect()
}

#[tokio::test]
async fn an_extension_is_one_event_of_the_performance() {
    let evening = Evening::start(&[]).await;
    let held = evening.hold(&evening.ada, &json!([1])).expect(201).await;
    let extended = evening.extend(60).expect(200).await;
    evening.release(&evening.ada, &held).expect(204).await;
    evening.extend(60).expect(200).await;
    if std::env::var("ONSALE_TEST_DATABASE").as_deref() == Ok("postgres") {
        return audit(&evening.sale).await;
    }
    let events = events(&evening).await;
    let kinds: Vec<&str> = events.iter().map(|(kind, _)| &**kind).collect();
    assert_eq!(kinds, ["onsale.seats.held.v1", "onsale.holds.extended.v1", "onsale.seats.released.v1"]);
    assert_eq!(
        events[1].1,
        json!({
            "performanceId": evening.performance, "at": extended["at"], "seconds": 60, "holds": 1,
            "reason": "payment was down"
        })
    );
    audit(&evening.sale).await;
}

/// Payments and extensions at the same time: a hold is paid once, and each extension counts once for each hold.
#[tokio::test]
async fn payments_in_flight_and_extensions_take_turns() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, concert, .. } = &evening;
    let mut held = Vec::new();
    for number in 0..12_u32 {
        let user = format!("user-{number}");
        sale.charge(&user, 100_000).await;
        let token = sale.active(concert, &user).await;
        let reservation = evening.hold(&token, &json!([number + 1])).expect(201).await;
        held.push((token, reservation));
    }
    let mut calls: Vec<Call> = Vec::new();
    for (number, (token, reservation)) in held.iter().enumerate() {
        calls.push(if number % 3 == 0 { evening.release(token, reservation) } else { sale.pay(token, reservation) });
        calls.push(evening.extend(1));
    }
    for (number, reply) in crate::support::at_once(calls).await.iter().enumerate() {
        let expected = if number % 2 == 1 {
            200
        } else if number % 6 == 0 {
            204
        } else {
            201
        };
        assert_eq!(reply.status, expected, "{}: {:?}", reply.call, reply.body);
    }
    for (_, reservation) in &held {
        let longer = later(&evening.show(reservation).await, reservation, "heldUntil");
        assert!((0..=12_000).contains(&longer) && longer % 1_000 == 0, "whole extensions: {longer} ms");
    }
    assert_eq!(evening.extend(1).expect(200).await["holds"], 0);
    audit(sale).await;
}
