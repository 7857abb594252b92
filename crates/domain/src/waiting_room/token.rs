//! What the user of a token may do, decided from the rows. This is the final decision, whatever a snapshot said.

use super::{Place, PlaceStanding, Turn};
use crate::Refusal;
use crate::concert::{Reservation, Status};
use crate::ids::{ConcertId, PerformanceId, ReservationId, TokenId, UserId};
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;

/// A place in one room's line, as its user shows it. The signature was checked before this value is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Id of the token.
    pub id: TokenId,
    /// The concert of the room.
    pub concert: ConcertId,
    /// The user who entered.
    pub user: UserId,
    /// Place in line, from 1.
    pub place: u64,
    /// When the place was handed out.
    pub issued_at: Timestamp,
}

impl Token {
    /// Whether the place belongs to the token, if the place has a row. It does not if a database lost an answered place and
    /// gave the number to another user.
    pub(super) fn stands(&self, rows: &Rows) -> bool {
        rows.places.get(&(self.concert, self.place)).is_none_or(|place| place.token == self.id)
    }

    /// The place as the database stores it.
    pub(super) fn as_place(&self, standing: PlaceStanding) -> Place {
        Place { user: self.user.clone(), token: self.id, issued_at: self.issued_at, standing }
    }

    /// The user's account is locked: it covers the end of the token. The rows of the turn and of the user's holds are needed too.
    pub(crate) fn needs(&self, keys: &mut Keys) {
        keys.accounts.insert(self.user.clone());
        keys.turns.insert((self.concert, self.place));
        keys.holders.insert((self.concert, self.user.clone()));
    }
}

/// The turn of a place, unless it has ended.
pub(super) fn running(rows: &Rows, concert: ConcertId, place: u64) -> Option<&Turn> {
    rows.turns.get(&(concert, place)).filter(|_| rows.ends.get(&(concert, place)).is_none())
}

/// The end of the turn of a place, live holds included; `None` if there is no turn.
pub(super) fn lasts_until(
    rows: &Rows,
    (concert, place): (ConcertId, u64),
    user: &UserId,
    at: Timestamp,
) -> Option<Timestamp> {
    let turn = running(rows, concert, place)?;
    let last_hold = rows.live_holds(concert, user, at).map(|hold| hold.held_until).max();
    Some(turn.lasts_until(last_hold))
}

/// Whether a new hold may be taken: the turn runs, and its own time is not over.
pub(crate) fn may_hold(rows: &Rows, token: &Token, at: Timestamp) -> Result<(), Refusal> {
    let turn = running(rows, token.concert, token.place).filter(|turn| at < turn.active_until);
    turn.filter(|_| token.stands(rows)).map(|_| ()).ok_or(Refusal::TokenExpired)
}

/// When the place of a token was admitted; `None` if it has no turn.
pub(crate) fn admitted_at(rows: &Rows, token: &Token) -> Option<Timestamp> {
    running(rows, token.concert, token.place).map(|turn| turn.admitted_at)
}

/// Binds a place that Redis handed out to the token that uses it, if the place has no row yet. A second token that was
/// issued for the same place can then no longer get it, whichever instance names the place first: the row's key decides
/// between transactions that run at the same time. The room is not locked here, so the next step makes the place current.
pub(crate) fn bind_place(rows: &mut Rows, token: &Token) {
    let key = (token.concert, token.place);
    let is_named = rows.turns.get(&key).is_none_or(|turn| turn.named);
    if !is_named && rows.places.get(&key).is_none() {
        rows.places.put(key, token.as_place(PlaceStanding::Replaced));
    }
}

/// Whether a reservation may be paid or given back: a live hold of the token's user is enough, whatever the
/// time of the room; without one, the turn must run.
pub(crate) fn may_settle(rows: &Rows, token: &Token, reservation: ReservationId, at: Timestamp) -> Result<(), Refusal> {
    if let Some(offer) = token.offer() {
        let is_live = |own: &Reservation| own.is_offer() && own.user == token.user && own.is_live(at);
        let offered = rows.reservations.get(&reservation).filter(|_| offer == reservation);
        return if offered.is_some_and(is_live) { Ok(()) } else { Err(Refusal::TokenExpired) };
    }
    let held = rows.live_holds(token.concert, &token.user, at).any(|hold| hold.id == reservation);
    let runs = || lasts_until(rows, (token.concert, token.place), &token.user, at).is_some_and(|until| at < until);
    if held || token.stands(rows) && runs() { Ok(()) } else { Err(Refusal::TokenExpired) }
}

/// A payment for a performance ends the token, unless its user still holds other seats of this concert.
pub(crate) fn end_after_payment(rows: &mut Rows, token: &Token, performance: PerformanceId, at: Timestamp) {
    if token.offer().is_some() || rows.live_holds(token.concert, &token.user, at).next().is_some() {
        return;
    }
    if may_be_extended(rows, token, performance, at) {
        rows.ends_in_doubt.push((token.concert, token.place));
    } else {
        end(rows, token, at);
    }
}

/// A turn that only a hold kept running ends with that hold. `performance` is that of the hold which ended.
pub(crate) fn end_if_over(rows: &mut Rows, token: &Token, performance: PerformanceId, at: Timestamp) {
    let until = lasts_until(rows, (token.concert, token.place), &token.user, at);
    // In doubt the next step of the room settles the turn, because its time is over.
    if until.is_some_and(|until| until <= at) && !may_be_extended(rows, token, performance, at) {
        end(rows, token, at);
    }
}

/// How long after its end a hold may still turn out to be extended, in milliseconds: an extension is decided before the end
/// and commits after it.
const EXTENSION_COMMITS_WITHIN_MILLIS: i64 = 5_000;

/// Whether a hold of the user that seems to have lapsed may be extended by a transaction that has not committed yet. Only the
/// lock of its performance, or of the room, makes it certain; this unit of work has that of one performance alone.
fn may_be_extended(rows: &Rows, token: &Token, locked: PerformanceId, at: Timestamp) -> bool {
    let just_lapsed = |own: &Reservation| {
        own.status == Status::Held
            && !own.is_offer()
            && own.performance != locked
            && !own.is_live(at)
            && at < own.held_until.plus_millis(EXTENSION_COMMITS_WITHIN_MILLIS)
    };
    !rows.is_alone && rows.open_reservations_of(token.concert, &token.user).any(just_lapsed)
}

/// Notes the end under the account's lock. The room frees the place in its next step.
fn end(rows: &mut Rows, token: &Token, at: Timestamp) {
    if token.stands(rows) && running(rows, token.concert, token.place).is_some() {
        rows.ends.put((token.concert, token.place), at);
    }
}
