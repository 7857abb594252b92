//! Refunds on several instances: a seat is refunded once, is free everywhere, and is sold once more.

use onsale_testing::{Call, Sale};
use serde_json::{Value, json};

use crate::many::Many;
use crate::support::room::room;
use crate::support::{at_once, count, text, until};

fn refund(sale: &Sale, payment: &str, body: &Value) -> Call {
    sale.caller.post(&format!("/payments/{payment}/refunds")).json(body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seats_that_one_instance_refunds_are_free_at_every_other() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let sale = many.at(0);
    let concert = sale.concert(&room(100)).await;
    let performance = sale.performance(&concert, &json!(4)).await;
    let policy = json!({"refundPolicy": [{"hoursBefore": 0, "feePercent": 10}]});
    sale.admin(sale.caller.patch(&format!("/admin/performances/{performance}"))).json(&policy).expect(200).await;
    let buy = async |sale: &Sale, user: &str, seats: &[u32]| {
        sale.charge(user, 200_000).await;
        let token = sale.active(&concert, user).await;
        let held = sale.hold(&token, &performance, seats).await;
        text(&sale.pay(&token, &held).expect(201).await["paymentId"])
    };
    let payment = buy(sale, "ada", &[1, 2, 3, 4]).await;
    let bob = sale.active(&concert, "bob").await;
    let dates = sale.caller.get(&format!("/concerts/{concert}/dates")).token(&bob).expect(200).await;
    let map = format!("/concerts/{concert}/seats?date={}", text(&dates[0]["date"]));
    let sold = async |sale: &Sale| {
        let shown = sale.caller.get(&map).token(&bob).expect(200).await;
        // Another instance lists a new performance within three seconds.
        let seats = shown["performances"][0]["seats"].as_array()?;
        Some(seats.iter().filter(|seat| seat["status"] == "SOLD").count())
    };
    for sale in &many.sales {
        until("all seats are sold", async || (sold(sale).await == Some(4)).then_some(())).await;
        sale.until(&bob, |place| place["soldOut"] == true).await;
    }
    // All at once, at all instances: each seat once.
    let calls = (0..12).map(|number| refund(many.at(number), &payment, &json!({"seats": [number % 3 + 1]})));
    let replies = at_once(calls.collect::<Vec<_>>()).await;
    assert_eq!((count(&replies, 201, ""), count(&replies, 409, "already-refunded")), (3, 9), "{replies:?}");
    for sale in &many.sales {
        until("three seats are free", async || (sold(sale).await == Some(1)).then_some(())).await;
        sale.until(&bob, |place| place["soldOut"] == false).await;
        let shown = sale.caller.get(&format!("/payments/{payment}")).expect(200).await;
        assert_eq!(shown["refundedAmount"], 3 * 45_000, "{shown}");
    }
    many.is_in_order().await;
}

/// Buyers give seats back and other buyers take them, with keys that are sent again at another instance.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refunds_cross_holds_and_payments() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let sale = many.at(0);
    let concert = sale.concert(&room(100)).await;
    let performance = sale.performance(&concert, &json!(6)).await;
    let policy = json!({"refundPolicy": [{"hoursBefore": 0, "feePercent": 0}]});
    sale.admin(sale.caller.patch(&format!("/admin/performances/{performance}"))).json(&policy).expect(200).await;
    let mut tokens = Vec::new();
    for number in 0..6 {
        let user = format!("user-{number}");
        sale.charge(&user, 1_000_000).await;
        tokens.push(sale.active(&concert, &user).await);
    }
    let mut payments = Vec::new();
    for (number, token) in tokens.iter().enumerate() {
        let held = sale.hold(token, &performance, &[u32::try_from(number).unwrap() + 1]).await;
        payments.push(text(&sale.pay(token, &held).expect(201).await["paymentId"]));
    }
    for number in 0..6 {
        tokens.push(sale.active(&concert, &format!("next-{number}")).await);
        sale.charge(&format!("next-{number}"), 1_000_000).await;
    }
    let calls = (0..24).map(|number| {
        // Each key comes twice, 12 calls apart, and the second time at another instance.
        let (at, which) = (many.at(number + number / 12), number % 6);
        match number % 4 {
            0 | 1 => refund(at, &payments[which], &json!({})).key(&format!("back-{which}")),
            _ => {
                let body = json!({"performanceId": performance, "seats": [which + 1]});
                at.caller.post("/reservations").token(&tokens[6 + which]).json(&body)
            }
        }
    });
    let replies = at_once(calls.collect::<Vec<_>>()).await;
    assert!(replies.iter().all(|reply| reply.status.as_u16() < 500), "{replies:?}");
    for (first, again) in replies[..12].iter().zip(&replies[12..]) {
        if first.call.contains("/refunds") {
            assert_eq!((first.expect(201), first.status), (again.expect(201), again.status));
            let replayed = [first, again].map(|reply| reply.header("idempotency-replayed").is_some());
            assert!(replayed == [true, false] || replayed == [false, true], "{first:?} {again:?}");
        }
    }
    for held in replies.iter().map(|reply| reply.json()).filter(|reply| reply["status"] == "HELD") {
        let seat = held["seats"][0].as_u64().unwrap();
        let token = &tokens[5 + usize::try_from(seat).unwrap()];
        many.at(1).pay(token, &held).expect(201).await;
    }
    many.is_in_order().await;
}
