//! Posts to a data platform, as in the contract.

use std::collections::HashSet;
use std::time::Duration;

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use onsale_testing::Sale;
use serde_json::Value;
use sha2::Sha256;

use crate::platform::Platform;
use crate::scene::{by_subject, charge, log, run, start};
use crate::support::{ONSALE, text, until};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_are_signed_retried_and_split() {
    let platform = Platform::start().await;
    let launch = Sale::launch(ONSALE).set("ONSALE_DATA_PLATFORM_URL", platform.url());
    let launch = launch.set("ONSALE_DATA_PLATFORM_SECRET", SECRET);
    let sale = Sale::start(&launch).await;
    platform.told.lock().unwrap().down = Some((StatusCode::SERVICE_UNAVAILABLE, 1));
    charge(&sale, 0, 30).await;
    let _consumer = start(&launch, "consume");
    let tried = async || (platform.told.lock().unwrap().posts.len() >= 2).then_some(());
    until("it is tried again", tried).await;
    {
        let mut told = platform.told.lock().unwrap();
        assert!(told.taken.is_empty());
        told.down = None;
        told.refused = HashSet::from(["user-3".to_owned()]);
    }
    let (wanted, refused): (Vec<Value>, Vec<Value>) =
        log(&launch).await.into_iter().partition(|event| event["subject"] != "user-3");
    let taken = async || (platform.told.lock().unwrap().taken.len() >= wanted.len()).then_some(());
    until("all others are taken", taken).await;
    assert_eq!(by_subject(&platform.told.lock().unwrap().taken), by_subject(&wanted));
    check_signatures(&platform);

    // Refused events are dead letters, each with its reason, and can be retried one by one.
    let dead = async || {
        let dead = run(&launch, &["events", "--state", "dead"]).await;
        (dead.lines().count() == refused.len()).then_some(dead)
    };
    let dead = until("the refused are set aside", dead).await;
    assert!(dead.lines().all(|line| line.contains("user-3") && line.contains("422")), "{dead}");
    platform.told.lock().unwrap().refused.clear();
    let first = text(&refused[0]["id"]);
    assert!(run(&launch, &["events", "retry", "--id", &first]).await.starts_with("1 "));
    let taken = async || (platform.told.lock().unwrap().taken.len() == wanted.len() + 1).then_some(());
    until("the one that was put back is taken", taken).await;
    assert!(run(&launch, &["events", "retry"]).await.starts_with(&format!("{} ", refused.len() - 1)));
    let taken = async || (platform.told.lock().unwrap().taken.len() == wanted.len() + refused.len()).then_some(());
    until("all are taken", taken).await;
    let ids: HashSet<String> = platform.told.lock().unwrap().taken.iter().map(|event| text(&event["id"])).collect();
    assert_eq!(ids.len(), wanted.len() + refused.len(), "none twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_refusal_is_stored_as_a_short_reason() {
    let platform = Platform::start().await;
    let launch = Sale::launch(ONSALE).set("ONSALE_DATA_PLATFORM_URL", platform.url());
    let sale = Sale::start(&launch).await;
    {
        let mut told = platform.told.lock().unwrap();
        told.is_wordy = true;
        told.refused = HashSet::from(["user-0".to_owned()]);
    }
    charge(&sale, 0, 1).await;
    let _consumer = start(&launch, "consume");
    let dead = async || {
        let dead = run(&launch, &["events", "--state", "dead"]).await;
        (dead.lines().count() == 1).then_some(dead)
    };
    let dead = until("it is set aside", dead).await;
    assert!(dead.contains("this subject is not known here") && dead.len() < 500, "{dead}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_with_an_endless_body_delays_nothing() {
    let platform = Platform::start().await;
    let launch = Sale::launch(ONSALE).set("ONSALE_DATA_PLATFORM_URL", platform.url());
    let sale = Sale::start(&launch).await;
    {
        let mut told = platform.told.lock().unwrap();
        told.stalls = true;
        told.refused = HashSet::from(["user-0".to_owned()]);
    }
    charge(&sale, 0, 1).await;
    let _consumer = start(&launch, "consume");
    let posted = async || (!platform.told.lock().unwrap().posts.is_empty()).then_some(());
    until("it is posted", posted).await;
    let dead = async || {
        let dead = run(&launch, &["events", "--state", "dead"]).await;
        (dead.lines().count() == 1).then_some(dead)
    };
    let dead = until("it is set aside", dead).await;
    assert!(dead.contains("422 Unprocessable Entity: this subject [2J is no"), "{dead}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_platform_does_not_slow_the_sale() {
    let platform = Platform::start().await;
    platform.told.lock().unwrap().slow = Duration::from_secs(1);
    let launch = Sale::launch(ONSALE).set("ONSALE_DATA_PLATFORM_URL", platform.url());
    let sale = Sale::start(&launch).await;
    let _consumer = start(&launch, "consume");
    let posted = async || (!platform.told.lock().unwrap().posts.is_empty()).then_some(());
    charge(&sale, 0, 1).await;
    until("the first is posted", posted).await;
    charge(&sale, 1, 150).await;
    // The last request was answered just now, and the platform answers no post within a second.
    assert!(platform.told.lock().unwrap().taken.len() < 151, "the sale does not wait for the platform");
    let wanted = by_subject(&log(&launch).await);
    let whole = async || (by_subject(&platform.told.lock().unwrap().taken) == wanted).then_some(());
    until("all are taken once, in order", whole).await;
}

/// Checks the media type and the signature of each post.
fn check_signatures(platform: &Platform) {
    let key = STANDARD.decode(SECRET.trim_start_matches("whsec_")).unwrap();
    for (headers, body) in &platform.told.lock().unwrap().posts {
        let header = |name: &str| headers[name].to_str().unwrap();
        assert_eq!(
            header("content-type"),
            "application/cloudevents-batch+json",
            "a strict receiver takes no parameter"
        );
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(format!("{}.{}.{body}", header("webhook-id"), header("webhook-timestamp")).as_bytes());
        let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        assert_eq!(header("webhook-signature"), signature);
    }
}
