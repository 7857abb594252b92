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

fn patch(sale: &Sale, lecture: &str, body: &Value) -> Call {
    sale.admin(sale.caller.patch(&format!("/admin/lectures/{lecture}"))).json(body)
}

/// Staff change the capacity while users come and go at all instances.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_capacity_that_changes_is_never_exceeded() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let lecture = many.at(0).lecture(10).await;
    let calls = (0..300).map(|n| match n % 5 {
        0 => patch(many.at(n), &lecture, &json!({"capacity": 1 + n % 17})),
        1 => cancel(many.at(n), &format!("user-{}", n % 40), &lecture),
        _ => apply(many.at(n), &format!("user-{}", n % 40), &lecture),
    });
    let replies = at_once(calls.collect::<Vec<_>>()).await;
    assert!(replies.iter().all(|reply| reply.status.as_u16() < 500), "{replies:?}");
    let refused = count(&replies, 409, "capacity-below-enrolled");
    let shown = many.at(1).admin(many.at(1).caller.get(&format!("/admin/lectures/{lecture}"))).expect(200).await;
    assert!(shown["enrolled"].as_u64() <= shown["capacity"].as_u64(), "{shown}");
    let expected = usize::try_from(shown["enrolled"].as_u64().unwrap()).unwrap();
    assert_eq!(
        history(many.at(2), &lecture)
            .await
            .iter()
            .fold(0, |inside, line| { if line["type"] == "APPLIED" { inside + 1 } else { inside - 1 } }),
        expected
    );
    println!("{refused} changes were below the enrolled");
    listed(&many, &lecture, expected).await;
    many.is_in_order().await;
}

/// One instance cancels the lecture and is killed, while users apply and staff remove at the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancellation_crosses_applications_and_removals_and_survives_its_instance() {
    let Some(mut many) = Many::start(3, &[]).await else { return };
    let lecture = many.at(0).lecture(3_000).await;
    let replies = at_once((0..1_500).map(|n| apply(many.at(n), &format!("user-{n}"), &lecture))).await;
    assert_eq!(count(&replies, 201, ""), 1_500);
    let path = format!("/admin/lectures/{lecture}/cancel");
    let ending = (0..6).map(|n| many.at(n).admin(many.at(n).caller.post(&path)).json(&json!({"reason": "ill"})));
    let mut calls: Vec<Call> = ending.collect();
    for n in 0..200 {
        calls.push(apply(many.at(n), &format!("late-{n}"), &lecture));
        let sale = many.at(n + 1);
        calls.push(cancel(many.at(n + 2), &format!("user-{n}"), &lecture));
        let remove = format!("/admin/lectures/{lecture}/applications/user-{}", n + 100);
        calls.push(sale.admin(sale.caller.delete(&remove)));
    }
    let replies = at_once(calls).await;
    assert!(replies.iter().all(|reply| reply.status.as_u16() < 500), "{replies:?}");
    let begun = replies.iter().filter(|reply| reply.status == 202).count();
    assert_eq!((begun, replies[..6].iter().filter(|reply| reply.status == 200).count()), (1, 5), "one began it");
    many.sales.remove(0).instance.kill().await;
    for sale in &many.sales {
        until("no application is left", async || {
            let state = sale.caller.get(&format!("/admin/lectures/{lecture}/cancellation"));
            (sale.admin(state).expect(200).await["state"] == "DONE").then_some(())
        })
        .await;
        apply(sale, "later", &lecture).refused(409, "lecture-closed").await;
    }
    let came = 1_500 + count(&replies, 201, "");
    let lines = history(many.at(0), &lecture).await;
    assert_eq!(lines.len(), 2 * came, "each application is cancelled once");
    listed(&many, &lecture, 0).await;
    many.is_in_order().await;
}
