//! A hall that is followed by its events.

use std::collections::BTreeMap;

use onsale_testing::Sale;
use serde_json::{Value, json};

use super::stream::{Event, Stream};
use super::text;

/// A performance and how its seats are read.
#[derive(Clone)]
pub(crate) struct Hall {
    pub(crate) concert: String,
    pub(crate) performance: String,
    date: String,
}

/// Seats by number, with the version that they are as of.
pub(crate) struct Map {
    pub(crate) version: u64,
    pub(crate) seats: BTreeMap<u64, String>,
}

impl Hall {
    pub(crate) async fn of(sale: &Sale, concert: &str, performance: &str) -> Self {
        let path = format!("/admin/performances/{performance}");
        let shown = sale.admin(sale.caller.get(&path)).expect(200).await;
        Self { concert: concert.to_owned(), performance: performance.to_owned(), date: text(&shown["date"]) }
    }

    /// The path of the events, with more parameters.
    pub(crate) fn path(&self, more: &str) -> String {
        format!("/concerts/{}/seats/events?performanceId={}{more}", self.concert, self.performance)
    }

    /// A stream with the token in the header.
    pub(crate) async fn follow(&self, sale: &Sale, token: &str, more: &str) -> Stream {
        self.follow_with(sale, &[&format!("Queue-Token: {token}")], more).await
    }

    pub(crate) async fn follow_with(&self, sale: &Sale, headers: &[&str], more: &str) -> Stream {
        let stream = Stream::open(sale.instance.base(), &self.path(more), headers).await;
        assert_eq!((stream.status, stream.media_type.as_str()), (200, "text/event-stream"));
        stream
    }

    /// The map as a list shows it.
    pub(crate) async fn map(&self, sale: &Sale, token: &str) -> Map {
        let path = format!("/concerts/{}/seats?date={}", self.concert, self.date);
        let shown = sale.caller.get(&path).token(token).expect(200).await;
        let all = shown["performances"].as_array().unwrap();
        let of_this = all.iter().find(|performance| performance["performanceId"] == json!(self.performance)).unwrap();
        let seat = |seat: &Value| (seat["seat"].as_u64().unwrap(), text(&seat["status"]));
        let seats = of_this["seats"].as_array().unwrap().iter().map(seat).collect();
        Map { version: of_this["version"].as_u64().unwrap(), seats }
    }
}

impl Map {
    /// Applies the data of an event.
    pub(crate) fn apply(&mut self, data: &Value) {
        self.version = data["version"].as_u64().unwrap();
        for (member, status) in [("available", "AVAILABLE"), ("held", "HELD"), ("sold", "SOLD"), ("blocked", "BLOCKED")]
        {
            for range in data[member].as_array().unwrap() {
                for seat in range[0].as_u64().unwrap()..=range[1].as_u64().unwrap() {
                    self.seats.insert(seat, status.to_owned());
                }
            }
        }
    }
}

/// The next event with a change. Beats without one are passed over.
pub(crate) async fn next_change(stream: &mut Stream) -> Event {
    loop {
        let event = stream.next_event().await.expect("an event");
        let is_empty = |member: &str| event.data[member] == json!([]);
        if event.name != "message" || !["available", "held", "sold", "blocked"].into_iter().all(is_empty) {
            return event;
        }
    }
}

/// Reads events until seats have a status.
pub(crate) async fn until_seats(stream: &mut Stream, status: &str, ranges: &Value) -> Event {
    loop {
        let event = next_change(stream).await;
        assert_eq!(event.name, "message", "{}", event.data);
        if event.data[status] == *ranges {
            return event;
        }
    }
}
