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
    let waits = token.place > room.served;
    // A place that Redis handed out has no row before its turn. A place that was admitted and has neither row nor turn is
    // over: what its user holds now belongs to a later place.
    let turn = rows.turns.get(&key);
    let is_from_redis = token.place <= room.blocks.reserved_to && (waits || turn.is_some());
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

/// Gives up a place in line.
pub(crate) fn give_up(rows: &mut Rows, token: &Token, at: Timestamp) {
    rows.places.put((token.concert, token.place), token.as_place(PlaceStanding::GivenUp));
    rows.current_places.remove(&(token.concert, token.user.clone()));
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
