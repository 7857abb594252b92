//! Cancellations: a performance is called off for good, and its buyers get everything back.
//!
//! One short decision marks the performance. From then on no seat of it is held or paid, and any refund is in full. A
//! performance may have 100,000 seats, so [`Step`] ends the holds and refunds the payments afterwards, a few at a time. The row
//! of the cancellation keeps how far the steps have come. Any process may take the next one.

use std::sync::Arc;

use crate::concert::{self, Ending, Performance, Reservation, Status};
use crate::event::Happening;
use crate::ids::{ConcertId, EventId, PaymentId, PerformanceId, ReservationId};
use crate::refund::RefundSeats;
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;
use crate::{Command, Context, Refusal};

/// After a step its process alone takes the next one for this long, in seconds. A process that crashed is replaced then.
pub const LEASE_SECONDS: u32 = 5;

/// Failed refunds are tried again after this long, in seconds.
pub const RETRY_SECONDS: u32 = 60;

/// The cancellation of a performance. Each performance has at most one, which is never undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancellation {
    /// The performance that was cancelled.
    pub performance: PerformanceId,
    /// The concert of the performance.
    pub concert: ConcertId,
    /// The version of the performance with the cancellation, which its event has too.
    pub version: u64,
    /// The id of its event.
    pub event: EventId,
    /// The instant of the decision, or that of the last change before it if a clock was set back since.
    pub cancelled_at: Timestamp,
    /// Why: 1 to 200 characters.
    pub reason: Arc<str>,
    /// Number of payments of which seats were left at that instant.
    pub payments: u32,
    /// Points that refunds of the performance had given back before.
    pub refunded_before: i64,
    /// How far its steps have come.
    pub progress: Progress,
}

/// How far the steps of a cancellation have come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Seats up to this number have no hold any more, and no payment but those whose refund failed.
    pub settled_to: u32,
    /// Whether `settled_to` has reached the last seat.
    pub is_through: bool,
    /// Number of payments whose refund failed on the way. A refund that succeeded later does not change it.
    pub failed: u32,
    /// Whether no payment is left. Then there are no further steps.
    pub is_done: bool,
    /// Failed refunds are tried again from this instant on.
    pub retry_at: Timestamp,
    /// The process that took the last step; 0 before the first.
    pub holder: i64,
    /// Until this instant only `holder` takes steps.
    pub leased_until: Timestamp,
}

/// What is left to do about a cancellation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Steps end holds and refund payments.
    Running,
    /// Only payments are left whose refund failed.
    Waiting,
    /// No seat is held or sold.
    Done,
}

/// A cancellation with the counters of its performance at the same moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancelled {
    /// The row of the cancellation.
    pub cancellation: Cancellation,
    /// Number of payments of which seats are left.
    pub open_payments: u32,
    /// Points that refunds of the performance gave back so far.
    pub points_refunded: i64,
    /// Whether this call cancelled the performance.
    pub is_new: bool,
}

impl Cancelled {
    /// A cancellation that is stored.
    pub fn known(cancellation: Cancellation, open_payments: u32, points_refunded: i64) -> Self {
        Self { cancellation, open_payments, points_refunded, is_new: false }
    }

    /// What is left to do.
    pub fn state(&self) -> State {
        match (self.cancellation.progress.is_through, self.open_payments) {
            (false, _) => State::Running,
            (true, 0) => State::Done,
            (true, _) => State::Waiting,
        }
    }

    /// Payments that were refunded in full since the cancellation, by a step or by a request.
    pub fn payments_refunded(&self) -> u32 {
        self.cancellation.payments.saturating_sub(self.open_payments)
    }

    /// Payments whose refund failed and that are still open. After the last step all open payments are such.
    pub fn payments_failed(&self) -> u32 {
        let Progress { is_through, failed, .. } = self.cancellation.progress;
        if is_through { self.open_payments } else { failed.min(self.open_payments) }
    }

    /// Points that were given back since the cancellation.
    pub fn points_refunded(&self) -> i64 {
        self.points_refunded - self.cancellation.refunded_before
    }
}

/// A payment whose refund would have passed the bound of the wallet. Never changed or deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedRefund {
    /// The payment whose refund failed.
    pub payment: PaymentId,
    /// The performance that was cancelled.
    pub performance: PerformanceId,
    /// The reservation that was paid.
    pub reservation: ReservationId,
    /// The time of the first attempt.
    pub failed_at: Timestamp,
}

/// Cancels a performance for good, also after its start. A second call changes nothing.
#[derive(Clone, Debug)]
pub struct Cancel {
    /// The performance to cancel.
    pub performance: PerformanceId,
    /// Why: 1 to 200 characters.
    pub reason: Arc<str>,
}

/// Ends holds and refunds payments of a cancelled performance, at most 200 together. Any process may take it.
#[derive(Clone, Debug)]
pub struct Step {
    /// The performance that was cancelled.
    pub performance: PerformanceId,
    /// The process that takes the step. Not 0.
    pub holder: i64,
    /// What the step does.
    pub part: Part,
    /// Payments to refund: those of the seats, or those that failed before.
    pub payments: Vec<RefundSeats>,
    /// Reservations whose holds it ends.
    pub holds: Vec<ReservationId>,
}

/// The part of a cancellation that a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Settles the seats after one number, up to another or up to the last.
    Seats {
        /// The step counts only if seats are settled up to this number.
        after: u32,
        /// The last seat of the step; `None` if no seat follows.
        to: Option<u32>,
    },
    /// Tries refunds again that failed.
    Again {
        /// Whether these are the last of them.
        is_last: bool,
    },
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stepped {
    /// The step was decided and saved.
    Taken {
        /// Whether no further step is due now.
        rests: bool,
    },
    /// Another process takes the steps, or took this one.
    Elsewhere,
}

impl Command for Cancel {
    type Output = Cancelled;

    fn needs(&self, keys: &mut Keys) {
        keys.performances.insert(self.performance);
        keys.cancellations.insert(self.performance);
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Cancelled, Refusal> {
        let before = rows.performances.get(&self.performance).ok_or(Refusal::PerformanceNotFound)?.clone();
        let Performance { open_payments, refunded: points_refunded, concert, .. } = before;
        if let Some(known) = rows.cancellations.get(&self.performance) {
            return Ok(Cancelled::known(known.clone(), open_payments, points_refunded));
        }
        let event = EventId::new(cx.ids.next(before.updated_at.max(cx.at)));
        // No deadline depends on it, so it need not be the time of a clock that was set back: payments and releases that came
        // earlier have earlier instants.
        let cancelled_at = cx.at.max(before.updated_at);
        if let Some(own) = rows.performances.change(&self.performance) {
            own.cancelled_at = Some(cancelled_at);
        }
        let reason = self.reason.clone();
        concert::record(rows, self.performance, event, cancelled_at, || Happening::PerformanceCancelled {
            performance: self.performance,
            concert,
            reason: reason.clone(),
            cancelled_at,
        });
        let cancellation = Cancellation {
            performance: self.performance,
            concert,
            version: rows.performances.get(&self.performance).map_or(0, |own| own.version),
            event,
            cancelled_at,
            reason,
            payments: open_payments,
            refunded_before: points_refunded,
            progress: Progress::default(),
        };
        rows.cancellations.put(self.performance, cancellation.clone());
        Ok(Cancelled { cancellation, open_payments, points_refunded, is_new: true })
    }
}

impl Command for Step {
    type Output = Stepped;

    fn needs(&self, keys: &mut Keys) {
        keys.performances.insert(self.performance);
        keys.cancellations.insert(self.performance);
        keys.reservations.extend(&self.holds);
        self.payments.iter().for_each(|payment| payment.needs(keys));
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Stepped, Refusal> {
        let Some(cancellation) = rows.cancellations.get(&self.performance).cloned() else {
            return Ok(Stepped::Elsewhere);
        };
        let mut progress = cancellation.progress;
        let is_leased = progress.holder != self.holder && cx.at < progress.leased_until;
        let is_due = match self.part {
            Part::Seats { after, .. } => !progress.is_through && progress.settled_to == after,
            Part::Again { .. } => progress.is_through && progress.retry_at <= cx.at,
        };
        if is_leased || progress.is_done || !is_due {
            return Ok(Stepped::Elsewhere);
        }
        for id in &self.holds {
            self.end(*id, rows, cx);
        }
        let failed = self.payments.iter().filter(|payment| self.refund(payment, rows, cx)).count();
        let rests = match self.part {
            Part::Seats { to: Some(to), .. } => {
                progress.settled_to = to;
                false
            }
            Part::Seats { to: None, .. } => {
                progress.is_through = true;
                true
            }
            Part::Again { is_last } => is_last,
        };
        if let Part::Seats { .. } = self.part {
            let failed = progress.failed.saturating_add(u32::try_from(failed).unwrap_or(u32::MAX));
            progress.failed = failed.min(cancellation.payments);
        }
        if rests {
            progress.is_done = rows.performances.get(&self.performance).is_some_and(|own| own.open_payments == 0);
            progress.retry_at = cx.at.plus_seconds(RETRY_SECONDS);
        }
        (progress.holder, progress.leased_until) = (self.holder, cx.at.plus_seconds(LEASE_SECONDS));
        rows.cancellations.change(&self.performance).into_iter().for_each(|own| own.progress = progress.clone());
        Ok(Stepped::Taken { rests })
    }
}

impl Step {
    /// Ends a hold. One that had run out by itself has expired.
    fn end(&self, id: ReservationId, rows: &mut Rows, cx: &mut Context<'_>) {
        let cx = &mut cx.not_before(concert::last_change(rows, id));
        let is_own = |own: &&Reservation| own.performance == self.performance && own.status == Status::Held;
        let Some(hold) = rows.reservations.get(&id).filter(is_own) else { return };
        let ending = if hold.is_live(cx.at) { Ending::Cancelled } else { Ending::Expired };
        concert::end_hold(id, ending, rows, cx);
    }

    /// Refunds what a payment still has. Returns whether the wallet cannot take it.
    fn refund(&self, payment: &RefundSeats, rows: &mut Rows, cx: &mut Context<'_>) -> bool {
        if self.has_failed(payment, rows) {
            return false;
        }
        let refunded = payment.decide_for_cancellation(rows, cx);
        let is_refused = matches!(refunded, Err(Refusal::BalanceLimit));
        if is_refused && matches!(self.part, Part::Seats { .. }) {
            let (payment, performance, reservation) = (payment.payment, self.performance, payment.reservation);
            rows.failed_refunds.push(FailedRefund { payment, performance, reservation, failed_at: cx.at });
        }
        is_refused
    }

    /// Whether an earlier step has tried the refund: it passed a seat that the payment still has. The seats of a payment may be
    /// those of several steps.
    fn has_failed(&self, payment: &RefundSeats, rows: &Rows) -> bool {
        let Part::Seats { after, .. } = self.part else { return false };
        rows.reservations
            .get(&payment.reservation)
            .is_some_and(|own| own.seats.iter().any(|seat| *seat <= after && !own.refunded.contains(seat)))
    }
}

/// Whether the cancellation of its performance ended a hold, or its user did so afterwards.
pub(crate) fn has_ended(reservation: &Reservation, cancelled_at: Timestamp) -> bool {
    let ended = reservation.end_event.filter(|_| reservation.status == Status::Released);
    // The time that the id of an event begins with: the first 48 bits, in milliseconds.
    let millis = |event: EventId| i64::try_from(event.uuid().as_u128() >> 80).unwrap_or(i64::MAX);
    ended.is_some_and(|event| cancelled_at.as_millis() <= millis(event))
}
