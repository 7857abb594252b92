//! Server-sent events at one instance tell what happened at another.

use std::time::{Duration, Instant};

use onsale_testing::Sale;
use serde_json::json;

use crate::many::Many;
use crate::support::millis;
use crate::support::room::{configure, room, token};
use crate::support::stream::Stream;

/// A change of another instance is sent when it happens: without that, a stream would send the state again after ten seconds.
const SENT_WITHIN: Duration = Duration::from_secs(5);

async fn follow(sale: &Sale, token: &str) -> Stream {
    let path = "/queue/token/events";
    let stream = Stream::open(sale.instance.base(), path, &[&format!("Queue-Token: {token}")]).await;
    assert_eq!((stream.status, stream.media_type.as_str()), (200, "text/event-stream"));
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_sends_changes_of_other_instances() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let concert = many.at(0).concert(&room(2)).await;
    configure(many.at(0), &concert, &json!({"paused": true})).await;
    let mut tokens = Vec::new();
    for user in ["ada", "bob", "eve"] {
        tokens.push(token(&many.at(0).enter(&concert, user).await));
    }
    let mut streams = [follow(many.at(1), &tokens[2]).await, follow(many.at(2), &tokens[1]).await];
    assert_eq!(streams[0].next_named("position").await["position"], 3);
    assert_eq!(streams[1].next_named("position").await["position"], 2);

    many.at(2).caller.delete("/queue/token").token(&tokens[0]).expect(204).await;
    assert_eq!(streams[0].next_named("position").await["position"], 2);
    configure(many.at(0), &concert, &json!({"paused": false})).await;
    let since = Instant::now();
    for (token, stream) in [&tokens[2], &tokens[1]].into_iter().zip(&mut streams) {
        let active = stream.next_named("active").await;
        assert_eq!(active["token"], json!(token));
    }
    let admitted_in = since.elapsed();
    many.at(0).caller.delete("/queue/token").token(&tokens[2]).expect(204).await;
    let since = Instant::now();
    assert_eq!(streams[0].next_named("expired").await["status"], "EXPIRED");
    assert!(streams[0].next().await.is_none(), "the stream ends after it");
    println!("shown at the other instance: admitted in {admitted_in:?}, ended in {:?}", since.elapsed());
    assert!(admitted_in < SENT_WITHIN && since.elapsed() < SENT_WITHIN);

    // Payment at another instance ends it likewise.
    let performance = many.at(1).performance(&concert, &json!(null)).await;
    many.at(1).charge("bob", 100_000).await;
    let held = many.at(1).hold(&tokens[1], &performance, &[1]).await;
    many.at(0).pay(&tokens[1], &held).expect(201).await;
    assert_eq!(streams[1].next_named("expired").await["token"], json!(tokens[1]));
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_open_at_one_instance_keeps_the_turn_at_all() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let settings = json!({"maxActive": 1, "admitPerSecond": 1_000, "activeSeconds": 600, "claimSeconds": 4});
    let concert = many.at(0).concert(&settings).await;
    let followed = many.at(0).active(&concert, "followed").await;
    let mut stream = follow(many.at(0), &followed).await;
    stream.next_named("active").await;
    let next = many.at(1).enter(&concert, "next").await;
    let since = millis(&next["asOf"]);
    many.at(1)
        .until(&token(&next), |place| {
            assert_eq!(place["status"], "WAITING", "the stream is a sign of life: {place}");
            millis(&place["asOf"]) > since + 9_000
        })
        .await;
    drop(stream);
    many.at(2).until_status(&token(&next), "ACTIVE").await;
    many.at(1).until_status(&followed, "EXPIRED").await;
    many.is_in_order().await;
}
