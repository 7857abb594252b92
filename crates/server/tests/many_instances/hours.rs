//! The hours of a sale at several instances: what one instance changes counts at all, and no hold or entry slips through.

use std::time::Instant;

use onsale_testing::{Call, Sale, iso};
use serde_json::{Value, json};

use crate::many::{Many, place_of, until_since};
use crate::support::room::{room, token};
use crate::support::{at_once, count, millis};

fn change(sale: &Sale, concert: &str, body: &Value) -> Call {
    sale.admin(sale.caller.patch(&format!("/admin/concerts/{concert}"))).json(body)
}

fn enter(sale: &Sale, concert: &str, user: &str) -> Call {
    sale.caller.post("/queue/tokens").json(&json!({"userId": user, "concertId": concert}))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hours_and_titles_reach_every_instance() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let concert = many.at(0).concert(&room(1)).await;
    let performance = many.at(0).performance(&concert, &Value::Null).await;
    let ada = many.at(1).active(&concert, "ada").await;
    let bob = token(&many.at(2).enter(&concert, "bob").await);
    let body = json!({"title": "Another title", "opensAt": iso(3_600), "maxSeatsPerUser": 1});
    let changed = change(many.at(0), &concert, &body).expect(200).await;
    let since = Instant::now();
    // A hold is refused at once, whichever instance takes it.
    for number in 0..3 {
        let body = json!({"performanceId": performance, "seats": [1]});
        let hold = many.at(number).caller.post("/reservations").token(&ada).json(&body);
        hold.refused(409, "sale-not-open").await;
    }
    for number in 0..3 {
        let shown = async || {
            let place = place_of(many.at(number), &bob).await;
            let listed = many.at(number).caller.get("/concerts").expect(200).await;
            place["opensAt"] == changed["opensAt"]
                && listed[0]["title"] == "Another title"
                && listed[0]["opensAt"] == changed["opensAt"]
        };
        let shown_in = until_since(since, "shown", shown).await;
        println!("instance {number} shows it after {shown_in:?}");
        enter(many.at(number), &concert, &format!("new-{number}")).refused(409, "sale-not-open").await;
        assert_eq!(many.at(number).enter(&concert, "bob").await["token"], json!(bob));
    }
    change(many.at(1), &concert, &json!({"opensAt": null})).expect(200).await;
    let hold = |seats: Value| {
        let body = json!({"performanceId": performance, "seats": seats});
        many.at(2).caller.post("/reservations").token(&ada).json(&body)
    };
    hold(json!([1, 2])).refused(409, "seat-limit").await;
    hold(json!([1])).expect(201).await;
    let path = format!("/admin/concerts/{concert}");
    let full = many.at(0).admin(many.at(0).caller.get(&path)).expect(200).await;
    assert_eq!((&full["totals"]["held"], &full["room"]["admittedTotal"]), (&json!(1), &json!(1)));
    many.is_in_order().await;
}

/// Holds of all instances against closes and moved openings of all instances: what was held was held while the sale was open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_hold_commits_after_a_close() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let concert = many.at(0).concert(&room(100)).await;
    let performance = many.at(0).performance(&concert, &json!(200)).await;
    change(many.at(0), &concert, &json!({"maxSeatsPerUser": 20})).expect(200).await;
    let mut tokens = Vec::new();
    for buyer in 0..12 {
        tokens.push(many.at(buyer).active(&concert, &format!("u{buyer}")).await);
    }
    let shut = [json!({"closed": true}), json!({"opensAt": iso(3_600)}), json!({"closesAt": "2020-01-01T00:00:00Z"})];
    let open = json!({"closed": false, "opensAt": null, "closesAt": null});
    let mut seat = 0;
    for (round, shut) in shut.iter().cycle().take(6).enumerate() {
        change(many.at(round), &concert, &open).expect(200).await;
        let close = change(many.at(round + 1), &concert, shut).send();
        let holds = tokens.iter().enumerate().map(|(buyer, token)| {
            seat += 1;
            let body = json!({"performanceId": performance, "seats": [seat]});
            many.at(buyer).caller.post("/reservations").token(token).json(&body)
        });
        let holds: Vec<Call> = holds.collect();
        let (closed, replies) = tokio::join!(close, at_once(holds));
        closed.expect(200);
        let held = count(&replies, 201, "");
        let refused = count(&replies, 409, "sale-closed") + count(&replies, 409, "sale-not-open");
        assert_eq!(held + refused, 12, "{replies:?}");
        println!("round {round}: {held} held, {refused} refused");
        // After the answer to the close no hold commits, at no instance.
        for (buyer, token) in tokens.iter().enumerate() {
            let body = json!({"performanceId": performance, "seats": [150 + buyer]});
            let reply = many.at(buyer).caller.post("/reservations").token(token).json(&body).send().await;
            assert!(["sale-closed", "sale-not-open"].contains(&&*reply.code()), "{reply:?}");
        }
    }
    many.is_in_order().await;
}

/// Users enter at all instances while the opening moves: each has one place, and none is admitted before the opening.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_opening_that_moves_meets_entries_and_admissions() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let concert = many.at(0).concert(&room(20)).await;
    many.at(0).performance(&concert, &Value::Null).await;
    let mut tokens = Vec::new();
    for round in 0..4 {
        change(many.at(round), &concert, &json!({"opensAt": null})).expect(200).await;
        let entries: Vec<Call> =
            (0..24).map(|user| enter(many.at(user), &concert, &format!("r{round}-u{user}"))).collect();
        let moved = change(many.at(round + 1), &concert, &json!({"opensAt": iso(3_600)}));
        let (changed, replies) = tokio::join!(moved.send(), at_once(entries));
        changed.expect(200);
        for reply in &replies {
            if reply.status == 201 {
                tokens.push(token(&reply.json()));
            } else {
                reply.refused(409, "sale-not-open");
            }
        }
        enter(many.at(round), &concert, &format!("late-{round}")).refused(409, "sale-not-open").await;
    }
    let path = format!("/admin/concerts/{concert}");
    let room = async || many.at(0).admin(many.at(0).caller.get(&path)).expect(200).await["room"].clone();
    let before = room().await;
    let waiting = before["waiting"].as_u64().unwrap();
    assert_eq!(waiting + before["admittedTotal"].as_u64().unwrap(), tokens.len() as u64, "{before}");

    // The opening comes: all who wait are admitted then, and not before.
    let settings = json!({"maxActive": 1_000});
    many.at(2).admin(many.at(2).caller.patch(&format!("{path}/queue"))).json(&settings).expect(200).await;
    let opens_at = iso(2);
    let changed = change(many.at(1), &concert, &json!({"opensAt": opens_at})).expect(200).await;
    let sql = many.sql().await;
    for (number, token) in tokens.iter().enumerate() {
        many.at(number).until_status(token, "ACTIVE").await;
    }
    let opened = millis(&changed["opensAt"]);
    let late = "SELECT count(*) FILTER (WHERE admitted_at >= $2) FROM turns WHERE concert_id = $1::text::uuid";
    let after: i64 = sql.query_one(late, &[&concert, &opened]).await.unwrap().get(0);
    assert_eq!(after, i64::try_from(waiting).unwrap(), "those that waited were admitted from the opening on");
    assert_eq!(room().await["admittedTotal"], tokens.len());
    many.is_in_order().await;
}
