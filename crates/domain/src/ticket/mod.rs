//! Tickets: each paid seat is one.
//!
//! A ticket has no row. Its id follows from the payment, the seat, and how often the ticket of that seat was reissued. So a
//! payment writes nothing for its tickets, and payments of earlier versions have tickets too. A row is added only when a ticket
//! becomes void, or is scanned at the door.

mod check_in;

use crate::concert::{self, Reservation};
use crate::event::Happening;
use crate::ids::{EventId, PaymentId, PerformanceId, ReservationId, TicketId, UserId};
use crate::payment::Payment;
use crate::refund::{By, Refund};
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;
use crate::{Command, Context, Refusal};
use uuid::Uuid;

pub use check_in::{
    Answer, CHECKED_IN_TOGETHER_MAX, CheckIn, DEVICE_MAX, EARLY_SECONDS_MAX, SCAN_ID_MAX, Scan, Scans, Shown, Standing,
    Undo, Undone,
};

/// How often the ticket of one seat of a payment may be reissued.
pub const REISSUES_MAX: u32 = 100;

/// The id of the ticket of a seat after a number of reissues: a UUID of version 7, whose time is that of the payment.
///
/// The 17 bits after the time are the seat number. The rest is a hash, so that the id of the payment, which is the key to it,
/// does not follow from its tickets.
pub fn id_of(payment: PaymentId, seat: u32, reissues: u32) -> TicketId {
    let mut name = *b"onsale-ticket-1\0________";
    name[16..20].copy_from_slice(&seat.to_be_bytes());
    name[20..].copy_from_slice(&reissues.to_be_bytes());
    let time = u128::from_be_bytes(payment.uuid().into_bytes()) >> 80 << 80;
    let hash = u128::from_be_bytes(Uuid::new_v5(&payment.uuid(), &name).into_bytes()) & ((1 << 57) - 1);
    // Version 7, the high 12 bits of the seat, variant 2, its low 5 bits, the hash.
    let seat = u128::from(seat & 0x1_ffff);
    TicketId::new(Uuid::from_u128(time | 7 << 76 | (seat >> 5) << 64 | 2 << 62 | (seat & 0x1f) << 57 | hash))
}

/// The seat number in an id that [`id_of`] made. Any other id gives any number up to 131,071.
pub fn seat_of(ticket: TicketId) -> u32 {
    let id = ticket.uuid().as_u128();
    // At most 17 bits are left.
    u32::try_from((id >> 64 & 0xfff) << 5 | id >> 57 & 0x1f).unwrap_or(0)
}

/// Why a ticket is void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its seat was refunded.
    Refunded,
    /// Its seat was refunded because the performance was cancelled.
    Cancelled,
    /// The buyer has a new ticket for the seat.
    Reissued,
}

/// A ticket that became void. Never changed or deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voided {
    /// Id of the ticket.
    pub ticket: TicketId,
    /// Id of its event.
    pub event: EventId,
    /// The payment of its seat.
    pub payment: PaymentId,
    /// The performance of its seat.
    pub performance: PerformanceId,
    /// Number of its seat.
    pub seat: u32,
    /// Why it is void.
    pub why: Why,
    /// The version of the performance with this change.
    pub version: u64,
    /// The time of the change.
    pub at: Timestamp,
}

/// Gives a buyer a new ticket for a seat. The one before is void.
#[derive(Clone, Debug)]
pub struct Reissue {
    /// The payment of the seat.
    pub payment: PaymentId,
    /// Its reservation, which never changes: it leads to the rows that are locked.
    pub reservation: ReservationId,
    /// Its performance, which never changes.
    pub performance: PerformanceId,
    /// The user who paid, who never changes.
    pub user: UserId,
    /// The ticket to replace.
    pub ticket: TicketId,
}

/// A ticket that replaces another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reissued {
    /// Id of the new ticket.
    pub ticket: TicketId,
    /// The performance of the seat.
    pub performance: PerformanceId,
    /// Number of the seat.
    pub seat: u32,
    /// Since when it is valid.
    pub at: Timestamp,
}

impl Command for Reissue {
    type Output = Reissued;

    fn needs(&self, keys: &mut Keys) {
        keys.performances.insert(self.performance);
        keys.reservations.insert(self.reservation);
        keys.payments.insert(self.payment);
        keys.reissues.insert(self.payment);
        keys.tickets.insert((self.performance, self.ticket));
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Reissued, Refusal> {
        let cx = &mut cx.not_before(concert::last_change(rows, self.reservation));
        let is_same = |payment: &&Payment| payment.user == self.user && payment.reservation == self.reservation;
        let payment = rows.payment(self.payment).filter(is_same).ok_or(Refusal::PaymentNotFound)?;
        let seat = seat_of(self.ticket);
        let reissues = reissues(rows, self.payment, seat);
        let mut known = (0..=reissues).map(|reissues| id_of(self.payment, seat, reissues));
        if !payment.seats.contains(&seat) || !known.any(|id| id == self.ticket) {
            return Err(Refusal::TicketNotFound);
        }
        let reservation = rows.reservations.get(&self.reservation).ok_or(Refusal::PaymentNotFound)?;
        let is_cancelled = rows.performances.get(&self.performance).is_none_or(|own| own.cancelled_at.is_some());
        let is_current = id_of(self.payment, seat, reissues) == self.ticket;
        if !is_current || is_cancelled || !has(reservation, seat) {
            return Err(Refusal::TicketVoid);
        }
        if let Some(check_in) = check_in::that_counts(rows, self.payment, seat) {
            return Err(Refusal::AlreadyCheckedIn { at: check_in.at, device: check_in.device.clone() });
        }
        if reissues >= REISSUES_MAX {
            return Err(Refusal::ReissueLimit);
        }
        let at = void(rows, cx, (self.performance, self.payment, seat), Why::Reissued);
        rows.reissued.insert((self.payment, seat), reissues + 1);
        let ticket = id_of(self.payment, seat, reissues + 1);
        Ok(Reissued { ticket, performance: self.performance, seat, at })
    }
}

/// Whether a reservation that was paid still has a seat.
fn has(reservation: &Reservation, seat: u32) -> bool {
    reservation.seats.contains(&seat) && !reservation.refunded.contains(&seat)
}

/// How often the ticket of a seat of a payment was reissued.
fn reissues(rows: &Rows, payment: PaymentId, seat: u32) -> u32 {
    rows.reissued.get(&(payment, seat)).copied().unwrap_or(0)
}

/// Makes the tickets of refunded seats void.
pub(crate) fn void_refunded(refund: &Refund, rows: &mut Rows, cx: &mut Context<'_>) {
    let why = if refund.by == By::Cancellation { Why::Cancelled } else { Why::Refunded };
    for seat in refund.seats.iter() {
        void(rows, cx, (refund.performance, refund.payment, *seat), why);
    }
}

/// Makes the ticket of a paid seat void. Returns when.
fn void(
    rows: &mut Rows,
    cx: &mut Context<'_>,
    (performance, payment, seat): (PerformanceId, PaymentId, u32),
    why: Why,
) -> Timestamp {
    let ticket = id_of(payment, seat, reissues(rows, payment, seat));
    let written_at = rows.performances.get(&performance).map_or(cx.at, |own| own.updated_at.max(cx.at));
    let event = EventId::new(cx.ids.next(written_at));
    let version = rows.performances.get(&performance).map_or(0, |own| own.version) + 1;
    let voided = Voided { ticket, event, payment, performance, seat, why, version, at: cx.at };
    concert::record(rows, performance, event, cx.at, || Happening::TicketVoided { voided: voided.clone() });
    rows.voided.push(voided);
    cx.at
}
