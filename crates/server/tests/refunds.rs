//! Refunds: what is answered, what is refused and in which order, and what other buyers see of the seats.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod support;

use onsale_testing::{Call, Sale};
use serde_json::{Value, json};
use support::evening::Evening;
use support::room::room;
use support::{at_once, audit, start, text};

const UNKNOWN: &str = "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01";

/// A buyer who gives a seat back loses a tenth of the price of 50,000.
const POLICY: &str = r#"[{"hoursBefore": 24, "feePercent": 10}]"#;

fn buyers(sale: &Sale, payment: &str, body: &Value) -> Call {
    sale.caller.post(&format!("/payments/{payment}/refunds")).json(body)
}

fn staffs(sale: &Sale, payment: &str, body: &Value) -> Call {
    sale.admin(sale.caller.post(&format!("/admin/payments/{payment}/refunds")).json(body))
}

fn patch(sale: &Sale, performance: &str, body: &Value) -> Call {
    sale.admin(sale.caller.patch(&format!("/admin/performances/{performance}"))).json(body)
}

/// Ada buys these seats under the policy. Returns the reservation and the payment.
async fn bought(evening: &Evening, seats: &Value) -> (Value, Value) {
    let Evening { sale, ada, performance, .. } = evening;
    let policy: Value = serde_json::from_str(POLICY).unwrap();
    patch(sale, performance, &json!({"refundPolicy": policy})).expect(200).await;
    sale.charge("ada", 200_000).await;
    let held = evening.hold(ada, seats).expect(201).await;
    let paid = sale.pay(ada, &held).expect(201).await;
    (held, paid)
}

#[tokio::test]
async fn a_refund_is_answered_in_full_and_frees_the_seats() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, bob, performance, .. } = &evening;
    let (held, paid) = bought(&evening, &json!([7, 8, 9])).await;
    let payment = text(&paid["paymentId"]);
    let refund = buyers(sale, &payment, &json!({"seats": [8]})).expect(201).await;
    let shown = json!({
        "refundId": refund["refundId"], "paymentId": payment, "seats": [8], "amount": 45_000, "fee": 5_000,
        "balance": 95_000, "refundedAt": refund["refundedAt"]
    });
    assert_eq!(refund, shown);
    let now = sale.caller.get(&format!("/payments/{payment}")).expect(200).await;
    assert_eq!(
        (&now["refundedSeats"], &now["refundedAmount"], &now["amount"]),
        (&json!([8]), &json!(45_000), &json!(150_000))
    );
    assert_eq!(sale.caller.get("/users/ada/payments").expect(200).await, json!([now]));
    let reservation = evening.show(&held).await;
    assert_eq!((&reservation["status"], &reservation["refundedSeats"]), (&json!("PAID"), &json!([8])));
    evening.until_seats("SOLD", &[7, 9]).await;
    evening.hold(bob, &json!([8])).expect(201).await;

    let last = staffs(sale, &payment, &json!({"fee": 1_000, "reason": "the view is restricted"})).expect(201).await;
    assert_eq!((&last["seats"], &last["amount"], &last["fee"]), (&json!([7, 9]), &json!(99_000), &json!(1_000)));
    let listed = sale.caller.get(&format!("/payments/{payment}/refunds")).expect(200).await;
    assert_eq!(listed, json!([last, refund]), "newest first");
    let of_performance =
        sale.admin(sale.caller.get(&format!("/admin/performances/{performance}/refunds"))).expect(200).await;
    let by: Vec<_> =
        of_performance.as_array().unwrap().iter().map(|one| (one["by"].clone(), one["reason"].clone())).collect();
    assert_eq!(by, [(json!("staff"), json!("the view is restricted")), (json!("buyer"), Value::Null)]);
    assert_eq!(of_performance[0]["refundId"], last["refundId"]);
    let reservation = evening.show(&held).await;
    assert_eq!((&reservation["status"], &reservation["refundedSeats"]), (&json!("REFUNDED"), &json!([8, 7, 9])));

    let history = sale.caller.get("/point/ada/histories").expect(200).await;
    let kinds: Vec<_> =
        history.as_array().unwrap().iter().map(|row| (row["type"].clone(), row["amount"].clone())).collect();
    let refunds = [(json!("REFUND"), json!(99_000)), (json!("REFUND"), json!(45_000))];
    assert_eq!(kinds[..2], refunds);
    assert!(history.as_array().unwrap()[..3].iter().all(|row| row["reference"] == json!(payment)));
    let log = sale.admin(sale.caller.get("/admin/log?action=payment.refunded")).expect(200).await;
    assert_eq!(log.as_array().unwrap().len(), 1, "the buyer's refund leaves no entry");
    assert_eq!(log[0]["after"]["refundId"], last["refundId"]);
    assert_eq!(log[0]["subject"], format!("payment:{payment}"));
    // The subject is a filter as it is shown.
    let by_subject = sale.admin(sale.caller.get(&format!("/admin/log?subject=payment:{payment}"))).expect(200).await;
    assert_eq!(by_subject, log);
    audit(sale).await;
}

#[tokio::test]
async fn refusals_are_judged_in_order() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, performance, .. } = &evening;
    let (_, paid) = bought(&evening, &json!([1, 2])).await;
    let payment = text(&paid["paymentId"]);
    for seats in [json!([]), json!([1, 1]), json!("1"), json!([1.5]), Value::Null] {
        buyers(sale, UNKNOWN, &json!({"seats": seats})).refused(422, "invalid-request").await;
        staffs(sale, UNKNOWN, &json!({"seats": seats, "reason": "r"})).refused(422, "invalid-request").await;
    }
    staffs(sale, UNKNOWN, &json!({})).refused(422, "invalid-request").await;
    buyers(sale, UNKNOWN, &json!({"fee": 1})).refused(422, "invalid-request").await;
    buyers(sale, UNKNOWN, &json!({"seats": [99]})).refused(404, "payment-not-found").await;
    staffs(sale, UNKNOWN, &json!({"seats": [99], "reason": "r"})).refused(404, "payment-not-found").await;
    sale.caller.get(&format!("/payments/{UNKNOWN}/refunds")).refused(404, "payment-not-found").await;
    let unknown = sale.admin(sale.caller.get(&format!("/admin/performances/{UNKNOWN}/refunds")));
    unknown.refused(404, "performance-not-found").await;

    buyers(sale, &payment, &json!({"seats": [1]})).expect(201).await;
    // The policy of the hold still allows it, until the last rule of both is over.
    patch(sale, performance, &json!({"refundPolicy": []})).expect(200).await;
    let unknown = buyers(sale, &payment, &json!({"seats": [1, 3, -4]})).refused(422, "seat-unknown").await;
    assert_eq!(unknown["seats"], json!([3, -4]));
    buyers(sale, &payment, &json!({"seats": [2, 1]})).refused(409, "already-refunded").await;
    staffs(sale, &payment, &json!({"seats": [1], "fee": 99_999, "reason": "r"})).refused(409, "already-refunded").await;
    for fee in [-1, 50_001] {
        staffs(sale, &payment, &json!({"fee": fee, "reason": "r"})).refused(422, "fee-out-of-range").await;
    }
    let adjust = |amount: i64| {
        let body = json!({"amount": amount, "reason": "a full wallet"});
        sale.admin(sale.caller.post("/admin/point/ada/adjustments").json(&body))
    };
    let balance = sale.caller.get("/point/ada").expect(200).await["balance"].as_i64().unwrap();
    adjust(1_000_000_000 - balance).expect(201).await;
    buyers(sale, &payment, &json!({})).refused(409, "balance-limit").await;
    staffs(sale, &payment, &json!({"reason": "r"})).refused(409, "balance-limit").await;
    // All of the price is kept, so nothing goes back.
    staffs(sale, &payment, &json!({"fee": 50_000, "reason": "r"})).expect(201).await;
    buyers(sale, &payment, &json!({})).refused(409, "already-refunded").await;
    audit(sale).await;
}

#[tokio::test]
async fn without_a_policy_only_staff_refund() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, ada, .. } = &evening;
    sale.charge("ada", 50_000).await;
    let held = evening.hold(ada, &json!([1])).expect(201).await;
    let payment = text(&sale.pay(ada, &held).expect(201).await["paymentId"]);
    buyers(sale, &payment, &json!({})).refused(409, "refund-closed").await;
    staffs(sale, &payment, &json!({"reason": "r"})).expect(201).await;
    audit(sale).await;
}

/// A buyer may give seats back long after the turn is over.
#[tokio::test]
async fn a_refund_needs_no_queue_token() {
    let evening = Evening::start(&[("ONSALE_QUEUE_STRICT", "true")]).await;
    let Evening { sale, ada, performance, .. } = &evening;
    let policy = json!({"refundPolicy": [{"hoursBefore": 0, "feePercent": 10}]});
    patch(sale, performance, &policy).expect(200).await;
    sale.caller.patch("/point/ada/charge").token(ada).json(&json!({"amount": 50_000})).expect(200).await;
    let held = evening.hold(ada, &json!([1])).expect(201).await;
    assert_eq!(held["refundPolicy"], policy["refundPolicy"], "the buyer reads the fee before giving seats back");
    let payment = text(&sale.pay(ada, &held).expect(201).await["paymentId"]);
    assert_eq!(buyers(sale, &payment, &json!({})).expect(201).await["fee"], 5_000);
    audit(sale).await;
}

#[tokio::test]
async fn a_sold_out_concert_is_on_sale_again_after_a_refund() {
    let sale = start(&[]).await;
    let concert = sale.concert(&room(10)).await;
    let performance = sale.performance(&concert, &json!(2)).await;
    sale.charge("ada", 100_000).await;
    let token = sale.active(&concert, "ada").await;
    let held = sale.hold(&token, &performance, &[1, 2]).await;
    let payment = text(&sale.pay(&token, &held).expect(201).await["paymentId"]);
    let bob = text(&sale.enter(&concert, "bob").await["token"]);
    sale.until(&bob, |place| place["soldOut"] == true).await;
    staffs(&sale, &payment, &json!({"seats": [2], "reason": "r"})).expect(201).await;
    sale.until(&bob, |place| place["soldOut"] == false).await;
    let shown = patch(&sale, &performance, &json!({"closed": false})).expect(200).await;
    assert_eq!(shown["sold"], 1);
    let bobs = sale.hold(&bob, &performance, &[2]).await;
    sale.charge("bob", 50_000).await;
    sale.pay(&bob, &bobs).expect(201).await;
    audit(&sale).await;
}

/// As many callers as seats: each seat is refunded once, and each is sold once more at most.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_refunds_each_seat_once() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, bob, .. } = &evening;
    let (_, paid) = bought(&evening, &json!([1, 2, 3])).await;
    let payment = text(&paid["paymentId"]);
    let calls = (0..24).map(|number| match number % 4 {
        0 => buyers(sale, &payment, &json!({"seats": [1]})),
        1 => staffs(sale, &payment, &json!({"seats": [2], "reason": "r"})),
        2 => buyers(sale, &payment, &json!({})),
        _ => evening.hold(bob, &json!([3])),
    });
    let replies = at_once(calls.collect::<Vec<_>>()).await;
    // Bob gets the seat only after it was given back, and then it is not free any more.
    let holds = replies.iter().filter(|reply| reply.status == 201 && reply.json()["status"] == "HELD").count();
    assert!(holds <= 1, "one seat, held {holds} times: {replies:?}");
    assert!(replies.iter().all(|reply| matches!(reply.status.as_u16(), 201 | 409)), "{replies:?}");
    let refunds = sale.caller.get(&format!("/payments/{payment}/refunds")).expect(200).await;
    let mut seats: Vec<u64> = refunds
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|refund| refund["seats"].as_array().unwrap().iter().map(|seat| seat.as_u64().unwrap()))
        .collect();
    seats.sort_unstable();
    assert_eq!(seats, [1, 2, 3], "all seats, each once");
    let balance = async || sale.caller.get("/point/ada").expect(200).await["balance"].as_i64().unwrap();
    let given: i64 = refunds.as_array().unwrap().iter().map(|refund| refund["amount"].as_i64().unwrap()).sum();
    assert_eq!(balance().await, 50_000 + given);
    audit(sale).await;
}

#[tokio::test]
async fn a_policy_is_checked_and_shown() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, performance, .. } = &evening;
    let rule = |hours: Value, fee: Value| json!({"hoursBefore": hours, "feePercent": fee});
    let many: Vec<Value> = (0..21).map(|hours| rule(json!(hours), json!(0))).collect();
    for (policy, field) in [
        (json!(null), "refundPolicy"),
        (json!({}), "refundPolicy"),
        (json!(many), "refundPolicy"),
        (json!([rule(json!(8_761), json!(0))]), "refundPolicy.0.hoursBefore"),
        (json!([rule(json!(0), json!(101))]), "refundPolicy.0.feePercent"),
        (json!([rule(json!(0), json!(0.5))]), "refundPolicy.0.feePercent"),
        (json!([rule(json!(-1), json!(0))]), "refundPolicy.0.hoursBefore"),
        (json!([rule(json!(1), json!(0)), rule(json!(1), json!(5))]), "refundPolicy.1.hoursBefore"),
        (json!([{"hoursBefore": 1}]), "refundPolicy.0.feePercent"),
    ] {
        let wrong = patch(sale, performance, &json!({"refundPolicy": policy})).refused(422, "invalid-request").await;
        assert_eq!(wrong["errors"][0]["field"], field, "{policy}");
    }
    let (early, late) = (rule(json!(72), json!(20)), rule(json!(0), json!(90)));
    let starts = json!({"startsAt": "2090-01-01T10:00:00Z", "refundPolicy": [late, early]});
    let path = format!("/admin/concerts/{}/performances", evening.concert);
    let added = sale.admin(sale.caller.post(&path).json(&starts)).expect(201).await;
    assert_eq!(added["refundPolicy"], json!([early, late]), "a new performance shows its policy");
    let shown = patch(sale, performance, &json!({"refundPolicy": [late, early]})).expect(200).await;
    assert_eq!(shown["refundPolicy"], json!([early, late]), "by descending hours");
    let entries = || sale.admin(sale.caller.get("/admin/log?action=performance.changed")).expect(200);
    assert_eq!(entries().await[0]["after"], json!({"refundPolicy": [early, late]}));
    patch(sale, performance, &json!({"refundPolicy": [early, late]})).expect(200).await;
    assert_eq!(entries().await.as_array().unwrap().len(), 1, "nothing changed, so nothing is logged");
    audit(sale).await;
}

#[tokio::test]
async fn an_adjustment_corrects_a_wallet() {
    let sale = start(&[]).await;
    let adjust = |amount: Value| {
        let body = json!({"amount": amount, "reason": "charged twice"});
        sale.admin(sale.caller.post("/admin/point/ada/adjustments").json(&body))
    };
    for amount in [json!(0), json!(1_000_000_001), json!(-1_000_000_001)] {
        let wrong = adjust(amount).refused(422, "amount-out-of-range").await;
        assert_eq!(wrong["detail"], "A correction adds 1 to 1,000,000,000 points, or removes as many");
        assert_eq!(wrong["errors"][0]["message"], "must be -1,000,000,000 to 1,000,000,000, and not 0");
    }
    adjust(json!(1.5)).refused(422, "invalid-request").await;
    adjust(json!(-1)).refused(409, "insufficient-balance").await;
    let shown = adjust(json!(500)).expect(201).await;
    assert_eq!((&shown["userId"], &shown["balance"]), (&json!("ada"), &json!(500)));
    adjust(json!(999_999_501)).refused(409, "balance-limit").await;
    adjust(json!(-200)).key("once").expect(201).await;
    adjust(json!(-200)).key("once").expect(201).await;
    let history = sale.caller.get("/point/ada/histories").expect(200).await;
    let rows: Vec<_> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (text(&row["type"]), row["amount"].as_i64().unwrap(), row["balanceAfter"].as_i64().unwrap()))
        .collect();
    assert_eq!(rows, [("ADJUSTMENT".to_owned(), -200, 300), ("ADJUSTMENT".to_owned(), 500, 500)]);
    let log = sale.admin(sale.caller.get("/admin/log?subject=user:ada")).expect(200).await;
    assert_eq!(log.as_array().unwrap().len(), 2);
    assert_eq!(log[0]["before"], json!({"balance": 500}));
    assert_eq!(log[0]["after"], json!({"amount": -200, "balance": 300, "version": 2, "reason": "charged twice"}));
    audit(&sale).await;
}

#[tokio::test]
async fn staff_see_the_newest_of_all_that_a_user_has() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, bob, .. } = &evening;
    let (_, paid) = bought(&evening, &json!([7, 8])).await;
    let refund = buyers(sale, &text(&paid["paymentId"]), &json!({"seats": [8]})).expect(201).await;
    let lecture = sale.lecture(3).await;
    let body = json!({"userId": "ada", "lectureId": lecture});
    sale.caller.post("/lectures/apply").json(&body).expect(201).await;
    let of = async |user: &str| sale.admin(sale.caller.get(&format!("/admin/users/{user}"))).expect(200).await;
    let ada = of("ada").await;
    assert_eq!((&ada["userId"], &ada["wallet"]["balance"]), (&json!("ada"), &refund["balance"]));
    for (list, link) in [("walletEntries", "walletEntries"), ("reservations", "reservations"), ("payments", "payments")]
    {
        let path = text(&ada["links"][link]);
        assert_eq!(ada[list], sale.caller.get(&path).expect(200).await, "{list} as {path} lists it");
        assert!(!ada[list].as_array().unwrap().is_empty(), "{list}");
    }
    assert_eq!(ada["refunds"][0]["refundId"], refund["refundId"]);
    assert_eq!(ada["applications"][0]["lectureId"], json!(lecture));
    assert_eq!(ada["holds"], json!([]), "it was paid");

    let held = evening.hold(bob, &json!([9])).expect(201).await;
    let shown = of("bob").await;
    assert_eq!(shown["holds"][0]["reservationId"], held["reservationId"]);
    let place = &shown["places"][0];
    assert_eq!((&place["status"], &place["position"]), (&json!("ACTIVE"), &Value::Null));
    assert!(!shown.to_string().contains(&bob[..]), "the text of a token is a key to the place");

    let unknown = of("no-one").await;
    for list in ["walletEntries", "holds", "reservations", "payments", "refunds", "applications", "places"] {
        assert_eq!(unknown[list], json!([]), "{list}");
    }
    assert_eq!(unknown["wallet"]["balance"], 0);
    sale.admin(sale.caller.get("/admin/users/no%20user")).refused(422, "invalid-request").await;
    sale.admin(sale.caller.get("/admin/users/ada?limit=9")).refused(422, "invalid-request").await;
}

#[tokio::test]
async fn a_buyer_may_leave_out_the_body() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, .. } = &evening;
    let (_, paid) = bought(&evening, &json!([7, 8])).await;
    let path = format!("/payments/{}/refunds", text(&paid["paymentId"]));
    let one = sale.caller.post(&path).json(&json!({"seats": [8]})).expect(201).await;
    assert_eq!(one["seats"], json!([8]));
    sale.caller
        .post(&path)
        .header("content-type", "text/plain")
        .bytes("{}")
        .refused(415, "unsupported-media-type")
        .await;
    let rest = sale.caller.post(&path).expect(201).await;
    assert_eq!(rest["seats"], json!([7]), "all that are left");
    // As with `{}`.
    sale.caller.post(&path).header("content-type", "application/json").refused(409, "already-refunded").await;
    let staffs = sale.admin(sale.caller.post(&format!("/admin{path}")));
    staffs.refused(415, "unsupported-media-type").await;
    audit(sale).await;
}
