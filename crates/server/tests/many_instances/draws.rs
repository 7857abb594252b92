//! A draw at several instances: entries race the closing, instances are killed around it, and all of them show one order.

use std::collections::BTreeSet;

use onsale_testing::{Call, Sale, iso};
use serde_json::{Value, json};

use crate::many::Many;
use crate::support::room::{room, token};
use crate::support::{at_once, text, until};

fn enter(sale: &Sale, concert: &str, user: &str) -> Call {
    sale.caller.post("/queue/tokens").json(&json!({"userId": user, "concertId": concert}))
}

async fn make(sale: &Sale, draws: i64, opens: i64) -> String {
    let mut settings = room(5);
    (settings["earlyFrom"], settings["order"], settings["drawAt"]) =
        (json!(iso(-60)), json!("draw"), json!(iso(draws)));
    let body = json!({"title": "Gala", "venue": "Hall", "opensAt": iso(opens), "queue": settings});
    text(&sale.admin(sale.caller.post("/admin/concerts")).json(&body).expect(201).await["concertId"])
}

async fn drawn(sale: &Sale, concert: &str) -> Value {
    let path = format!("/concerts/{concert}/draw");
    let shown = async || {
        // A new concert may not have reached each instance.
        let reply = sale.caller.get(&path).send().await;
        (reply.status == 200).then(|| reply.json()).filter(|draw| draw["state"] == "drawn")
    };
    until("a draw", shown).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_that_race_the_closing_are_on_the_list_or_behind_it() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let concert = make(many.at(0), 6, 3_600).await;
    let mut replies = Vec::new();
    let mut wave = 0;
    // Waves of entries at all instances, until the list is drawn.
    loop {
        let calls = (0..12).map(|user| enter(many.at(user), &concert, &format!("w{wave}-u{user}")));
        replies.extend(at_once(calls.collect::<Vec<_>>()).await);
        wave += 1;
        let draw = many.at(wave).caller.get(&format!("/concerts/{concert}/draw")).expect(200).await;
        if draw["state"] == "drawn" {
            break;
        }
    }
    let draw = drawn(many.at(0), &concert).await;
    let entries = draw["entries"].as_u64().unwrap();
    let tokens: Vec<String> = replies.iter().map(|reply| token(&reply.expect(201))).collect();
    let all = tokens.len() as u64;
    assert!(entries > 0 && entries < all, "{entries} of {all} are on the list");
    // Each user has a position of its own, the same at each instance.
    let mut positions = BTreeSet::new();
    for (number, own) in tokens.iter().enumerate() {
        let place = many.at(number).until(own, |place| place["position"].is_u64()).await;
        let position = place["position"].as_u64().unwrap();
        many.at(number + 1).until(own, |place| place["position"] == position).await;
        assert!(positions.insert(position), "two users share position {position}");
    }
    assert_eq!((positions.first(), positions.last()), (Some(&1), Some(&all)));
    let csv = many.at(1).caller.get(&format!("/concerts/{concert}/draw/entries")).send().await;
    assert_eq!(String::from_utf8_lossy(&csv.unpacked()).lines().count() as u64, entries + 1);
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_instance_changes_no_draw() {
    let Some(mut many) = Many::start(2, &[]).await else { return };
    let concert = make(many.at(0), 5, 3_600).await;
    let mut tokens = Vec::new();
    for user in 0..10 {
        tokens.push(token(&enter(many.at(user), &concert, &format!("u{user}")).expect(201).await));
    }
    // One dies before the closing. The other one closes and draws.
    let dead = many.sales.remove(0);
    drop(dead);
    let before = drawn(many.at(0), &concert).await;
    let mut order = Vec::new();
    for own in &tokens {
        order.push(many.at(0).until(own, |place| place["position"].is_u64()).await["position"].clone());
    }
    // The last one dies after the draw. A new one shows the same, and never an expired token.
    drop(many.sales.remove(0));
    let sale = Sale::start(&many.launch.another()).await;
    for (own, position) in tokens.iter().zip(&order) {
        let is_same = |place: &Value| {
            assert_eq!(place["status"], "EARLY", "{place}");
            place["position"] == *position
        };
        sale.until(own, is_same).await;
    }
    assert_eq!(drawn(&sale, &concert).await, before);
    assert_eq!(enter(&sale, &concert, "u3").expect(200).await["token"], json!(tokens[3]));
    many.is_in_order().await;
}
