//! Payment of a hold with points: one decision sells the seats and ends the token.

use std::sync::Arc;

use crate::concert::{self, Status};
use crate::event::Happening;
use crate::ids::{EventId, PaymentId, PerformanceId, ReservationId, UserId};
use crate::rows::{Keys, Rows};
use crate::seat_list::{self, EntryEnd};
use crate::time::Timestamp;
use crate::waiting_room::{self, Token};
use crate::{Command, Context, Refusal, cancellation, wallet};

/// A payment of a reservation. Never deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Id of the payment and of its event, and the reference of its ledger entry.
    pub id: PaymentId,
    /// The reservation. It has at most one payment.
    pub reservation: ReservationId,
    /// The performance of the seats.
    pub performance: PerformanceId,
    /// The user who paid.
    pub user: UserId,
    /// Seat numbers, in the order of the reservation.
    pub seats: Arc<[u32]>,
    /// Price of each seat, in points, in the order of `seats`.
    pub prices: Arc<[i64]>,
    /// Amount, in points.
    pub amount: i64,
    /// Balance after the payment, in points.
    pub balance_after: i64,
    /// Time of the payment.
    pub paid_at: Timestamp,
}

impl Payment {
    /// The price that was paid for a seat; `None` if the payment has no such seat.
    pub fn price_of(&self, seat: u32) -> Option<i64> {
        self.seats.iter().zip(self.prices.iter()).find(|(own, _)| **own == seat).map(|(_, price)| *price)
    }
}

/// Pays a hold with points: its seats are sold, and the token ends.
#[derive(Clone, Debug)]
pub struct Pay {
    /// The token of the user's turn.
    pub token: Token,
    /// The reservation to pay.
    pub reservation: ReservationId,
}

impl Command for Pay {
    type Output = Payment;

    fn needs(&self, keys: &mut Keys) {
        self.token.needs(keys);
        keys.reservations.insert(self.reservation);
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Payment, Refusal> {
        let Self { token, reservation: id } = self;
        let (showing, wallet) = (concert::last_change(rows, *id), wallet::balance(rows, &token.user).updated_at);
        let written_at = showing.into_iter().chain(wallet).fold(cx.at, Timestamp::max);
        let mut cx = cx.not_before(showing);
        let cx = &mut cx.not_before(wallet);
        // The order of these checks is the contract's: an ended token is refused before anything about the reservation.
        waiting_room::may_settle(rows, token, *id, cx.at)?;
        let reservation = concert::owned_reservation(rows, token, *id)?.clone();
        let cancelled_at = rows.performances.get(&reservation.performance).and_then(|own| own.cancelled_at);
        match reservation.status_at(cx.at) {
            Status::Paid | Status::Refunded => return Err(Refusal::AlreadyPaid),
            // A step may have ended the hold by now, and the answer is the same. Two cases differ, and no seat is sold in either: a
            // turn that only this hold kept running is over with it, so `may_settle` has refused with `TokenExpired`; and a hold that
            // its user released after the cancellation looks like one that a step ended.
            Status::Released if cancelled_at.is_some_and(|at| cancellation::has_ended(&reservation, at)) => {
                return Err(Refusal::PerformanceCancelled);
            }
            Status::Expired | Status::Released => return Err(Refusal::HoldExpired),
            Status::Held if cancelled_at.is_some() => return Err(Refusal::PerformanceCancelled),
            Status::Held => {}
        }
        // The debit is the last check. Nothing after it may refuse.
        let payment_id = PaymentId::new(cx.ids.next(written_at));
        wallet::debit(rows, cx, &token.user, reservation.amount, Some(payment_id))?;

        let account = wallet::balance(rows, &token.user);
        let payment = Payment {
            id: payment_id,
            reservation: *id,
            performance: reservation.performance,
            user: token.user.clone(),
            seats: reservation.seats.clone(),
            prices: reservation.prices.clone(),
            amount: reservation.amount,
            balance_after: account.balance,
            paid_at: cx.at,
        };
        sell(&payment, rows, cx);
        waiting_room::end_after_payment(rows, token, payment.performance, cx.at);
        Ok(payment)
    }
}

fn sell(payment: &Payment, rows: &mut Rows, cx: &mut Context<'_>) {
    for number in payment.seats.iter() {
        let seat = rows.seats.change(&(payment.performance, *number));
        let seat = seat.filter(|seat| seat.reservation == payment.reservation && !seat.sold);
        assert!(seat.is_some(), "a live hold has its seats");
        if let Some(seat) = seat {
            seat.sold = true;
        }
        rows.close_seat(&(payment.performance, *number));
    }
    if let Some(performance) = rows.performances.change(&payment.performance) {
        performance.sold += u32::try_from(payment.seats.len()).unwrap_or(u32::MAX);
        performance.open_payments += 1;
        assert!(performance.sold <= performance.seating.capacity(), "a performance sold more than it has");
        performance.revenue += payment.amount;
    }
    let Some(reservation) = rows.reservations.change(&payment.reservation) else { return };
    reservation.status = Status::Paid;
    let reservation = reservation.clone();
    concert::count_settled(rows, &reservation);
    let claim = reservation.claim();
    concert::record(rows, payment.performance, EventId::new(payment.id.uuid()), payment.paid_at, || {
        Happening::PaymentCompleted { claim, payment: payment.id, paid_at: payment.paid_at }
    });
    rows.payments.push(payment.clone());
    if reservation.is_offer() {
        seat_list::record_offer_end(rows, cx, &reservation, EntryEnd::Served);
    }
}
