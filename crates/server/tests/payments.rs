//! Paying: what is answered, what is refused and in which order, what becomes of the token, and a crowd.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod support;

use std::collections::BTreeMap;

use onsale_testing::{Sale, now_millis};
use serde_json::{Value, json};
use support::evening::Evening;
use support::room::{place, room};
use support::{at_once, audit, column, count, millis, start, text};

const UNKNOWN: &str = "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01";

async fn balance(sale: &Sale, user: &str) -> i64 {
    sale.caller.get(&format!("/point/{user}")).expect(200).await["balance"].as_i64().unwrap()
}

#[tokio::test]
async fn a_payment_is_answered_in_full() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, ada, .. } = &evening;
    sale.charge("ada", 150_000).await;
    let held = evening.hold(ada, &json!([7, 8])).expect(201).await;
    let paid = sale.pay(ada, &held).expect(201).await;
    assert_eq!(paid["reservationId"], held["reservationId"]);
    assert_eq!((&paid["amount"], &paid["balance"], &paid["seats"]), (&json!(100_000), &json!(50_000), &held["seats"]));
    assert!((now_millis() - millis(&paid["paidAt"])).abs() < 60_000, "{paid}");

    let path = format!("/payments/{}", text(&paid["paymentId"]));
    assert_eq!(sale.caller.get(&path).expect(200).await, paid);
    assert_eq!(sale.caller.get("/users/ada/payments").expect(200).await, json!([paid]));
    assert_eq!(evening.show(&held).await["status"], "PAID");
    let history = sale.caller.get("/point/ada/histories").expect(200).await;
    let expected = json!({"type": "USE", "amount": 100_000, "balanceAfter": 50_000, "reference": paid["paymentId"]});
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(history[0][name], *value, "{name}");
    }
    evening.until_seats("SOLD", &[7, 8]).await;

    let unknown = format!("/payments/{UNKNOWN}");
    sale.caller.get(&unknown).refused(404, "payment-not-found").await;
    assert_eq!(sale.caller.get("/users/bob/payments").expect(200).await, json!([]));
}

#[tokio::test]
async fn refusals_are_judged_in_order() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, ada, bob, .. } = &evening;
    sale.pay(ada, &json!({"reservationId": UNKNOWN})).refused(404, "reservation-not-found").await;
    let held = evening.hold(ada, &json!([1, 2])).expect(201).await;
    sale.pay(bob, &held).refused(404, "reservation-not-found").await;
    let elsewhere = sale.concert(&room(10)).await;
    let token = sale.active(&elsewhere, "ada").await;
    sale.pay(&token, &held).refused(404, "reservation-not-found").await;

    sale.charge("ada", 99_999).await;
    sale.pay(ada, &held).refused(409, "insufficient-balance").await;
    assert_eq!(evening.show(&held).await, held, "the seats stay held");
    evening.hold(bob, &json!([1])).refused(409, "seat-taken").await;
    assert_eq!(balance(sale, "ada").await, 99_999);

    // From here on Ada has no points left, which is checked last.
    let other = evening.hold(ada, &json!([3])).expect(201).await;
    let released = evening.hold(ada, &json!([4])).expect(201).await;
    evening.release(ada, &released).expect(204).await;
    sale.charge("ada", 1).await;
    assert_eq!(sale.pay(ada, &held).expect(201).await["balance"], 0);
    sale.pay(ada, &held).refused(409, "already-paid").await;
    sale.pay(ada, &released).refused(410, "hold-expired").await;
    sale.pay(ada, &other).refused(409, "insufficient-balance").await;
    audit(sale).await;
}

#[tokio::test]
async fn payment_ends_the_token_unless_other_seats_are_held() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, ada, concert, .. } = &evening;
    sale.charge("ada", 1_000_000).await;
    let later = sale.performance_at(concert, &Value::Null, 20 * 86_400).await;
    let elsewhere = sale.concert(&room(10)).await;
    let performance = sale.performance(&elsewhere, &Value::Null).await;
    let token = sale.active(&elsewhere, "ada").await;
    let abroad = sale.hold(&token, &performance, &[1]).await;

    let holds = [
        evening.hold(ada, &json!([1])).expect(201).await,
        evening.hold(ada, &json!([2])).expect(201).await,
        sale.hold(ada, &later, &[1]).await,
    ];
    for (index, held) in holds.iter().enumerate() {
        assert_eq!(place(sale, ada).await["status"], "ACTIVE", "before payment {index}");
        sale.pay(ada, held).expect(201).await;
    }
    assert_eq!(place(sale, ada).await["status"], "EXPIRED", "the payment of the last of them ends it");
    sale.pay(ada, &holds[0]).refused(403, "queue-token-expired").await;
    evening.hold(ada, &json!([3])).refused(403, "queue-token-expired").await;
    assert_eq!(place(sale, &token).await["status"], "ACTIVE", "another concert's token is another thing");
    sale.pay(&token, &abroad).expect(201).await;

    let amounts = column(&sale.caller.get("/users/ada/payments").expect(200).await, "reservationId");
    let newest_first = [&abroad, &holds[2], &holds[1], &holds[0]].map(|held| held["reservationId"].clone());
    assert_eq!(amounts, newest_first);
}

#[tokio::test]
async fn a_payment_may_exceed_one_use() {
    let sale = start(&[]).await;
    let concert = sale.concert(&room(10)).await;
    let path = format!("/admin/concerts/{concert}/performances");
    let body = json!({"startsAt": "2090-03-03T10:00:00Z", "price": 20_000_000});
    let performance = text(&sale.admin(sale.caller.post(&path).json(&body)).expect(201).await["performanceId"]);
    for _ in 0..4 {
        sale.charge("ada", 10_000_000).await;
    }
    let token = sale.active(&concert, "ada").await;
    let held = sale.hold(&token, &performance, &[1, 2]).await;
    let paid = sale.pay(&token, &held).expect(201).await;
    assert_eq!((&paid["amount"], &paid["balance"]), (&json!(40_000_000), &json!(0)));
    audit(&sale).await;
}

#[tokio::test]
async fn a_free_reservation_needs_no_points() {
    let sale = start(&[]).await;
    let concert = sale.concert(&room(10)).await;
    let path = format!("/admin/concerts/{concert}/performances");
    let sections = json!([{"from": 1, "to": 10}, {"from": 11, "to": 20, "price": 30_000, "grade": "S"}]);
    let body = json!({"startsAt": "2090-03-03T10:00:00Z", "price": 0, "seats": sections});
    let performance = text(&sale.admin(sale.caller.post(&path).json(&body)).expect(201).await["performanceId"]);
    let token = sale.active(&concert, "ada").await;
    let mixed = sale.hold(&token, &performance, &[10, 11]).await;
    assert_eq!(mixed["amount"], 30_000);
    sale.pay(&token, &mixed).refused(409, "insufficient-balance").await;
    let free = sale.hold(&token, &performance, &[1, 2]).await;
    let paid = sale.pay(&token, &free).expect(201).await;
    assert_eq!((&paid["amount"], &paid["balance"]), (&json!(0), &json!(0)));
    audit(&sale).await;
}

#[tokio::test]
async fn one_reservation_is_paid_once() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, ada, .. } = &evening;
    sale.charge("ada", 1_000_000).await;
    let held = evening.hold(ada, &json!([1])).expect(201).await;
    let replies = at_once((0..50).map(|_| sale.pay(ada, &held))).await;
    let late = count(&replies, 409, "already-paid") + count(&replies, 403, "queue-token-expired");
    assert_eq!((count(&replies, 201, ""), late), (1, 49));
    assert_eq!(balance(sale, "ada").await, 950_000);
    audit(sale).await;
}

#[tokio::test]
async fn points_are_spent_once() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, ada, .. } = &evening;
    sale.charge("ada", 100_000).await;
    let mut calls = Vec::new();
    for seat in 1..=4 {
        let held = evening.hold(ada, &json!([seat])).expect(201).await;
        calls.push(sale.pay(ada, &held));
    }
    // Four seats, points for two; a use at the same time competes for them.
    calls.push(sale.caller.patch("/point/ada/use").json(&json!({"amount": 50_000})));
    let replies = at_once(calls).await;
    let spent = count(&replies, 201, "") + count(&replies, 200, "");
    assert_eq!((spent, count(&replies, 409, "insufficient-balance")), (2, 3));
    assert_eq!(balance(sale, "ada").await, 0);
    audit(sale).await;
}

/// A user tries a few seats one after another, and pays the first that is free.
async fn buy(sale: &Sale, evening: (&str, &str), number: u32) -> Option<(u64, Value)> {
    let (concert, performance) = evening;
    let user = format!("user-{number}");
    let token = sale.active(concert, &user).await;
    sale.charge(&user, 60_000).await;
    for step in 0..4 {
        let seat = (number + 7 * step) % 50 + 1;
        let body = json!({"performanceId": performance, "seats": [seat]});
        let reply = sale.caller.post("/reservations").token(&token).json(&body).send().await;
        if reply.status == 409 {
            assert_eq!(reply.refused(409, "seat-taken")["seats"], json!([seat]));
            continue;
        }
        let held = reply.expect(201);
        return Some((seat.into(), sale.pay(&token, &held).expect(201).await));
    }
    None
}

#[tokio::test]
async fn three_hundred_buyers_and_fifty_seats() {
    let sale = start(&[]).await;
    let concert = sale.concert(&room(1_000)).await;
    let performance = sale.performance(&concert, &Value::Null).await;
    let evening = (concert.as_str(), performance.as_str());
    let buyers = futures_util::future::join_all((0..300).map(|number| buy(&sale, evening, number))).await;
    let mut owners = BTreeMap::new();
    for (seat, paid) in buyers.iter().flatten() {
        assert_eq!(paid["seats"], json!([seat]));
        assert!(owners.insert(*seat, paid["paymentId"].clone()).is_none(), "seat {seat} has two owners");
    }
    // Every seat is the first choice of a user, so none is left over.
    assert_eq!(owners.into_keys().collect::<Vec<_>>(), (1..=50).collect::<Vec<_>>());

    let mut spent = 0;
    for (number, bought) in buyers.iter().enumerate() {
        let user = format!("user-{number}");
        let payments = sale.caller.get(&format!("/users/{user}/payments")).expect(200).await;
        assert_eq!(payments.as_array().unwrap().len(), usize::from(bought.is_some()));
        spent += 60_000 - balance(&sale, &user).await;
    }
    assert_eq!(spent, 50 * 50_000, "each seat was paid for once");
    let late = sale.enter(&concert, "late").await;
    assert_eq!(late["soldOut"], true);
    audit(&sale).await;
}
