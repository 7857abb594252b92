//! What each answer of a data platform does to the events that were posted.

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt};
use onsale_testing::{Launch, Sale};

use crate::platform::Platform;
use crate::scene::{Work, by_subject, charge, log, run};
use crate::support::{ONSALE, until};

const AWAY: &str = r#"onsale_part_degraded{part="platform",condition="away"}"#;

async fn evening() -> (Platform, Launch, Sale) {
    let platform = Platform::start().await;
    let launch = Sale::launch(ONSALE).set("ONSALE_DATA_PLATFORM_URL", platform.url());
    let sale = Sale::start(&launch).await;
    (platform, launch, sale)
}

fn empty(status: u16) -> Response {
    StatusCode::from_u16(status).unwrap().into_response()
}

async fn in_state(launch: &Launch, state: &str) -> Vec<String> {
    run(launch, &["events", "--state", state]).await.lines().map(str::to_owned).collect()
}

async fn all_are_sent(launch: &Launch) {
    until("nothing is pending", async || in_state(launch, "pending").await.is_empty().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_about_the_platform_loses_no_event_and_is_reported() {
    let (platform, launch, sale) = evening().await;
    platform.told.lock().unwrap().down = Some((StatusCode::UNAUTHORIZED, 0));
    charge(&sale, 0, 40).await;
    let consumer = Work::start(&launch, "consume");
    consumer.until_metric(AWAY, |value| value == 1.0).await;
    consumer.has_logged("401 Unauthorized").await;
    let redirect = (StatusCode::FOUND, [("location", "https://login.example/here?next=secret")]).into_response();
    let busy = (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "0")]).into_response();
    {
        let mut told = platform.told.lock().unwrap();
        told.down = None;
        told.answers = [redirect, empty(404), empty(405), busy, empty(415), empty(599)].into();
    }
    all_are_sent(&launch).await;
    assert_eq!(in_state(&launch, "dead").await, [""; 0]);
    let wanted = by_subject(&log(&launch).await);
    assert_eq!(by_subject(&platform.told.lock().unwrap().taken), wanted, "once, in order");
    consumer.until_metric(AWAY, |value| value == 0.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_refused_event_of_a_batch_becomes_a_dead_letter() {
    let (platform, launch, sale) = evening().await;
    let consumer = Work::start(&launch, "consume");
    platform.told.lock().unwrap().refused = HashSet::from(["bad".to_owned()]);
    for (number, status) in [400, 402, 409, 418, 422, 425, 499].into_iter().enumerate() {
        platform.told.lock().unwrap().refuses_with = StatusCode::from_u16(status).ok();
        for user in ["good", "bad", "fine"] {
            sale.charge(user, 1).await;
        }
        all_are_sent(&launch).await;
        let dead = in_state(&launch, "dead").await;
        assert_eq!(dead.len(), number + 1, "{dead:?}");
        assert!(dead[number].contains("bad") && dead[number].contains(&status.to_string()), "{dead:?}");
        assert_eq!(platform.told.lock().unwrap().taken.len(), 2 * (number + 1), "the others are taken");
    }
    consumer.until_metric("onsale_delivery_events_refused_total", |value| value == 7.0).await;
    consumer.until_metric(AWAY, |value| value == 0.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_that_refuses_everything_is_reported() {
    let (platform, launch, sale) = evening().await;
    {
        let mut told = platform.told.lock().unwrap();
        told.refused = (0..7).map(|number| format!("user-{number}")).collect();
        told.refuses_with = Some(StatusCode::BAD_REQUEST);
    }
    charge(&sale, 0, 30).await;
    let consumer = Work::start(&launch, "consume");
    let refuses = r#"onsale_part_degraded{part="platform",condition="refuses"}"#;
    consumer.until_metric(refuses, |value| value == 1.0).await;
    all_are_sent(&launch).await;
    platform.told.lock().unwrap().refused.clear();
    assert!(run(&launch, &["events", "retry"]).await.starts_with("30 "));
    consumer.until_metric(refuses, |value| value == 0.0).await;
    all_are_sent(&launch).await;
    let ids: HashSet<_> = platform.told.lock().unwrap().taken.iter().map(|event| event["id"].to_string()).collect();
    assert_eq!(ids.len(), 30, "all came out after all");
    let lines = consumer.log().lines().filter(|line| line.contains("refuses events")).count();
    assert!(lines <= 3, "one line at once, then a count: {lines} lines\n{}", consumer.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_that_is_too_large_is_split() {
    let (platform, launch, sale) = evening().await;
    platform.told.lock().unwrap().at_most = Some(7);
    charge(&sale, 0, 60).await;
    let _consumer = Work::start(&launch, "consume");
    all_are_sent(&launch).await;
    assert_eq!(in_state(&launch, "dead").await, [""; 0]);
    let wanted = by_subject(&log(&launch).await);
    assert_eq!(by_subject(&platform.told.lock().unwrap().taken), wanted, "once, in order");

    platform.told.lock().unwrap().at_most = Some(0);
    charge(&sale, 1, 2).await;
    all_are_sent(&launch).await;
    let dead = in_state(&launch, "dead").await;
    assert!(dead.len() == 2 && dead.iter().all(|line| line.contains("413")), "{dead:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_2xx_counts_as_delivered_with_any_body() {
    let (platform, launch, sale) = evening().await;
    // The status and a part of the body are on the wire when the connection breaks.
    let beginning = stream::once(async { Ok("{") });
    let cut = beginning.chain(stream::once(async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Err(io::Error::other("cut off"))
    }));
    let whole = (StatusCode::OK, "<html>not JSON").into_response();
    let broken = (StatusCode::OK, Body::from_stream(cut)).into_response();
    platform.told.lock().unwrap().answers = [whole, broken, empty(206), empty(299)].into();
    let _consumer = Work::start(&launch, "consume");
    for number in 1..=4 {
        charge(&sale, number, 1).await;
        all_are_sent(&launch).await;
        assert_eq!(platform.told.lock().unwrap().posts.len(), number, "no post is repeated");
    }
    assert_eq!(in_state(&launch, "dead").await, [""; 0]);
}
