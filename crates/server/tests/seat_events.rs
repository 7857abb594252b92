//! The changes of a hall as server-sent events.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use onsale_testing::{PATIENCE, Sale, iso};
use serde_json::{Value, json};
use support::evening::Evening;
use support::room::{place, room};
use support::seat_events::{Hall, next_change, until_seats};
use support::stream::Stream;
use support::{at_once, audit, millis, start, text, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const EMPTY: [(&str, &str); 4] = [("available", "[]"), ("held", "[]"), ("sold", "[]"), ("blocked", "[]")];

async fn hall(evening: &Evening) -> Hall {
    Hall::of(&evening.sale, &evening.concert, &evening.performance).await
}

#[tokio::test]
async fn a_map_and_its_events_are_the_seats_as_they_are() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, ada, bob, performance, .. } = &evening;
    let hall = hall(&evening).await;
    let mut map = hall.map(sale, ada).await;
    let mut stream = hall.follow(sale, bob, &format!("&after={}", map.version)).await;
    let first = stream.next_event().await.unwrap();
    assert_eq!((&*first.name, first.data["version"].as_u64()), ("message", Some(map.version)));
    assert!(first.retry.is_some_and(|retry| (1_000..=3_000).contains(&retry)), "{:?}", first.retry);
    for (member, empty) in EMPTY {
        assert_eq!(first.data[member].to_string(), empty);
    }
    millis(&first.data["asOf"]);

    sale.charge("ada", 1_000_000).await;
    let held = evening.hold(ada, &json!([7, 8, 9, 20])).expect(201).await;
    let event = next_change(&mut stream).await;
    assert_eq!(event.data["held"], json!([[7, 9], [20, 20]]));
    let id = event.id.unwrap();
    let (history, version) = id.split_once('-').unwrap();
    assert_eq!((history.len(), version), (16, &*event.data["version"].to_string()));
    map.apply(&event.data);
    sale.pay(ada, &held).expect(201).await;
    map.apply(&until_seats(&mut stream, "sold", &json!([[7, 9], [20, 20]])).await.data);
    let other = evening.hold(bob, &json!([1, 2])).expect(201).await;
    map.apply(&until_seats(&mut stream, "held", &json!([[1, 2]])).await.data);
    evening.release(bob, &other).expect(204).await;
    map.apply(&until_seats(&mut stream, "available", &json!([[1, 2]])).await.data);
    let block = json!({"seats": [50], "reason": "a camera"});
    sale.admin(sale.caller.post(&format!("/admin/performances/{performance}/blocks"))).json(&block).expect(200).await;
    map.apply(&until_seats(&mut stream, "blocked", &json!([[50, 50]])).await.data);
    // Ada's turn has ended with her payment.
    let shown = hall.map(sale, bob).await;
    assert_eq!((shown.version, shown.seats), (map.version, map.seats));
    audit(sale).await;
}

#[tokio::test]
async fn without_a_version_the_first_event_has_all_seats() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, ada, .. } = &evening;
    let hall = hall(&evening).await;
    evening.hold(ada, &json!([3, 4])).expect(201).await;
    let mut stream = hall.follow(sale, ada, "").await;
    let first = stream.next_event().await.unwrap();
    assert_eq!((&first.data["available"], &first.data["held"]), (&json!([[1, 2], [5, 50]]), &json!([[3, 4]])));
}

#[tokio::test]
async fn a_client_continues_from_what_it_had() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, ada, bob, performance, .. } = &evening;
    let hall = hall(&evening).await;
    evening.hold(ada, &json!([40])).expect(201).await;
    let mut stream = hall.follow(sale, ada, "").await;
    let begun = stream.next_event().await.unwrap().id.unwrap();
    evening.hold(ada, &json!([1])).expect(201).await;
    let after_one = until_seats(&mut stream, "held", &json!([[1, 1]])).await.id.unwrap();
    evening.hold(bob, &json!([2])).expect(201).await;
    let after_two = until_seats(&mut stream, "held", &json!([[2, 2]])).await.id.unwrap();
    drop(stream);
    // A token has at most 16 streams at once, and the end of one is noticed a moment later.
    let asked = std::cell::Cell::new(0);
    let first = async |headers: &[&str], more: &str| {
        asked.set(asked.get() + 1);
        let token = format!("Queue-Token: {}", if asked.get() % 2 == 0 { ada } else { bob });
        let headers = [&[token.as_str()], headers].concat();
        let event = hall.follow_with(sale, &headers, more).await.next_event().await.unwrap();
        (event.name, event.data["held"].clone(), event.id.unwrap())
    };
    let message = |held: Value| ("message".to_owned(), held, after_two.clone());
    let reset = ("reset".to_owned(), Value::Null, after_two.clone());
    let version = |id: &str| id.split_once('-').unwrap().1.to_owned();
    for (id, held) in [(&begun, json!([[1, 2]])), (&after_one, json!([[2, 2]])), (&after_two, json!([]))] {
        assert_eq!(first(&[], &format!("&after={id}")).await, message(held.clone()), "after {id}");
        assert_eq!(
            first(&[], &format!("&after={}", version(id))).await,
            message(held.clone()),
            "after the version of {id}"
        );
        let header = format!("Last-Event-ID: {id}");
        assert_eq!(first(&[&header], "").await, message(held.clone()));
        assert_eq!(first(&[&header], &format!("&after={begun}")).await, message(held), "the header is newer");
    }
    // Another history, a version from before the log, an id that is not ours.
    for lost in ["00000000000000ab-7".to_owned(), format!("{}-0", &begun[..16]), "what?".to_owned()] {
        let header = format!("Last-Event-ID: {lost}");
        assert_eq!(first(&[&header], &format!("&after={after_two}")).await, reset, "{lost}");
    }
    // An empty header is none.
    assert_eq!(first(&["Last-Event-ID: "], &format!("&after={after_one}")).await, message(json!([[2, 2]])));
    // A version that no instance has is waited for, for 3 s.
    assert_eq!(first(&[], "&after=999999").await, reset);
    // New prices and new seats: the map must be read again.
    let mut stream = hall.follow(sale, ada, &format!("&after={after_two}")).await;
    stream.next_event().await.unwrap();
    let path = format!("/admin/performances/{performance}");
    let prices = json!({"prices": [{"grade": "R", "price": 70_000}]});
    sale.admin(sale.caller.patch(&path)).json(&prices).expect(200).await;
    let repriced = stream.next_named("reset").await;
    let more = json!({"seats": [{"from": 51, "to": 60, "grade": "R", "price": 70_000}]});
    sale.admin(sale.caller.post(&format!("{path}/seats"))).json(&more).expect(201).await;
    let grown = stream.next_named("reset").await;
    assert!(repriced["version"].as_u64() < grown["version"].as_u64() && millis(&grown["asOf"]) > 0, "{grown}");
    let map = hall.map(sale, ada).await;
    assert!(map.version >= grown["version"].as_u64().unwrap() && map.seats.len() == 60);
    evening.hold(bob, &json!([60])).expect(201).await;
    assert_eq!(next_change(&mut stream).await.data["held"], json!([[60, 60]]), "the stream goes on");
}

#[tokio::test]
async fn changes_are_gathered_and_all_listeners_get_the_same_bytes() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, concert, ada, bob, .. } = &evening;
    let hall = hall(&evening).await;
    let mut streams = [hall.follow(sale, ada, "").await, hall.follow(sale, bob, "").await];
    for stream in &mut streams {
        stream.next_event().await.unwrap();
    }
    let began = Instant::now();
    for seat in 1..=40_u32 {
        let token = sale.active(concert, &format!("user-{seat}")).await;
        sale.hold(&token, &evening.performance, &[seat]).await;
    }
    let mut all = [Vec::new(), Vec::new()];
    for (stream, all) in streams.iter_mut().zip(&mut all) {
        let mut held = 0;
        while held < 40 {
            let event = next_change(stream).await;
            let ranges = event.data["held"].as_array().unwrap().clone();
            held += ranges.iter().map(|range| range[1].as_u64().unwrap() + 1 - range[0].as_u64().unwrap()).sum::<u64>();
            all.push((event.id, event.data.to_string()));
        }
    }
    let [first, second] = all;
    assert_eq!(first, second);
    // Four a second, and one that began before.
    let most = u128::try_from(first.len()).unwrap();
    assert!(most <= began.elapsed().as_millis() / 250 + 2, "{most} events in {:?}", began.elapsed());
}

#[tokio::test]
async fn a_lapse_is_sent_within_a_second() {
    let evening = Evening::start(&[("ONSALE_HOLD_SECONDS", "2")]).await;
    let Evening { sale, ada, bob, .. } = &evening;
    let hall = hall(&evening).await;
    let mut stream = hall.follow(sale, bob, "").await;
    for _ in 0..3 {
        let held = evening.hold(ada, &json!([5, 6])).expect(201).await;
        until_seats(&mut stream, "held", &json!([[5, 6]])).await;
        let free = until_seats(&mut stream, "available", &json!([[5, 6]])).await;
        let late = millis(&free.data["asOf"]) - millis(&held["heldUntil"]);
        // One second, and what a busy machine may add. The time of an event is at most one comparison before its seats.
        assert!((-300..1_000 + 3_000).contains(&late), "{late} ms after the end of the hold");
    }
}

#[tokio::test]
async fn a_section_is_followed_alone() {
    let sale = start(&[]).await;
    let concert = sale.concert(&room(10)).await;
    let section = |name: &str, from: u32| json!({"name": name, "rows": [{"row": "1", "from": from, "to": from + 9}]});
    let body = json!({"startsAt": iso(86_400), "price": 500, "sections": [section("A & B", 1), section("C", 11)]});
    let made = sale.admin(sale.caller.post(&format!("/admin/concerts/{concert}/performances"))).json(&body);
    let hall = Hall::of(&sale, &concert, &text(&made.expect(201).await["performanceId"])).await;
    let (ada, bob) = (sale.active(&concert, "ada").await, sale.active(&concert, "bob").await);
    let mut first = hall.follow(&sale, &ada, "&section=A%20%26%20B").await;
    let mut second = hall.follow(&sale, &ada, "&section=C").await;
    let mut none = hall.follow(&sale, &ada, "&section=D").await;
    assert_eq!(first.next_event().await.unwrap().data["available"], json!([[1, 10]]));
    assert_eq!(second.next_event().await.unwrap().data["available"], json!([[11, 20]]));
    assert_eq!(none.next_event().await.unwrap().data["available"], json!([]));
    sale.hold(&bob, &hall.performance, &[12]).await;
    assert_eq!(next_change(&mut second).await.data["held"], json!([[12, 12]]));
    sale.hold(&ada, &hall.performance, &[10, 11]).await;
    assert_eq!(next_change(&mut second).await.data["held"], json!([[11, 11]]));
    assert_eq!(next_change(&mut first).await.data["held"], json!([[10, 10]]), "nothing of seat 12 before it");
    // A section in which nothing happens still has a sign of life.
    assert_eq!(none.next_event().await.unwrap().name, "message");
}

#[tokio::test]
async fn a_stream_uses_the_turn_and_ends_with_it() {
    let sale = start(&[]).await;
    let settings = json!({"maxActive": 1, "admitPerSecond": 1_000, "activeSeconds": 600, "claimSeconds": 3});
    let concert = sale.concert(&settings).await;
    let hall = Hall::of(&sale, &concert, &sale.performance(&concert, &json!(10)).await).await;
    let ada = sale.active(&concert, "ada").await;
    let mut stream = hall.follow(&sale, &ada, "").await;
    let id = stream.next_event().await.unwrap().id.unwrap();
    drop(stream);
    let next = sale.enter(&concert, "next").await;
    let (waiting, from) = (text(&next["token"]), millis(&next["asOf"]));
    sale.until(&waiting, |place| {
        assert_eq!(place["status"], "WAITING", "a turn that was used outlives silence: {place}");
        millis(&place["asOf"]) > from + 7_000
    })
    .await;
    let mut stream = hall.follow(&sale, &ada, &format!("&after={id}")).await;
    stream.next_event().await.unwrap();
    sale.caller.delete("/queue/token").token(&ada).expect(204).await;
    loop {
        let event = stream.next_event().await.expect("the end is sent");
        if event.name == "end" {
            break;
        }
    }
    assert!(stream.next_event().await.is_none(), "the stream ends after it");
    let again = sale.caller.get(&hall.path("")).token(&ada);
    assert_eq!(again.header("last-event-id", &id).send().await.status, 204);
    sale.caller.get(&hall.path("")).token(&ada).refused(403, "queue-token-expired").await;
    sale.caller.get(&hall.path("")).token(&ada).header("last-event-id", "").refused(403, "queue-token-expired").await;
    assert_eq!(place(&sale, &ada).await["status"], "EXPIRED");
}

#[tokio::test]
async fn bad_calls_are_refused_in_order() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, ada, concert, .. } = &evening;
    let hall = hall(&evening).await;
    let events = format!("/concerts/{concert}/seats/events");
    sale.caller.get(&events).refused(401, "queue-token-missing").await;
    sale.caller.get(&format!("{events}?token={ada}x")).refused(401, "queue-token-invalid").await;
    let other = sale.concert(&json!({"maxActive": 1})).await;
    let active = sale.active(&other, "ada").await;
    sale.caller.get(&hall.path("")).token(&active).refused(401, "queue-token-invalid").await;
    let waiting = text(&sale.enter(&other, "bob").await["token"]);
    let of_other = format!("/concerts/{other}/seats/events");
    sale.caller.get(&of_other).token(&waiting).refused(403, "queue-token-waiting").await;
    let id = &evening.performance;
    for (query, field) in [
        (String::new(), "performanceId"),
        ("?performanceId=x".to_owned(), "performanceId"),
        (format!("?performanceId={id}&after="), "after"),
        (format!("?performanceId={id}&after=-1"), "after"),
        (format!("?performanceId={id}&after=ab-1"), "after"),
        (format!("?performanceId={id}&section="), "section"),
        (format!("?performanceId={id}&date=2030-01-01"), "date"),
        (format!("?performanceId={id}&performanceId={id}"), "performanceId"),
    ] {
        let problem = sale.caller.get(&format!("{events}{query}")).token(ada).refused(422, "invalid-request").await;
        assert_eq!(problem["errors"][0]["field"], field, "{query}");
    }
    let path = format!("{of_other}?performanceId={id}");
    sale.caller.get(&path).token(&active).refused(404, "performance-not-found").await;
    let mut streams = Vec::new();
    for _ in 0..16 {
        streams.push(hall.follow(sale, ada, "").await);
    }
    let refused = sale.caller.get(&hall.path("")).token(ada).send().await;
    refused.refused(429, "too-many-requests");
    assert!(refused.header("retry-after").is_some());
}

#[tokio::test]
async fn a_token_in_the_query_is_never_logged() {
    for format in ["text", "json"] {
        let evening = Evening::start(&[("ONSALE_LOG", "trace"), ("ONSALE_LOG_FORMAT", format)]).await;
        let Evening { sale, ada, .. } = &evening;
        let hall = hall(&evening).await;
        let mut stream = hall.follow_with(sale, &[], &format!("&token={ada}")).await;
        stream.next_event().await.unwrap();
        sale.caller.get(&hall.path(&format!("&token={ada}x"))).refused(401, "queue-token-invalid").await;
        let calls = async || (sale.instance.log().matches("/seats/events").count() >= 2).then_some(());
        until("the log has the calls", calls).await;
        let log = sale.instance.log();
        for secret in [ada.rsplit('.').next().unwrap(), ada.split('.').nth(1).unwrap(), "token="] {
            assert!(!log.contains(secret), "{secret} is in the log: {log}");
        }
    }
}

#[tokio::test]
async fn a_stop_ends_a_stream_without_an_end() {
    let evening = Evening::start(&[]).await;
    let hall = hall(&evening).await;
    let mut stream = hall.follow(&evening.sale, &evening.ada, "").await;
    stream.next_event().await.unwrap();
    let ended = tokio::spawn(evening.sale.instance.terminate());
    while let Some((name, _)) = stream.next().await {
        assert_eq!(name, "message", "no turn ends with the server");
    }
    assert!(ended.await.unwrap().success(), "exit 0");
}

/// A client whose system takes little ahead.
async fn connect_slowly(sale: &Sale, path: &str, token: &str) -> tokio::net::TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let address = sale.instance.base().trim_start_matches("http://").parse().unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nqueue-token: {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Reads until the words of a reset, at six kilobytes a second until it is in a hurry. Returns the bytes.
async fn read_slowly(mut stream: tokio::net::TcpStream, hurry: Arc<AtomicBool>) -> Vec<u8> {
    let (mut text, mut searched, mut some) = (Vec::<u8>::new(), 0, vec![0; 65_536]);
    let is_reset = |bytes: &[u8]| bytes.windows(12).any(|part| part == b"event: reset");
    while !is_reset(&text[searched..]) {
        // The words may come in two parts.
        searched = text.len().saturating_sub(12);
        let most = if hurry.load(Ordering::Relaxed) {
            some.len()
        } else {
            tokio::time::sleep(Duration::from_millis(300)).await;
            2_000
        };
        let count = stream.read(&mut some[..most]).await.unwrap();
        assert!(count > 0, "the connection stays open");
        text.extend_from_slice(&some[..count]);
    }
    text
}

#[tokio::test]
async fn a_slow_reader_gets_a_reset() {
    let sale = start(&[]).await;
    let concert = sale.concert(&room(10)).await;
    let performance = sale.performance(&concert, &json!(20_000)).await;
    let hall = Hall::of(&sale, &concert, &performance).await;
    let (ada, bob) = (sale.active(&concert, "ada").await, sale.active(&concert, "bob").await);
    let hurry = Arc::new(AtomicBool::new(false));
    let slow = connect_slowly(&sale, &hall.path(""), &ada).await;
    let slow = tokio::spawn(read_slowly(slow, hurry.clone()));
    let mut quick = hall.follow(&sale, &bob, "").await;
    quick.next_event().await.unwrap();
    // Every second seat of three parts of the hall: an event has three thousand ranges.
    let parts: Vec<Vec<u32>> =
        (0..3).map(|part| (0..1_000).map(|index| 2 * (1_000 * part + index) + 1).collect()).collect();
    let mut sent = 0;
    for round in 0..120 {
        let is_blocked = round % 2 == 1;
        let (what, status) = if is_blocked { ("unblocks", "available") } else { ("blocks", "blocked") };
        let path = format!("/admin/performances/{performance}/{what}");
        let body = |seats: &Vec<u32>| {
            if is_blocked { json!({"seats": seats}) } else { json!({"seats": seats, "reason": "a camera"}) }
        };
        let calls = parts.iter().map(|seats| sale.admin(sale.caller.post(&path)).json(&body(seats)));
        at_once(calls).await.iter().for_each(|reply| assert_eq!(reply.status, 200, "{}", reply.code()));
        let mut changed = 0;
        while changed < 3_000 {
            let event = next_change(&mut quick).await;
            assert_eq!(event.name, "message", "a quick reader gets all of them");
            changed += event.data[status].as_array().unwrap().len();
            sent += event.data.to_string().len();
        }
    }
    // What was sent before it fell behind, and then the reset.
    hurry.store(true, Ordering::Relaxed);
    let text = tokio::time::timeout(PATIENCE, slow).await.expect("a reset").unwrap();
    assert!(text.len() < sent / 2, "{} of {sent} bytes were kept for it", text.len());
}

#[tokio::test]
async fn a_client_that_is_gone_leaves_its_place() {
    let evening = Evening::start(&[]).await;
    let Evening { sale, ada, .. } = &evening;
    let hall = hall(&evening).await;
    let mut streams: Vec<Stream> = Vec::new();
    for _ in 0..16 {
        streams.push(hall.follow(sale, ada, "").await);
    }
    drop(streams);
    let again = async || {
        (Stream::open(sale.instance.base(), &hall.path(""), &[&format!("Queue-Token: {ada}")]).await.status == 200)
            .then_some(())
    };
    until("another stream may be opened", again).await;
}
