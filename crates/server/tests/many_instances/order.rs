//! Places in line: handed out in one order over all instances, and returned right by each.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use onsale_testing::{Call, Dice, Reply, Sale, now_millis};
use serde_json::{Value, json};

use crate::many::{Many, middle_and_longest, place_after, places};
use crate::support::room::{configure, places_are_beside, room, token};
use crate::support::{at_once, count, millis, text};

/// Maximum age of a position.
const OLD_MILLIS_MAX: i64 = 250;

fn enter(sale: &Sale, concert: &str, user: &str) -> Call {
    sale.caller.post("/queue/tokens").json(&json!({"userId": user, "concertId": concert}))
}

/// A concert whose room admits no user.
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
            let shown = place_after(sale, &token(place), answered).await;
            assert_eq!((&shown["position"], &shown["tokenId"]), (&json!(number), &place["tokenId"]));
        }
    }
    many.is_in_order().await;
}

/// A user who left the line: the place, and the instants between which that was.
struct Gone {
    place: u64,
    asked: i64,
    answered: i64,
}

/// What an instance returned for a place.
struct Shown {
    place: u64,
    position: u64,
    as_of: i64,
    asked: i64,
}

/// Polls one instance with these tokens until `stop` is set.
async fn watch(sale: &Sale, watched: &[(u64, String)], stop: &AtomicBool) -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        for (place, token) in watched {
            let asked = now_millis();
            let shown = sale.caller.get("/queue/token").token(token).expect(200).await;
            let (position, as_of) = (shown["position"].as_u64().unwrap(), millis(&shown["asOf"]));
            assert!(all.last().is_none_or(|last| last.as_of <= as_of), "an instance goes back in time: {shown}");
            all.push(Shown { place: *place, position, as_of, asked });
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

/// A position does not count a user who got the answer to leaving before its instant, and still counts a user who left
/// after it.
fn is_exact(shown: &Shown, gone: &[Gone]) {
    let ahead = || gone.iter().filter(|gone| gone.place < shown.place);
    let surely = ahead().filter(|gone| gone.answered < shown.as_of).count() as u64;
    let perhaps = ahead().filter(|gone| gone.asked <= shown.as_of).count() as u64;
    let allowed = shown.place - perhaps..=shown.place - surely;
    assert!(allowed.contains(&shown.position), "place {} is at {}, not {allowed:?}", shown.place, shown.position);
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
    let (shown, gone) = tokio::join!(watching, leave(&many, &leaving, &stop));
    for (instance, shown) in shown.iter().enumerate() {
        shown.iter().for_each(|shown| is_exact(shown, &gone));
        let mut ages: Vec<i64> = shown.iter().map(|shown| shown.asked - shown.as_of).collect();
        ages.sort_unstable();
        let (almost_all, oldest) = (ages[ages.len() * 95 / 100], ages[ages.len() - 1]);
        println!("instance {instance}: {} polls, 95 % younger than {almost_all} ms, all than {oldest} ms", shown.len());
        // A busy machine may stop an instance for a moment, so the bound applies to the middle one.
        assert!(ages[ages.len() / 2] <= OLD_MILLIS_MAX, "{ages:?}");
    }
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_given_up_at_another_instance_is_shown_at_once_and_is_not_handed_out_again() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let concert = closed_room(many.at(0)).await;
    let mut tokens = Vec::new();
    for user in ["ada", "bob", "eve"] {
        tokens.push(token(&many.at(tokens.len()).enter(&concert, user).await));
    }
    many.at(1).caller.delete("/queue/token").token(&tokens[0]).expect(204).await;
    let (left, since) = (now_millis(), Instant::now());
    let mut shown_in = Vec::new();
    for sale in &many.sales {
        let shown = place_after(sale, &tokens[0], left).await;
        assert_eq!((&shown["status"], &shown["position"]), (&json!("EXPIRED"), &Value::Null));
        shown_in.push(since.elapsed());
        assert_eq!(place_after(sale, &tokens[2], left).await["position"], 2);
    }
    // 250 ms, and a moment for a machine that does other things too.
    let shown_in = middle_and_longest(shown_in);
    println!("the end is shown (middle, longest) in {shown_in:?}");
    assert!(shown_in.0 < Duration::from_secs(1));
    let again = enter(many.at(2), &concert, "ada").expect(201).await;
    assert_eq!(again["position"], 3, "at the end");
    assert_ne!(again["token"], json!(tokens[0]));
    many.is_in_order().await;
}
