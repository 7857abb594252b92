//! What organisers change of a performance that is on sale: blocked seats, start, prices, further seats, and what staff see.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod support;

use onsale_testing::{Call, Sale, iso};
use serde_json::{Value, json};
use support::evening::Evening;
use support::{audit, text, until};

const UNKNOWN: &str = "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01";

fn change(sale: &Sale, performance: &str, what: &str, seats: &Value) -> Call {
    let body = json!({"seats": seats, "reason": "a camera"});
    sale.admin(sale.caller.post(&format!("/admin/performances/{performance}/{what}")).json(&body))
}

fn patch(sale: &Sale, performance: &str, body: &Value) -> Call {
    sale.admin(sale.caller.patch(&format!("/admin/performances/{performance}"))).json(body)
}

fn add(sale: &Sale, performance: &str, sections: &Value) -> Call {
    let path = format!("/admin/performances/{performance}/seats");
    sale.admin(sale.caller.post(&path)).json(&json!({"seats": sections}))
}

async fn log(sale: &Sale, performance: &str) -> Vec<Value> {
    let path = format!("/admin/log?subject=performance:{performance}");
    sale.admin(sale.caller.get(&path)).expect(200).await.as_array().unwrap().clone()
}

/// The only date of the evening, and its only performance.
async fn shown(evening: &Evening) -> (Value, Value) {
    let Evening { sale, concert, ada, .. } = evening;
    let dates = sale.caller.get(&format!("/concerts/{concert}/dates")).token(ada).expect(200).await;
    let path = format!("/concerts/{concert}/seats?date={}", text(&dates[0]["date"]));
    let seats = sale.caller.get(&path).token(ada).expect(200).await;
    (dates[0].clone(), seats["performances"][0].clone())
}

#[tokio::test]
async fn blocked_seats_are_not_for_sale() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, performance, ada, bob, .. } = &evening;
    let blocked = change(sale, performance, "blocks", &json!([3, 1])).expect(200).await;
    assert_eq!(blocked, json!({"blocked": 2}));
    evening.until_seats("BLOCKED", &[1, 3]).await;
    let refused = evening.hold(ada, &json!([3, 4])).send().await;
    refused.refused(409, "seat-taken");
    assert_eq!((refused.header("retry-after"), &refused.json()["seats"]), (None, &json!([3])));
    // Dates may lag by 3 s.
    until("dates and seats show 48 free seats", async || {
        let (date, map) = shown(&evening).await;
        assert_eq!(date["capacity"], 50);
        (date["remaining"] == 48 && map["remaining"] == 48).then_some(())
    })
    .await;
    // What is blocked already stays as it is: no event, no log entry.
    let before = log(sale, performance).await.len();
    assert_eq!(change(sale, performance, "blocks", &json!([1])).expect(200).await, json!({"blocked": 2}));
    assert_eq!(change(sale, performance, "unblocks", &json!([9])).expect(200).await, json!({"blocked": 2}));
    assert_eq!(log(sale, performance).await.len(), before);

    assert_eq!(change(sale, performance, "unblocks", &json!([3])).expect(200).await, json!({"blocked": 1}));
    evening.until_seats("BLOCKED", &[1]).await;
    evening.hold(bob, &json!([3])).expect(201).await;
    let taken = change(sale, performance, "blocks", &json!([2, 3])).send().await;
    taken.refused(409, "seat-taken");
    assert!(taken.header("retry-after").is_some() && taken.json()["seats"] == json!([3]));
    evening.until_seats("BLOCKED", &[1]).await;
    let entries = log(sale, performance).await;
    let shown: Vec<(Value, Value)> =
        entries.iter().take(2).map(|entry| (entry["action"].clone(), entry["after"].clone())).collect();
    let of = |action: &str, seats: Value| (json!(action), json!({"seats": seats, "reason": "a camera"}));
    assert_eq!(shown, [of("seats.unblocked", json!([3])), of("seats.blocked", json!([3, 1]))]);
    audit(sale).await;
}

#[tokio::test]
async fn blocks_are_judged_in_order() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, performance, ada, .. } = &evening;
    evening.hold(ada, &json!([7])).expect(201).await;
    for what in ["blocks", "unblocks"] {
        change(sale, UNKNOWN, what, &json!([7, 99])).refused(404, "performance-not-found").await;
        let refused = change(sale, performance, what, &json!([7, 99, -1])).refused(422, "seat-unknown").await;
        assert_eq!(refused["seats"], json!([99, -1]));
        change(sale, performance, what, &json!([7])).refused(409, "seat-taken").await;
        for wrong in [json!([]), json!([7, 7]), json!(["7"]), json!(null), json!((1..=1_001).collect::<Vec<u32>>())] {
            change(sale, performance, what, &wrong).refused(422, "invalid-request").await;
        }
        let path = format!("/admin/performances/{performance}/{what}");
        for body in [json!({"seats": [1]}), json!({"seats": [1], "reason": ""}), json!({"reason": "why"})] {
            sale.admin(sale.caller.post(&path)).json(&body).refused(422, "invalid-request").await;
        }
    }
    audit(sale).await;
}

/// A concert is sold out if each seat is sold or blocked, and no longer after one is unblocked or added.
#[tokio::test]
async fn blocked_seats_count_as_gone() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, performance, bob, .. } = &evening;
    let all: Vec<u32> = (1..=50).collect();
    let is_sold_out = async |expected: bool| sale.until(bob, |place| place["soldOut"] == expected).await;
    change(sale, performance, "blocks", &json!(all)).expect(200).await;
    is_sold_out(true).await;
    change(sale, performance, "unblocks", &json!([50])).expect(200).await;
    is_sold_out(false).await;
    change(sale, performance, "blocks", &json!([50])).expect(200).await;
    is_sold_out(true).await;
    add(sale, performance, &json!([{"from": 51, "to": 51}])).expect(201).await;
    is_sold_out(false).await;
    audit(sale).await;
}

#[tokio::test]
async fn a_performance_is_made_with_the_fields_of_its_change() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, concert, .. } = &evening;
    let make =
        |body: &Value| sale.admin(sale.caller.post(&format!("/admin/concerts/{concert}/performances"))).json(body);
    let starts_at = iso(20 * 86_400);
    let seats = json!([{"from": 1, "to": 2, "grade": "VIP"}, {"from": 3, "to": 4, "price": 5}, {"from": 5, "to": 6, "grade": "S"}]);
    let policy = json!([{"hoursBefore": 24, "feePercent": 10}]);
    let prices = json!([{"grade": "VIP", "price": 9}, {"grade": "R", "price": 7}]);
    let body = json!({"startsAt": starts_at, "seats": seats, "price": 6, "prices": prices, "closed": true, "refundPolicy": policy});
    let made = make(&body).expect(201).await;
    assert_eq!((&made["closed"], &made["status"], &made["refundPolicy"]), (&json!(true), &json!("CLOSED"), &policy));
    let path = format!("/admin/performances/{}", text(&made["performanceId"]));
    let read = sale.admin(sale.caller.get(&path)).expect(200).await;
    let section =
        |from: u32, grade: &str, price: u32| json!({"from": from, "to": from + 1, "grade": grade, "price": price});
    assert_eq!(read["seats"], json!([section(1, "VIP", 9), section(3, "R", 7), section(5, "S", 6)]));
    for (prices, field) in [
        (json!([{"grade": "R", "price": 1}, {"grade": "VIP", "price": 1}]), "prices.1.grade"),
        (json!([{"grade": "R", "price": 1}, {"grade": "R", "price": 1}]), "prices.1.grade"),
        (json!([{"grade": "R"}]), "prices.0.price"),
        (json!([]), "prices"),
    ] {
        let refused = make(&json!({"startsAt": starts_at, "prices": prices})).refused(422, "invalid-request").await;
        assert_eq!(refused["errors"][0]["field"], field, "{prices}: the seats are of grade R");
    }
    audit(sale).await;
}

#[tokio::test]
async fn prices_change_and_holds_keep_theirs() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, performance, ada, bob, .. } = &evening;
    sale.charge("ada", 200_000).await;
    let held = evening.hold(ada, &json!([1])).expect(201).await;
    let changed = patch(sale, performance, &json!({"prices": [{"grade": "R", "price": 70_000}]})).expect(200).await;
    assert_eq!(changed["seats"], json!([{"from": 1, "to": 50, "grade": "R", "price": 70_000}]));
    let (_, map) = shown(&evening).await;
    assert!(map["seats"].as_array().unwrap().iter().all(|seat| seat["price"] == 70_000), "{map}");
    let dear = evening.hold(bob, &json!([2])).expect(201).await;
    assert_eq!((&held["amount"], &dear["amount"]), (&json!(50_000), &json!(70_000)));
    let paid = sale.pay(ada, &held).expect(201).await;
    assert_eq!((&paid["amount"], &paid["balance"]), (&json!(50_000), &json!(150_000)));
    let path = format!("/admin/payments/{}/refunds", text(&paid["paymentId"]));
    let refund = sale.admin(sale.caller.post(&path)).json(&json!({"reason": "moved"})).expect(201).await;
    assert_eq!((&refund["amount"], &refund["balance"]), (&json!(50_000), &json!(200_000)));

    let before = log(sale, performance).await.len();
    patch(sale, performance, &json!({"prices": [{"grade": "R", "price": 70_000}]})).expect(200).await;
    assert_eq!(log(sale, performance).await.len(), before, "nothing changed");
    let cases = [
        (json!({"prices": [{"grade": "R", "price": 1}, {"grade": "VIP", "price": 1}]}), "prices.1.grade"),
        (json!({"prices": [{"grade": "R", "price": 1}, {"grade": "R", "price": 1}]}), "prices.1.grade"),
        (json!({"prices": [{"grade": "R", "price": -1}]}), "prices.0.price"),
        (json!({"prices": [{"grade": "R"}]}), "prices.0.price"),
        (json!({"prices": []}), "prices"),
        (json!({"prices": null}), "prices"),
        (json!({"startsAt": null}), "startsAt"),
        (json!({}), "body"),
    ];
    for (body, field) in cases {
        let refused = patch(sale, performance, &body).refused(422, "invalid-request").await;
        assert_eq!(refused["errors"][0]["field"], field, "{body}");
    }
    patch(sale, UNKNOWN, &json!({"prices": [{"grade": "R", "price": 1}]})).refused(404, "performance-not-found").await;
    audit(sale).await;
}

#[tokio::test]
async fn a_start_moves_either_way_at_once() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, concert, performance, ada, bob } = &evening;
    let (date, _) = shown(&evening).await;
    let by_date = |date: &str, seat: u32| evening.ask(bob, &json!({"date": date, "seats": [seat]}));
    by_date(&text(&date["date"]), 1).expect(201).await;
    let later = iso(20 * 86_400);
    let moved = patch(sale, performance, &json!({"startsAt": later})).expect(200).await;
    assert_ne!(moved["date"], date["date"]);
    let (now, _) = shown(&evening).await;
    assert_eq!((&now["date"], &now["startsAt"]), (&moved["date"], &moved["startsAt"]));
    by_date(&text(&date["date"]), 2).refused(404, "performance-not-found").await;
    let held = by_date(&text(&now["date"]), 2).expect(201).await;
    assert_eq!(held["date"], now["date"]);
    let both = json!({"performanceId": performance, "date": date["date"], "seats": [3]});
    evening.ask(bob, &both).refused(422, "invalid-request").await;

    patch(sale, performance, &json!({"startsAt": iso(-60)})).expect(200).await;
    evening.hold(ada, &json!([4])).refused(409, "performance-closed").await;
    let dates = sale.caller.get(&format!("/concerts/{concert}/dates")).token(ada).expect(200).await;
    assert_eq!(dates, json!([]), "it has started");
    sale.charge("bob", 200_000).await;
    sale.pay(bob, &held).expect(201).await;
    patch(sale, performance, &json!({"startsAt": later})).expect(200).await;
    evening.hold(ada, &json!([4])).expect(201).await;
    audit(sale).await;
}

#[tokio::test]
async fn seats_are_added_to_a_sale() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, performance, ada, .. } = &evening;
    evening.hold(ada, &json!([51])).refused(422, "seat-unknown").await;
    let sections = json!([{"from": 51, "to": 52}, {"from": 60, "to": 61, "grade": "S", "price": 9}]);
    let added = add(sale, performance, &sections).expect(201).await;
    let now =
        json!([{"from": 1, "to": 52, "grade": "R", "price": 50_000}, {"from": 60, "to": 61, "grade": "S", "price": 9}]);
    assert_eq!((&added["capacity"], &added["seats"]), (&json!(54), &now));
    until("the new seats are shown", async || {
        let (date, map) = shown(&evening).await;
        let all = map["seats"].as_array().unwrap().len() == 54;
        (all && date["capacity"] == 54 && date["remaining"] == 54).then_some(())
    })
    .await;
    let held = evening.hold(ada, &json!([51, 60])).expect(201).await;
    assert_eq!(held["amount"], 50_009);
    let refused = add(sale, performance, &json!([{"from": 40, "to": 99}])).refused(409, "seat-exists").await;
    let twenty: Vec<u32> = (40..=52).chain([60, 61]).collect();
    assert_eq!(refused["seats"], json!(twenty));
    let many: Vec<Value> = (0..999).map(|index| json!({"from": 100 + 2 * index, "to": 100 + 2 * index})).collect();
    add(sale, performance, &json!(many)).refused(409, "section-limit").await;
    for wrong in [json!([]), json!([{"from": 70, "to": 69}]), json!([{"from": 70, "to": 71}, {"from": 71, "to": 71}])] {
        add(sale, performance, &wrong).refused(422, "invalid-request").await;
    }
    add(sale, UNKNOWN, &sections).refused(404, "performance-not-found").await;
    audit(sale).await;
}

#[tokio::test]
async fn staff_see_all_seats_with_their_owners() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, performance, ada, bob, .. } = &evening;
    let get = |path: &str| sale.admin(sale.caller.get(&format!("/admin/performances/{path}")));
    sale.charge("ada", 200_000).await;
    let bought = evening.hold(ada, &json!([2])).expect(201).await;
    let paid = sale.pay(ada, &bought).expect(201).await;
    let held = evening.hold(bob, &json!([3])).expect(201).await;
    change(sale, performance, "blocks", &json!([4])).expect(200).await;
    // More than one part.
    add(sale, performance, &json!([{"from": 51, "to": 2_500, "grade": "S", "price": 9}])).expect(201).await;
    let seats = get(&format!("{performance}/seats")).expect(200).await;
    let seats = seats.as_array().unwrap();
    let numbers: Vec<u64> = seats.iter().map(|seat| seat["seat"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=2_500).collect::<Vec<u64>>());
    let free = |seat: u32, grade: &str, price: u32| json!({"seat": seat, "section": null, "row": null, "grade": grade, "price": price, "status": "AVAILABLE"});
    assert_eq!((&seats[0], &seats[2_499]), (&free(1, "R", 50_000), &free(2_500, "S", 9)));
    let of = |seat: u32, status: &str, user: &str, reservation: &Value| {
        json!({"seat": seat, "section": null, "row": null, "grade": "R", "price": 50_000, "status": status, "userId": user,
            "reservationId": reservation["reservationId"]})
    };
    let mut sold = of(2, "SOLD", "ada", &bought);
    sold["paymentId"] = paid["paymentId"].clone();
    let mut on_hold = of(3, "HELD", "bob", &held);
    on_hold["heldUntil"] = held["heldUntil"].clone();
    let blocked = json!({"seat": 4, "section": null, "row": null, "grade": "R", "price": 50_000, "status": "BLOCKED",
        "blockReason": "a camera"});
    assert_eq!(seats[1..4], [sold, on_hold, blocked]);
    let shown = get(performance).expect(200).await;
    assert_eq!((&shown["capacity"], &shown["sold"], &shown["blocked"]), (&json!(2_500), &json!(1), &json!(1)));
    get(UNKNOWN).refused(404, "performance-not-found").await;
    get(&format!("{UNKNOWN}/seats")).refused(404, "performance-not-found").await;
}
