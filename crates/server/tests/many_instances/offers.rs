//! Blocked seats, prices, starts and further seats on several instances: what one changes counts at every other.

use std::time::{Duration, Instant};

use onsale_testing::{Call, Sale, iso};
use serde_json::{Value, json};

use crate::many::{Many, middle_and_longest, until_since};
use crate::support::room::room;
use crate::support::{at_once, count, text, until};

/// What organisers change of titles, dates, prices and seats shows at every instance within this time.
const SHOWN_WITHIN: Duration = Duration::from_secs(3);

fn change(sale: &Sale, performance: &str, what: &str, seats: &Value) -> Call {
    let body = json!({"seats": seats, "reason": "a camera"});
    sale.admin(sale.caller.post(&format!("/admin/performances/{performance}/{what}")).json(&body))
}

fn patch(sale: &Sale, performance: &str, body: &Value) -> Call {
    sale.admin(sale.caller.patch(&format!("/admin/performances/{performance}"))).json(body)
}

fn hold(sale: &Sale, token: &str, performance: &str, seat: usize) -> Call {
    let body = json!({"performanceId": performance, "seats": [seat]});
    sale.caller.post("/reservations").token(token).json(&body)
}

/// The first date of a concert and the first performance of its map, at one instance.
async fn shown(sale: &Sale, concert: &str, token: &str) -> Option<(Value, Value)> {
    let dates = sale.caller.get(&format!("/concerts/{concert}/dates")).token(token).expect(200).await;
    let date = dates[0]["date"].as_str()?.to_owned();
    let path = format!("/concerts/{concert}/seats?date={date}");
    let map = sale.caller.get(&path).token(token).expect(200).await;
    Some((dates[0].clone(), map["performances"][0].clone()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_instance_changes_shows_at_every_other() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let sale = many.at(0);
    let concert = sale.concert(&room(100)).await;
    let performance = sale.performance(&concert, &json!(4)).await;
    let bob = sale.active(&concert, "bob").await;
    for sale in &many.sales {
        until("the performance is listed", async || shown(sale, &concert, &bob).await).await;
    }
    let mut shown_in = Vec::new();
    let mut at_all = async |what: &str, is_so: &dyn Fn(&Value, &Value) -> bool| {
        let since = Instant::now();
        for sale in &many.sales {
            let looks = async || shown(sale, &concert, &bob).await.is_some_and(|(date, map)| is_so(&date, &map));
            shown_in.push(until_since(since, what, looks).await);
        }
    };
    change(many.at(1), &performance, "blocks", &json!([2])).expect(200).await;
    at_all("seat 2 is blocked", &|date, map| map["seats"][1]["status"] == "BLOCKED" && date["remaining"] == 3).await;
    patch(many.at(2), &performance, &json!({"prices": [{"grade": "R", "price": 7}]})).expect(200).await;
    at_all("a seat costs 7", &|_, map| map["seats"][0]["price"] == 7).await;
    let added = json!({"seats": [{"from": 5, "to": 6, "grade": "S", "price": 8}]});
    let path = format!("/admin/performances/{performance}/seats");
    sale.admin(many.at(1).caller.post(&path)).json(&added).expect(201).await;
    at_all("there are six seats", &|date, map| {
        date["capacity"] == 6 && map["seats"][5]["price"] == 8 && map["seats"][1]["status"] == "BLOCKED"
    })
    .await;
    let moved = patch(many.at(0), &performance, &json!({"startsAt": iso(40 * 86_400)})).expect(200).await;
    at_all("the date is another", &|date, map| {
        date["date"] == moved["date"] && map["startsAt"] == moved["startsAt"] && map["seats"][1]["status"] == "BLOCKED"
    })
    .await;
    change(many.at(2), &performance, "unblocks", &json!([2])).expect(200).await;
    at_all("seat 2 is free", &|_, map| map["seats"][1]["status"] == "AVAILABLE").await;
    let shown_in = middle_and_longest(shown_in);
    println!("what organisers change is shown everywhere (middle, longest) in {shown_in:?}");
    assert!(shown_in.0 < SHOWN_WITHIN);
    many.is_in_order().await;
}

/// A date names the performance that starts on it when the hold is decided, at an instance that has not read the move yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_date_is_never_judged_by_an_old_catalogue() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let sale = many.at(0);
    let concert = sale.concert(&room(100)).await;
    let performance = sale.performance(&concert, &json!(50)).await;
    let bob = sale.active(&concert, "bob").await;
    for sale in &many.sales {
        until("the performance is listed", async || shown(sale, &concert, &bob).await).await;
    }
    for days in 30..40 {
        let before = patch(many.at(1), &performance, &json!({"closed": false})).expect(200).await;
        let moved = patch(many.at(0), &performance, &json!({"startsAt": iso(days * 86_400)})).expect(200).await;
        let at = many.at(2);
        let ask =
            |date: &Value| at.caller.post("/reservations").token(&bob).json(&json!({"date": date, "seats": [days]}));
        ask(&before["date"]).refused(404, "performance-not-found").await;
        let both = json!({"performanceId": performance, "date": before["date"], "seats": [days]});
        at.caller.post("/reservations").token(&bob).json(&both).refused(422, "invalid-request").await;
        let held = ask(&moved["date"]).expect(201).await;
        assert_eq!(held["date"], moved["date"]);
        let path = format!("/reservations/{}", text(&held["reservationId"]));
        at.caller.delete(&path).token(&bob).expect(204).await;
    }
    many.is_in_order().await;
}

/// A date that another instance gave a second performance names none of them, and one that it freed names the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_performance_of_a_date_is_seen_at_once() {
    let Some(many) = Many::start(2, &[]).await else { return };
    let sale = many.at(0);
    let concert = sale.concert(&room(100)).await;
    let performance = sale.performance(&concert, &json!(50)).await;
    let bob = sale.active(&concert, "bob").await;
    until("the performance is listed", async || shown(many.at(1), &concert, &bob).await).await;
    let first = patch(sale, &performance, &json!({"closed": false})).expect(200).await;
    let (date, starts_at) = (&first["date"], &first["startsAt"]);
    let ask =
        |seat: u32| many.at(1).caller.post("/reservations").token(&bob).json(&json!({"date": date, "seats": [seat]}));
    for seat in 1..=4 {
        let second = sale.performance_at(&concert, &json!(50), 20 * 86_400).await;
        patch(sale, &second, &json!({"startsAt": starts_at})).expect(200).await;
        ask(seat).key(&format!("hold-{seat}")).refused(422, "performance-ambiguous").await;
        patch(sale, &second, &json!({"startsAt": iso((30 + i64::from(seat)) * 86_400)})).expect(200).await;
        // The key keeps its refusal, and a new request is judged by the dates as they are.
        ask(seat).key(&format!("hold-{seat}")).refused(422, "performance-ambiguous").await;
        assert_eq!(ask(seat).expect(201).await["performanceId"], json!(performance));
    }
    many.is_in_order().await;
}

/// Blocks, holds and prices meet at all instances: each seat is blocked or held, and each hold costs one of the two prices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_and_prices_cross_holds() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let sale = many.at(0);
    let concert = sale.concert(&room(100)).await;
    let performance = sale.performance(&concert, &json!(24)).await;
    let mut tokens = Vec::new();
    for number in 0..8 {
        tokens.push(sale.active(&concert, &format!("user-{number}")).await);
    }
    let calls = (0..48).map(|number| {
        let (at, seat) = (many.at(number), number % 24 + 1);
        match number / 24 {
            0 => hold(at, &tokens[number % 8], &performance, seat),
            _ if number % 6 == 0 => {
                patch(at, &performance, &json!({"prices": [{"grade": "R", "price": 1_000 + number}]}))
            }
            _ => change(at, &performance, "blocks", &json!([seat])),
        }
    });
    let replies = at_once(calls.collect::<Vec<_>>()).await;
    assert!(replies.iter().all(|reply| reply.status.as_u16() < 500), "{replies:?}");
    let (holds, blocks): (Vec<_>, Vec<_>) = (replies[..24].iter().collect(), replies[24..].iter().collect());
    let held: Vec<Value> = holds.iter().filter(|reply| reply.status == 201).map(|reply| reply.json()).collect();
    let blocked = blocks.iter().filter(|reply| reply.status == 200 && reply.call.contains("/blocks")).count();
    let refused = count(&replies, 409, "seat-taken");
    assert_eq!(held.len() + blocked + refused, 24 + 20, "{replies:?}");
    let prices: Vec<u64> = [50_000].into_iter().chain((24..48).step_by(6).map(|number| 1_000 + number)).collect();
    for hold in &held {
        assert!(prices.contains(&hold["amount"].as_u64().unwrap()), "{hold}");
    }
    let path = format!("/admin/performances/{performance}");
    for sale in &many.sales {
        let shown = sale.admin(sale.caller.get(&path)).expect(200).await;
        assert_eq!(shown["blocked"], blocked, "as the database has it");
        let seats = sale.admin(sale.caller.get(&format!("{path}/seats"))).expect(200).await;
        let of = |status: &str| seats.as_array().unwrap().iter().filter(|seat| seat["status"] == status).count();
        assert_eq!((of("HELD"), of("BLOCKED")), (held.len(), blocked));
    }
    many.is_in_order().await;
}
