//! How a room's snapshot takes in what was committed.

use std::sync::{Arc, Mutex, PoisonError};

use onsale_domain::concert::Reservation;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Turn;

use super::{LiveRoom, LiveTurn, Snapshot, note_holds};
use crate::waiting_room::change::Change;
use crate::waiting_room::outlook::Move;

impl LiveRoom {
    /// Takes in what a unit of work changed, turns before counters: a place that was called always finds its turn.
    pub(in crate::waiting_room) fn commit(&self, change: Change, at: Timestamp) {
        let absent = self.commit_turns(change.turns, change.ended, &change.reservations, at);
        let Some(room) = change.room else { return };
        let mut forecaster = self.forecaster.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.snapshot.load_full();
        let room = if known.room.version < room.version { room } else { known.room.clone() };
        let mut before = known.line.clone();
        for place in change.given_up {
            before.give_up(place);
        }
        let mut line = before.clone();
        line.advance(room.issued, room.served);
        line.account_for(&room.blocks);
        if known.room.settings != room.settings {
            self.promises.lock().unwrap_or_else(PoisonError::into_inner).keep(&known, at, true);
        }
        let issued = self.beside.issued().min(room.blocks.reserved_to);
        let moved = Move { from: (&known.room, &before), to: (&room, &line), issued, absent };
        forecaster.measure(&moved, at);
        let outlook = forecaster.look(&known.outlook, &moved, self.share(), at);
        let outlook = outlook.map_or_else(|| known.outlook.clone(), Arc::new);
        self.snapshot.store(Arc::new(Snapshot { room, line, outlook }));
        drop(forecaster);
        self.note_estimate(at);
    }

    /// Updates estimates and poll intervals while no commit does.
    pub(in crate::waiting_room) fn look_ahead(&self, at: Timestamp) {
        let mut forecaster = self.forecaster.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.snapshot.load_full();
        if self.waiting() == 0 && forecaster.is_current(&known.room) {
            return;
        }
        let (room, line) = (&known.room, &known.line);
        self.promises.lock().unwrap_or_else(PoisonError::into_inner).keep(&known, at, false);
        let moved = Move { from: (room, line), to: (room, line), issued: self.issued(), absent: 0 };
        forecaster.measure(&moved, at);
        if let Some(outlook) = forecaster.look(&known.outlook, &moved, self.share(), at) {
            let next = Snapshot { room: room.clone(), line: line.clone(), outlook: Arc::new(outlook) };
            self.snapshot.store(Arc::new(next));
        }
    }

    /// Takes over the measurements and estimates of this room from before it was read again.
    pub(in crate::waiting_room) fn keep_outlook(&mut self, known: &Self, at: Timestamp) {
        let read = self.snapshot.load_full();
        let mut forecaster = known.forecaster.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let before = known.snapshot.load_full();
        let (from, to) = ((&before.room, &before.line), (&read.room, &read.line));
        let moved = Move { from, to, issued: self.issued(), absent: 0 };
        forecaster.measure(&moved, at);
        let outlook = forecaster.look(&before.outlook, &moved, self.share(), at);
        let outlook = outlook.map_or_else(|| before.outlook.clone(), Arc::new);
        let next = Snapshot { outlook, ..Snapshot::clone(&read) };
        self.snapshot.store(Arc::new(next));
        self.forecaster = Mutex::new(forecaster);
        let mut promises = known.promises.lock().unwrap_or_else(PoisonError::into_inner);
        promises.keep(&before, at, before.room.settings != read.room.settings);
        self.promises = Mutex::new(std::mem::take(&mut promises));
    }

    /// The fraction of the rate at which this process calls people.
    fn share(&self) -> f64 {
        self.pressure.lock().unwrap_or_else(PoisonError::into_inner).share()
    }

    /// Notes the estimate of the last place in line, and how right it was for places that were called.
    fn note_estimate(&self, at: Timestamp) {
        let snapshot = self.snapshot.load();
        self.estimates.settle(snapshot.room.served, at, &self.estimate_metrics);
        let last = self.issued();
        if let Some(position) = snapshot.line.position(last).filter(|_| self.estimates.is_due(last, at)) {
            self.estimates.note(last, at, snapshot.outlook.estimated_wait_seconds(position));
        }
    }

    /// Returns how many turns lapsed unused.
    fn commit_turns(
        &self,
        turns: Vec<(u64, Option<Turn>)>,
        ended: Vec<u64>,
        reservations: &[Reservation],
        at: Timestamp,
    ) -> u64 {
        if turns.is_empty() && ended.is_empty() && reservations.is_empty() {
            return 0;
        }
        let mut absent = 0;
        let mut live = self.write_turns();
        let new = turns.iter().filter(|(place, turn)| turn.is_some() && !live.contains_key(place));
        let last_called = new.map(|(place, _)| *place).max();
        let claim_seconds = self.snapshot.load().room.settings.claim_seconds;
        let promised = last_called.map(|place| {
            let promises = self.promises.lock().unwrap_or_else(PoisonError::into_inner);
            (promises.latest(place, at), promises.before_start())
        });
        for (place, turn) in turns {
            match (turn, live.get_mut(&place)) {
                (Some(turn), Some(known)) => known.update(turn),
                (Some(turn), None) => {
                    let turn = LiveTurn::new(turn, false);
                    if let Some((until, before_start)) = promised {
                        turn.forgive_until(until.max(before_start.forgiven_until(place, claim_seconds)));
                    }
                    live.insert(place, turn);
                }
                (None, _) => absent += u64::from(live.remove(&place).is_some_and(|turn| turn.was_unused())),
            }
        }
        for place in ended {
            live.get_mut(&place).into_iter().for_each(|turn| turn.ended = true);
        }
        note_holds(&mut live, reservations);
        absent
    }
}

#[cfg(test)]
mod tests {
    use onsale_domain::ids::ConcertId;
    use onsale_domain::waiting_room::{Room, Settings};
    use uuid::Uuid;

    use super::*;
    use crate::store::RoomRecord;
    use crate::waiting_room::EstimateMetrics;

    const AT: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn settings(admit_per_second: u32) -> Settings {
        Settings { max_active: 1, admit_per_second, ..Settings::default() }
    }

    /// A room whose one turn is taken.
    fn room(admit_per_second: u32, issued: u64) -> Room {
        Room { active: 1, issued, ..Room::new(settings(admit_per_second), AT) }
    }

    fn live(room: Room) -> LiveRoom {
        let concert = ConcertId::new(Uuid::nil());
        let record = RoomRecord { concert, room, given_up: Vec::new(), turns: Vec::new(), holds: Vec::new() };
        LiveRoom::new(record, 2_000, EstimateMetrics::default(), AT)
    }

    fn poll_after_seconds(live: &LiveRoom, position: u64) -> u64 {
        live.snapshot().outlook.poll_after_seconds(position, 128)
    }

    #[test]
    fn places_of_redis_are_answered_by_the_settings_in_force() {
        let mut before = room(1, 0);
        (before.blocks.epoch, before.blocks.reserved_to) = (1, 1_000);
        let live = live(before.clone());
        assert!(poll_after_seconds(&live, 100) >= 10, "100 s at the earliest");
        let changed = Room { settings: settings(1_000), version: before.version + 1, ..before };
        live.commit(Change { room: Some(changed), ..Change::default() }, AT.plus_millis(10));
        live.beside.handed_out(1, 500);
        assert_eq!(poll_after_seconds(&live, 100), 1, "could be called at once");
    }

    #[test]
    fn places_of_redis_count_for_the_length_of_the_line() {
        let mut room = room(1, 0);
        (room.blocks.epoch, room.blocks.reserved_to) = (1, 1_000_000);
        let live = live(room);
        live.beside.handed_out(1, 1_000_000);
        live.look_ahead(AT.plus_seconds(1));
        let seconds = poll_after_seconds(&live, 1_000);
        assert!(seconds > 300, "a million in line and 2,000 polls a second: {seconds} s");
    }

    #[test]
    fn a_reload_keeps_what_was_promised_by_the_settings_before() {
        let (known, mut read) = (live(room(1, 500)), live(room(1_000, 500)));
        let at = AT.plus_seconds(5);
        read.keep_outlook(&known, at);
        assert_eq!(poll_after_seconds(&read, 100), 1, "could be called at once");
        let promises = read.promises.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = promises.latest(100, at.plus_seconds(1));
        assert!(at.plus_seconds(10) < latest, "{latest:?}");
    }
}
