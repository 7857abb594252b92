//! Holds: taking seats, giving them back, and the end of a hold that is not paid in time.

use std::sync::Arc;

use super::target::{Asked, Dates, Open, Target, find_open};
use super::{Performance, Reservation, SEATS_PER_USER_MAX, Seat, Status};
use crate::event::{Event, Happening};
use crate::ids::{EventId, PerformanceId, ReservationId};
use crate::presale::CodeKey;
use crate::rows::{Keys, Rows};
use crate::seat_list::{self, EntryEnd};
use crate::time::Timestamp;
use crate::waiting_room::{self, Token};
use crate::{Command, Context, Refusal, presale};

/// Maximum number of seats that one refusal names. A request may name many more, and its answer may be kept.
pub const SEATS_NAMED_MAX: usize = 20;

/// Holds seats: all or none.
#[derive(Clone, Debug)]
pub struct Hold {
    /// The token of the user's turn.
    pub token: Token,
    /// The performance, or why the request does not name one.
    pub target: Target,
    /// The dates in which the target was looked up; `None` if the request names the performance. With other dates the request
    /// has to be read again.
    pub dates: Option<Dates>,
    /// Seat numbers as the client wrote them, none twice. A number below 1 is no seat of any performance.
    pub seats: Arc<[i64]>,
    /// The presale code of the request. Without a presale it is ignored.
    pub code: Option<Arc<str>>,
}

/// Gives held seats back.
#[derive(Clone, Debug)]
pub struct Release {
    /// The token of the user's turn.
    pub token: Token,
    /// The reservation whose hold ends.
    pub reservation: ReservationId,
}

/// Settles holds of one performance that are past their end. Returns how many it settled.
#[derive(Clone, Debug)]
pub struct Expire {
    /// Reservations to settle. Those that have not ended stay as they are.
    pub reservations: Vec<ReservationId>,
}

/// A hold that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The new reservation, with status `Held`.
    pub reservation: Reservation,
    /// The start of the performance.
    pub starts_at: Timestamp,
}

/// A hold that nothing refuses.
pub(super) struct Judged {
    pub(super) reservation: Reservation,
    /// The presale code that it uses.
    pub(super) code: Option<CodeKey>,
}

impl Hold {
    fn asked(&self) -> Asked<'_> {
        Asked { token: &self.token, target: self.target, dates: self.dates, code: self.code.as_ref() }
    }
}

impl Command for Hold {
    type Output = Held;

    fn needs(&self, keys: &mut Keys) {
        self.asked().needs(keys);
        if let Some(performance) = self.target.performance() {
            // More seats than any limit allows are refused before a seat is read.
            if self.seats.len() <= SEATS_PER_USER_MAX as usize {
                keys.seats.extend(seat_numbers(&self.seats).map(|seat| (performance, seat)));
            }
        }
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Held, Refusal> {
        let judged = judge(self, rows, cx)?;
        Ok(take(&self.token, judged, rows, cx))
    }
}

impl Command for Release {
    type Output = ();

    fn needs(&self, keys: &mut Keys) {
        self.token.needs(keys);
        keys.reservations.insert(self.reservation);
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<(), Refusal> {
        let Self { token, reservation: id } = self;
        let cx = &mut cx.not_before(last_change(rows, *id));
        waiting_room::may_settle(rows, token, *id, cx.at)?;
        let reservation = owned_reservation(rows, token, *id)?;
        match reservation.status {
            Status::Paid => return Err(Refusal::AlreadyPaid),
            // Giving seats back twice, or after the end of the hold, changes nothing.
            Status::Expired | Status::Released | Status::Refunded => return Ok(()),
            Status::Held => {}
        }
        let ending = if reservation.is_live(cx.at) { Ending::Released } else { Ending::Expired };
        let performance = reservation.performance;
        end_hold(*id, ending, rows, cx);
        waiting_room::end_if_over(rows, token, performance, cx.at);
        Ok(())
    }
}

impl Command for Expire {
    type Output = usize;

    fn needs(&self, keys: &mut Keys) {
        keys.reservations.extend(&self.reservations);
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<usize, Refusal> {
        let mut settled = 0;
        for id in &self.reservations {
            // A hold that was taken while the clock was ahead has lasted its full length by the time it is named here.
            let is_over = |r: &Reservation| !r.is_live(cx.at) || r.held_at.is_ahead_of(cx.at);
            if rows.reservations.get(id).is_some_and(|r| r.status == Status::Held && is_over(r)) {
                end_hold(*id, Ending::Expired, rows, cx);
                settled += 1;
            }
        }
        Ok(settled)
    }
}

/// The numbers that are in the range of seat numbers.
pub(super) fn seat_numbers(seats: &[i64]) -> impl Iterator<Item = u32> {
    seats.iter().filter_map(|seat| u32::try_from(*seat).ok())
}

/// Takes the seats of a hold that was judged, and uses its presale code. Nothing here refuses.
pub(super) fn take(token: &Token, judged: Judged, rows: &mut Rows, cx: &mut Context<'_>) -> Held {
    let Judged { reservation, code } = judged;
    waiting_room::bind_place(rows, token);
    settle_lapsed(&reservation, rows, cx);
    put_hold(&reservation, rows);
    rows.open_reservations.entry((token.concert, token.user.clone())).or_default().push(reservation.id);
    if let Some(code) = code {
        presale::take(rows, &code, &reservation);
    }
    let starts_at = rows.performances.get(&reservation.performance).map_or(cx.at, |p| p.starts_at);
    Held { reservation, starts_at }
}

/// Adds a hold of free seats, and counts and records it.
pub(crate) fn put_hold(reservation: &Reservation, rows: &mut Rows) {
    for seat in reservation.seats.iter() {
        let (held_until, extended) = (reservation.held_until, reservation.extended);
        let row = Seat { reservation: reservation.id, held_until, extended, sold: false };
        rows.put_seat((reservation.performance, *seat), row);
    }
    record(rows, reservation.performance, EventId::new(reservation.id.uuid()), reservation.held_at, || {
        Happening::SeatsHeld {
            claim: reservation.claim(),
            held_until: reservation.held_until,
            is_offer: reservation.is_offer(),
        }
    });
    rows.reservations.put(reservation.id, reservation.clone());
    count_taken(rows, reservation);
}

/// All checks, in the order of the contract. Changes nothing.
fn judge(request: &Hold, rows: &Rows, cx: &mut Context<'_>) -> Result<Judged, Refusal> {
    let Hold { token, seats, .. } = request;
    let Open { performance, at, code } = find_open(request.asked(), rows, cx)?;
    let exists = |seat: &i64| u32::try_from(*seat).is_ok_and(|seat| performance.seating.section_of(seat).is_some());
    let unknown: Vec<i64> = seats.iter().copied().filter(|seat| !exists(seat)).take(SEATS_NAMED_MAX).collect();
    if !unknown.is_empty() {
        return Err(Refusal::SeatUnknown { seats: unknown });
    }
    if owned(rows, token, performance.id, at) + seats.len() > performance.seats_per_user as usize {
        return Err(Refusal::SeatLimit);
    }
    let seats: Arc<[u32]> = seat_numbers(seats).collect();
    judge_free(rows, performance.id, &seats, at)?;
    if seat_list::is_pending(rows, performance.id) {
        // Users on the waiting list get the free seats in the next steps.
        let seats = seats.iter().copied().take(SEATS_NAMED_MAX).collect();
        return Err(Refusal::SeatTaken { seats, retry_after_seconds: Some(1) });
    }
    Ok(Judged { reservation: reserve(token, performance, seats, at, cx), code })
}

/// A new hold of seats that are free at this instant.
pub(super) fn reserve(
    token: &Token,
    performance: &Performance,
    seats: Arc<[u32]>,
    at: Timestamp,
    cx: &mut Context<'_>,
) -> Reservation {
    // The decision uses the clock as it is now. The history, and the ids that order it, never go back in time.
    let written_at = cx.at.max(performance.updated_at);
    let prices: Arc<[i64]> =
        seats.iter().filter_map(|seat| performance.seating.section_of(*seat)).map(|s| s.price).collect();
    Reservation {
        id: ReservationId::new(cx.ids.next(written_at)),
        concert: token.concert,
        performance: performance.id,
        user: token.user.clone(),
        place: token.place,
        seats,
        amount: prices.iter().sum(),
        prices,
        refund_policy: performance.refund_policy.clone(),
        held_at: at,
        held_until: at.plus_seconds(cx.hold_seconds),
        extended: performance.extensions,
        status: Status::Held,
        refunded: Vec::new(),
        end_event: None,
    }
}

/// Seats of the performance that the user holds now or has bought and not given back.
pub(super) fn owned(rows: &Rows, token: &Token, performance: PerformanceId, at: Timestamp) -> usize {
    rows.open_reservations_of(token.concert, &token.user)
        .filter(|r| r.performance == performance && (r.is_live(at) || r.status == Status::Paid))
        .map(|r| r.seats.len() - r.refunded.len())
        .sum()
}

pub(super) fn judge_free(rows: &Rows, performance: PerformanceId, seats: &[u32], at: Timestamp) -> Result<(), Refusal> {
    let mut taken = Vec::new();
    let mut free_at = Some(at);
    for number in seats {
        if rows.block_of((performance, *number)).is_some() {
            taken.push(*number);
            free_at = None;
            continue;
        }
        let Some(seat) = rows.seats.get(&(performance, *number)).filter(|seat| !seat.is_lapsed(at)) else { continue };
        taken.push(*number);
        free_at = free_at.filter(|_| !seat.sold).map(|until| until.max(seat.held_until));
    }
    if taken.is_empty() {
        return Ok(());
    }
    taken.truncate(SEATS_NAMED_MAX);
    let retry_after_seconds = free_at.map(|until| at.seconds_until(until));
    Err(Refusal::SeatTaken { seats: taken, retry_after_seconds })
}

/// Settles the lapsed holds on the seats that a new hold takes. Their release events must come before the new hold's event.
pub(crate) fn settle_lapsed(new: &Reservation, rows: &mut Rows, cx: &mut Context<'_>) {
    for number in new.seats.iter() {
        if let Some(seat) = rows.seats.get(&(new.performance, *number)) {
            end_hold(seat.reservation, Ending::Expired, rows, cx);
        }
    }
}

/// Why a hold ended without payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The hold ran out without payment.
    Expired,
    /// The user gave the seats back.
    Released,
    /// The performance was cancelled.
    Cancelled,
}

/// Ends a hold: its seats are free again, and an event records it.
pub(crate) fn end_hold(id: ReservationId, ending: Ending, rows: &mut Rows, cx: &mut Context<'_>) {
    let written_at = last_change(rows, id).map_or(cx.at, |last| last.max(cx.at));
    let Some(reservation) = rows.reservations.change(&id) else { return };
    assert!(reservation.status == Status::Held, "a reservation that has ended cannot end again");
    let event = EventId::new(cx.ids.next(written_at));
    reservation.status = match ending {
        Ending::Expired => Status::Expired,
        Ending::Released | Ending::Cancelled => Status::Released,
    };
    reservation.end_event = Some(event);

    let reservation = reservation.clone();
    count_settled(rows, &reservation);
    for seat in reservation.seats.iter() {
        // A later hold may have taken a seat of a lapsed hold: then the seat stays with the later one.
        let key = (reservation.performance, *seat);
        if rows.seats.get(&key).is_some_and(|seat| seat.reservation == id) {
            rows.free_seat(&key);
        }
    }
    record(rows, reservation.performance, event, cx.at, || Happening::SeatsReleased {
        claim: reservation.claim(),
        ending,
    });
    if reservation.is_offer() {
        let end = match ending {
            Ending::Expired => EntryEnd::Lapsed,
            Ending::Released => EntryEnd::Left,
            Ending::Cancelled => EntryEnd::Cancelled,
        };
        seat_list::record_offer_end(rows, cx, &reservation, end);
    }
}

/// Counts a new hold of a performance, and its seats.
fn count_taken(rows: &mut Rows, taken: &Reservation) {
    if let Some(row) = rows.performances.change(&taken.performance) {
        row.held = row.held.saturating_add(many(taken.seats.len()));
        row.offered = row.offered.saturating_add(if taken.is_offer() { many(taken.seats.len()) } else { 0 });
        row.holds = row.holds.map(|holds| holds.saturating_add(1));
    }
}

/// Counts down the holds of a performance and their seats, after one of them ended or was paid. A count that is wrong stops no
/// payment: the audit reports it.
pub(crate) fn count_settled(rows: &mut Rows, settled: &Reservation) {
    let seats = many(settled.seats.len());
    if let Some(row) = rows.performances.change(&settled.performance) {
        row.held = row.held.saturating_sub(seats);
        row.offered = row.offered.saturating_sub(if settled.is_offer() { seats } else { 0 });
        row.holds = row.holds.map(|holds| holds.saturating_sub(1));
    }
}

fn many(seats: usize) -> u32 {
    u32::try_from(seats).unwrap_or(u32::MAX)
}

/// Counts a change of the performance and adds its event.
pub(crate) fn record(
    rows: &mut Rows,
    performance: PerformanceId,
    id: EventId,
    at: Timestamp,
    happening: impl FnOnce() -> Happening,
) {
    let Some(row) = rows.performances.change(&performance) else { return };
    row.version += 1;
    row.updated_at = row.updated_at.max(at);
    let (version, at) = (row.version, row.updated_at);
    rows.events.push(Event { id, at, version, happening: happening() });
}

/// When the performance of a reservation last changed.
pub(crate) fn last_change(rows: &Rows, id: ReservationId) -> Option<Timestamp> {
    let performance = rows.reservations.get(&id)?.performance;
    rows.performances.get(&performance).map(|performance| performance.updated_at)
}

/// The reservation, if it belongs to the token's user and concert.
///
/// # Errors
/// [`Refusal::ReservationNotFound`] if it does not.
pub(crate) fn owned_reservation<'a>(
    rows: &'a Rows,
    token: &Token,
    id: ReservationId,
) -> Result<&'a Reservation, Refusal> {
    rows.reservations
        .get(&id)
        .filter(|reservation| reservation.user == token.user && reservation.concert == token.concert)
        // An offer has a token of its own, which is for nothing else.
        .filter(|reservation| token.offer() == reservation.is_offer().then_some(id))
        .ok_or(Refusal::ReservationNotFound)
}
