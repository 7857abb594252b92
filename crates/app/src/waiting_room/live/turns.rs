//! The turns of a room: read by the calls of admitted users, written by commits.

use std::collections::HashMap;

use onsale_domain::concert::{Reservation, Status};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{Claims, Room, Step, Token, Turn};
use parking_lot::RwLock;

use crate::store::HoldRecord;
use crate::waiting_room::change::SeenRows;
use crate::waiting_room::pace::{Running, seconds_between};
use crate::waiting_room::promises::Forgiveness;
use crate::waiting_room::scan::Scans;
use crate::waiting_room::standing::{Instants, Purpose};
use crate::waiting_room::turn::LiveTurn;

/// After an extension of holds, this many turns at most are read again with one refresh, so that a refresh stays short.
const EXTENDED_READ_TOGETHER_MAX: usize = 1_000;

/// What a turn is for a token.
pub(super) enum Shown {
    /// It runs until then, live holds included. The second instant is [`LiveTurn::claim_before`], here and below.
    Runs(Timestamp, Option<Timestamp>),
    /// It ended just now, and an extension of a hold may be under way: it is shown as of before this end.
    JustEnded(Timestamp, Option<Timestamp>),
    /// There is none, it is over, or it belongs to another token.
    Over,
    /// It seems to be over, but a hold that another instance took may keep it running.
    Unsure,
}

/// Turns that a commit removed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Settled {
    /// Those that lapsed unused.
    pub(super) absent: u64,
    /// The shortest of the others, in seconds.
    pub(super) shortest: Option<f64>,
}

impl Settled {
    fn note(&mut self, turn: &LiveTurn, at: Timestamp) {
        if turn.was_unused() {
            self.absent += 1;
        } else {
            let seconds = seconds_between(turn.turn.admitted_at, at);
            self.shortest = Some(self.shortest.map_or(seconds, |shortest| shortest.min(seconds)));
        }
    }
}

/// The turns of one room, with what only this process knows of them.
pub(super) struct Turns {
    /// Turns by place. Calls lock it for reading, as signs of life and first uses are atomics of each turn; commits lock it
    /// for writing.
    by_place: RwLock<HashMap<u64, LiveTurn>>,
    /// Limits how often all turns are visited.
    scans: Scans,
}

impl Turns {
    /// The turns as they were read, each with whether it has ended, and the live holds, each by its place.
    pub(super) fn new(turns: Vec<(u64, Turn, bool)>, holds: Vec<HoldRecord>) -> Self {
        let live = |(place, turn, ended)| (place, LiveTurn::new(turn, ended));
        let mut by_place: HashMap<u64, LiveTurn> = turns.into_iter().map(live).collect();
        for hold in holds {
            if let Some(turn) = by_place.get_mut(&hold.place) {
                turn.note_hold(hold);
            }
        }
        Self { by_place: RwLock::new(by_place), scans: Scans::default() }
    }

    #[cfg(test)]
    pub(super) fn in_virtual_time(self) -> Self {
        Self { scans: Scans::without_rest(), ..self }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_place.read().is_empty()
    }

    /// Whether a place up to this one has a turn that is not settled.
    pub(super) fn has_any_up_to(&self, place: u64) -> bool {
        self.by_place.read().keys().any(|known| *known <= place)
    }

    /// Shows a token to its turn. If the turn runs, that is a sign of life, and with [`Purpose::Use`] its first use.
    pub(super) fn show(&self, token: &Token, purpose: Purpose, room: &Room, instants: Instants) -> Shown {
        let Instants { now, as_of, may_be_outdated } = instants;
        // For reading: what a call notes below are atomics of the turn, so calls do not wait for each other.
        let turns = self.by_place.read();
        let Some(turn) = turns.get(&token.place) else { return Shown::Over };
        if turn.runs(now) && !turn.is_rejected(token) {
            let is_use = purpose == Purpose::Use;
            turn.note_sign_of_life(now);
            if purpose != Purpose::Stream {
                turn.note_call(now);
            }
            // The database has no token of such a place until its user shows it.
            if room.blocks.epoch > 0 || room.is_drawn_place(token.place) {
                turn.note_token(token, is_use);
            }
            if is_use {
                turn.note_use();
            }
            return Shown::Runs(turn.lasts_until(now), turn.claim_before(room.claims()));
        }
        if turn.ended || turn.is_rejected(token) {
            return Shown::Over;
        }
        // A hold is taken before the end of the turn, and extended before its own end, but either commits a moment later. Until
        // then the turn is shown as it was, unless its room has settled it, which is exact.
        let shown_until = turn.shown_until();
        if now < shown_until {
            return Shown::JustEnded(turn.known_end(), turn.claim_before(room.claims()));
        }
        // A refresh after that has seen what was decided before the end.
        if may_be_outdated && as_of < shown_until { Shown::Unsure } else { Shown::Over }
    }

    /// Whether the turn of a token runs. No sign of life.
    pub(super) fn runs(&self, token: &Token, at: Timestamp) -> bool {
        self.by_place.read().get(&token.place).is_some_and(|turn| turn.runs(at) && !turn.is_rejected(token))
    }

    /// Whether the client of a turn made a call after this instant, at this process.
    pub(super) fn was_called_after(&self, token: &Token, at: Timestamp) -> bool {
        self.by_place.read().get(&token.place).is_some_and(|turn| turn.was_called_after(at) && !turn.is_rejected(token))
    }

    /// Counts the turns that run.
    pub(super) fn running(&self, claim_seconds: u32, at: Timestamp) -> Running {
        let mut running = Running::default();
        self.by_place.read().values().for_each(|turn| turn.count(&mut running, claim_seconds, at));
        running
    }

    /// Places whose holds the next refresh reads, as listed a moment ago: see [`LiveTurn::are_holds_due`]; and some of those
    /// whose holds may have been extended.
    pub(super) fn holds_to_read(&self, at: Timestamp) -> Vec<u64> {
        self.scans.holds_to_read(at, || {
            let turns = self.by_place.read();
            let is_due = |turn: &LiveTurn| turn.are_holds_due(at);
            let due = turns.iter().filter(|(_, turn)| is_due(turn));
            let extended = turns.iter().filter(|(_, turn)| turn.may_be_extended && !turn.ended && !is_due(turn));
            due.chain(extended.take(EXTENDED_READ_TOGETHER_MAX)).map(|(place, _)| *place).collect()
        })
    }

    /// Adds to a step what the database does not know of the turns yet. Returns a count of the turns that run; `None` if it
    /// is too early for another scan.
    pub(super) fn report(&self, step: &mut Step, claims: Claims, at: Timestamp) -> Option<Running> {
        self.scans.scan(|| {
            let mut running = Running::default();
            for (place, turn) in self.by_place.read().iter() {
                // Each list of the step is bounded. What does not fit stays marked at its turn, and the next step
                // reports it.
                turn.follow_clock(at);
                turn.count(&mut running, claims.seconds, at);
                let claimed = turn.is_claimed();
                if claimed && !turn.turn.claimed && step.claimed.len() < Step::PLACES_MAX {
                    step.claimed.push(*place);
                }
                if !claimed && turn.is_worth_noting(claims.seconds, at) && step.seen.len() < Step::PLACES_MAX {
                    step.seen.push((*place, turn.seen()));
                }
                if !turn.turn.named && step.shown_tokens.len() < Step::PLACES_MAX {
                    step.shown_tokens.extend(turn.first_token());
                }
                if step.shown_tokens.len() < Step::PLACES_MAX {
                    step.shown_tokens.extend(turn.take_to_check());
                }
                if turn.is_due(claims, at) && step.due.len() < Step::PLACES_MAX {
                    step.due.push(*place);
                } else if turn.is_paid_off(at) && step.paid.len() < Step::PLACES_MAX {
                    step.paid.push(*place);
                }
            }
            running
        })
    }

    pub(super) fn check_again(&self, tokens: Vec<Token>) {
        let turns = self.by_place.read();
        for token in tokens {
            if let Some(turn) = turns.get(&token.place) {
                turn.check_again(token);
            }
        }
    }

    /// Applies a commit. Returns which turns were settled. `forgiveness` is called with the last place that is new, if
    /// there is one.
    pub(super) fn commit(
        &self,
        changed: Vec<(u64, Option<Turn>)>,
        seen: &SeenRows,
        forgiveness: impl FnOnce(u64) -> Forgiveness,
        at: Timestamp,
    ) -> Settled {
        // Without the lock for writing, which stops the calls of all admitted users.
        if changed.is_empty() && seen.is_empty() {
            return Settled::default();
        }
        let mut settled = Settled::default();
        let mut turns = self.by_place.write();
        // Before the turns change: afterwards no place is new.
        let new = changed.iter().filter(|(place, turn)| turn.is_some() && !turns.contains_key(place));
        let forgiveness = new.map(|(place, _)| *place).max().map(forgiveness);
        for (place, turn) in changed {
            match (turn, turns.get_mut(&place)) {
                (Some(turn), Some(known)) => known.update(turn),
                (Some(turn), None) => {
                    let turn = LiveTurn::new(turn, false);
                    if let Some(forgiveness) = &forgiveness {
                        turn.forgive_until(forgiveness.until(place));
                    }
                    turns.insert(place, turn);
                }
                (None, _) => turns.remove(&place).into_iter().for_each(|turn| settled.note(&turn, at)),
            }
        }
        note_seen(&mut turns, seen);
        settled
    }

    pub(super) fn apply_seen(&self, seen: &SeenRows) {
        let mut turns = self.by_place.write();
        for (place, turn) in &seen.turns {
            // A turn that is not known is left out: it must arrive with the version of its room, by a refresh.
            if let Some(known) = turns.get_mut(place) {
                known.update(turn.clone());
            }
        }
        note_seen(&mut turns, seen);
    }

    /// Silence before `at` ends no turn of now. `forgiveness` is called with the last admitted place.
    pub(super) fn forgive_silence(&self, forgiveness: impl FnOnce(u64) -> Forgiveness, at: Timestamp) {
        let turns = self.by_place.read();
        let Some(last_admitted) = turns.keys().max() else { return };
        let forgiveness = forgiveness(*last_admitted);
        for (place, turn) in turns.iter() {
            turn.forgive_until(forgiveness.until(*place).max(at));
        }
    }

    /// Notes all unsettled holds of these places, as they were read. Returns whether the end of a turn moved.
    pub(super) fn read_holds(&self, places: &[u64], holds: Vec<HoldRecord>, at: Timestamp) -> bool {
        let mut found: HashMap<u64, Vec<HoldRecord>> = places.iter().map(|place| (*place, Vec::new())).collect();
        holds.into_iter().for_each(|hold| found.entry(hold.place).or_default().push(hold));
        let mut moved = false;
        let mut turns = self.by_place.write();
        for (place, holds) in found {
            let Some(turn) = turns.get_mut(&place) else { continue };
            let before = turn.known_end();
            turn.read_holds(&holds, at);
            moved |= turn.known_end() != before;
        }
        moved
    }

    /// Marks the holds of all turns to be read again.
    pub(super) fn read_holds_again(&self) {
        self.by_place.write().values_mut().for_each(|turn| turn.may_be_extended = true);
    }

    pub(super) fn end(&self, place: u64) -> bool {
        self.by_place.write().get_mut(&place).is_some_and(|turn| !std::mem::replace(&mut turn.ended, true))
    }

    pub(super) fn reject(&self, token: &Token) {
        if let Some(turn) = self.by_place.read().get(&token.place) {
            turn.reject(token.id);
        }
    }
}

/// Notes what is known whatever else was committed: what has ended, and what became of holds.
fn note_seen(turns: &mut HashMap<u64, LiveTurn>, seen: &SeenRows) {
    for place in &seen.ended {
        if let Some(turn) = turns.get_mut(place) {
            turn.ended = true;
        }
    }
    for extension in &seen.extensions {
        turns.values_mut().for_each(|turn| turn.extend(extension));
    }
    for reservation in &seen.reservations {
        let Some(turn) = turns.get_mut(&reservation.place) else { continue };
        if reservation.status == Status::Held {
            let Reservation { id, place, performance, held_until: until, extended, .. } = *reservation;
            turn.note_hold(HoldRecord { place, reservation: id, performance, until, extended });
        } else {
            turn.holds.retain(|hold| hold.reservation != reservation.id);
        }
    }
    for place in &seen.paid {
        if let Some(turn) = turns.get_mut(place) {
            turn.is_paid = true;
        }
    }
}
