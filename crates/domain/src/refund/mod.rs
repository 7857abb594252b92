//! Refunds: one decision gives points back for seats that were paid, and the seats are free again.

mod policy;

use std::sync::Arc;

use crate::concert::{self, Reservation, SEATS_NAMED_MAX, Status};
use crate::event::Happening;
use crate::ids::{EventId, PaymentId, PerformanceId, RefundId, ReservationId, UserId};
use crate::payment::Payment;
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;
use crate::{Command, Context, Refusal, ticket, wallet};

pub use policy::{FEE_PERCENT_MAX, HOURS_BEFORE_MAX, Policy, RULES_MAX, Rule, Unfit};

/// Points that were given back for seats of a payment. Never changed or deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// Id of the refund and of its event.
    pub id: RefundId,
    /// The payment of the seats, and the reference of the ledger entry.
    pub payment: PaymentId,
    /// The reservation of the payment.
    pub reservation: ReservationId,
    /// The performance of the seats.
    pub performance: PerformanceId,
    /// The user who paid, and who gets the points.
    pub user: UserId,
    /// Seat numbers, in the order of the request, or of the payment if the request named none.
    pub seats: Arc<[u32]>,
    /// Points given back. With `fee` it is the price that was paid for these seats.
    pub amount: i64,
    /// Points that were kept.
    pub fee: i64,
    /// Who decided on it.
    pub by: By,
    /// Why, as the member of the staff wrote it: 1 to 200 characters.
    pub reason: Option<Arc<str>>,
    /// Balance after the refund, in points.
    pub balance_after: i64,
    /// The number of its ledger entry in the wallet.
    pub entry_version: u64,
    /// Time of the refund.
    pub refunded_at: Timestamp,
}

/// Who decided on a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The buyer, by the policy.
    Buyer,
    /// A member of the staff.
    Staff,
    /// The cancellation of the performance.
    Cancellation,
}

/// A buyer gives seats of a payment back: all named seats or none. The fee is that of the policy of the hold or of the
/// performance now, whichever costs the buyer less.
#[derive(Clone, Debug)]
pub struct RefundSeats {
    /// The payment of the seats.
    pub payment: PaymentId,
    /// Its reservation, which never changes: it leads to the rows that are locked.
    pub reservation: ReservationId,
    /// Its performance, which never changes.
    pub performance: PerformanceId,
    /// The user who paid, who never changes.
    pub user: UserId,
    /// Seat numbers as the client wrote them, none twice; `None` for all that are left.
    pub seats: Option<Arc<[i64]>>,
}

/// A member of the staff gives points of a payment back, at any time. No policy applies. Of a cancelled performance everything
/// goes back, whatever the fee.
#[derive(Clone, Debug)]
pub struct RefundByStaff {
    /// The seats of the payment.
    pub refund: RefundSeats,
    /// Points to keep, 0 to the price of the seats.
    pub fee: i64,
    /// Why: 1 to 200 characters.
    pub reason: Arc<str>,
}

/// The conditions of a refund.
enum Terms<'a> {
    /// Those of the policies.
    Policy,
    /// Those of a member of the staff: the fee in points, and the reason.
    Staff(i64, &'a Arc<str>),
    /// Everything, because the performance was cancelled.
    Cancellation,
}

impl Command for RefundSeats {
    type Output = Refund;

    fn needs(&self, keys: &mut Keys) {
        keys.accounts.insert(self.user.clone());
        keys.reservations.insert(self.reservation);
        keys.payments.insert(self.payment);
        keys.reissues.insert(self.payment);
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Refund, Refusal> {
        self.decide_on(&Terms::Policy, rows, cx)
    }
}

impl Command for RefundByStaff {
    type Output = Refund;

    fn needs(&self, keys: &mut Keys) {
        self.refund.needs(keys);
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Refund, Refusal> {
        self.refund.decide_on(&Terms::Staff(self.fee, &self.reason), rows, cx)
    }
}

impl RefundSeats {
    /// Decides a refund by the cancellation of the performance.
    ///
    /// # Errors
    /// [`Refusal::AlreadyRefunded`] if nothing is left, and [`Refusal::BalanceLimit`].
    pub(crate) fn decide_for_cancellation(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Refund, Refusal> {
        self.decide_on(&Terms::Cancellation, rows, cx)
    }

    fn decide_on(&self, terms: &Terms<'_>, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Refund, Refusal> {
        let (showing, wallet) =
            (concert::last_change(rows, self.reservation), wallet::balance(rows, &self.user).updated_at);
        let written_at = showing.into_iter().chain(wallet).fold(cx.at, Timestamp::max);
        let mut cx = cx.not_before(showing);
        let cx = &mut cx.not_before(wallet);
        let payment = self.own_payment(rows)?.clone();
        let reservation = rows.reservations.get(&payment.reservation).ok_or(Refusal::PaymentNotFound)?;
        let seats = self.left_seats(&payment, reservation)?;
        let prices: Vec<i64> = seats.iter().filter_map(|seat| payment.price_of(*seat)).collect();
        assert!(prices.len() == seats.len(), "each seat of a payment has a price");
        let price: i64 = prices.iter().sum();
        if matches!(terms, Terms::Policy) && seats.iter().any(|seat| rows.checked_in.contains_key(&(payment.id, *seat)))
        {
            return Err(Refusal::RefundClosed);
        }
        let fee = fee(terms, rows, reservation, &prices, cx.at)?;
        // The points are the last check. Nothing after it may refuse.
        wallet::refund(rows, cx, &self.user, price - fee, payment.id)?;

        let account = wallet::balance(rows, &self.user);
        let (by, reason) = match terms {
            Terms::Policy => (By::Buyer, None),
            Terms::Staff(_, reason) => (By::Staff, Some((*reason).clone())),
            Terms::Cancellation => (By::Cancellation, None),
        };
        let refund = Refund {
            id: RefundId::new(cx.ids.next(written_at)),
            payment: payment.id,
            reservation: payment.reservation,
            performance: payment.performance,
            user: payment.user,
            seats,
            amount: price - fee,
            fee,
            by,
            reason,
            balance_after: account.balance,
            entry_version: account.version,
            refunded_at: cx.at,
        };
        free(&refund, rows);
        ticket::void_refunded(&refund, rows, cx);
        Ok(refund)
    }

    /// The payment, if it is the one that the caller read.
    fn own_payment<'a>(&self, rows: &'a Rows) -> Result<&'a Payment, Refusal> {
        let is_same = |payment: &&Payment| payment.user == self.user && payment.reservation == self.reservation;
        rows.payment(self.payment).filter(is_same).ok_or(Refusal::PaymentNotFound)
    }

    /// The named seats, or all that are left. Each is one of the payment that was not refunded.
    fn left_seats(&self, payment: &Payment, reservation: &Reservation) -> Result<Arc<[u32]>, Refusal> {
        let is_refunded = |seat: &u32| reservation.refunded.contains(seat);
        let Some(named) = &self.seats else {
            let left: Arc<[u32]> = payment.seats.iter().copied().filter(|seat| !is_refunded(seat)).collect();
            return if left.is_empty() { Err(Refusal::AlreadyRefunded) } else { Ok(left) };
        };
        let own = |seat: i64| u32::try_from(seat).ok().filter(|seat| payment.seats.contains(seat));
        let unknown: Vec<i64> =
            named.iter().copied().filter(|seat| own(*seat).is_none()).take(SEATS_NAMED_MAX).collect();
        if !unknown.is_empty() {
            return Err(Refusal::SeatUnknown { seats: unknown });
        }
        let seats: Arc<[u32]> = named.iter().filter_map(|seat| own(*seat)).collect();
        if seats.iter().any(is_refunded) { Err(Refusal::AlreadyRefunded) } else { Ok(seats) }
    }
}

/// The points that are kept of these prices.
fn fee(
    terms: &Terms<'_>,
    rows: &Rows,
    reservation: &Reservation,
    prices: &[i64],
    at: Timestamp,
) -> Result<i64, Refusal> {
    let performance = rows.performances.get(&reservation.performance).ok_or(Refusal::PaymentNotFound)?;
    let price: i64 = prices.iter().sum();
    if let Terms::Staff(fee, _) = terms
        && !(0..=price).contains(fee)
    {
        return Err(Refusal::FeeOutOfRange);
    }
    if performance.cancelled_at.is_some() {
        // In full, for the buyer and for staff.
        return Ok(0);
    }
    match terms {
        Terms::Staff(fee, _) => return Ok(*fee),
        Terms::Cancellation => return Ok(0),
        Terms::Policy => {}
    }
    let policies = [&reservation.refund_policy, &performance.refund_policy];
    let percents = policies.into_iter().filter_map(|policy| policy.fee_percent(performance.starts_at, at));
    let percent = percents.min().ok_or(Refusal::RefundClosed)?;
    Ok(prices.iter().map(|price| policy::fee_of(*price, percent)).sum())
}

/// Frees the seats of a refund, and records it.
fn free(refund: &Refund, rows: &mut Rows) {
    for number in refund.seats.iter() {
        let key = (refund.performance, *number);
        let seat = rows.seats.get(&key).filter(|seat| seat.reservation == refund.reservation && seat.sold);
        assert!(seat.is_some(), "a payment has its seats until they are refunded");
        rows.free_seat(&key);
    }
    if let Some(performance) = rows.performances.change(&refund.performance) {
        let many = u32::try_from(refund.seats.len()).unwrap_or(u32::MAX);
        assert!(performance.sold >= many, "a performance gave back more than it sold");
        performance.sold -= many;
        performance.revenue -= refund.amount;
        performance.refunded += refund.amount;
    }
    let mut is_last = false;
    if let Some(reservation) = rows.reservations.change(&refund.reservation) {
        reservation.refunded.extend_from_slice(&refund.seats);
        is_last = reservation.refunded.len() == reservation.seats.len();
        if is_last {
            reservation.status = Status::Refunded;
        }
    }
    if let Some(performance) = rows.performances.change(&refund.performance)
        && is_last
    {
        performance.open_payments = performance.open_payments.saturating_sub(1);
    }
    let event = EventId::new(refund.id.uuid());
    concert::record(rows, refund.performance, event, refund.refunded_at, || Happening::PaymentRefunded {
        refund: refund.clone(),
    });
    rows.refunds.push(refund.clone());
}
