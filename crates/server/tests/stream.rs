//! A place in line as server-sent events.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so and ends")]

mod support;

use onsale_testing::Sale;
use serde_json::{Value, json};
use support::room::{configure, place, room, says_nothing_of_waiting, token};
use support::stream::Stream;
use support::{millis, start, until};

const EVENTS: &str = "/queue/token/events";

/// A stream for a token in the header.
async fn follow(sale: &Sale, token: &str) -> Stream {
    let stream = Stream::open(sale.instance.base(), EVENTS, &[&format!("Queue-Token: {token}")]).await;
    assert_eq!((stream.status, stream.media_type.as_str()), (200, "text/event-stream"));
    stream
}

/// A stream for a token in the query, as a browser has it.
async fn follow_as_browser(sale: &Sale, token: &str) -> Stream {
    let path = format!("{EVENTS}?token={token}");
    let stream = Stream::open(sale.instance.base(), &path, &["Accept: text/event-stream"]).await;
    assert_eq!((stream.status, stream.media_type.as_str()), (200, "text/event-stream"));
    stream
}

/// A room in which everyone waits.
async fn closed_room(sale: &Sale, settings: &Value) -> String {
    let concert = sale.concert(settings).await;
    configure(sale, &concert, &json!({"paused": true})).await;
    concert
}

#[tokio::test]
async fn from_the_line_to_the_end() {
    let sale = start(&[]).await;
    let concert = closed_room(&sale, &room(10)).await;
    let (ada, bob) = (token(&sale.enter(&concert, "ada").await), token(&sale.enter(&concert, "bob").await));
    let mut streams = [follow(&sale, &ada).await, follow_as_browser(&sale, &bob).await];
    for (position, stream) in (1..).zip(&mut streams) {
        let (name, shown) = stream.next().await.unwrap();
        assert_eq!(
            (name.as_str(), &shown["status"], &shown["position"]),
            ("position", &json!("WAITING"), &json!(position))
        );
        assert_eq!(shown["concertId"], json!(concert));
    }
    let known = place(&sale, &bob).await;
    configure(&sale, &concert, &json!({"paused": false})).await;
    for (token, stream) in [&ada, &bob].into_iter().zip(&mut streams) {
        let shown = stream.next_named("active").await;
        assert_eq!((&shown["status"], &shown["token"]), (&json!("ACTIVE"), &json!(token)));
        says_nothing_of_waiting(&shown);
        millis(&shown["activeUntil"]);
        let members = |place: &Value| place.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(members(&shown), members(&known), "the same as a poll is told");
    }
    for (token, stream) in [&ada, &bob].into_iter().zip(&mut streams) {
        sale.caller.delete("/queue/token").token(token).expect(204).await;
        let shown = stream.next_named("expired").await;
        assert_eq!(shown["status"], "EXPIRED");
        says_nothing_of_waiting(&shown);
        assert!(stream.next().await.is_none(), "the stream ends after it");
    }
}

#[tokio::test]
async fn positions_are_told_as_the_line_moves() {
    let sale = start(&[]).await;
    let concert = closed_room(&sale, &room(10)).await;
    let mut tokens = Vec::new();
    for user in ["a", "b", "c", "d"] {
        tokens.push(token(&sale.enter(&concert, user).await));
    }
    let mut stream = follow(&sale, &tokens[3]).await;
    assert_eq!(stream.next_named("position").await["position"], 4);
    for leaving in [0, 2, 1] {
        let before = place(&sale, &tokens[3]).await["position"].as_u64().unwrap();
        sale.caller.delete("/queue/token").token(&tokens[leaving]).expect(204).await;
        assert_eq!(stream.next_named("position").await["position"], before - 1);
    }
}

#[tokio::test]
async fn an_ended_token_is_told_so() {
    let sale = start(&[]).await;
    let concert = sale.concert(&room(10)).await;
    let left = sale.active(&concert, "ada").await;
    sale.caller.delete("/queue/token").token(&left).expect(204).await;
    let mut stream = follow_as_browser(&sale, &left).await;
    let (name, shown) = stream.next().await.unwrap();
    assert_eq!((name.as_str(), &shown["status"]), ("expired", &json!("EXPIRED")));
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn an_open_stream_keeps_the_turn() {
    let sale = start(&[]).await;
    let settings = json!({"maxActive": 1, "admitPerSecond": 1_000, "activeSeconds": 600, "claimSeconds": 3});
    let concert = sale.concert(&settings).await;
    let followed = sale.active(&concert, "followed").await;
    let mut stream = follow(&sale, &followed).await;
    stream.next_named("active").await;
    let next = sale.enter(&concert, "next").await;
    let waiting = token(&next);
    let from = millis(&next["asOf"]);
    sale.until(&waiting, |place| {
        assert_eq!(place["status"], "WAITING", "the stream is a sign of life: {place}");
        millis(&place["asOf"]) > from + 8_000
    })
    .await;
    // Once it is closed there is none.
    drop(stream);
    sale.until_status(&waiting, "ACTIVE").await;
    assert_eq!(place(&sale, &followed).await["status"], "EXPIRED");
}

#[tokio::test]
async fn a_stop_ends_every_stream() {
    let sale = start(&[]).await;
    let concert = closed_room(&sale, &room(10)).await;
    let mut streams = Vec::new();
    for user in 0..20 {
        let token = token(&sale.enter(&concert, &format!("user-{user}")).await);
        let mut stream =
            if user % 2 == 0 { follow(&sale, &token).await } else { follow_as_browser(&sale, &token).await };
        stream.next_named("position").await;
        streams.push(stream);
    }
    let ended = tokio::spawn(sale.instance.terminate());
    for stream in &mut streams {
        while let Some((name, _)) = stream.next().await {
            assert_eq!(name, "position", "nobody's turn ends with the server");
        }
    }
    assert!(ended.await.unwrap().success(), "exit 0");
}

#[tokio::test]
async fn a_token_in_the_query_is_never_logged() {
    for format in ["text", "json"] {
        let sale = start(&[("ONSALE_LOG", "trace"), ("ONSALE_LOG_FORMAT", format)]).await;
        let concert = sale.concert(&room(10)).await;
        let token = sale.active(&concert, "ada").await;
        let mut stream = follow_as_browser(&sale, &token).await;
        stream.next_named("active").await;
        let forged = format!("{EVENTS}?token={token}x");
        sale.caller.get(&forged).refused(401, "queue-token-invalid").await;
        let unknown = format!("{EVENTS}?token={token}&also=1");
        sale.caller.get(&unknown).refused(422, "invalid-request").await;
        until("the log tells of the calls", async || (sale.instance.log().matches(EVENTS).count() >= 3).then_some(()))
            .await;
        let signature = token.rsplit('.').next().unwrap();
        let claims = token.split('.').nth(1).unwrap();
        let log = sale.instance.log();
        for secret in [signature, claims, "token="] {
            assert!(!log.contains(secret), "{secret} is in the log: {log}");
        }
    }
}
