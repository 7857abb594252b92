//! Cancellations on several instances: from the answer on no instance sells, and any instance settles what is left.

use onsale_testing::{Call, Reply, Sale};
use serde_json::{Value, json};

use crate::many::Many;
use crate::support::room::room;
use crate::support::{at_once, count, text, until};

fn cancel(sale: &Sale, performance: &str) -> Call {
    let call = sale.caller.post(&format!("/admin/performances/{performance}/cancel"));
    sale.admin(call).json(&json!({"reason": "the singer is ill"}))
}

async fn until_done(sale: &Sale, performance: &str) -> Value {
    let path = format!("/admin/performances/{performance}/cancellation");
    until("the cancellation is done", async || {
        let shown = sale.admin(sale.caller.get(&path)).expect(200).await;
        (shown["state"] == "DONE").then_some(shown)
    })
    .await
}

/// Buyers with a turn: each with points and a hold of one seat.
async fn holders(many: &Many, concert: &str, performance: &str, range: std::ops::Range<u32>) -> Vec<(String, Value)> {
    let mut holders = Vec::new();
    for number in range {
        let (sale, user) = (many.at(number as usize), format!("user-{number}"));
        sale.charge(&user, 1_000_000).await;
        let token = sale.active(concert, &user).await;
        let held = sale.hold(&token, performance, &[number + 1]).await;
        holders.push((token, held));
    }
    holders
}

async fn all_points_are_back(many: &Many, buyers: u32) {
    for number in 0..buyers {
        let wallet = many.at(number as usize).caller.get(&format!("/point/user-{number}")).expect(200).await;
        assert_eq!(wallet["balance"], 1_000_000, "user-{number}");
    }
}

/// Payments, holds, refunds and extensions at all instances cross the cancellation at one of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_at_every_instance_come_before_or_after_a_cancellation() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let sale = many.at(0);
    let concert = sale.concert(&room(1_000)).await;
    let performance = sale.performance(&concert, &json!(60)).await;
    let policy = json!({"refundPolicy": [{"hoursBefore": 0, "feePercent": 0}]});
    sale.admin(sale.caller.patch(&format!("/admin/performances/{performance}"))).json(&policy).expect(200).await;
    let holders = holders(&many, &concert, &performance, 0..24).await;
    let mut payments = Vec::new();
    for (number, (token, held)) in holders[..8].iter().enumerate() {
        payments.push(text(&many.at(number).pay(token, held).expect(201).await["paymentId"]));
    }
    let mut calls: Vec<Call> = Vec::new();
    for number in 0..16 {
        let at = many.at(number);
        let (token, held) = &holders[8 + number];
        calls.push(at.pay(token, held));
        let body = json!({"performanceId": performance, "seats": [50]});
        calls.push(at.caller.post("/reservations").token(token).json(&body));
        let payment = &payments[number % 8];
        calls.push(at.caller.post(&format!("/payments/{payment}/refunds")).json(&json!({})));
        if number % 4 == 0 {
            let extend = at.caller.post(&format!("/admin/performances/{performance}/holds/extend"));
            calls.push(at.admin(extend).json(&json!({"seconds": 60, "reason": "late"})));
        }
        if number == 7 {
            calls.push(cancel(many.at(2), &performance));
            calls.push(cancel(many.at(1), &performance));
        }
    }
    let replies: Vec<Reply> = at_once(calls).await;
    assert!(replies.iter().all(|reply| reply.status.as_u16() < 500), "{replies:?}");
    assert_eq!((count(&replies, 202, ""), count(&replies, 200, "") > 0), (1, true), "{replies:?}");
    for sale in &many.sales {
        let (token, held) = &holders[23];
        assert_ne!(sale.pay(token, held).send().await.status, 201, "nothing is paid any more");
        let body = json!({"performanceId": performance, "seats": [51]});
        let bob = sale.active(&concert, "bob").await;
        sale.caller.post("/reservations").token(&bob).json(&body).refused(409, "performance-cancelled").await;
    }
    until_done(many.at(1), &performance).await;
    all_points_are_back(&many, 24).await;
    // Every instance shows it.
    for sale in &many.sales {
        let bob = sale.active(&concert, "bob").await;
        until("the date is cancelled", async || {
            let dates = sale.caller.get(&format!("/concerts/{concert}/dates")).token(&bob).expect(200).await;
            ((&dates[0]["status"], &dates[0]["remaining"]) == (&json!("CANCELLED"), &json!(0))).then_some(())
        })
        .await;
        sale.until(&bob, |place| place["soldOut"] == true).await;
    }
    many.is_in_order().await;
}

/// The instance that cancels is killed at once. Another one takes the steps when the lease ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_instance_settles_what_a_killed_one_began() {
    let Some(mut many) = Many::start(2, &[]).await else { return };
    let sale = many.at(0);
    let concert = sale.concert(&room(1_000)).await;
    let performance = sale.performance(&concert, &json!(300)).await;
    let other = sale.performance_at(&concert, &json!(10), 5 * 86_400).await;
    let holders = holders(&many, &concert, &performance, 0..60).await;
    for (number, (token, held)) in holders[..50].iter().enumerate() {
        many.at(number).pay(token, held).expect(201).await;
    }
    cancel(many.at(0), &performance).expect(202).await;
    let killed = many.sales.remove(0);
    killed.instance.kill().await;
    // The sale of other performances goes on meanwhile.
    let (token, _) = &holders[55];
    let held = many.at(0).hold(token, &other, &[3]).await;
    many.at(0).pay(token, &held).expect(201).await;
    let done = until_done(many.at(0), &performance).await;
    assert_eq!((&done["payments"], &done["paymentsRefunded"]), (&json!(50), &json!(50)), "{done}");
    let wallet = many.at(0).caller.get("/point/user-7").expect(200).await;
    assert_eq!(wallet["balance"], 1_000_000);
    many.is_in_order().await;
}
