//! Holding seats: what is held, what is refused and in which order.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod support;

use onsale_testing::{iso, now_millis};
use serde_json::{Value, json};
use support::evening::Evening;
use support::room::room;
use support::{at_once, audit, column, count, millis, text, until};

const UNKNOWN: &str = "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01";

/// The dates of the concert, as Ada sees them.
async fn dates(evening: &Evening) -> Value {
    let path = format!("/concerts/{}/dates", evening.concert);
    evening.sale.caller.get(&path).token(&evening.ada).expect(200).await
}

/// Waits until the dates show this many free seats, as a list may lag by 3 s.
async fn until_remaining(evening: &Evening, seats: u32) {
    until("free seats are shown", async || (dates(evening).await[0]["remaining"] == seats).then_some(())).await;
}

#[tokio::test]
async fn a_hold_is_answered_in_full() {
    let evening = Evening::start(&[]).await;
    let held = evening.hold(&evening.ada, &json!([8, 7])).expect(201).await;
    assert_eq!(held["performanceId"], evening.performance);
    assert_eq!(held["date"], dates(&evening).await[0]["date"]);
    let mut seats = held["seats"].as_array().unwrap().clone();
    seats.sort_by_key(Value::as_u64);
    assert_eq!((seats, &held["amount"], &held["status"]), (vec![json!(7), json!(8)], &json!(100_000), &json!("HELD")));
    let left = millis(&held["heldUntil"]) - now_millis();
    assert!((200_000..=301_000).contains(&left), "five minutes unless set: {left} ms");
    assert_eq!(evening.show(&held).await, held);
    evening.until_seats("HELD", &[7, 8]).await;
    until_remaining(&evening, 48).await;
}

#[tokio::test]
async fn all_seats_or_none() {
    let evening = Evening::start(&[]).await;
    evening.hold(&evening.ada, &json!([7, 8])).expect(201).await;
    for (seats, taken) in [(json!([7]), json!([7])), (json!([6, 7, 8, 9]), json!([7, 8])), (json!([8, 1]), json!([8]))]
    {
        let reply = evening.hold(&evening.bob, &seats).send().await;
        let problem = reply.refused(409, "seat-taken");
        let mut named = problem["seats"].as_array().unwrap().clone();
        named.sort_by_key(Value::as_u64);
        assert_eq!(json!(named), taken);
        let seconds: u64 = reply.header("retry-after").expect("they are only held").parse().unwrap();
        assert!((200..=300).contains(&seconds), "seconds to the lapse: {seconds}");
    }
    evening.until_seats("HELD", &[7, 8]).await;
    evening.hold(&evening.bob, &json!([6, 9])).expect(201).await;
    evening.until_seats("HELD", &[6, 7, 8, 9]).await;
}

#[tokio::test]
async fn a_sold_seat_is_not_worth_waiting_for() {
    let evening = Evening::start(&[]).await;
    evening.sale.charge("ada", 1_000_000).await;
    let sold = evening.hold(&evening.ada, &json!([1, 2])).expect(201).await;
    evening.hold(&evening.ada, &json!([3])).expect(201).await;
    evening.sale.pay(&evening.ada, &sold).expect(201).await;
    for (seats, taken, waits) in [(json!([1]), json!([1]), false), (json!([3, 4]), json!([3]), true)] {
        let reply = evening.hold(&evening.bob, &seats).send().await;
        assert_eq!(reply.refused(409, "seat-taken")["seats"], taken);
        assert_eq!(reply.header("retry-after").is_some(), waits, "{seats}");
    }
    evening.until_seats("SOLD", &[1, 2]).await;
    evening.until_seats("HELD", &[3]).await;
    until_remaining(&evening, 47).await;
}

#[tokio::test]
async fn bad_seats_are_refused() {
    let evening = Evening::start(&[]).await;
    for seats in [json!([7, 7]), json!([1, 2, 3, 1]), json!([]), json!("7"), json!([7.5]), json!(["7"]), json!([null])]
    {
        let problem = evening.hold(&evening.ada, &seats).refused(422, "invalid-request").await;
        assert!(text(&problem["errors"][0]["field"]).starts_with("seats"), "{seats}: {problem}");
    }
    for seats in [json!([51]), json!([1, 51]), json!([4_294_967_297_i64]), json!([1, 2, 3, 4, 51])] {
        evening.hold(&evening.ada, &seats).refused(422, "seat-unknown").await;
    }
    for (seats, unknown) in [
        (json!([0]), json!([0])),
        (json!([-5, 7, 0]), json!([-5, 0])),
        (json!([i64::MIN, i64::MAX]), json!([i64::MIN, i64::MAX])),
    ] {
        let problem = evening.hold(&evening.ada, &seats).refused(422, "seat-unknown").await;
        assert_eq!(problem["seats"], unknown, "as they were requested");
    }
    let huge = "99999999999999999999";
    for (seats, field) in [
        (huge, "0"),
        ("1,1e2", "1"),
        ("1,2,7.0", "2"),
        (&format!("{huge},{huge}9"), "0"),
        ("3,5,3,5", "2"),
        ("0,-0", "1"),
    ] {
        let body = format!(r#"{{"performanceId":"{}","seats":[{seats}]}}"#, evening.performance);
        let call = evening.sale.caller.post("/reservations").token(&evening.ada);
        let problem = call.header("content-type", "application/json").bytes(body).refused(422, "invalid-request").await;
        assert_eq!(problem["errors"][0]["field"], format!("seats.{field}"), "{seats}: {problem}");
    }
    evening.until_seats("HELD", &[]).await;
}

#[tokio::test]
async fn many_seats_are_judged_in_order_and_answered_in_few_words() {
    let evening = Evening::start(&[]).await;
    let ask = |from: u32| evening.hold(&evening.ada, &json!((from..from + 1_000).collect::<Vec<_>>()));
    let reply = ask(41).send().await;
    let problem = reply.refused(422, "seat-unknown");
    assert_eq!(problem["seats"], json!((51..71).collect::<Vec<_>>()), "the first few");
    assert!(reply.body.len() < 1_024, "{} bytes", reply.body.len());
    let large = evening.sale.performance_at(&evening.concert, &json!(2_000), 20 * 86_400).await;
    let seats: Vec<u32> = (1..=1_000).collect();
    evening.ask(&evening.ada, &json!({"performanceId": large, "seats": seats})).refused(409, "seat-limit").await;
    evening
        .ask(&evening.ada, &json!({"performanceId": UNKNOWN, "seats": seats}))
        .refused(404, "performance-not-found")
        .await;
    let past = evening.sale.performance_at(&evening.concert, &json!(2_000), -60).await;
    evening.ask(&evening.ada, &json!({"performanceId": past, "seats": seats})).refused(409, "performance-closed").await;
}

#[tokio::test]
async fn four_seats_a_user_and_performance() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, ada, bob, .. } = &evening;
    sale.charge("ada", 1_000_000).await;
    evening.hold(ada, &json!([1, 2, 3, 4, 5])).refused(409, "seat-limit").await;
    let first = evening.hold(ada, &json!([1, 2, 3])).expect(201).await;
    evening.hold(bob, &json!([11])).expect(201).await;
    evening.hold(ada, &json!([4, 5])).refused(409, "seat-limit").await;
    evening.hold(ada, &json!([11, 12])).refused(409, "seat-limit").await;
    evening.hold(ada, &json!([11])).refused(409, "seat-taken").await;
    let second = evening.hold(ada, &json!([4])).expect(201).await;
    evening.hold(ada, &json!([5])).refused(409, "seat-limit").await;

    // Bought ones count, released ones do not.
    sale.pay(ada, &first).expect(201).await;
    evening.hold(ada, &json!([5])).refused(409, "seat-limit").await;
    evening.release(ada, &second).expect(204).await;
    evening.hold(ada, &json!([5, 6])).refused(409, "seat-limit").await;
    let third = evening.hold(ada, &json!([5])).expect(201).await;
    sale.pay(ada, &third).expect(201).await;
    let again = sale.active(&evening.concert, "ada").await;
    evening.hold(&again, &json!([6])).refused(409, "seat-limit").await;

    // Another performance counts for itself.
    let other = sale.performance_at(&evening.concert, &Value::Null, 20 * 86_400).await;
    evening.ask(&again, &json!({"performanceId": other, "seats": [1, 2, 3, 4]})).expect(201).await;
    audit(sale).await;
}

#[tokio::test]
async fn a_user_cannot_get_five_seats_at_once() {
    let evening = Evening::start(&[]).await;
    let replies = at_once((1..=40).map(|seat| evening.hold(&evening.ada, &json!([seat])))).await;
    assert_eq!((count(&replies, 201, ""), count(&replies, 409, "seat-limit")), (4, 36));
    audit(&evening.sale).await;
}

#[tokio::test]
async fn refusals_are_judged_in_order() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, ada, .. } = &evening;
    let past = sale.performance_at(&evening.concert, &Value::Null, -60).await;
    let elsewhere = sale.concert(&room(10)).await;
    let elsewhere = sale.performance(&elsewhere, &Value::Null).await;
    evening.hold(&evening.bob, &json!([9])).expect(201).await;
    let wrong_date = iso(40 * 86_400)[..10].to_owned();
    let here = &evening.performance;
    let table = [
        (json!({"performanceId": UNKNOWN, "seats": [99, 99]}), 422, "invalid-request"),
        (json!({"performanceId": past, "seats": [9, 9]}), 422, "invalid-request"),
        (json!({"performanceId": here, "date": wrong_date, "seats": [99]}), 422, "invalid-request"),
        (json!({"performanceId": past, "date": wrong_date, "seats": [1]}), 422, "invalid-request"),
        (json!({"performanceId": UNKNOWN, "seats": [99, 98, 97, 96, 95]}), 404, "performance-not-found"),
        (json!({"performanceId": elsewhere, "seats": [1]}), 404, "performance-not-found"),
        (json!({"date": wrong_date, "seats": [1]}), 404, "performance-not-found"),
        (json!({"performanceId": past, "seats": [99, 98, 97, 96, 95]}), 409, "performance-closed"),
        (json!({"performanceId": past, "seats": [1]}), 409, "performance-closed"),
        (json!({"performanceId": here, "seats": [99, 9, 1, 2, 3]}), 422, "seat-unknown"),
        (json!({"performanceId": here, "seats": [9, 1, 2, 3, 4]}), 409, "seat-limit"),
        (json!({"performanceId": here, "seats": [9, 1, 2, 3]}), 409, "seat-taken"),
    ];
    for (body, status, code) in table {
        evening.ask(ada, &body).refused(status, code).await;
    }
    evening.hold(ada, &json!([1, 2, 3, 4])).expect(201).await;
}

#[tokio::test]
async fn a_date_names_its_only_performance() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, concert, ada, .. } = &evening;
    let date = text(&dates(&evening).await[0]["date"]);
    let held = evening.ask(ada, &json!({"date": date, "seats": [1]})).expect(201).await;
    assert_eq!((&held["performanceId"], &held["date"]), (&json!(evening.performance), &json!(date)));
    let both = json!({"date": date, "performanceId": evening.performance, "seats": [2]});
    evening.ask(ada, &both).expect(201).await;

    // Half an hour before midnight in Seoul, and half an hour after it.
    for starts_at in ["2090-03-03T14:30:00Z", "2090-03-03T15:30:00Z", "2090-03-03T16:30:00Z"] {
        let path = format!("/admin/concerts/{concert}/performances");
        sale.admin(sale.caller.post(&path).json(&json!({"startsAt": starts_at}))).expect(201).await;
    }
    let held = evening.ask(ada, &json!({"date": "2090-03-03", "seats": [1]})).expect(201).await;
    assert_eq!(held["date"], "2090-03-03");
    evening.ask(ada, &json!({"date": "2090-03-04", "seats": [1]})).refused(422, "performance-ambiguous").await;
    let path = format!("/concerts/{concert}/seats?date=2090-03-04");
    let shown = sale.caller.get(&path).token(ada).expect(200).await;
    assert_eq!(column(&shown["performances"], "startsAt"), ["2090-03-03T15:30:00.000Z", "2090-03-03T16:30:00.000Z"]);
    let first = &shown["performances"][0]["performanceId"];
    evening.ask(ada, &json!({"date": "2090-03-04", "performanceId": first, "seats": [1]})).expect(201).await;
}
