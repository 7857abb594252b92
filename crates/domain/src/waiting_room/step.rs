//! The step that keeps a room moving: settle turns that are over, then admit the next in line.

use super::PlaceStanding;
use super::room::{admit_up_to, change};
use super::token::{Token, lasts_until, running};
use crate::ids::ConcertId;
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;
use crate::{Command, Context, Refusal};

/// One atomic step of a room. Any instance may take it.
#[derive(Clone, Debug)]
pub struct Step {
    /// The concert of the room.
    pub concert: ConcertId,
    /// Signs of life of admitted places that are not used yet: for each, the last.
    pub seen: Vec<(u64, Timestamp)>,
    /// Places whose turn was used for the first time.
    pub claimed: Vec<u64>,
    /// Places whose turn may be over: ended, silent, or out of time.
    pub due: Vec<u64>,
    /// Places whose turn a payment ends, unless their user has a live hold: the payment could not know it for certain.
    pub paid: Vec<u64>,
    /// The last place known to be handed out by Redis; 0 if unknown.
    pub issued: u64,
    /// Tokens that were shown after admission, of places that have no row yet.
    pub shown_tokens: Vec<Token>,
    /// Maximum number of admissions, if it is less than cap and rate allow.
    pub limit: Option<u32>,
}

impl Step {
    /// A step without reports: admits as many as it can.
    pub fn of(concert: ConcertId) -> Self {
        Self {
            concert,
            seen: Vec::new(),
            claimed: Vec::new(),
            due: Vec::new(),
            paid: Vec::new(),
            issued: 0,
            shown_tokens: Vec::new(),
            limit: None,
        }
    }

    /// Maximum length of each list of a step, so that other commands in its batch do not wait long.
    pub const PLACES_MAX: usize = 200;
}

impl Command for Step {
    type Output = ();

    fn needs(&self, keys: &mut Keys) {
        keys.rooms.insert(self.concert);
        let over = || self.due.iter().chain(&self.paid);
        let places = self.seen.iter().map(|(place, _)| place).chain(&self.claimed).chain(over());
        keys.turns.extend(places.map(|place| (self.concert, *place)));
        keys.turn_holders.extend(over().map(|place| (self.concert, *place)));
        for token in &self.shown_tokens {
            keys.turns.insert((self.concert, token.place));
            keys.places.insert((self.concert, token.place));
            keys.entrants.insert((self.concert, token.user.clone()));
            keys.holders.insert((self.concert, token.user.clone()));
        }
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<(), Refusal> {
        if rows.rooms.get(&self.concert).is_none() {
            return Ok(());
        }
        raise(rows, self.concert, self.issued, cx.at);
        for token in &self.shown_tokens {
            name(rows, token, cx.at);
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
        for place in &self.paid {
            end_paid(rows, (self.concert, *place), cx.at);
        }
        admit_up_to(rows, self.concert, self.limit, cx.at);
        Ok(())
    }
}

/// Notes that Redis handed out places up to this one, but never beyond the reserved block.
fn raise(rows: &mut Rows, concert: ConcertId, issued: u64, at: Timestamp) {
    let Some(room) = rows.rooms.get(&concert) else { return };
    let issued = issued.min(room.blocks.reserved_to);
    if room.issued < issued {
        change(rows, concert, at, |room| room.issued = issued);
    }
}

/// Saves the user of an admitted place: the one who has used it, else the one whose token comes first. One user has one
/// turn: if there are two, the running one stays.
fn name(rows: &mut Rows, token: &Token, at: Timestamp) {
    let (key, entrant) = ((token.concert, token.place), (token.concert, token.user.clone()));
    let is_of_other = match rows.places.get(&key) {
        Some(place) => place.token != token.id,
        None => !is_own_entry(rows, token),
    };
    if is_of_other {
        rows.disputes.push(token.clone());
        return change(rows, token.concert, at, |_| {});
    }
    if rows.turns.get(&key).is_none_or(|turn| turn.named) {
        return;
    }
    let other = rows.current_places.get(&entrant).copied().filter(|other| *other != token.place);
    if let Some(other) = other.map(|number| (token.concert, number)) {
        if lasts_until(rows, other, &token.user, at).is_some_and(|until| at < until) {
            rows.places.put(key, token.as_place(PlaceStanding::Replaced));
            return end_turn(rows, key, at);
        }
        rows.places.change(&other).into_iter().for_each(|place| place.standing = PlaceStanding::Replaced);
        end_turn(rows, other, at);
    }
    if rows.places.get(&key).is_none_or(|place| place.standing == PlaceStanding::Replaced) {
        rows.places.put(key, token.as_place(PlaceStanding::Current));
        rows.current_places.put(entrant, token.place);
    }
    rows.turns.change(&key).into_iter().for_each(|turn| turn.named = true);
    change(rows, token.concert, at, |_| {});
}

/// Whether a drawn place without a row belongs to the token: the entry of its user has the same id. It does not if a database lost
/// an answered entry and gave its number to another user. True for any other place.
fn is_own_entry(rows: &Rows, token: &Token) -> bool {
    let Some(list) = rows.rooms.get(&token.concert).and_then(|room| room.list) else { return true };
    if !list.is_drawn_place(token.place) {
        return true;
    }
    let number = rows.current_places.get(&(token.concert, token.user.clone())).copied();
    let entry = number.filter(|number| list.is_entry(*number)).map(|number| (token.concert, number));
    entry.and_then(|key| rows.places.get(&key)).is_some_and(|entry| entry.token == token.id)
}

/// Notes a sign of life. Every change of a turn increments the version of its room, by which other instances learn of it.
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

/// Ends a turn that is over; keeps one that is not.
fn settle(rows: &mut Rows, key: (ConcertId, u64), at: Timestamp) {
    let (concert, number) = key;
    if rows.turns.get(&key).is_some_and(|turn| turn.is_ahead_of(at)) {
        rows.turns.change(&key).into_iter().for_each(|turn| *turn = turn.set_back_to(at));
        change(rows, concert, at, |_| {});
    }
    let Some(turn) = running(rows, concert, number) else {
        return end_turn(rows, key, at);
    };
    let claim_seconds = rows.rooms.get(&concert).map_or(0, |room| room.claims().of(turn));
    let is_silent = turn.lapses_at(claim_seconds).is_some_and(|silent| silent <= at);
    let Some(user) = rows.places.get(&key).map(|place| place.user.clone()) else {
        // The token was not shown since the admission, so there is no user whose holds could keep the turn.
        if is_silent || turn.active_until <= at {
            end_turn(rows, key, at);
        }
        return;
    };
    if lasts_until(rows, key, &user, at).is_some_and(|until| until <= at) {
        return end_turn(rows, key, at);
    }
    if is_silent {
        // A hold taken with this turn shows that it was used, even if that report was lost.
        if rows.open_reservations_of(concert, &user).any(|reservation| reservation.place == number) {
            claim(rows, key, at);
        } else {
            end_turn(rows, key, at);
        }
    }
}

/// Ends the turn of a user who has paid and holds no other seats. The room is locked, so no extension is under way.
fn end_paid(rows: &mut Rows, key: (ConcertId, u64), at: Timestamp) {
    let Some(user) = rows.places.get(&key).map(|place| place.user.clone()) else { return };
    let runs = running(rows, key.0, key.1).is_some();
    if runs && rows.live_holds(key.0, &user, at).next().is_none() {
        end_turn(rows, key, at);
    }
}

/// Removes the turn from the room: one more user may be admitted.
pub(super) fn end_turn(rows: &mut Rows, key: (ConcertId, u64), at: Timestamp) {
    let ended = rows.turns.get(&key).is_some();
    rows.turns.remove(&key);
    rows.ends.remove(&key);
    if ended {
        change(rows, key.0, at, |room| room.active -= 1);
    }
}
