//! Cancellations in scripts: the steps that a process would take, and how far they have come.

use std::collections::BTreeSet;

use onsale_domain::cancellation::{self, Cancelled, Part, State};
use onsale_domain::ids::{PerformanceId, ReservationId};
use onsale_domain::payment::Payment;
use onsale_domain::refund;

use super::stage::Line;
use super::{Stage, Tables};

impl Stage {
    /// The step that a process would take after it has read the rows as they are.
    pub(super) fn step_of_cancellation(&self, line: &Line<'_>) -> cancellation::Step {
        let (performance, tables) = (self.performance_of(line.actor), &self.world.tables);
        let holder = line.option("by").map_or(1, |by| by.parse().expect("a process"));
        if line.verb == "retries" {
            return retry_of(tables, performance, holder);
        }
        let settled_to = tables.cancellations.get(&performance).map_or(0, |known| known.progress.settled_to);
        let after = line.option("after").map_or(settled_to, |after| after.parse().expect("a seat"));
        let limit = line.numbers().first().map_or(usize::MAX, |limit| usize::try_from(*limit).expect("a limit"));
        step_of(tables, performance, holder, (after, limit))
    }
}

/// The step of a cancellation that settles at most `limit` seats after a seat.
pub(crate) fn step_of(
    tables: &Tables,
    performance: PerformanceId,
    holder: i64,
    (after, limit): (u32, usize),
) -> cancellation::Step {
    let seats = tables.seats.range((performance, after + 1)..=(performance, u32::MAX)).take(limit);
    let seats: Vec<(u32, ReservationId)> = seats.map(|((_, number), seat)| (*number, seat.reservation)).collect();
    let to = seats.last().map(|(number, _)| *number).filter(|_| seats.len() == limit);
    let named: BTreeSet<ReservationId> = seats.into_iter().map(|(_, reservation)| reservation).collect();
    let paid = tables.payments.iter().filter(|payment| named.contains(&payment.reservation));
    let payments: Vec<refund::RefundSeats> = paid.map(refund_of).collect();
    let is_paid = |id: &ReservationId| payments.iter().any(|payment| payment.reservation == *id);
    let holds = named.iter().copied().filter(|id| !is_paid(id)).collect();
    cancellation::Step { performance, holder, part: Part::Seats { after, to }, payments, holds }
}

/// The step of a cancellation that tries all failed refunds again.
pub(crate) fn retry_of(tables: &Tables, performance: PerformanceId, holder: i64) -> cancellation::Step {
    let failed = tables.failed_refunds.iter().filter(|failed| failed.performance == performance);
    let paid = failed.filter_map(|failed| tables.payments.iter().find(|payment| payment.id == failed.payment));
    let payments = paid.map(refund_of).collect();
    cancellation::Step { performance, holder, part: Part::Again { is_last: true }, payments, holds: Vec::new() }
}

/// The refund of all that is left of a payment.
fn refund_of(payment: &Payment) -> refund::RefundSeats {
    let (reservation, performance, user) = (payment.reservation, payment.performance, payment.user.clone());
    refund::RefundSeats { payment: payment.id, reservation, performance, user, seats: None }
}

/// How far a cancellation has come.
pub(super) fn report(cancelled: &Cancelled) -> String {
    let state = match cancelled.state() {
        State::Running => "running",
        State::Waiting => "waiting",
        State::Done => "done",
    };
    let (refunded, failed) = (cancelled.payments_refunded(), cancelled.payments_failed());
    let (payments, points) = (cancelled.cancellation.payments, cancelled.points_refunded());
    format!("{state}, {refunded} of {payments} refunded, {failed} failed, {points} points")
}
