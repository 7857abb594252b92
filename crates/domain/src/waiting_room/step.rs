//! The step that keeps a room moving: settle what is over, then call the next in line.

use super::room::{admit, change};
use super::token::{lasts_until, running};
use crate::ids::ConcertId;
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;
use crate::{Context, Done};

/// One atomic step of a room; any instance may take it.
#[derive(Clone, Debug)]
pub struct Step {
    /// Whose room.
    pub concert: ConcertId,
    /// Signs of life of places called and not yet used, each with its last.
    pub seen: Vec<(u64, Timestamp)>,
    /// Places whose turn was used for the first time.
    pub claimed: Vec<u64>,
    /// Places whose turn may be over: ended, silent, or out of time.
    pub due: Vec<u64>,
}

impl Step {
    /// The most places that one step names in each list: few enough that nobody in the same batch waits long.
    pub const PLACES_MAX: usize = 200;

    pub(super) fn needs(&self, keys: &mut Keys) {
        keys.rooms.insert(self.concert);
        let places = self.seen.iter().map(|(place, _)| place).chain(&self.claimed).chain(&self.due);
        keys.turns.extend(places.map(|place| (self.concert, *place)));
        keys.turn_holders.extend(self.due.iter().map(|place| (self.concert, *place)));
    }

    pub(super) fn take(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Done {
        if rows.rooms.get(&self.concert).is_none() {
            return Done::Stepped;
        }
        for (place, seen_at) in &self.seen {
            note(rows, (self.concert, *place), *seen_at, cx.at);
        }
        for place in &self.claimed {
            claim(rows, (self.concert, *place), cx.at);
        }
        for place in &self.due {
            settle(rows, (self.concert, *place), cx.at);
        }
        admit(rows, self.concert, cx.at);
        Done::Stepped
    }
}

/// Notes a sign of life. Every change of a turn is a version of its room: other processes learn of it by that.
fn note(rows: &mut Rows, key: (ConcertId, u64), seen_at: Timestamp, at: Timestamp) {
    if rows.turns.get(&key).is_some_and(|turn| turn.seen_at < seen_at) {
        rows.turns.change(&key).into_iter().for_each(|turn| turn.seen_at = seen_at);
        change(rows, key.0, at, |_| {});
    }
}

fn claim(rows: &mut Rows, key: (ConcertId, u64), at: Timestamp) {
    if rows.turns.get(&key).is_some_and(|turn| !turn.claimed) {
        rows.turns.change(&key).into_iter().for_each(|turn| turn.claimed = true);
        change(rows, key.0, at, |_| {});
    }
}

/// Ends a turn that is over; leaves one that is not.
fn settle(rows: &mut Rows, key: (ConcertId, u64), at: Timestamp) {
    let (concert, number) = key;
    let Some(turn) = running(rows, concert, number) else {
        return end_turn(rows, key, at);
    };
    let Some(user) = rows.places.get(&key).map(|place| place.user.clone()) else { return };
    if lasts_until(rows, key, &user, at).is_some_and(|until| until <= at) {
        return end_turn(rows, key, at);
    }
    let claim_seconds = rows.rooms.get(&concert).map_or(0, |room| room.settings.claim_seconds);
    if turn.lapses_at(claim_seconds).is_some_and(|silent| silent <= at) {
        // A hold taken with this turn shows that it was used, even if that news was lost.
        if rows.open_reservations_of(concert, &user).any(|reservation| reservation.place == number) {
            claim(rows, key, at);
        } else {
            end_turn(rows, key, at);
        }
    }
}

/// Takes the turn out of the room: one more may be called.
pub(super) fn end_turn(rows: &mut Rows, key: (ConcertId, u64), at: Timestamp) {
    let ended = rows.turns.get(&key).is_some();
    rows.turns.remove(&key);
    rows.ends.remove(&key);
    if ended {
        change(rows, key.0, at, |room| room.active -= 1);
    }
}
