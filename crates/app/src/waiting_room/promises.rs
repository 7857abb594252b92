//! Until when clients may wait with their next poll. A turn does not lapse before that instant.
//!
//! A place may be admitted sooner than the settings allowed when its client got its interval: the organiser raised the
//! rate, or many users ahead left. The interval follows from the line and the plan of that time, so a few snapshots of
//! the past are kept instead of one entry for each client.

use std::collections::VecDeque;
use std::sync::Arc;

use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Room;

use super::Snapshot;
use super::pace::precise;
use super::poll_interval::{longest_far, longest_of};

/// Snapshots are kept at this interval, in milliseconds.
const KEPT_EVERY_MILLIS: i64 = 1_000;

/// The distance between older snapshots grows to this part of their age.
const QUARTERS: i64 = 4;

/// Intervals that were given before the start are taken as at most this long, in seconds. Absentees keep their turns
/// until then.
const BEFORE_START_SECONDS_MAX: f64 = 60.0;

/// The poll intervals that clients of one room were given.
#[derive(Debug, Default)]
pub(super) struct Promises {
    /// Snapshots of the past, oldest first. Each holds from its time to that of the next.
    kept: VecDeque<(Timestamp, Arc<Snapshot>)>,
    before_start: BeforeStart,
}

/// Intervals that were given before this process read the room. Its settings and line of that time are not known.
#[derive(Clone, Copy, Debug, Default)]
struct BeforeStart {
    at: Timestamp,
    /// The last place that may have been handed out by then.
    issued: u64,
    /// The longest interval, in seconds.
    seconds: f64,
}

impl BeforeStart {
    /// Silence before this instant does not end the turn of a place: so its turn does not lapse before its next poll.
    fn forgiven_until(&self, place: u64, claim_seconds: u32) -> Timestamp {
        if place > self.issued {
            return Timestamp::from_millis(i64::MIN);
        }
        // A position is at most its place, and `admitPerSecond` at least 1.
        let longest = self.seconds.min(longest_of(precise(place), 1.0, claim_seconds));
        after(self.at, (longest - f64::from(claim_seconds)).max(0.0))
    }
}

/// Until when silence does not end turns that begin now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forgiveness {
    /// The time of the latest poll that one of their clients was promised to make.
    latest: Timestamp,
    before_start: BeforeStart,
    claim_seconds: u32,
}

impl Forgiveness {
    pub(super) fn until(&self, place: u64) -> Timestamp {
        self.latest.max(self.before_start.forgiven_until(place, self.claim_seconds))
    }
}

impl Promises {
    /// For a room that was read from the database at this time.
    pub(super) fn started(room: &Room, polls_per_second: u32, at: Timestamp) -> Self {
        let waiting = room.waiting_up_to(room.issued.max(room.blocks.reserved_to));
        let seconds = longest_far(precise(waiting), polls_per_second).min(BEFORE_START_SECONDS_MAX);
        let issued = room.issued.max(room.blocks.reserved_to);
        Self { kept: VecDeque::new(), before_start: BeforeStart { at, issued, seconds } }
    }

    /// Until when silence does not end the turns of places up to this one, the last that is admitted now.
    pub(super) fn forgiveness(&self, last_admitted: u64, claim_seconds: u32, at: Timestamp) -> Forgiveness {
        Forgiveness { latest: self.latest(last_admitted, at), before_start: self.before_start, claim_seconds }
    }

    /// Adds the snapshot that was in force until now. `is_last`: the settings change now.
    pub(super) fn keep(&mut self, snapshot: &Arc<Snapshot>, at: Timestamp, is_last: bool) {
        let last = self.kept.back().map(|(last, _)| *last);
        if !is_last && last.is_some_and(|last| last.millis_until(at) < KEPT_EVERY_MILLIS) {
            return;
        }
        self.kept.push_back((last.map_or(at, |last| at.not_before(last)), snapshot.clone()));
        while self
            .kept
            .get(1)
            .is_some_and(|(until, _)| self.kept.front().is_some_and(|(_, kept)| longest(kept, *until) < at))
        {
            self.kept.pop_front();
        }
        let mut index = 1;
        while index + 1 < self.kept.len() {
            let (before, after) = (self.kept[index - 1].0, self.kept[index + 1].0);
            let is_near = before.millis_until(after) * QUARTERS < after.millis_until(at);
            if is_near && self.kept[index].1.room.settings == self.kept[index - 1].1.room.settings {
                self.kept.remove(index);
            } else {
                index += 1;
            }
        }
    }

    /// The latest instant at which the client of a place that is admitted now may poll if it follows `pollAfterSeconds`.
    pub(super) fn latest(&self, place: u64, at: Timestamp) -> Timestamp {
        let ends = self.kept.iter().skip(1).map(|(until, _)| *until).chain([at]);
        let asked = self.kept.iter().zip(ends).map(|((_, kept), until)| {
            let position = kept.line.users_up_to(place);
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
