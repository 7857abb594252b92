//! A request can be followed through its batch, the outbox and Kafka to the data platform.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod collector;
#[path = "../events_out/platform.rs"]
mod platform;
#[path = "../support/mod.rs"]
mod support;

use std::process::Stdio;
use std::time::Duration;

use onsale_testing::kafka::Kafka;
use onsale_testing::postgres::{Server, shared};
use onsale_testing::{Launch, Sale, without};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::json;
use tokio::process::Child;

use collector::{Collector, Seen};
use platform::Platform;
use support::{ONSALE, until};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{CALLER}-{flags}")
}

/// A program that sends its traces there, soon.
fn traced(collector: &Collector) -> Launch {
    let launch = Sale::launch(ONSALE).set("ONSALE_OTLP_ENDPOINT", collector.url());
    launch.set("ONSALE_OTLP_SAMPLE", 0).set("OTEL_BSP_SCHEDULE_DELAY", 50)
}

fn consume(launch: &Launch) -> Child {
    launch.command(&["consume"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

async fn charge(sale: &Sale, user: &str, flags: &str) {
    let call = sale.caller.patch(&format!("/point/{user}/charge")).json(&json!({"amount": 7}));
    call.header("traceparent", &traceparent(flags)).expect(200).await;
}

/// The one span of this name; its parent is as it must be.
fn child_of<'a>(seen: &'a [Seen], name: &str, parent: &str, kind: SpanKind) -> &'a Seen {
    let spans: Vec<&Seen> = seen.iter().filter(|span| span.name == name && span.trace == TRACE).collect();
    let [span] = spans[..] else { panic!("not one {name} in {seen:#?}") };
    assert_eq!((span.parent.as_str(), span.kind), (parent, kind), "{name}");
    span
}

/// From the caller to its decision, in its batch. Returns the span that made the event.
fn until_decided(seen: &[Seen]) -> &Seen {
    let request = child_of(seen, "PATCH /point/{id}/charge", CALLER, SpanKind::Server);
    let about = |name: &str| request.attributes.get(name).map(String::as_str);
    assert_eq!(about("http.response.status_code"), Some("200"));
    assert_eq!((about("http.request.method"), about("http.route")), (Some("PATCH"), Some("/point/{id}/charge")));
    let decided = child_of(seen, "decide", &request.span, SpanKind::Internal);
    let batch = seen.iter().find(|span| span.name == "batch").expect("a batch");
    assert_eq!(batch.links, [(TRACE.to_owned(), decided.span.clone())], "a batch names its requests");
    assert_eq!(decided.links, [(batch.trace.clone(), batch.span.clone())], "and they name it");
    assert_eq!(batch.attributes["onsale.batch.size"], "1");
    assert!(request.began <= decided.began && decided.ended <= request.ended, "within the request");
    decided
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_followed_through_kafka() {
    if without("postgres") || without("kafka") {
        return;
    }
    let (kafka, collector, platform) = (Kafka::start().await, Collector::start().await, Platform::start().await);
    let database = shared().await.migrated(ONSALE).await;
    let launch = traced(&collector).on(database.url()).set("ONSALE_KAFKA_BROKERS", kafka.brokers());
    let launch = launch.set("ONSALE_DATA_PLATFORM_URL", platform.url());
    let sale = Sale::start(&launch).await;
    let _consumer = consume(&launch);
    charge(&sale, "ada", "01").await;
    // Neither is sampled.
    charge(&sale, "bob", "00").await;
    sale.charge("cyd", 9).await;
    let taken = async || (platform.told.lock().unwrap().taken.len() == 3).then_some(());
    until("all events came out", taken).await;
    let whole = async || Some(collector.seen()).filter(|seen| seen.len() >= 5);
    let seen = until("both programs have sent all spans", whole).await;
    let decided = until_decided(&seen);
    let sent = child_of(&seen, "send onsale.points", &decided.span, SpanKind::Producer);
    let processed = child_of(&seen, "process onsale.points", &sent.span, SpanKind::Consumer);
    assert_eq!(sent.attributes["messaging.message.id"], processed.attributes["messaging.message.id"]);
    let posts: Vec<_> = platform.told.lock().unwrap().posts.iter().map(|(headers, _)| headers.clone()).collect();
    let followed: Vec<_> = posts.iter().filter_map(|headers| headers.get("traceparent")).collect();
    assert_eq!(followed, [&format!("00-{TRACE}-{}-01", processed.span)], "the platform can go on with it");
    assert!(sale.instance.terminate().await.success());
    let names: Vec<_> = collector.seen().into_iter().map(|span| span.name).collect();
    assert_eq!(names.len(), 5, "only the one that was to be followed: {names:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_followed_without_a_broker() {
    let (collector, platform) = (Collector::start().await, Platform::start().await);
    let launch = traced(&collector).set("ONSALE_DATA_PLATFORM_URL", platform.url());
    let sale = Sale::start(&launch).await;
    charge(&sale, "ada", "01").await;
    // What the platform does not take now is seen to have failed, and the next try is a part of the trace too.
    platform.told.lock().unwrap().down = Some((axum::http::StatusCode::SERVICE_UNAVAILABLE, 0));
    let _consumer = consume(&launch);
    until("a try has failed", async || collector.with("process onsale.points")).await;
    platform.told.lock().unwrap().down = None;
    let tried = async || collector.with("process onsale.points").filter(|seen| seen.iter().any(Seen::delivered));
    until("a try is taken", tried).await;
    assert!(sale.instance.terminate().await.success());
    let seen = collector.seen();
    let decided = until_decided(&seen);
    let tries: Vec<_> = seen.iter().filter(|span| span.name == "process onsale.points").collect();
    assert!(tries.len() > 1 && tries.iter().all(|span| span.parent == decided.span), "{tries:#?}");
    assert_eq!(tries.iter().filter(|span| span.has_failed).count(), tries.len() - 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_span_of_a_failed_batch_has_an_error() {
    if without("postgres") {
        return;
    }
    let (collector, server) = (Collector::start().await, Server::start().await);
    let database = server.migrated(ONSALE).await;
    let sale = Sale::start(&traced(&collector).on(database.url())).await;
    charge(&sale, "ada", "01").await;
    server.kill().await;
    let call = sale.caller.patch("/point/ada/charge").json(&json!({"amount": 7}));
    call.header("traceparent", &traceparent("01")).expect(503).await;
    let whole = async || Some(collector.seen()).filter(|seen| seen.len() >= 6);
    let seen = until("the spans of both requests arrive", whole).await;
    for name in ["decide", "batch"] {
        let mut failed: Vec<_> = seen.iter().filter(|span| span.name == name).map(|span| span.has_failed).collect();
        failed.sort_unstable();
        assert_eq!(failed, [false, true], "{name} in {seen:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_share_of_the_others_is_traced_by_chance() {
    let collector = Collector::start().await;
    let sale = Sale::start(&traced(&collector).set("ONSALE_OTLP_SAMPLE", 1)).await;
    for _ in 0..3 {
        sale.charge("ada", 9).await;
    }
    charge(&sale, "bob", "00").await;
    assert!(sale.instance.terminate().await.success());
    let seen = collector.seen();
    let requests: Vec<_> = seen.iter().filter(|span| span.name == "PATCH /point/{id}/charge").collect();
    assert_eq!(requests.len(), 3, "a request with the flag 00 is not traced; the rest is sent before the end");
    assert!(requests.iter().all(|span| span.parent.is_empty()), "each is a trace of its own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_collector_delays_no_request() {
    // It takes connections in, and never answers.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", listener.local_addr().unwrap());
    let sale =
        Sale::start(&Sale::launch(ONSALE).set("ONSALE_OTLP_ENDPOINT", silent).set("ONSALE_OTLP_SAMPLE", 1)).await;
    for _ in 0..3_000 {
        sale.charge("ada", 1).await;
    }
    let balance = sale.caller.get("/point/ada").expect(200).await["balance"].clone();
    assert_eq!(balance, 3_000);
    let stopped = tokio::time::timeout(Duration::from_secs(20), sale.instance.terminate()).await;
    assert!(stopped.expect("an end in time").success());
}
