//! Places in line: handed out in one order over all instances, and told right by each of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use onsale_testing::{Call, Dice, Reply, Sale, now_millis};
use serde_json::{Value, json};

use crate::many::{Many, places, told_after};
use crate::support::room::{configure, places_are_beside, room, token};
use crate::support::{at_once, count, millis, text};

/// How old what is told of a line may be.
const OLD_MILLIS_MAX: i64 = 250;

fn enter(sale: &Sale, concert: &str, user: &str) -> Call {
    sale.caller.post("/queue/tokens").json(&json!({"userId": user, "concertId": concert}))
}

/// A concert whose room admits nobody.
async fn closed_room(sale: &Sale) -> String {
    let concert = sale.concert(&room(1_000)).await;
    configure(sale, &concert, &json!({"paused": true})).await;
    concert
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_are_given_once_and_without_a_gap() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let concert = closed_room(many.at(0)).await;
    // Some enter at one instance, others at all three at once.
    let alone = (0..150).map(|number| enter(many.at(number), &concert, &format!("user-{number}")));
    let everywhere = (0..90).map(|number| enter(many.at(number), &concert, &format!("eager-{}", number / 3)));
    let mut calls: Vec<Call> = alone.chain(everywhere).collect();
    let mut dice = Dice::new(Dice::seed());
    for last in (1..calls.len()).rev() {
        calls.swap(last, usize::try_from(dice.below(last as u64 + 1)).unwrap());
    }
    let replies = at_once(calls).await;
    assert_eq!((count(&replies, 201, ""), count(&replies, 200, "")), (180, 60), "one place a user");

    if places_are_beside() {
        return many.is_in_order().await;
    }
    let sql = many.sql().await;
    let handed_out = places(&sql, &concert).await;
    assert!(handed_out.iter().map(|(place, _)| *place).eq(1..=180), "{handed_out:?}");
    let answered = now_millis();
    let mut tokens: HashMap<String, Value> = HashMap::new();
    for place in replies.iter().map(Reply::json) {
        let known = tokens.entry(text(&place["userId"])).or_insert_with(|| place.clone());
        assert_eq!((&known["token"], &known["issuedAt"]), (&place["token"], &place["issuedAt"]));
    }
    for (number, user) in &handed_out {
        let place = &tokens[user];
        for sale in &many.sales {
            let told = told_after(sale, &token(place), answered).await;
            assert_eq!((&told["position"], &told["tokenId"]), (&json!(number), &place["tokenId"]));
        }
    }
    many.is_in_order().await;
}

/// Someone who left the line: their place, and between which instants that was.
struct Gone {
    place: u64,
    asked: i64,
    answered: i64,
}

/// What an instance told of a place.
struct Told {
    place: u64,
    position: u64,
    as_of: i64,
    asked: i64,
}

/// Polls one instance with these tokens until told to stop.
async fn watch(sale: &Sale, watched: &[(u64, String)], stop: &AtomicBool) -> Vec<Told> {
    let mut all: Vec<Told> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        for (place, token) in watched {
            let asked = now_millis();
            let shown = sale.caller.get("/queue/token").token(token).expect(200).await;
            let (position, as_of) = (shown["position"].as_u64().unwrap(), millis(&shown["asOf"]));
            assert!(all.last().is_none_or(|last| last.as_of <= as_of), "an instance goes back in time: {shown}");
            all.push(Told { place: *place, position, as_of, asked });
        }
    }
    all
}

/// Those people leave one after another, each at another instance.
async fn leave(many: &Many, leaving: &[(u64, String)], stop: &AtomicBool) -> Vec<Gone> {
    let mut gone = Vec::new();
    for (number, (place, token)) in leaving.iter().enumerate() {
        let asked = now_millis();
        many.at(number).caller.delete("/queue/token").token(token).expect(204).await;
        gone.push(Gone { place: *place, asked, answered: now_millis() });
    }
    stop.store(true, Ordering::Relaxed);
    gone
}

/// Whoever was told to have left before the instant of which a position is counts no more, and whoever left after it
/// still counts.
fn is_exact(told: &Told, gone: &[Gone]) {
    let ahead = || gone.iter().filter(|gone| gone.place < told.place);
    let surely = ahead().filter(|gone| gone.answered < told.as_of).count() as u64;
    let perhaps = ahead().filter(|gone| gone.asked <= told.as_of).count() as u64;
    let allowed = told.place - perhaps..=told.place - surely;
    assert!(allowed.contains(&told.position), "place {} is at {}, not {allowed:?}", told.place, told.position);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn positions_are_exact_as_of_the_instant_they_name() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let concert = closed_room(many.at(0)).await;
    let mut line: Vec<(u64, String)> = Vec::new();
    for place in 1..=80 {
        let entered = many.at(line.len()).enter(&concert, &format!("user-{place}")).await;
        line.push((place, token(&entered)));
    }
    let watched = [line[9].clone(), line[49].clone(), line[79].clone()];
    let leaving: Vec<_> = line.iter().filter(|(place, _)| place % 10 != 0).cloned().collect();
    let stop = AtomicBool::new(false);
    let watching = futures_util::future::join_all(many.sales.iter().map(|sale| watch(sale, &watched, &stop)));
    let (told, gone) = tokio::join!(watching, leave(&many, &leaving, &stop));
    for (instance, told) in told.iter().enumerate() {
        told.iter().for_each(|told| is_exact(told, &gone));
        let mut ages: Vec<i64> = told.iter().map(|told| told.asked - told.as_of).collect();
        ages.sort_unstable();
        let (almost_all, oldest) = (ages[ages.len() * 95 / 100], ages[ages.len() - 1]);
        println!("instance {instance}: {} polls, 95 % younger than {almost_all} ms, all than {oldest} ms", told.len());
        assert!(almost_all <= OLD_MILLIS_MAX && oldest < 2_000, "{ages:?}");
    }
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_given_up_elsewhere_is_told_at_once_and_is_nobody_elses() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let concert = closed_room(many.at(0)).await;
    let mut tokens = Vec::new();
    for user in ["ada", "bob", "eve"] {
        tokens.push(token(&many.at(tokens.len()).enter(&concert, user).await));
    }
    many.at(1).caller.delete("/queue/token").token(&tokens[0]).expect(204).await;
    let left = now_millis();
    for sale in &many.sales {
        // 250 ms, and a moment for a machine that does other things too.
        let shown = told_after(sale, &tokens[0], left).await;
        assert_eq!((&shown["status"], &shown["position"]), (&json!("EXPIRED"), &Value::Null));
        assert!(now_millis() - left < 1_000, "{} ms", now_millis() - left);
        assert_eq!(told_after(sale, &tokens[2], left).await["position"], 2);
    }
    let again = enter(many.at(2), &concert, "ada").expect(201).await;
    assert_eq!(again["position"], 3, "at the end");
    assert_ne!(again["token"], json!(tokens[0]));
    many.is_in_order().await;
}
