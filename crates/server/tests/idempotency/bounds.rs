//! Bounds on the answers that are stored for one user: their number and their length.

use onsale_testing::{Call, Sale};
use serde_json::json;

use super::{first, is_replay};
use crate::support::evening::Evening;
use crate::support::{at_once, audit, start};

fn charge(sale: &Sale, user: &str) -> Call {
    sale.caller.patch(&format!("/point/{user}/charge")).json(&json!({"amount": 1}))
}

#[tokio::test]
async fn a_user_may_use_as_many_keys_as_the_setting_allows() {
    let sale = start(&[("ONSALE_IDEMPOTENCY_KEYS_PER_USER", "40")]).await;
    let mut firsts = Vec::new();
    for number in 0..40 {
        firsts.push(first(charge(&sale, "ada"), &format!("key-{number}"), 200).await);
    }
    for number in 0..3 {
        let reply = charge(&sale, "ada").key(&format!("more-{number}")).send().await;
        reply.refused(429, "too-many-requests");
        let seconds: u32 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!((86_000..=86_400).contains(&seconds), "until the oldest answer lapses: {seconds}");
    }
    // Requests with refused keys had no effect; other requests still work.
    let balance = sale.caller.get("/point/ada").expect(200).await["balance"].clone();
    assert_eq!(balance, 40);
    for (number, first) in firsts.iter().enumerate() {
        is_replay(&charge(&sale, "ada").key(&format!("key-{number}")).send().await, first);
    }
    let other = sale.caller.patch("/point/ada/use").json(&json!({"amount": 1}));
    other.key("key-0").refused(422, "idempotency-key-reused").await;
    charge(&sale, "ada").expect(200).await;
    first(charge(&sale, "bob"), "key-0", 200).await;
    for number in 0..50 {
        let body = json!({"title": format!("Lecture {number}"), "startsAt": "2090-01-01T10:00:00Z"});
        let made = sale.admin(sale.caller.post("/admin/lectures")).json(&body).key(&format!("key-{number}"));
        made.expect(201).await;
    }
    audit(&sale).await;
}

#[tokio::test]
async fn concurrent_keys_exceed_the_bound_by_little() {
    let sale = start(&[("ONSALE_IDEMPOTENCY_KEYS_PER_USER", "40")]).await;
    let mut done = 0;
    for round in 0..10 {
        let calls = (0..30).map(|number| charge(&sale, "ada").key(&format!("{round}-{number}")));
        let replies = at_once(calls).await;
        done += replies.iter().filter(|reply| reply.status == 200).count();
        assert!(replies.iter().all(|reply| reply.status == 200 || reply.code() == "too-many-requests"), "{replies:?}");
    }
    // A batch counts only after its commit.
    assert!((40..=40 + 2 * 30).contains(&done), "{done} were kept");
    assert_eq!(sale.caller.get("/point/ada").expect(200).await["balance"], done);
}

#[tokio::test]
async fn keys_of_invalid_requests_do_not_count() {
    let sale = start(&[("ONSALE_IDEMPOTENCY_KEYS_PER_USER", "8")]).await;
    for number in 0..40 {
        let call = sale.caller.patch("/point/ada/charge").json(&json!({"amount": 0}));
        call.key(&format!("key-{number}")).refused(422, "amount-out-of-range").await;
    }
    for number in 0..8 {
        first(charge(&sale, "ada"), &format!("key-{number}"), 200).await;
    }
    charge(&sale, "ada").key("one-more").refused(429, "too-many-requests").await;
}

#[tokio::test]
async fn a_stored_answer_is_short() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, ada, .. } = &evening;
    let seats: Vec<u32> = (51..1_051).collect();
    let longest = "\u{1f600}".repeat(200);
    let quoted = "\"".repeat(200);
    let (at, admin) = ("2090-01-01T10:00:00Z", |path: &str| sale.admin(sale.caller.post(path)));
    let performances = format!("/admin/concerts/{}/performances", evening.concert);
    let sections: Vec<_> = (1..=150).map(|seat| json!({"from": seat, "to": seat, "grade": longest.as_str()})).collect();
    let sections = &sections[..60];
    let calls = [
        evening.hold(ada, &json!(seats)),
        evening.hold(ada, &json!([1, 2, 3, 4])),
        admin("/admin/lectures").json(&json!({"title": longest, "lecturer": longest, "startsAt": at})),
        admin("/admin/lectures").json(&json!({"title": quoted, "lecturer": quoted, "startsAt": at})),
        admin("/admin/concerts").json(&json!({"title": longest, "venue": longest})),
        admin(&performances).json(&json!({"startsAt": at, "seats": sections})),
    ];
    for (number, call) in calls.into_iter().enumerate() {
        let reply = call.key(&format!("key-{number}")).send().await;
        assert!(reply.status == 201 || reply.code() == "seat-unknown", "{reply:?}");
        assert!(reply.body.len() <= 2_048, "{}: {} bytes", reply.call, reply.body.len());
    }
}
