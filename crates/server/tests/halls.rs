//! Best available seats, and halls with a layout.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod support;

use onsale_testing::{Call, Sale, iso};
use serde_json::{Value, json};
use support::evening::Evening;
use support::room::room;
use support::{at_once, audit, column, count, text};

fn any(sale: &Sale, token: &str, performance: &str, wish: &Value) -> Call {
    sale.caller.post("/reservations").token(token).json(&json!({"performanceId": performance, "any": wish}))
}

/// Sections in the order in which they rank: `B` with an aisle in its first row, `A`, and an accessible one.
fn sections() -> Value {
    json!([
        {"name": "B", "rows": [
            {"row": "1", "from": 11, "to": 13}, {"row": "1", "from": 21, "to": 23}, {"row": "2", "from": 31, "to": 36}
        ], "grade": "VIP", "price": 900},
        {"name": "A", "rows": [{"row": "1", "from": 1, "to": 4}]},
        {"name": "wheel", "rows": [{"row": "W", "from": 41, "to": 42}], "accessible": true, "price": 100}
    ])
}

/// A hall with these sections, and the date of its only performance.
async fn hall(sale: &Sale, concert: &str, body: &Value) -> String {
    let made = sale.admin(sale.caller.post(&format!("/admin/concerts/{concert}/performances"))).json(body);
    text(&made.expect(201).await["performanceId"])
}

async fn seats(sale: &Sale, concert: &str, token: &str, query: &str) -> Vec<Value> {
    let dates = sale.caller.get(&format!("/concerts/{concert}/dates")).token(token).expect(200).await;
    let path = format!("/concerts/{concert}/seats?date={}{query}", text(&dates[0]["date"]));
    let shown = sale.caller.get(&path).token(token).expect(200).await;
    shown["performances"][0]["seats"].as_array().unwrap().clone()
}

#[tokio::test]
async fn the_server_chooses_the_best_seats() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, performance, ada, bob, .. } = &evening;
    let held = any(sale, ada, performance, &json!({"count": 3})).expect(201).await;
    assert_eq!(
        (&held["seats"], &held["amount"], &held["status"]),
        (&json!([24, 25, 26]), &json!(150_000), &json!("HELD"))
    );
    // The same key gives the same seats again, and another request with it is refused.
    let keyed = || any(sale, bob, performance, &json!({"count": 2})).key("the-best");
    let first = keyed().send().await;
    let second = keyed().send().await;
    assert_eq!((&first.json()["seats"], &first.body), (&json!([27, 28]), &second.body));
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    any(sale, bob, performance, &json!({"count": 1})).key("the-best").refused(422, "idempotency-key-reused").await;
    any(sale, ada, performance, &json!({"count": 2})).refused(409, "seat-limit").await;
    any(sale, ada, performance, &json!({"count": 1, "section": "A"})).refused(422, "section-unknown").await;
    any(sale, ada, performance, &json!({"count": 1, "grade": "VIP"})).refused(422, "section-unknown").await;
    let path = format!("/reservations/{}", text(&held["reservationId"]));
    sale.caller.delete(&path).token(ada).expect(204).await;
    let again = any(sale, ada, performance, &json!({"count": 3, "grade": "R"})).expect(201).await;
    assert_eq!(again["seats"], json!([24, 25, 26]));
    audit(sale).await;
}

#[tokio::test]
async fn names_the_wrong_member() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, performance, ada, .. } = &evening;
    for (body, field) in [
        (json!({}), "seats"),
        (json!({"seats": [1], "any": {"count": 1}}), "any"),
        (json!({"any": {}}), "any.count"),
        (json!({"any": {"count": 0}}), "any.count"),
        (json!({"any": {"count": 21}}), "any.count"),
        (json!({"any": {"count": "2"}}), "any.count"),
        (json!({"any": {"count": 1, "row": "1"}}), "any.row"),
        (json!({"any": {"count": 1, "section": ""}}), "any.section"),
        (json!({"any": {"count": 1, "grade": null}}), "any.grade"),
        (json!({"any": 2}), "any"),
        (json!({"any": null}), "any"),
    ] {
        let mut all = body.clone();
        all["performanceId"] = json!(performance);
        let problem = sale.caller.post("/reservations").token(ada).json(&all).refused(422, "invalid-request").await;
        assert_eq!(problem["errors"][0]["field"], field, "{body}");
    }
    audit(sale).await;
}

/// Seats that are only held could be free again; those that are sold or blocked cannot.
#[tokio::test]
async fn a_refusal_names_when_held_seats_could_be_free() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, performance, ada, bob, .. } = &evening;
    let all_but_two: Vec<u32> = (1..=48).collect();
    let block = json!({"seats": all_but_two, "reason": "a camera"});
    sale.admin(sale.caller.post(&format!("/admin/performances/{performance}/blocks"))).json(&block).expect(200).await;
    let held = any(sale, ada, performance, &json!({"count": 2})).expect(201).await;
    assert_eq!(held["seats"], json!([49, 50]));
    let refused = any(sale, bob, performance, &json!({"count": 2})).send().await;
    refused.refused(409, "seats-not-available");
    let wait: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=300).contains(&wait), "{wait}");
    let refused = any(sale, bob, performance, &json!({"count": 3})).send().await;
    refused.refused(409, "seats-not-available");
    assert_eq!(refused.header("retry-after"), None, "no hold's lapse makes three seats free");
    audit(sale).await;
}

/// 60 users want two seats each of a hall with 50. None is refused while two adjacent seats are free.
#[tokio::test]
async fn a_crowd_gets_every_seat() {
    let sale = support::start(&[]).await;
    let concert = sale.concert(&room(100)).await;
    let performance = sale.performance(&concert, &Value::Null).await;
    let mut tokens = Vec::new();
    for number in 0..60 {
        tokens.push(sale.active(&concert, &format!("user-{number}")).await);
    }
    let calls = tokens.iter().map(|token| any(&sale, token, &performance, &json!({"count": 2})));
    let replies = at_once(calls).await;
    assert_eq!((count(&replies, 201, ""), count(&replies, 409, "seats-not-available")), (25, 35));
    let held = replies.iter().filter(|reply| reply.status == 201).map(onsale_testing::Reply::json);
    let mut seats: Vec<u64> = held
        .flat_map(|held| held["seats"].as_array().unwrap().iter().filter_map(Value::as_u64).collect::<Vec<_>>())
        .collect();
    seats.sort_unstable();
    assert_eq!(seats, (1..=50).collect::<Vec<u64>>());
    audit(&sale).await;
}

#[tokio::test]
async fn a_hall_has_sections_and_rows() {
    let sale = support::start(&[]).await;
    let concert = sale.concert(&room(10)).await;
    let body = json!({"startsAt": iso(86_400), "price": 500, "sections": sections()});
    let performance = hall(&sale, &concert, &body).await;
    let (ada, bob) = (sale.active(&concert, "ada").await, sale.active(&concert, "bob").await);
    let list = async || {
        let path = format!("/concerts/{concert}/sections?performanceId={performance}");
        sale.caller.get(&path).token(&ada).expect(200).await
    };
    assert_eq!(
        list().await,
        json!([
            {"section": "B", "grade": "VIP", "price": 900, "accessible": false, "capacity": 12, "free": 12},
            {"section": "A", "grade": "R", "price": 500, "accessible": false, "capacity": 4, "free": 4},
            {"section": "wheel", "grade": "R", "price": 100, "accessible": true, "capacity": 2, "free": 2}
        ])
    );
    // Three of row 1 are beside its aisle: both groups are as near to the middle, and neither leaves a single seat.
    let held = any(&sale, &ada, &performance, &json!({"count": 3})).expect(201).await;
    assert_eq!((&held["seats"], &held["amount"]), (&json!([11, 12, 13]), &json!(2_700)));
    let held = any(&sale, &bob, &performance, &json!({"count": 4})).expect(201).await;
    assert_eq!(held["seats"], json!([31, 32, 33, 34]), "the second row is the first that fits");
    assert_eq!(list().await[0]["free"], 5);
    any(&sale, &ada, &performance, &json!({"count": 1, "section": "C"})).refused(422, "section-unknown").await;
    let held = any(&sale, &ada, &performance, &json!({"count": 1, "section": "wheel"})).expect(201).await;
    assert_eq!(held["seats"], json!([41]));

    let all = seats(&sale, &concert, &ada, "").await;
    assert_eq!(all.len(), 18);
    assert_eq!(
        all[0],
        json!({"seat": 1, "section": "A", "row": "1", "grade": "R", "price": 500, "status": "AVAILABLE"})
    );
    let of_wheel = seats(&sale, &concert, &ada, "&section=wheel").await;
    assert_eq!(column(&json!(of_wheel), "status"), [json!("HELD"), json!("AVAILABLE")]);
    assert_eq!(seats(&sale, &concert, &ada, "&section=wheel&available=true").await.len(), 1);
    assert_eq!(seats(&sale, &concert, &ada, "&section=C").await, Vec::<Value>::new());
    let path = format!("/admin/performances/{performance}/seats");
    let by_staff = sale.admin(sale.caller.get(&path)).expect(200).await;
    assert_eq!(
        (&by_staff[4]["seat"], &by_staff[4]["section"], &by_staff[4]["row"]),
        (&json!(11), &json!("B"), &json!("1"))
    );

    // Prices go by grade. Added seats take those of their section.
    let prices = json!({"prices": [{"grade": "VIP", "price": 1_000}]});
    sale.admin(sale.caller.patch(&format!("/admin/performances/{performance}"))).json(&prices).expect(200).await;
    let add = |seats: Value| sale.admin(sale.caller.post(&path)).json(&json!({"seats": seats}));
    let wrong = add(json!([{"from": 50, "to": 51}])).refused(422, "invalid-request").await;
    assert_eq!(wrong["errors"][0]["field"], "seats.0.section");
    let wrong = add(json!([{"from": 50, "to": 51, "section": "B", "row": "9", "price": 900}]));
    assert_eq!(wrong.refused(422, "invalid-request").await["errors"][0]["field"], "seats.0.price");
    add(json!([{"from": 50, "to": 51, "section": "B", "row": "9"}])).expect(201).await;
    let shown = list().await;
    assert_eq!((&shown[0]["price"], &shown[0]["capacity"], &shown[0]["free"]), (&json!(1_000), &json!(14), &json!(7)));
    let of_b = seats(&sale, &concert, &ada, "&section=B").await;
    assert_eq!(
        of_b.last().unwrap(),
        &json!({"seat": 51, "section": "B", "row": "9", "grade": "VIP", "price": 1_000, "status": "AVAILABLE"})
    );
    audit(&sale).await;
}

#[tokio::test]
async fn a_performance_without_a_layout_has_no_sections() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, concert, performance, ada, .. } = &evening;
    let path = |performance: &str| format!("/concerts/{concert}/sections?performanceId={performance}");
    assert_eq!(sale.caller.get(&path(performance)).token(ada).expect(200).await, json!([]));
    let all = seats(sale, concert, ada, "").await;
    assert_eq!((&all[0]["section"], &all[0]["row"]), (&Value::Null, &Value::Null));
    let other = sale.performance(&sale.concert(&room(1)).await, &Value::Null).await;
    sale.caller.get(&path(&other)).token(ada).refused(404, "performance-not-found").await;
    let missing = sale.caller.get(&format!("/concerts/{concert}/sections")).token(ada);
    assert_eq!(missing.refused(422, "invalid-request").await["errors"][0]["field"], "performanceId");
    sale.caller.get(&path(performance)).refused(401, "queue-token-missing").await;
    let add = json!({"seats": [{"from": 60, "to": 61, "section": "A", "row": "1"}]});
    let add = sale.admin(sale.caller.post(&format!("/admin/performances/{performance}/seats"))).json(&add);
    assert_eq!(add.refused(422, "invalid-request").await["errors"][0]["field"], "seats.0.section");
}

#[tokio::test]
async fn a_layout_is_bounded_and_its_error_is_named() {
    let sale = support::start(&[]).await;
    let concert = sale.concert(&room(1)).await;
    let create = |sections: &Value| {
        let body = json!({"startsAt": iso(86_400), "sections": sections});
        sale.admin(sale.caller.post(&format!("/admin/concerts/{concert}/performances"))).json(&body)
    };
    let row = |from: u32, to: u32| json!({"row": "1", "from": from, "to": to});
    for (sections, field) in [
        (json!([]), "sections"),
        (json!([{"name": "A", "rows": []}]), "sections.0.rows"),
        (json!([{"rows": [row(1, 2)]}]), "sections.0.name"),
        (json!([{"name": "A"}]), "sections.0.rows"),
        (json!([{"name": "A", "rows": [row(2, 1)]}]), "sections.0.rows.0.to"),
        (json!([{"name": "A", "rows": [row(1, 2), row(2, 3)]}]), "sections.0.rows.1.from"),
        (json!([{"name": "A", "rows": [row(1, 2)]}, {"name": "A", "rows": [row(3, 3)]}]), "sections.1.name"),
        (json!([{"name": "A", "rows": [{"row": "", "from": 1, "to": 2}]}]), "sections.0.rows.0.row"),
        (json!([{"name": "A", "rows": [{"row": "1", "from": 1, "to": 100_001}]}]), "sections.0.rows.0.to"),
        (json!([{"name": "A", "rows": [row(1, 2)], "accessible": 1}]), "sections.0.accessible"),
        (
            json!((0..201).map(|n| json!({"name": n.to_string(), "rows": [row(n + 1, n + 1)]})).collect::<Vec<_>>()),
            "sections",
        ),
    ] {
        let problem = create(&sections).refused(422, "invalid-request").await;
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    let both = json!({"startsAt": iso(86_400), "seats": 5, "sections": sections()});
    let both = sale.admin(sale.caller.post(&format!("/admin/concerts/{concert}/performances"))).json(&both);
    assert_eq!(both.refused(422, "invalid-request").await["errors"][0]["field"], "sections");

    // 200 sections with 10 segments each, whose names make a body of more than 64 KiB.
    let section = |n: u32| {
        let rows: Vec<Value> = (0..10)
            .map(|r| json!({"row": format!("row {r:0>40}"), "from": n * 100 + r * 10 + 1, "to": n * 100 + r * 10 + 9}))
            .collect();
        json!({"name": format!("section {n}"), "rows": rows})
    };
    let large = json!((0..200).map(section).collect::<Vec<_>>());
    assert!(large.to_string().len() > 64 * 1024);
    let performance = hall(&sale, &concert, &json!({"startsAt": iso(86_400), "sections": large})).await;
    let token = sale.active(&concert, "ada").await;
    let held = any(&sale, &token, &performance, &json!({"count": 4, "section": "section 199"})).expect(201).await;
    assert_eq!(held["seats"], json!([19_903, 19_904, 19_905, 19_906]));
    let padded = format!("{}{}", json!({"startsAt": iso(86_400)}), " ".repeat(1024 * 1024));
    let call = sale.admin(sale.caller.post(&format!("/admin/concerts/{concert}/performances")));
    call.header("content-type", "application/json").bytes(padded).refused(413, "body-too-large").await;
    audit(&sale).await;
}
