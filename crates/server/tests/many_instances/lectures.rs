//! Places of a lecture, asked for at several instances at once.

use onsale_testing::{Call, Sale};
use serde_json::{Value, json};

use crate::many::Many;
use crate::support::{at_once, count, until, walk};

fn apply(sale: &Sale, user: &str, lecture: &str) -> Call {
    sale.caller.post("/lectures/apply").json(&json!({"userId": user, "lectureId": lecture}))
}

fn cancel(sale: &Sale, user: &str, lecture: &str) -> Call {
    sale.caller.delete(&format!("/lectures/application/{user}/{lecture}"))
}

async fn history(sale: &Sale, lecture: &str) -> Vec<Value> {
    let first = format!("/admin/lectures/{lecture}/history?limit=200");
    walk(&first, |page| sale.admin(sale.caller.get(page))).await
}

/// A lecture as each instance lists it, once it is as wanted: a list may lag a little.
async fn listed(many: &Many, lecture: &str, enrolled: usize) {
    for sale in &many.sales {
        until(&format!("{enrolled} are enrolled"), async || {
            let all = sale.caller.get("/lectures").expect(200).await;
            let shown = all.as_array().unwrap().iter().find(|shown| shown["lectureId"] == lecture)?;
            (shown["enrolled"] == enrolled).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_hundred_apply_at_three_instances_for_thirty_places() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let lecture = many.at(0).lecture(30).await;
    let replies = at_once((0..600).map(|n| apply(many.at(n), &format!("user-{n}"), &lecture))).await;
    assert_eq!((count(&replies, 201, ""), count(&replies, 409, "lecture-full")), (30, 570));
    let lines = history(many.at(1), &lecture).await;
    assert_eq!(lines, history(many.at(2), &lecture).await);
    let places: Vec<u64> = lines.iter().map(|line| line["seatNumber"].as_u64().unwrap()).collect();
    assert_eq!(places, (1..=30).collect::<Vec<_>>(), "the lowest free number each time");
    for reply in replies.iter().filter(|reply| reply.status == 201).map(onsale_testing::Reply::json) {
        let line = lines.iter().find(|line| line["userId"] == reply["userId"]).unwrap();
        assert_eq!((&line["seatNumber"], &line["createdAt"]), (&reply["seatNumber"], &reply["appliedAt"]));
    }
    listed(&many, &lecture, 30).await;
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_who_come_and_go_at_all_instances_never_overfill_a_lecture() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let lecture = many.at(0).lecture(5).await;
    // One applies everywhere at once; the others come at one instance and go at another.
    let hammering = (0..60).map(|n| apply(many.at(n), "eager", &lecture));
    let coming = (0..300).map(|n| apply(many.at(n), &format!("user-{}", n % 20), &lecture));
    let going = (0..300).map(|n| cancel(many.at(n + 1), &format!("user-{}", n % 20), &lecture));
    let mut calls = Vec::new();
    let mut streams: [Box<dyn Iterator<Item = Call>>; 3] = [Box::new(coming), Box::new(going), Box::new(hammering)];
    loop {
        let before = calls.len();
        calls.extend(streams.iter_mut().filter_map(Iterator::next));
        if calls.len() == before {
            break;
        }
    }
    let replies = at_once(calls).await;
    let came = count(&replies, 201, "");
    let gone = replies.iter().filter(|reply| reply.status == 204).count();
    let lines = history(many.at(1), &lecture).await;
    let (mut inside, mut seats) = (0_usize, Vec::new());
    for line in &lines {
        let seat = line["seatNumber"].as_u64().unwrap();
        if line["type"] == "APPLIED" {
            inside += 1;
            assert!(!seats.contains(&seat) && (1..=5).contains(&seat), "{line}");
            seats.push(seat);
        } else {
            inside -= 1;
            seats.retain(|taken| *taken != seat);
        }
        assert!(inside <= 5, "{line}");
    }
    assert_eq!((lines.len(), inside), (came + gone, came - gone));
    println!("{came} came and {gone} went, {inside} of 5 places are taken");
    listed(&many, &lecture, inside).await;
    many.is_in_order().await;
}
