//! Sessions of users on several instances: made at one, used at another, ended at a third.

#[path = "../auth/keys.rs"]
#[allow(dead_code, reason = "one of the keys is enough")]
mod pem;
#[path = "../auth/sign_in/provider.rs"]
#[allow(dead_code, reason = "the provider answers as it should")]
mod provider;

use std::time::{Duration, Instant};

use onsale_testing::Sale;
use serde_json::json;

use self::provider::{Browser, PUBLIC, Provider};
use crate::many::Many;
use crate::support::until;

/// The bound on the time until a session ends everywhere, and what a busy machine may add to it.
const ENDS_WITHIN: Duration = Duration::from_secs(4);

async fn provider() -> Provider {
    Provider::start((pem::EC_PRIVATE, pem::EC_PUBLIC)).await
}

/// Whether a session counts at an instance.
async fn counts(sale: &Sale, cookie: &str) -> bool {
    let session = sale.caller.get("/session").header("cookie", cookie).expect(200).await;
    session["userId"] == "ada"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_of_a_user_is_the_same_on_every_instance() {
    let provider = provider().await;
    let Some(many) = Many::start(3, &provider.settings()).await else { return };
    // One instance sends the browser to the provider, and another takes it back.
    let mut browser = Browser::of(many.at(0));
    let location = browser.begin("/#/account").await;
    let mut elsewhere = Browser::of(many.at(1));
    elsewhere.cookies = browser.cookies.clone();
    let back = elsewhere.go(&provider.sign_in(&location, "ada")).await;
    assert_eq!(back.header("location"), Some(format!("{PUBLIC}/#/account").as_str()));
    let cookie = elsewhere.cookie();
    for sale in &many.sales {
        assert!(counts(sale, &cookie).await);
        let charge = sale.caller.patch("/point/ada/charge").json(&json!({"amount": 1_000}));
        elsewhere.with(charge).expect(200).await;
    }
    elsewhere.with(many.at(2).caller.post("/session/logout")).expect(204).await;
    assert!(!counts(many.at(2), &cookie).await, "it ends at once where it was ended");
    let ended = Instant::now();
    for sale in &many.sales {
        until("the session ends everywhere", async || (!counts(sale, &cookie).await).then_some(())).await;
        assert!(ended.elapsed() < ENDS_WITHIN, "after {:?}", ended.elapsed());
        elsewhere.with(sale.caller.get("/point/ada")).refused(401, "authentication-required").await;
    }
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_end_at_once_end_everywhere_and_after_a_restart() {
    let provider = provider().await;
    let Some(many) = Many::start(2, &provider.settings()).await else { return };
    let mut cookies = Vec::new();
    for number in 0..12 {
        let mut browser = Browser::of(many.at(number));
        browser.sign_in(&provider, "ada").await;
        cookies.push(browser);
    }
    let kept = cookies.pop().unwrap();
    // Each at both instances, so that their numbers and rows meet.
    let ending: Vec<_> = cookies
        .iter()
        .flat_map(|browser| many.sales.iter().map(move |sale| browser.with(sale.caller.post("/session/logout"))))
        .map(|call| tokio::spawn(call.send()))
        .collect();
    for ended in ending {
        ended.await.unwrap().expect(204);
    }
    let fresh = Sale::start(&many.launch.another()).await;
    for sale in many.sales.iter().chain([&fresh]) {
        for browser in &cookies {
            until("it ended", async || (!counts(sale, &browser.cookie()).await).then_some(())).await;
        }
        assert!(counts(sale, &kept.cookie()).await, "and no other");
    }
    let stored = "SELECT count(*), count(DISTINCT number) FROM ended_sessions";
    let row = many.sql().await.query_one(stored, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (11, 11), "once each");
    many.is_in_order().await;
}
