//! The outcome of payments and refunds.

use onsale_domain::concert::{Reservation, Status};
use onsale_domain::refund::RefundSeats;
use onsale_domain::{Refusal, payment};

use super::Oracle;

impl Oracle<'_> {
    pub(super) fn judge_payment(&self, command: &payment::Pay) -> Result<(), Refusal> {
        let reservation = self.own(&command.token, command.reservation)?;
        match reservation.status {
            Status::Paid | Status::Refunded => Err(Refusal::AlreadyPaid),
            Status::Expired => Err(Refusal::HoldExpired),
            Status::Released if self.ended_after_cancellation(reservation) => Err(Refusal::PerformanceCancelled),
            Status::Released => Err(Refusal::HoldExpired),
            Status::Held if !self.is_live(reservation) => Err(Refusal::HoldExpired),
            Status::Held if self.tables.cancellations.contains_key(&reservation.performance) => {
                Err(Refusal::PerformanceCancelled)
            }
            Status::Held if self.balance(&command.token.user) < reservation.amount => Err(Refusal::InsufficientBalance),
            Status::Held => Ok(()),
        }
    }

    /// Whether the event of the end has the time of the cancellation of its performance, or a later one.
    fn ended_after_cancellation(&self, reservation: &Reservation) -> bool {
        let Some(cancellation) = self.tables.cancellations.get(&reservation.performance) else { return false };
        let ended = self.tables.events.iter().find(|event| Some(event.id) == reservation.end_event);
        ended.is_some_and(|event| cancellation.cancelled_at <= event.at)
    }

    /// Of the buyer, or of staff with a fee.
    pub(super) fn judge_refund(&self, command: &RefundSeats, fee: Option<i64>) -> Result<(), Refusal> {
        let payment = self.tables.payments.iter().find(|payment| payment.id == command.payment);
        let payment = payment.ok_or(Refusal::PaymentNotFound)?;
        let given: Vec<u32> = self
            .tables
            .refunds
            .iter()
            .filter(|refund| refund.payment == payment.id)
            .flat_map(|refund| refund.seats.iter().copied())
            .collect();
        let left = payment.seats.iter().filter(|seat| !given.contains(seat)).map(|seat| i64::from(*seat));
        let seats: Vec<i64> = command.seats.as_ref().map_or_else(|| left.collect(), |seats| seats.to_vec());
        let is_own = |seat: &i64| payment.seats.iter().any(|own| i64::from(*own) == *seat);
        let unknown: Vec<i64> = seats.iter().copied().filter(|seat| !is_own(seat)).collect();
        if !unknown.is_empty() {
            return Err(Refusal::SeatUnknown { seats: unknown });
        }
        if seats.is_empty() || given.iter().any(|seat| seats.contains(&i64::from(*seat))) {
            return Err(Refusal::AlreadyRefunded);
        }
        let reservation = &self.tables.reservations[&payment.reservation];
        let performance = &self.tables.performances[&payment.performance];
        let price_of = |seat: &i64| {
            let place = reservation.seats.iter().position(|own| i64::from(*own) == *seat).expect("an own seat");
            reservation.prices[place]
        };
        let prices: Vec<i64> = seats.iter().map(price_of).collect();
        let price: i64 = prices.iter().sum();
        let left_millis = self.at.millis_until(performance.starts_at);
        let percent = [&reservation.refund_policy, &performance.refund_policy].into_iter().filter_map(|policy| {
            let holding = policy.rules().iter().filter(|rule| i64::from(rule.hours_before) * 3_600_000 < left_millis);
            holding.max_by_key(|rule| rule.hours_before).map(|rule| i64::from(rule.fee_percent))
        });
        let kept = match (fee, percent.min()) {
            (Some(fee), _) if fee < 0 || fee > price => return Err(Refusal::FeeOutOfRange),
            _ if performance.cancelled_at.is_some() => 0,
            (Some(fee), _) => fee,
            (None, Some(percent)) => prices.iter().map(|price| price * percent / 100).sum(),
            (None, None) => return Err(Refusal::RefundClosed),
        };
        if self.balance(&payment.user) + price - kept > 1_000_000_000 { Err(Refusal::BalanceLimit) } else { Ok(()) }
    }
}
