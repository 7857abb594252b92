//! Refunds: buyers give seats back, as the policy of the performance allows.

use axum::extract::State;
use onsale_app::store::RefundsOf;
use onsale_domain::ids::{PaymentId, RefundId};
use onsale_domain::payment::Payment;
use onsale_domain::refund::{Refund, RefundSeats};
use onsale_macros::operation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::seats::SeatList;
use crate::http::App;
use crate::http::input::callers::Caller;
use crate::http::input::{Body, ELEMENTS_MAX, Paged, Path, Payload, Query};
use crate::http::openapi::sample::{self, Sample};
use crate::http::reply::problem::{Code, Problem};
use crate::http::reply::{Created, Decided, Listed};
use crate::http::values::{Id, Instant};

/// Points that were given back for seats of a payment.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Refund")]
#[serde(rename_all = "camelCase")]
pub(crate) struct RefundShown {
    refund_id: Id<RefundId>,
    payment_id: Id<PaymentId>,
    /// Seats that are free again.
    seats: Vec<u32>,
    /// Points given back. With `fee` it is the price that was paid for these seats.
    amount: i64,
    /// Points that were kept.
    fee: i64,
    /// Points in the wallet after the refund.
    balance: i64,
    refunded_at: Instant,
}

impl RefundShown {
    pub(crate) fn of(refund: &Refund) -> Self {
        Self {
            refund_id: Id(refund.id),
            payment_id: Id(refund.payment),
            seats: refund.seats.to_vec(),
            amount: refund.amount,
            fee: refund.fee,
            balance: refund.balance_after,
            refunded_at: Instant(refund.refunded_at),
        }
    }
}

impl Sample for RefundShown {
    fn sample() -> Value {
        json!({
            "refundId": sample::REFUND, "paymentId": sample::PAYMENT, "seats": [7], "amount": 40_000, "fee": 10_000,
            "balance": 90_000, "refundedAt": "2026-11-23T09:10:11.123Z"
        })
    }
}

/// The seats to give back.
#[derive(Body, JsonSchema)]
pub(crate) struct RefundBody {
    /// Seats of the payment, none twice; without it, all that are left.
    #[schemars(with = "Option<Vec<u32>>", length(min = 1, max = ELEMENTS_MAX), inner(range(min = 1, max = 100_000)))]
    seats: Option<SeatList>,
}

impl Sample for RefundBody {
    fn sample() -> Value {
        json!({"seats": [7]})
    }
}

/// The command that gives seats of a payment back.
pub(crate) fn command(payment: &Payment, seats: Option<SeatList>) -> RefundSeats {
    RefundSeats {
        payment: payment.id,
        reservation: payment.reservation,
        performance: payment.performance,
        user: payment.user.clone(),
        seats: seats.map(|SeatList(seats)| seats.into()),
    }
}

/// Finds a payment. Its ids never change, so a decision may begin with them.
///
/// # Errors
/// `payment-not-found`, or `unavailable`.
pub(crate) async fn find(app: &App, id: PaymentId) -> Result<Payment, Problem> {
    let found = app.read(app.reader.payment(id)).await?;
    found.ok_or_else(|| Problem::new(Code::PaymentNotFound))
}

/// Give paid seats back
///
/// As the refund policy of the performance allows: the one at the hold, which the reservation shows, or the one now, whichever
/// costs less. The points go back to the wallet, and the seats are free again: all named seats or none. The body `{}`, or no body,
/// gives all seats back that are left. No queue token is needed, and none is changed.
/// Of a cancelled performance everything goes back. Judged in this order: a seat named twice; unknown payment; a seat that is not of this payment; a seat refunded before, or
/// none left; no rule of the policy holds any more; a wallet that cannot take the points. Without `ONSALE_AUTH=jwt` the id of the
/// payment, which cannot be guessed, is the key to it.
#[operation(
    tag = Payments,
    returns = "The seats are free again",
    codes(PaymentNotFound, SeatUnknown, AlreadyRefunded, RefundClosed, BalanceLimit)
)]
pub(crate) async fn create_refund(
    State(app): State<App>,
    caller: Caller,
    path: Path<PaymentId>,
    payload: Payload<Option<RefundBody>>,
) -> Result<Decided<Created<RefundShown>>, Problem> {
    let id = path.id()?;
    let seats = payload.read_if_any()?.and_then(|RefundBody { seats }| seats);
    let payment = find(&app, id).await?;
    let user = caller.acting_for(payment.user.clone())?;
    let key = payload.key(&user);
    app.decide(command(&payment, seats), key, |refund| Created(RefundShown::of(refund))).await
}

/// List the refunds of a payment, newest first
#[operation(tag = Payments, returns = "The refunds", codes(PaymentNotFound))]
pub(crate) async fn list_payment_refunds(
    State(app): State<App>,
    caller: Caller,
    path: Path<PaymentId>,
    mut query: Query<Paged<RefundId>>,
) -> Result<Listed<RefundShown>, Problem> {
    let Paged { rows, .. } = query.read()?;
    let id = path.id()?;
    // Both within the time of one read.
    let both = async { Ok((app.reader.payment(id).await?, app.reader.refunds(RefundsOf::Payment(id), rows).await?)) };
    let (payment, refunds) = app.read(both).await?;
    let payment = payment.ok_or_else(|| Problem::new(Code::PaymentNotFound))?;
    caller.acting_for(payment.user)?;
    Ok(Listed::page(&query, refunds, |refund| refund.id.to_string(), RefundShown::of))
}
