//! The events of a hall at one instance show what happens at another.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::many::Many;
use crate::support::evening::path_of;
use crate::support::room::room;
use crate::support::seat_events::{Hall, until_seats};

/// Instances see each other's changes within 3 s, and a busy machine may add some.
const SEEN_WITHIN: Duration = Duration::from_secs(6);

async fn hall(many: &Many) -> Hall {
    let concert = many.at(0).concert(&room(1_000)).await;
    let performance = many.at(0).performance(&concert, &json!(50)).await;
    Hall::of(many.at(0), &concert, &performance).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_other_instances_are_sent() {
    let Some(many) = Many::start(3, &[("ONSALE_HOLD_SECONDS", "15")]).await else { return };
    let hall = hall(&many).await;
    let (ada, bob) = (many.at(0).active(&hall.concert, "ada").await, many.at(1).active(&hall.concert, "bob").await);
    many.at(0).charge("ada", 1_000_000).await;
    let mut streams = [hall.follow(many.at(1), &bob, "").await, hall.follow(many.at(2), &bob, "").await];
    for stream in &mut streams {
        stream.next_event().await.unwrap();
    }
    let mut longest = Duration::ZERO;
    let held = many.at(0).hold(&ada, &hall.performance, &[1, 2]).await;
    let since = Instant::now();
    for stream in &mut streams {
        until_seats(stream, "held", &json!([[1, 2]])).await;
    }
    longest = longest.max(since.elapsed());
    many.at(2).pay(&ada, &held).expect(201).await;
    let since = Instant::now();
    for stream in &mut streams {
        until_seats(stream, "sold", &json!([[1, 2]])).await;
    }
    longest = longest.max(since.elapsed());
    let released = many.at(2).hold(&bob, &hall.performance, &[7]).await;
    many.at(0).caller.delete(&path_of(&released)).token(&bob).expect(204).await;
    let since = Instant::now();
    for stream in &mut streams {
        until_seats(stream, "available", &json!([[7, 7]])).await;
    }
    longest = longest.max(since.elapsed());
    println!("shown at the other instances within {longest:?}");
    assert!(longest < SEEN_WITHIN, "{longest:?}");
    // A hold lapses by itself, and each instance finds that by its own clock.
    many.at(0).hold(&bob, &hall.performance, &[9]).await;
    for stream in &mut streams {
        until_seats(stream, "held", &json!([[9, 9]])).await;
        until_seats(stream, "available", &json!([[9, 9]])).await;
    }
    many.is_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_map_of_one_instance_is_continued_at_another() {
    let Some(many) = Many::start(3, &[]).await else { return };
    let hall = hall(&many).await;
    let bob = many.at(0).active(&hall.concert, "bob").await;
    let mut streams = vec![hall.follow(many.at(1), &bob, "").await];
    streams[0].next_event().await.unwrap();
    for seat in 1..=6_u32 {
        let token = many.at(0).active(&hall.concert, &format!("user-{seat}")).await;
        many.at(0).hold(&token, &hall.performance, &[seat]).await;
        // The map of the instance that changed it is ahead of the others.
        let mut map = hall.map(many.at(0), &bob).await;
        let mut stream = hall.follow(many.at(1), &bob, &format!("&after={}", map.version)).await;
        let first = stream.next_event().await.unwrap();
        assert_eq!(first.name, "message", "it waits until it knows the version");
        assert!(first.data["version"].as_u64().unwrap() >= map.version);
        map.apply(&first.data);
        assert_eq!(map.seats[&u64::from(seat)], "HELD");
        streams.push(stream);
    }
    let last = many.at(2).active(&hall.concert, "last").await;
    many.at(2).hold(&last, &hall.performance, &[50]).await;
    for stream in &mut streams {
        until_seats(stream, "held", &json!([[50, 50]])).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_a_killed_instance_continues_at_another() {
    let Some(mut many) = Many::start(3, &[]).await else { return };
    let hall = hall(&many).await;
    let bob = many.at(0).active(&hall.concert, "bob").await;
    let mut map = hall.map(many.at(0), &bob).await;
    let after = format!("&after={}", map.version);
    let (mut lost, mut other) =
        (hall.follow(many.at(0), &bob, &after).await, hall.follow(many.at(1), &bob, &after).await);
    lost.next_event().await.unwrap();
    other.next_event().await.unwrap();
    let token = many.at(1).active(&hall.concert, "ada").await;
    many.at(1).hold(&token, &hall.performance, &[1]).await;
    let known = until_seats(&mut lost, "held", &json!([[1, 1]])).await;
    map.apply(&known.data);
    until_seats(&mut other, "held", &json!([[1, 1]])).await;
    many.sales.remove(0).instance.kill().await;
    while lost.next_event().await.is_some() {}
    many.at(0).hold(&token, &hall.performance, &[2, 3]).await;
    until_seats(&mut other, "held", &json!([[2, 3]])).await;

    let header = format!("Last-Event-ID: {}", known.id.unwrap());
    let token_header = format!("Queue-Token: {bob}");
    let headers = [token_header.as_str(), header.as_str()];
    // An instance with listeners has the changes.
    let mut stream = hall.follow_with(many.at(0), &headers, &after).await;
    let first = stream.next_event().await.unwrap();
    assert_eq!((&*first.name, &first.data["held"]), ("message", &json!([[2, 3]])));
    map.apply(&first.data);
    // One without does not: the client reads the map and continues.
    let mut stream = hall.follow_with(many.at(1), &headers, &after).await;
    let first = stream.next_event().await.unwrap();
    assert_eq!(first.name, "reset");
    let again = hall.map(many.at(1), &bob).await;
    assert!(again.version >= first.data["version"].as_u64().unwrap());
    assert_eq!(again.seats, map.seats);
    let mut stream = hall.follow(many.at(1), &bob, &format!("&after={}", again.version)).await;
    assert_eq!(stream.next_event().await.unwrap().name, "message");
    many.is_in_order().await;
}
