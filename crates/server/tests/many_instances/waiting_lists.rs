//! Waiting lists of lectures, used at several instances at once.

use std::collections::VecDeque;

use onsale_testing::{Call, Sale};
use serde_json::{Value, json};

use crate::many::Many;
use crate::support::{at_once, count, text, until, walk};

fn apply(sale: &Sale, user: &str, lecture: &str, waitlist: bool) -> Call {
    let body = json!({"userId": user, "lectureId": lecture, "waitlist": waitlist});
    sale.caller.post("/lectures/apply").json(&body)
}

fn cancel(sale: &Sale, user: &str, lecture: &str) -> Call {
    sale.caller.delete(&format!("/lectures/application/{user}/{lecture}"))
}

fn patch(sale: &Sale, lecture: &str, body: &Value) -> Call {
    sale.admin(sale.caller.patch(&format!("/admin/lectures/{lecture}"))).json(body)
}

async fn shown(sale: &Sale, lecture: &str) -> Value {
    sale.admin(sale.caller.get(&format!("/admin/lectures/{lecture}"))).expect(200).await
}

/// Replays a history: the places and the waiting list at its end. Fails if a user passes another one.
async fn replay(sale: &Sale, lecture: &str) -> (Vec<String>, VecDeque<String>) {
    let first = format!("/admin/lectures/{lecture}/history?limit=200");
    let lines = walk(&first, |page| sale.admin(sale.caller.get(page))).await;
    let (mut inside, mut waiting): (Vec<String>, VecDeque<String>) = (Vec::new(), VecDeque::new());
    for line in lines {
        let user = text(&line["userId"]);
        match text(&line["type"]).as_str() {
            "APPLIED" => {
                assert!(waiting.is_empty(), "a place for {user} although {waiting:?} wait");
                inside.push(user);
            }
            "PROMOTED" => {
                assert_eq!(waiting.pop_front().as_ref(), Some(&user), "the first who waits");
                inside.push(user);
            }
            "WAITLISTED" => {
                waiting.push_back(user);
                assert_eq!(line["position"], waiting.len(), "{line}");
            }
            "LEFT" => waiting.retain(|other| *other != user),
            "CANCELLED" => inside.retain(|other| *other != user),
            other => panic!("{other}"),
        }
    }
    (inside, waiting)
}

/// Users apply, leave and give places back, and staff remove them and change the capacity, each at any instance.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_at_all_instances_keeps_the_order() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let lecture = many.at(0).lecture(10).await;
    let calls = (0..900).map(|n| {
        let user = format!("user-{}", n * 7 % 60);
        match n % 11 {
            0 => patch(many.at(n), &lecture, &json!({"capacity": 5 + n % 13})),
            1 => {
                let sale = many.at(n + 1);
                sale.admin(sale.caller.delete(&format!("/admin/lectures/{lecture}/applications/{user}")))
            }
            2..5 => cancel(many.at(n + 2), &user, &lecture),
            _ => apply(many.at(n), &user, &lecture, n % 4 > 0),
        }
    });
    let replies = at_once(calls.collect::<Vec<_>>()).await;
    assert!(replies.iter().all(|reply| reply.status.as_u16() < 500), "{replies:?}");
    let (inside, waiting) = replay(many.at(1), &lecture).await;
    let now = shown(many.at(2), &lecture).await;
    assert_eq!((&now["enrolled"], &now["waitlisted"]), (&json!(inside.len()), &json!(waiting.len())));
    assert!(now["remaining"] == 0 || waiting.is_empty(), "a free place although users wait: {now}");
    for (position, user) in (1..).zip(waiting.iter().take(5)) {
        let path = format!("/lectures/application/{user}?lectureId={lecture}");
        let own = many.at(position).caller.get(&path).expect(200).await;
        assert_eq!(own["applications"][0]["position"], position, "{own}");
    }
    println!("{} places, {} wait, {} joined", inside.len(), waiting.len(), count_of(&replies, 202));
    many.is_in_order().await;
}

fn count_of(replies: &[onsale_testing::Reply], status: u16) -> usize {
    replies.iter().filter(|reply| reply.status == status).count()
}

/// The instance that raised the capacity is killed before it promoted all users. The others go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_of_promotions_survive_their_instance() {
    let Some(mut many) = Many::start(3, &[]).await else { return };
    let lecture = many.at(0).lecture(1).await;
    for part in 0..4 {
        let users = part * 600..(part + 1) * 600;
        at_once(users.map(|n| apply(many.at(n), &format!("user-{n}"), &lecture, true))).await;
    }
    let larger = patch(many.at(0), &lecture, &json!({"capacity": 5_000})).expect(200).await;
    assert_eq!((&larger["enrolled"], &larger["waitlisted"]), (&json!(1_001), &json!(1_399)));
    many.sales.remove(0).instance.kill().await;
    until("each user has a place", async || {
        let now = shown(many.at(1), &lecture).await;
        (now["enrolled"] == 2_400 && now["waitlisted"] == 0).then_some(())
    })
    .await;
    let late = at_once((0..20).map(|n| apply(many.at(n), &format!("late-{n}"), &lecture, false))).await;
    assert_eq!(count(&late, 201, ""), 20);
    let (inside, waiting) = replay(many.at(0), &lecture).await;
    assert_eq!((inside.len(), waiting.len()), (2_420, 0));
    many.is_in_order().await;
}
