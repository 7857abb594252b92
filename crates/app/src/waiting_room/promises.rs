//! The instants until which clients were given time to poll: a turn does not lapse before.
//!
//! A place may be called sooner than the settings allowed when its client got its interval: the organiser raised the
//! rate, or many people ahead left. The interval follows from the line and the plan of that time, so a few snapshots of
//! the past are kept instead of one entry for each client.

use std::collections::VecDeque;
use std::sync::Arc;

use onsale_domain::time::Timestamp;

use super::Snapshot;

/// Snapshots are kept at this interval, in milliseconds.
const KEPT_EVERY_MILLIS: i64 = 1_000;

/// The distance between older snapshots grows to this part of their age.
const QUARTERS: i64 = 4;

/// Snapshots of the past, oldest first. Each holds from its time to that of the next.
#[derive(Debug, Default)]
pub(super) struct Promises(VecDeque<(Timestamp, Arc<Snapshot>)>);

impl Promises {
    /// Adds the snapshot that was in force until now. `is_last`: the settings change now.
    pub(super) fn keep(&mut self, snapshot: &Arc<Snapshot>, at: Timestamp, is_last: bool) {
        let last = self.0.back().map(|(last, _)| *last);
        if !is_last && last.is_some_and(|last| last.millis_until(at) < KEPT_EVERY_MILLIS) {
            return;
        }
        self.0.push_back((last.map_or(at, |last| last.max(at)), snapshot.clone()));
        while self.0.get(1).is_some_and(|(until, _)| self.0.front().is_some_and(|(_, kept)| longest(kept, *until) < at))
        {
            self.0.pop_front();
        }
        let mut index = 1;
        while index + 1 < self.0.len() {
            let (before, after) = (self.0[index - 1].0, self.0[index + 1].0);
            let is_near = before.millis_until(after) * QUARTERS < after.millis_until(at);
            if is_near && self.0[index].1.room.settings == self.0[index - 1].1.room.settings {
                self.0.remove(index);
            } else {
                index += 1;
            }
        }
    }

    /// The latest instant at which the client of a place that is called now may poll if it polls as told.
    pub(super) fn latest(&self, place: u64, at: Timestamp) -> Timestamp {
        let ends = self.0.iter().skip(1).map(|(until, _)| *until).chain([at]);
        let asked = self.0.iter().zip(ends).map(|((_, kept), until)| {
            let position = kept.line.people_up_to(place);
            if position == 0 { until } else { after(until, kept.longest_interval(position)) }
        });
        asked.max().unwrap_or(at)
    }
}

/// The latest instant at which a client of this line may poll if it was answered before `until`.
fn longest(kept: &Snapshot, until: Timestamp) -> Timestamp {
    after(until, kept.longest_interval(kept.line.waiting().max(1)))
}

fn after(from: Timestamp, seconds: f64) -> Timestamp {
    #[expect(clippy::cast_possible_truncation, reason = "at most some hours")]
    let millis = (seconds * 1_000.0) as i64;
    from.plus_millis(millis)
}
