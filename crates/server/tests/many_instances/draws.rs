//! A draw at several instances: entries race the closing, instances are killed around it, and all of them show one order.

use std::collections::{BTreeMap, BTreeSet};

use onsale_testing::{Call, Sale, iso};
use serde_json::{Value, json};

use crate::many::Many;
use crate::support::room::{room, token};
use crate::support::{at_once, millis, text, until};

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

/// The places of a drawn list by token id, as an instance publishes them.
async fn list(sale: &Sale, concert: &str) -> BTreeMap<String, u64> {
    let csv = sale.caller.get(&format!("/concerts/{concert}/draw/entries")).send().await;
    assert_eq!(csv.status, 200);
    let text = String::from_utf8(csv.unpacked().to_vec()).unwrap();
    let rows = text.lines().skip(1).map(|row| row.split_once(',').unwrap());
    rows.map(|(token, place)| (token.to_owned(), place.parse().unwrap())).collect()
}

/// The positions of these tokens at an instance, once it knows all of them. None may ever be over.
async fn positions(sale: &Sale, tokens: &[String]) -> Vec<u64> {
    let mut all = Vec::new();
    for own in tokens {
        let is_known = |place: &Value| {
            assert_eq!(place["status"], "EARLY", "{place}");
            place["position"].is_u64()
        };
        all.push(sale.until(own, is_known).await["position"].as_u64().unwrap());
    }
    all
}

/// The order that an instance publishes follows from the draw that it publishes.
async fn is_verified(many: &Many, sale: &Sale, concert: &str) {
    let address = format!("{}/concerts/{concert}/draw", sale.instance.base());
    let run = many.launch.run(&["verify-draw", &address]).await;
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
}

/// Sends a call until the answer is another than 503: a place that is being drawn can be given up a moment later.
async fn decided(call: impl Fn() -> Call) -> u16 {
    let answered = async || Some(call().send().await.status.as_u16()).filter(|status| *status != 503);
    until("an answer", answered).await
}

/// Visitors of one wave: their tokens by token id.
async fn wave(many: &Many, concert: &str, number: usize) -> Vec<(String, String)> {
    let calls = (0..8).map(|user| enter(many.at(user), concert, &format!("w{number}-u{user}")));
    let replies = at_once(calls.collect::<Vec<_>>()).await;
    let places = replies.iter().map(|reply| reply.expect(201));
    places.map(|place| (text(&place["tokenId"]), token(&place))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_and_users_who_leave_race_the_closing() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let concert = make(many.at(0), 6, 3_600).await;
    let (mut all, mut left, mut opens) = (Vec::new(), BTreeSet::new(), Vec::new());
    for number in 0.. {
        let (sale, staff) = (many.at(number), many.at(number + 1));
        let opens_at = iso(3_600 + 10 * i64::try_from(number + 1).unwrap());
        let path = format!("/admin/concerts/{concert}");
        let patch = |path: &str, body: Value| staff.admin(staff.caller.patch(path)).json(&body);
        let moved = patch(&path, json!({"opensAt": opens_at}));
        let queue = patch(&format!("{path}/queue"), json!({"maxActive": number + 5, "paused": number % 2 == 0}));
        let changes = tokio::spawn(at_once(vec![moved, queue]));
        let entered = wave(&many, &concert, number).await;
        let changed: Vec<Value> = changes.await.unwrap().iter().map(|reply| reply.expect(200)).collect();
        opens.push(millis(&changed[0]["opensAt"]));
        // One of the wave leaves at another instance.
        let (id, own) = &entered[number % entered.len()];
        let status = decided(|| staff.caller.delete("/queue/token").token(own)).await;
        assert_eq!(status, 204);
        left.insert(id.clone());
        all.extend(entered);
        let draw = sale.caller.get(&format!("/concerts/{concert}/draw")).send().await;
        if draw.status == 200 && draw.json()["state"] == "drawn" {
            break;
        }
    }
    let draw = drawn(many.at(0), &concert).await;
    let published = list(many.at(1), &concert).await;
    assert_eq!(published.len() as u64, draw["entries"].as_u64().unwrap());
    let stays: Vec<&(String, String)> = all.iter().filter(|(id, _)| !left.contains(id)).collect();
    let tokens: Vec<String> = stays.iter().map(|(_, own)| own.clone()).collect();
    let found = positions(many.at(0), &tokens).await;
    assert_eq!(found, positions(many.at(1), &tokens).await);
    let distinct: BTreeSet<u64> = found.iter().copied().collect();
    let last = tokens.len() as u64;
    assert!(distinct.iter().copied().eq(1..=last), "positions are 1 to {last}: {found:?}");
    // Those on the list stand in its order, and all others behind them.
    let mut by_place: Vec<(u64, u64)> = Vec::new();
    for ((id, _), position) in stays.iter().zip(&found) {
        by_place.push((published.get(id).copied().unwrap_or(u64::MAX), *position));
    }
    by_place.sort_unstable();
    assert!(by_place.windows(2).all(|pair| pair[0].1 < pair[1].1), "{by_place:?}");
    // Each change that was answered is among the published ones, and the last one counts.
    let fields = |change: &&Value| change["field"] == "opensAt";
    let shown = drawn(many.at(2), &concert).await;
    let told: Vec<i64> = draw_changes(&shown).iter().filter(fields).map(|change| millis(&change["after"])).collect();
    assert_eq!(told, opens);
    is_verified(&many, many.at(2), &concert).await;
    many.is_in_order().await;
}

fn draw_changes(draw: &Value) -> &[Value] {
    draw["changes"].as_array().map_or(&[][..], |changes| changes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_killed_between_the_closing_and_the_draw_change_nothing() {
    let Some(mut many) = Many::start(2, &[]).await else { return };
    let concert = make(many.at(0), 8, 3_600).await;
    let beacon = json!({"beaconName": "drand quicknet round 34400000", "beaconAt": iso(60)});
    let path = format!("/admin/concerts/{concert}/queue");
    many.at(0).admin(many.at(0).caller.patch(&path)).json(&beacon).expect(200).await;
    let mut tokens = Vec::new();
    for user in 0..10 {
        tokens.push(token(&enter(many.at(user), &concert, &format!("u{user}")).expect(201).await));
    }
    let closed = async |sale: &Sale| {
        let hashed = async || {
            let draw = sale.caller.get(&format!("/concerts/{concert}/draw")).send().await;
            let draw = (draw.status == 200).then(|| draw.json());
            draw.filter(|draw| draw["state"] == "awaiting-beacon" && draw["entriesHash"].is_string())
        };
        until("a closed list with its hash", hashed).await
    };
    let before = closed(many.at(0)).await;
    // Both that may have closed it die. What is stored is not computed again.
    many.sales.clear();
    let sales = Sale::start_many(&many.launch, 2).await;
    for sale in &sales {
        assert_eq!(closed(sale).await, before);
    }
    let late = enter(&sales[1], &concert, "late").expect(201).await;
    assert_eq!((&late["status"], &late["position"]), (&json!("EARLY"), &Value::Null), "{late}");
    let put = sales[0].caller.call(axum::http::Method::PUT, &format!("/admin/concerts/{concert}/draw/beacon"));
    sales[0].admin(put).json(&json!({"value": "3439d9"})).expect(200).await;
    // The one that knows the value dies at once. The other one draws.
    let [first, second] = <[Sale; 2]>::try_from(sales).unwrap_or_else(|_| panic!("two instances"));
    drop(first);
    let shown = drawn(&second, &concert).await;
    assert_eq!((&shown["entriesHash"], &shown["closedAt"]), (&before["entriesHash"], &before["closedAt"]));
    assert_eq!((&shown["beacon"], &shown["entries"]), (&json!("3439d9"), &json!(10)));
    let order = positions(&second, &tokens).await;
    let distinct: BTreeSet<u64> = order.iter().copied().collect();
    assert!(distinct.into_iter().eq(1..=10), "{order:?}");
    assert_eq!(positions(&second, &[token(&late)]).await, [11], "behind the list");
    is_verified(&many, &second, &concert).await;
    drop(second);
    let sale = Sale::start(&many.launch.another()).await;
    assert_eq!(positions(&sale, &tokens).await, order);
    assert_eq!(drawn(&sale, &concert).await, shown);
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_killed_at_any_moment_draw_one_order() {
    const ROOMS: i64 = 6;
    let Some(mut many) = Many::start(3, &[]).await else { return };
    let mut rooms = Vec::new();
    for room in 0..ROOMS {
        // The lists close one after another.
        let concert = make(many.at(0), 12 + room, 3_600).await;
        let mut tokens = Vec::new();
        for user in 0..6 {
            tokens.push(token(&enter(many.at(user), &concert, &format!("u{user}")).expect(201).await));
        }
        rooms.push((concert, tokens));
    }
    // One dies with the first closing, one with the third draw: others of its rooms are closing or being drawn then.
    let path = |room: usize| format!("/concerts/{}/draw", rooms[room].0);
    let is_at = async |sale: &Sale, room: usize, field: &str| {
        let draw = async || Some(sale.caller.get(&path(room)).send().await).filter(|reply| reply.status == 200);
        let reached = async || draw().await.filter(|reply| !reply.json()[field].is_null());
        until(field, reached).await;
    };
    is_at(many.at(0), 0, "closedAt").await;
    drop(many.sales.remove(0));
    is_at(many.at(0), 2, "drawnAt").await;
    drop(many.sales.remove(0));
    let other = Sale::start(&many.launch.another()).await;
    for (concert, tokens) in &rooms {
        let (one, shown) = (many.at(0), drawn(many.at(0), concert).await);
        assert_eq!(drawn(&other, concert).await, shown);
        let order = positions(one, tokens).await;
        assert_eq!(positions(&other, tokens).await, order);
        let distinct: BTreeSet<u64> = order.iter().copied().collect();
        assert!(distinct.into_iter().eq(1..=6), "two users share a place: {order:?}");
        is_verified(&many, &other, concert).await;
    }
    many.is_in_order().await;
}
