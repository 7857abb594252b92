//! Concerts: their creation, dates and seats.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod support;

use onsale_testing::{Call, Sale, iso};
use serde_json::{Value, json};
use support::evening::Evening;
use support::room::{queue, room};
use support::{column, start, until};

fn schedule(sale: &Sale, concert: &str, body: &Value) -> Call {
    sale.admin(sale.caller.post(&format!("/admin/concerts/{concert}/performances")).json(body))
}

/// The dates of the concert, as Ada sees them.
async fn dates(evening: &Evening) -> Value {
    let path = format!("/concerts/{}/dates", evening.concert);
    evening.sale.caller.get(&path).token(&evening.ada).expect(200).await
}

/// Waits until the list of concerts is as wanted, as it may lag by 3 s.
async fn listed(sale: &Sale, wanted: impl Fn(&Value) -> bool) -> Value {
    until("the concerts as wanted", async || Some(sale.caller.get("/concerts").expect(200).await).filter(&wanted)).await
}

#[tokio::test]
async fn a_concert_is_listed_with_its_first_and_last_date() {
    let sale = start(&[]).await;
    assert_eq!(sale.caller.get("/concerts").expect(200).await, json!([]));
    let body = json!({"title": "Night of the Locks", "venue": "Hall of Rows"});
    let made = sale.admin(sale.caller.post("/admin/concerts").json(&body)).expect(201).await;
    assert_eq!((&made["title"], &made["venue"]), (&body["title"], &body["venue"]));
    listed(&sale, |list| list[0] == made).await;

    let concert = made["concertId"].as_str().unwrap();
    for starts_at in ["2090-05-02T15:00:00Z", "2090-05-01T15:00:00Z", "2090-05-01T14:59:59Z"] {
        schedule(&sale, concert, &json!({"startsAt": starts_at})).expect(201).await;
    }
    let dated = |list: &Value| list[0]["firstDate"] == "2090-05-01" && list[0]["lastDate"] == "2090-05-03";
    assert_eq!(listed(&sale, dated).await[0]["concertId"], concert);
}

#[tokio::test]
async fn a_new_room_has_the_settings_of_its_request_or_of_the_server() {
    let settings = [
        ("ONSALE_QUEUE_MAX_ACTIVE", "11"),
        ("ONSALE_QUEUE_ADMIT_PER_SECOND", "12"),
        ("ONSALE_QUEUE_ACTIVE_SECONDS", "13"),
        ("ONSALE_QUEUE_CLAIM_SECONDS", "14"),
    ];
    let sale = start(&settings).await;
    let concert = sale.concert(&json!({})).await;
    let plain = json!({
        "maxActive": 11, "admitPerSecond": 12, "activeSeconds": 13, "claimSeconds": 14, "paused": false, "earlyFrom": null, "order": "arrival", "drawAt": null,
        "waiting": 0, "active": 0, "issued": 0
    });
    assert_eq!(queue(&sale, &concert).await, plain);
    let concert = sale.concert(&json!({"claimSeconds": 3_600, "maxActive": 1_000_000})).await;
    let mut told = plain.clone();
    (told["claimSeconds"], told["maxActive"]) = (json!(3_600), json!(1_000_000));
    assert_eq!(queue(&sale, &concert).await, told);

    let defaults = start(&[]).await;
    let concert = defaults.concert(&json!({})).await;
    let shown = queue(&defaults, &concert).await;
    let expected = json!({"maxActive": 200, "admitPerSecond": 50, "activeSeconds": 600, "claimSeconds": 60});
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(shown[name], *value, "{name}");
    }
}

#[tokio::test]
async fn settings_at_their_bounds_are_accepted() {
    let sale = start(&[]).await;
    let longest = "é".repeat(200);
    let least = json!({"maxActive": 1, "admitPerSecond": 1, "activeSeconds": 1, "claimSeconds": 1});
    let most = json!({
        "maxActive": 1_000_000, "admitPerSecond": 1_000_000, "activeSeconds": 86_400, "claimSeconds": 3_600
    });
    for (title, queue) in [("x", &least), (longest.as_str(), &most)] {
        let body = json!({"title": title, "venue": title, "queue": queue});
        let made = sale.admin(sale.caller.post("/admin/concerts").json(&body)).expect(201).await;
        assert_eq!(made["title"], title);
    }
    let concert = sale.concert(&json!({})).await;
    for (seats, price) in [(1, 0), (100_000, 100_000_000)] {
        let body = json!({"startsAt": iso(86_400), "seats": seats, "price": price});
        assert_eq!(schedule(&sale, &concert, &body).expect(201).await["capacity"], seats);
    }
    let sections = json!([{"from": 100_000, "to": 100_000}, {"from": 1, "to": 1, "price": 0}]);
    let body = json!({"startsAt": iso(86_400), "seats": sections});
    assert_eq!(schedule(&sale, &concert, &body).expect(201).await["capacity"], 2);
}

#[tokio::test]
async fn changes_to_an_unknown_concert_answer_404() {
    let sale = start(&[]).await;
    let unknown = "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01";
    schedule(&sale, unknown, &json!({"startsAt": iso(86_400)})).refused(404, "concert-not-found").await;
    let path = format!("/admin/concerts/{unknown}/queue");
    sale.admin(sale.caller.get(&path)).refused(404, "concert-not-found").await;
    sale.admin(sale.caller.patch(&path).json(&json!({"paused": true}))).refused(404, "concert-not-found").await;
}

#[tokio::test]
async fn the_list_of_seats_has_grade_and_price() {
    let sale = start(&[]).await;
    let concert = sale.concert(&room(10)).await;
    let sections = json!([{"from": 4, "to": 5, "grade": "VIP \"front\"", "price": 120_000}, {"from": 1, "to": 2}]);
    let body = json!({"startsAt": "2090-03-03T10:00:00Z", "price": 70_000, "seats": sections});
    let path = format!("/admin/concerts/{concert}/performances");
    let mut made = sale.admin(sale.caller.post(&path).json(&body)).expect(201).await;
    assert_eq!((&made["capacity"], &made["remaining"]), (&json!(4), &json!(4)));
    for (field, value) in [("refundPolicy", json!([])), ("closed", json!(false))] {
        assert_eq!(made.as_object_mut().unwrap().remove(field), Some(value), "for administrators only");
    }
    let token = sale.active(&concert, "ada").await;
    let dates = sale.caller.get(&format!("/concerts/{concert}/dates")).token(&token).expect(200).await;
    assert_eq!(dates, json!([made]), "made as the list shows it");

    let path = format!("/concerts/{concert}/seats?date=2090-03-03");
    let shown = sale.caller.get(&path).token(&token).expect(200).await;
    assert_eq!(shown["date"], "2090-03-03");
    let performance = &shown["performances"][0];
    assert_eq!(performance["performanceId"], made["performanceId"]);
    let seat = |seat: u32, grade: &str, price: u32| json!({"seat": seat, "section": null, "row": null, "grade": grade, "price": price, "status": "AVAILABLE"});
    let vip = "VIP \"front\"";
    let expected = [seat(1, "R", 70_000), seat(2, "R", 70_000), seat(4, vip, 120_000), seat(5, vip, 120_000)];
    assert_eq!(performance["seats"], json!(expected));

    let hold = |seats: Value| {
        let body = json!({"performanceId": made["performanceId"], "seats": seats});
        sale.caller.post("/reservations").token(&token).json(&body)
    };
    hold(json!([3])).refused(422, "seat-unknown").await;
    assert_eq!(hold(json!([2, 4])).expect(201).await["amount"], 190_000);
    until("only free seats", async || {
        let shown = sale.caller.get(&format!("{path}&available=true")).token(&token).expect(200).await;
        let performance = &shown["performances"][0];
        let free = json!([expected[0], expected[3]]);
        (performance["seats"] == free && performance["remaining"] == 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_list_of_dates_omits_performances_that_have_started() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, concert, .. } = &evening;
    sale.performance_at(concert, &Value::Null, -86_400).await;
    let later = sale.performance_at(concert, &json!(1), 20 * 86_400).await;
    let ids = column(&dates(&evening).await, "performanceId");
    assert_eq!(ids, [json!(evening.performance), json!(later)]);
    evening.ask(&evening.ada, &json!({"performanceId": later, "seats": [1]})).expect(201).await;
    until("sold out is shown", async || {
        let date = dates(&evening).await[1].clone();
        (date["remaining"] == 0 && date["capacity"] == 1).then_some(())
    })
    .await;
}
