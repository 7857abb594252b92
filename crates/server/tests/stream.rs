//! A place in line as server-sent events.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod support;

use onsale_testing::Sale;
use serde_json::{Value, json};
use support::room::{configure, has_no_members_of_waiting, place, room, token};
use support::stream::Stream;
use support::{millis, raw, start, until};

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

/// A room that admits no user.
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
        has_no_members_of_waiting(&shown);
        millis(&shown["activeUntil"]);
        let members = |place: &Value| place.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(members(&shown), members(&known), "the same as the answer to a poll");
    }
    for (token, stream) in [&ada, &bob].into_iter().zip(&mut streams) {
        sale.caller.delete("/queue/token").token(token).expect(204).await;
        let shown = stream.next_named("expired").await;
        assert_eq!(shown["status"], "EXPIRED");
        has_no_members_of_waiting(&shown);
        assert!(stream.next().await.is_none(), "the stream ends after it");
    }
}

#[tokio::test]
async fn positions_are_sent_as_the_line_moves() {
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
async fn an_ended_token_gets_the_event_of_its_end() {
    let sale = start(&[]).await;
    let concert = sale.concert(&room(10)).await;
    let left = sale.active(&concert, "ada").await;
    sale.caller.delete("/queue/token").token(&left).expect(204).await;
    let mut stream = follow_as_browser(&sale, &left).await;
    let (name, shown) = stream.next().await.unwrap();
    assert_eq!((name.as_str(), &shown["status"]), ("expired", &json!("EXPIRED")));
    assert!(stream.next().await.is_none());
}

/// The status of a reconnect with this id, and how its answer ends.
async fn reconnect(sale: &Sale, token: &str, last_event_id: &str) -> (u16, Option<String>) {
    let path = format!("{EVENTS}?token={token}");
    let header = format!("Last-Event-ID: {last_event_id}");
    let mut stream = Stream::open(sale.instance.base(), &path, &["Accept: text/event-stream", &header]).await;
    assert!(stream.header("cache-control").unwrap().contains("no-store"));
    let event = if stream.status == 204 { None } else { stream.next().await };
    (stream.status, event.map(|(name, _)| name))
}

#[tokio::test]
async fn a_reconnect_of_an_ended_token_gets_204() {
    let sale = start(&[]).await;
    let concert = closed_room(&sale, &room(10)).await;
    let (ended, waiting) = (token(&sale.enter(&concert, "ada").await), token(&sale.enter(&concert, "bob").await));
    let mut stream = follow_as_browser(&sale, &ended).await;
    let id = stream.next_event().await.unwrap().id.expect("each event has an id, which the browser sends back");
    // The id is not read: one of another stream, of another server or of nothing at all is a reconnect too.
    let ids = [id.as_str(), "0", "18446744073709551616", "a b; c", "\u{e9}\u{20ac}"];
    for id in ids {
        assert_eq!(reconnect(&sale, &ended, id).await, (200, Some("position".to_owned())), "{id:?} while it waits");
    }
    sale.caller.delete("/queue/token").token(&ended).expect(204).await;
    let last = stream.next_event().await.unwrap();
    assert_eq!(last.name, "expired");
    assert!(last.id.is_some() && stream.next().await.is_none());
    for id in ids {
        assert_eq!(reconnect(&sale, &ended, id).await, (204, None), "{id:?} after the end");
        assert_eq!(reconnect(&sale, &waiting, id).await.0, 200, "{id:?}: a token that waits");
    }
    // A first request has no id, or an empty one.
    assert_eq!(reconnect(&sale, &ended, "").await, (200, Some("expired".to_owned())));
    let mut stream = follow(&sale, &ended).await;
    assert_eq!(stream.next().await.unwrap().0, "expired");
    // What is wrong with a token is said to a reconnect too.
    let forged = sale.caller.get(&format!("{EVENTS}?token={waiting}x")).header("last-event-id", &id);
    forged.refused(401, "queue-token-invalid").await;
}

#[tokio::test]
async fn proxies_pass_a_stream_on_at_once_and_keep_nothing() {
    let sale = start(&[]).await;
    let concert = closed_room(&sale, &room(10)).await;
    let token = token(&sale.enter(&concert, "ada").await);
    let stream = follow(&sale, &token).await;
    assert_eq!(stream.header("x-accel-buffering"), Some("no"));
    let directives: Vec<&str> = stream.header("cache-control").unwrap().split(',').map(str::trim).collect();
    assert!(directives.contains(&"no-store") && directives.contains(&"no-transform"), "{directives:?}");
    assert_eq!(stream.header("content-encoding"), None);
    // HEAD has the same head and ends at once; no media type but this one can be had.
    let path = format!("HEAD {EVENTS}");
    let queue_token = format!("Queue-Token: {token}");
    let headers = [queue_token.as_bytes(), b"Accept: application/json"];
    let head = raw::exchange(sale.instance.base(), &raw::request(path.as_bytes(), &headers, b"")).await.unwrap();
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    assert!(head.body.is_empty());
}

#[tokio::test]
async fn clients_of_a_stopped_server_come_back_one_by_one() {
    let sale = start(&[]).await;
    for (claim_seconds, longest) in [(3_600, 3_000), (1, 500)] {
        let mut settings = room(10);
        settings["claimSeconds"] = json!(claim_seconds);
        let concert = closed_room(&sale, &settings).await;
        let token = token(&sale.enter(&concert, "ada").await);
        let mut waits = std::collections::BTreeSet::new();
        for _ in 0..12 {
            let mut stream = follow(&sale, &token).await;
            waits.insert(stream.next_event().await.unwrap().retry.expect("how long to wait before a reconnect"));
        }
        assert!(waits.len() > 1, "all wait equally long: {waits:?}");
        assert!(waits.iter().all(|wait| (longest / 3..=longest).contains(wait)), "{waits:?}, at most {longest}");
    }
}

#[tokio::test]
async fn a_pause_is_sent_at_once_and_the_state_again_and_again() {
    let sale = start(&[]).await;
    let mut settings = room(1);
    settings["claimSeconds"] = json!(3_600);
    let concert = sale.concert(&settings).await;
    sale.active(&concert, "ada").await;
    let token = token(&sale.enter(&concert, "bob").await);
    assert_eq!(place(&sale, &token).await["paused"], false);
    let mut stream = follow(&sale, &token).await;
    assert_eq!(stream.next_named("position").await["paused"], false);
    for paused in [true, false] {
        configure(&sale, &concert, &json!({"paused": paused})).await;
        assert_eq!(stream.next_named("position").await["paused"], paused);
        let shown = place(&sale, &token).await;
        let has_wait = (shown["estimatedWaitSeconds"].is_u64(), shown["estimatedWait"].is_object());
        assert_eq!((&shown["paused"], has_wait), (&json!(paused), (!paused, !paused)), "{shown}");
    }
    // Nothing changes from here on: a client that receives nothing for longer than this has lost its connection.
    let known = stream.next_event().await.unwrap();
    let again = stream.next_event().await.unwrap();
    assert_eq!((known.name, again.name.as_str(), &again.data["position"]), ("position".into(), "position", &json!(1)));
    let apart = millis(&again.data["asOf"]) - millis(&known.data["asOf"]);
    assert!((9_000..14_000).contains(&apart), "{apart} ms");
}

#[tokio::test]
async fn an_open_stream_keeps_the_turn() {
    let sale = start(&[]).await;
    let settings = json!({"maxActive": 1, "admitPerSecond": 1_000, "activeSeconds": 600, "claimSeconds": 5});
    let concert = sale.concert(&settings).await;
    let followed = sale.active(&concert, "followed").await;
    let mut stream = follow(&sale, &followed).await;
    stream.next_named("active").await;
    let next = sale.enter(&concert, "next").await;
    let waiting = token(&next);
    let from = millis(&next["asOf"]);
    sale.until(&waiting, |place| {
        assert_eq!(place["status"], "WAITING", "the stream is a sign of life: {place}");
        millis(&place["asOf"]) > from + 13_000
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
            assert_eq!(name, "position", "no turn ends with the server");
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
        until("the log has the calls", async || (sale.instance.log().matches(EVENTS).count() >= 3).then_some(())).await;
        let signature = token.rsplit('.').next().unwrap();
        let claims = token.split('.').nth(1).unwrap();
        let log = sale.instance.log();
        for secret in [signature, claims, "token="] {
            assert!(!log.contains(secret), "{secret} is in the log: {log}");
        }
    }
}
