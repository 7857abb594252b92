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
