//! Draining: `/readyz` answers 503, and requests are still served.

use std::time::{Duration, Instant};

use onsale_testing::{Sale, Signal};
use serde_json::json;
use tokio::net::TcpStream;

use crate::client::{Client, address, get, send};
use crate::support::room::{configure, token};
use crate::support::stream::Stream;
use crate::support::{start, text, until};

async fn until_not_ready(sale: &Sale) {
    let not_ready = async || {
        let ready = Client::connect(address(sale.instance.base())).await.ask(&get("/readyz")).await;
        (ready.status == 503).then(|| assert_eq!(ready.code(), "unavailable"))
    };
    until("/readyz answers 503", not_ready).await;
}

#[tokio::test]
async fn new_connections_are_served_while_draining_and_a_second_signal_ends_it() {
    let sale = start(&[("ONSALE_DRAIN_SECONDS", "600")]).await;
    let concert = sale.concert(&json!({})).await;
    configure(&sale, &concert, &json!({"paused": true})).await;
    let waiting = token(&sale.enter(&concert, "ada").await);
    let events = format!("/queue/token/events?token={waiting}");
    let mut stream = Stream::open(sale.instance.base(), &events, &[]).await;
    stream.next_named("position").await;
    let at = address(sale.instance.base());
    let mut idle = Client::connect(at).await;
    assert_eq!(idle.ask(&get("/readyz")).await.status, 200);

    sale.instance.signal(Signal::TERM);
    until_not_ready(&sale).await;
    for number in 0..50 {
        let mut client = Client::connect(at).await;
        let charge = send("PATCH", "/point/ada/charge", &format!("idempotency-key: {number}\r\n"), r#"{"amount": 1}"#);
        let reply = client.ask(&charge).await;
        assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
        client.closed().await;
    }
    assert_eq!(Client::connect(at).await.ask(&get("/healthz")).await.status, 200, "it lives");
    let late = idle.ask(&get("/point/ada")).await;
    assert_eq!((late.status, late.header("connection")), (200, Some("close")));
    // Streams stay open: a client that reconnected now might reach this instance again.
    configure(&sale, &concert, &json!({"paused": false})).await;
    let active = stream.next_named("active").await;
    assert_eq!(text(&active["token"]), waiting);

    sale.instance.signal(Signal::TERM);
    assert!(stream.next().await.is_none(), "streams end when the draining does");
    // Waits for a minute at most, and the draining would take ten.
    assert!(sale.instance.ended().await.success());
    assert!(TcpStream::connect(at).await.is_err());
}

#[tokio::test]
async fn draining_ends_after_its_time() {
    let sale = start(&[("ONSALE_DRAIN_SECONDS", "5")]).await;
    let began = Instant::now();
    sale.instance.signal(Signal::TERM);
    until_not_ready(&sale).await;
    assert!(sale.instance.ended().await.success());
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(5), "{took:?}");
}
