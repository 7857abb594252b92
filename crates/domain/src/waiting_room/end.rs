//! The end of a place by its user: a place in line is given up, a turn ends and admits the next user.

use super::room::{admit, change};
use super::step::end_turn;
use super::token::{Token, running};
use super::{Place, PlaceStanding};
use crate::rows::Rows;
use crate::time::Timestamp;

/// How far a place has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It is an entry of a closed list that is not drawn yet.
    Listed,
    /// It is an entry of a drawn list: its place is another number.
    Drawn,
    /// It is in line.
    Waiting,
    /// It was admitted, and it is its user's current place. Its turn may be over.
    Admitted,
    /// It was given up or replaced, or it belongs to another token.
    Over,
}

/// How far the place of a token has come.
pub(crate) fn stage(rows: &Rows, token: &Token) -> Stage {
    let key = (token.concert, token.place);
    let Some(room) = rows.rooms.get(&token.concert) else { return Stage::Over };
    if let Some(list) = room.list.filter(|list| list.is_entry(token.place)) {
        let is_current = |place: &Place| place.standing == PlaceStanding::Current;
        return match rows.places.get(&key).is_some_and(is_current) && token.stands(rows) {
            false => Stage::Over,
            true if list.drawn_at.is_some() => Stage::Drawn,
            true => Stage::Listed,
        };
    }
    let waits = token.place > room.served;
    // A place that Redis handed out has no row before its turn. A place that was admitted and has neither row nor turn is
    // over: what its user holds now belongs to a later place.
    let turn = rows.turns.get(&key);
    let has_no_row = token.place <= room.blocks.reserved_to || room.is_drawn_place(token.place);
    let is_from_redis = has_no_row && (waits || turn.is_some());
    // A row that a hold wrote becomes current with the step that names the turn. Whatever gives up or replaces a place also
    // ends its turn, so a place with a turn counts.
    let is_bound = turn.is_some();
    let is_current = |place: &Place| is_bound || place.standing == PlaceStanding::Current;
    let counts = rows.places.get(&key).map_or(is_from_redis, is_current) && token.stands(rows);
    match (counts, waits) {
        (false, _) => Stage::Over,
        (true, true) => Stage::Waiting,
        (true, false) => Stage::Admitted,
    }
}

/// Takes a user off a list that has closed. The list stays: the place that the entry is drawn as is given up then.
pub(crate) fn leave_list(rows: &mut Rows, token: &Token, at: Timestamp) {
    let key = (token.concert, token.place);
    rows.places.change(&key).into_iter().for_each(|place| place.standing = PlaceStanding::Replaced);
    rows.current_places.remove(&(token.concert, token.user.clone()));
    change(rows, token.concert, at, |room| room.list.iter_mut().for_each(|list| list.left += 1));
}

/// Gives up a place in line.
pub(crate) fn give_up(rows: &mut Rows, token: &Token, at: Timestamp) {
    let entrant = (token.concert, token.user.clone());
    let is_drawn = rows.rooms.get(&token.concert).is_some_and(|room| room.is_drawn_place(token.place));
    // The row of its entry is still the current one if the token was not shown since the admission.
    if is_drawn && let Some(number) = rows.current_places.get(&entrant).copied() {
        let key = (token.concert, number);
        rows.places.change(&key).into_iter().for_each(|place| place.standing = PlaceStanding::Replaced);
    }
    rows.places.put((token.concert, token.place), token.as_place(PlaceStanding::GivenUp));
    rows.current_places.remove(&entrant);
    if let Some(given_up) = rows.given_up.get_mut(&token.concert) {
        given_up.ahead.insert(token.place);
    }
    change(rows, token.concert, at, |room| {
        room.blocks.clear(token.place, token.place);
        room.issued = room.issued.max(token.place);
        room.given_up += 1;
    });
}

/// Ends the turn of a token, if it runs, and admits the next user.
pub(crate) fn end_and_admit(rows: &mut Rows, token: &Token, at: Timestamp) {
    if running(rows, token.concert, token.place).is_some() {
        end_turn(rows, (token.concert, token.place), at);
        admit(rows, token.concert, at);
    }
}
