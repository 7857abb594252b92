//! Too much: clients that call too often, clients that stall, a database that stalls. The others go on.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod addresses;
mod connections;
mod crowd;
mod metrics;
mod refused_early;
mod slow;
mod stalled;
#[path = "../support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use onsale_testing::{Call, Reply, Sale};
use serde_json::json;
use support::{at_once, start, until};

/// By the contract no request waits longer than 10 s; a busy machine may add three.
const ANSWER_MAX: Duration = Duration::from_secs(10 + 3);

/// Calls until one is refused; how many passed before.
async fn exhaust(call: impl Fn() -> Call) -> usize {
    for passed in 0..1_000 {
        let reply = call().send().await;
        if reply.status == 429 {
            reply.refused(429, "too-many-requests");
            return passed;
        }
        reply.expect(200);
    }
    panic!("the metric is missing");
}

#[tokio::test]
async fn an_address_may_burst_then_keeps_its_rate() {
    let sale = start(&[("ONSALE_RATE_LIMIT_PER_SECOND", "5"), ("ONSALE_RATE_LIMIT_LOOPBACK", "true")]).await;
    let began = Instant::now();
    let charge = || sale.caller.patch("/point/ada/charge").json(&json!({"amount": 1})).key("a-key");
    let replies = at_once((0..60).map(|_| sale.caller.patch("/point/bob/charge").json(&json!({"amount": 1})))).await;
    let took = began.elapsed().as_secs() + 1;
    let (passed, refused): (Vec<Reply>, Vec<Reply>) = replies.into_iter().partition(|reply| reply.status == 200);
    let passed = u64::try_from(passed.len()).unwrap();
    assert!(passed >= 5 && passed <= 10 + 5 * took, "{passed} passed in {took} s: twice the rate, then the rate");
    for reply in &refused {
        reply.refused(429, "too-many-requests");
    }
    exhaust(charge).await;
    let recovered = async || {
        let reply = charge().send().await;
        (reply.status != 429).then(|| reply.expect(200))
    };
    let charged = until("the next may pass", recovered).await;
    assert_eq!(charged["balance"], 1, "under one key once, however often it was refused");
    let shown = async || {
        let reply = sale.caller.get("/point/bob").send().await;
        (reply.status != 429).then(|| reply.expect(200))
    };
    assert_eq!(until("a look", shown).await["balance"], passed, "what was refused was not done");
}

#[tokio::test]
async fn places_in_line_are_limited_by_address() {
    let settings = [
        ("ONSALE_ENTRIES_PER_MINUTE", "3"),
        ("ONSALE_RATE_LIMIT_LOOPBACK", "true"),
        ("ONSALE_RATE_LIMIT_PER_SECOND", "0"),
    ];
    let sale = start(&settings).await;
    let concert = sale.concert(&json!({})).await;
    let enter = |number: usize| {
        let body = json!({"userId": format!("user-{number}"), "concertId": concert});
        sale.caller.post("/queue/tokens").json(&body)
    };
    for number in 0..6 {
        enter(number).expect(201).await;
    }
    let reply = enter(6).send().await;
    reply.refused(429, "too-many-requests");
    let seconds: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=20).contains(&seconds), "one each twenty seconds: {seconds}");
    // Everything else goes on.
    sale.caller.get("/concerts").expect(200).await;
}

#[tokio::test]
async fn loopback_is_not_limited_unless_a_setting_enables_it() {
    let sale = start(&[("ONSALE_RATE_LIMIT_PER_SECOND", "1")]).await;
    for reply in at_once((0..50).map(|_| sale.caller.get("/point/ada"))).await {
        reply.expect(200);
    }
    let forwarded = (0..50).map(|_| sale.caller.get("/point/ada").header("x-forwarded-for", "198.51.100.1"));
    for reply in at_once(forwarded).await {
        reply.expect(200);
    }
}

/// Everyday calls that go through, each in time.
async fn assert_served(sale: &Sale, token: &str) {
    let began = Instant::now();
    sale.charge("everyday", 1).await;
    sale.caller.get("/queue/token").token(token).expect(200).await;
    assert!(began.elapsed() < ANSWER_MAX, "the others wait {:?}", began.elapsed());
}
