//! Cancelled performances: what is answered and refused, what buyers see, and that a killed server goes on.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod support;

use onsale_testing::{Call, Dice, Reply, Sale};
use serde_json::{Value, json};
use support::evening::Evening;
use support::room::room;
use support::{ONSALE, at_once, audit, count, text, until};

const UNKNOWN: &str = "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01";

fn admin(performance: &str) -> String {
    format!("/admin/performances/{performance}")
}

fn cancel(sale: &Sale, performance: &str) -> Call {
    let call = sale.caller.post(&format!("{}/cancel", admin(performance)));
    sale.admin(call).json(&json!({"reason": "the singer is ill"}))
}

fn read(sale: &Sale, performance: &str, further: &str) -> Call {
    sale.admin(sale.caller.get(&format!("{}/cancellation{further}", admin(performance))))
}

/// Waits until the cancellation has this state.
async fn until_state(sale: &Sale, performance: &str, state: &str) -> Value {
    let mut shown = Value::Null;
    until(state, async || {
        shown = read(sale, performance, "").expect(200).await;
        (shown["state"] == state).then_some(())
    })
    .await;
    shown
}

async fn points(sale: &Sale, user: &str) -> i64 {
    sale.caller.get(&format!("/point/{user}")).expect(200).await["balance"].as_i64().unwrap()
}

#[tokio::test]
async fn everything_goes_back_and_the_dates_show_it() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, concert, performance, ada, bob } = &evening;
    sale.charge("ada", 200_000).await;
    let held = evening.hold(ada, &json!([7, 8])).expect(201).await;
    let paid = sale.pay(ada, &held).expect(201).await;
    let of_bob = evening.hold(bob, &json!([9])).expect(201).await;
    read(sale, performance, "").refused(404, "cancellation-not-found").await;
    read(sale, performance, "/failed").refused(404, "cancellation-not-found").await;

    let first = cancel(sale, performance).send().await;
    let shown = first.expect(202);
    let expected = json!({
        "state": "RUNNING", "cancelledAt": shown["cancelledAt"], "reason": "the singer is ill", "payments": 1,
        "paymentsRefunded": 0, "paymentsFailed": 0, "pointsRefunded": 0
    });
    assert_eq!(shown, expected);
    // From the answer on, whatever the steps have done by now.
    evening.hold(bob, &json!([10])).refused(409, "performance-cancelled").await;
    sale.pay(bob, &of_bob).refused(409, "performance-cancelled").await;

    let done = until_state(sale, performance, "DONE").await;
    let expected = json!({
        "state": "DONE", "cancelledAt": shown["cancelledAt"], "reason": "the singer is ill", "payments": 1,
        "paymentsRefunded": 1, "paymentsFailed": 0, "pointsRefunded": 100_000
    });
    assert_eq!(done, expected);
    assert_eq!(cancel(sale, performance).expect(200).await, done, "a second call changes nothing");
    assert_eq!(read(sale, performance, "/failed").expect(200).await, json!([]));
    assert_eq!(points(sale, "ada").await, 200_000);
    assert_eq!(evening.show(&held).await["status"], "REFUNDED");
    assert_eq!(evening.show(&of_bob).await["status"], "RELEASED");
    sale.pay(bob, &of_bob).refused(409, "performance-cancelled").await;
    let payment = text(&paid["paymentId"]);
    let refunds = sale.caller.get(&format!("/payments/{payment}/refunds")).expect(200).await;
    assert_eq!(
        (&refunds[0]["amount"], &refunds[0]["fee"], refunds.as_array().unwrap().len()),
        (&json!(100_000), &json!(0), 1)
    );
    let listed = sale.admin(sale.caller.get(&format!("{}/refunds", admin(performance)))).expect(200).await;
    assert_eq!((&listed[0]["by"], &listed[0]["reason"]), (&json!("cancellation"), &Value::Null));

    // Dates and seats may lag by 3 s.
    let date = until("the date is cancelled", async || {
        let dates = sale.caller.get(&format!("/concerts/{concert}/dates")).token(bob).expect(200).await;
        let shown = (&dates[0]["status"], &dates[0]["remaining"]);
        (shown == (&json!("CANCELLED"), &json!(0))).then(|| text(&dates[0]["date"]))
    })
    .await;
    let path = format!("/concerts/{concert}/seats?date={date}");
    until("no seat is left", async || {
        let map = sale.caller.get(&path).token(bob).expect(200).await["performances"][0].clone();
        assert_eq!(map["seats"].as_array().unwrap().len(), 50);
        (map["remaining"] == 0).then_some(())
    })
    .await;
    let free = sale.caller.get(&format!("{path}&available=true")).token(bob).expect(200).await;
    assert_eq!(free["performances"][0]["seats"], json!([]));
    sale.until(bob, |place| place["soldOut"] == true).await;
    audit(sale).await;
}

#[tokio::test]
async fn a_cancelled_performance_refuses_every_change() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, concert, performance, bob, .. } = &evening;
    let other = sale.performance_at(concert, &Value::Null, 3 * 86_400).await;
    cancel(sale, UNKNOWN).refused(404, "performance-not-found").await;
    read(sale, UNKNOWN, "").refused(404, "performance-not-found").await;
    read(sale, UNKNOWN, "/failed").refused(404, "performance-not-found").await;
    for body in [json!({}), json!({"reason": ""}), json!({"reason": 7}), json!({"reason": "r", "more": 1})] {
        let call = sale.caller.post(&format!("{}/cancel", admin(performance)));
        sale.admin(call).json(&body).refused(422, "invalid-request").await;
    }
    cancel(sale, performance).key("k").expect(202).await;
    let again = cancel(sale, performance).key("k").send().await;
    assert_eq!(again.expect(202)["state"], "RUNNING", "the key keeps the first answer");
    assert!(again.header("idempotency-replayed").is_some());
    until_state(sale, performance, "DONE").await;
    for body in [json!({"closed": true}), json!({"refundPolicy": []})] {
        let call = sale.admin(sale.caller.patch(&admin(performance)).json(&body));
        call.refused(409, "performance-cancelled").await;
    }
    evening.extend(60).refused(409, "performance-cancelled").await;
    // The rest of the concert goes on.
    let held = evening.ask(bob, &json!({"performanceId": other, "seats": [1]})).expect(201).await;
    let extend = sale.caller.post(&format!("/admin/concerts/{concert}/holds/extend"));
    let extended = sale.admin(extend).json(&json!({"seconds": 60, "reason": "late"})).expect(200).await;
    assert_eq!(extended["holds"], 1);
    sale.charge("bob", 200_000).await;
    sale.pay(bob, &held).expect(201).await;
    let log = sale.admin(sale.caller.get("/admin/log?action=performance.cancelled")).expect(200).await;
    assert_eq!(log.as_array().unwrap().len(), 1, "one entry, whatever was refunded");
    assert_eq!((&log[0]["after"]["reason"], &log[0]["before"]["reason"]), (&json!("the singer is ill"), &Value::Null));
    assert_eq!(log[0]["subject"], format!("performance:{performance}"));
    audit(sale).await;
}

/// A wallet that is full keeps its payment open, and a refund by a request is in full, also for a buyer without a policy.
#[tokio::test]
async fn a_full_wallet_is_listed_and_may_ask_itself() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, performance, ada, .. } = &evening;
    sale.charge("ada", 200_000).await;
    let held = evening.hold(ada, &json!([7, 8])).expect(201).await;
    let paid = sale.pay(ada, &held).expect(201).await;
    let adjust = async |amount: i64| {
        let call = sale.caller.post("/admin/point/ada/adjustments");
        sale.admin(call).json(&json!({"amount": amount, "reason": "won"})).expect(201).await;
    };
    adjust(1_000_000_000 - 100_000).await;
    cancel(sale, performance).expect(202).await;
    let waiting = until_state(sale, performance, "WAITING").await;
    assert_eq!((&waiting["paymentsFailed"], &waiting["pointsRefunded"]), (&json!(1), &json!(0)));
    let failed = read(sale, performance, "/failed?limit=1").expect(200).await;
    let expected = json!([{
        "paymentId": paid["paymentId"], "reservationId": held["reservationId"], "userId": "ada", "seats": [7, 8],
        "amount": 100_000, "code": "balance-limit", "failedAt": failed[0]["failedAt"]
    }]);
    assert_eq!(failed, expected);
    adjust(-50_000).await;
    let refund = sale.caller.post(&format!("/payments/{}/refunds", text(&paid["paymentId"])));
    let refunded = refund.json(&json!({"seats": [8]})).expect(201).await;
    assert_eq!((&refunded["amount"], &refunded["fee"]), (&json!(50_000), &json!(0)), "without a policy, in full");
    let failed = read(sale, performance, "/failed").expect(200).await;
    assert_eq!((&failed[0]["seats"], &failed[0]["amount"]), (&json!([7]), &json!(50_000)));
    adjust(-50_000).await;
    let path = format!("/admin/payments/{}/refunds", text(&paid["paymentId"]));
    let by_staff =
        sale.admin(sale.caller.post(&path)).json(&json!({"fee": 1_000, "reason": "asked"})).expect(201).await;
    assert_eq!((&by_staff["amount"], &by_staff["fee"]), (&json!(50_000), &json!(0)), "in full, whatever the fee");
    let done = read(sale, performance, "").expect(200).await;
    assert_eq!(
        (&done["state"], &done["paymentsRefunded"], &done["pointsRefunded"]),
        (&json!("DONE"), &json!(1), &json!(100_000))
    );
    assert_eq!(read(sale, performance, "/failed").expect(200).await, json!([]));
    audit(sale).await;
}

/// Holds, payments, releases and refunds cross the cancellation: each is decided before it or after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_cross_a_cancellation_come_before_or_after_it() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, concert, performance, .. } = &evening;
    let mut held = Vec::new();
    for number in 0..12_u32 {
        let user = format!("user-{number}");
        sale.charge(&user, 1_000_000).await;
        let token = sale.active(concert, &user).await;
        let reservation = sale.hold(&token, performance, &[number + 1]).await;
        held.push((token, reservation));
    }
    let mut calls: Vec<Call> = held.iter().map(|(token, reservation)| sale.pay(token, reservation)).collect();
    calls.insert(6, cancel(sale, performance));
    calls.extend(held.iter().map(|(token, _)| evening.hold(token, &json!([40]))));
    let replies: Vec<Reply> = at_once(calls).await;
    let paid = replies[..13].iter().filter(|reply| reply.status == 201).count();
    assert_eq!(paid + count(&replies[..13], 409, "performance-cancelled"), 12, "{replies:?}");
    let done = until_state(sale, performance, "DONE").await;
    assert_eq!(done["payments"], paid, "{done}");
    for number in 0..12 {
        assert_eq!(points(sale, &format!("user-{number}")).await, 1_000_000);
    }
    audit(sale).await;
}

/// The server is killed again and again while it settles. In the end everything was given back exactly once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_goes_on_and_gives_everything_back_once() {
    const BUYERS: u32 = 150;
    let mut dice = Dice::new(Dice::seed());
    let launch = Sale::launch(ONSALE).set("ONSALE_HOLD_SECONDS", 300);
    let mut sale = Sale::start(&launch).await;
    let concert = sale.concert(&room(10_000)).await;
    let performance = sale.performance(&concert, &json!(4 * BUYERS)).await;
    let buy = async |number: u32| {
        let user = format!("user-{number}");
        sale.charge(&user, 1_000_000).await;
        let token = sale.active(&concert, &user).await;
        let first = 4 * number + 1;
        sale.hold(&token, &performance, &[first + 3]).await;
        let held = sale.hold(&token, &performance, &[first, first + 1, first + 2]).await;
        sale.pay(&token, &held).expect(201).await;
    };
    for number in 0..BUYERS {
        buy(number).await;
    }
    cancel(&sale, &performance).expect(202).await;
    for _ in 0..6 {
        tokio::time::sleep(std::time::Duration::from_micros(dice.below(30_000))).await;
        sale.instance.kill().await;
        let audit = launch.run(&["audit"]).await;
        assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
        sale = Sale::start(&launch).await;
    }
    let done = until_state(&sale, &performance, "DONE").await;
    let numbers = [&done["payments"], &done["paymentsRefunded"], &done["paymentsFailed"], &done["pointsRefunded"]];
    assert_eq!(numbers, [&json!(BUYERS), &json!(BUYERS), &json!(0), &json!(BUYERS * 150_000)]);
    for number in 0..BUYERS {
        assert_eq!(points(&sale, &format!("user-{number}")).await, 1_000_000);
    }
    audit(&sale).await;
}
