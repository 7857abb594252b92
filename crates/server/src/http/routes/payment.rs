//! Payments: held seats are paid from the user's points.

use axum::extract::State;
use onsale_app::store::GivenBack;
use onsale_domain::ids::{PaymentId, ReservationId};
use onsale_domain::payment::{Pay, Payment};
use onsale_macros::operation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::App;
use crate::http::input::callers::{Caller, PathUser, Turn};
use crate::http::input::{Body, Paged, Path, Payload, Query};
use crate::http::openapi::sample::{self, Sample};
use crate::http::reply::problem::{Code, Problem};
use crate::http::reply::{Created, Decided, Listed, OkJson};
use crate::http::values::{Id, Instant};

/// A reservation that was paid, with its points.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Payment")]
#[serde(rename_all = "camelCase")]
pub(crate) struct PaymentShown {
    payment_id: Id<PaymentId>,
    reservation_id: Id<ReservationId>,
    /// Points.
    amount: i64,
    /// Points in the wallet after the payment.
    balance: i64,
    seats: Vec<u32>,
    /// Seats that were refunded.
    refunded_seats: Vec<u32>,
    /// Points that were given back, without fees.
    refunded_amount: i64,
    paid_at: Instant,
}

impl PaymentShown {
    /// With what was given back; `None` if nothing was.
    pub(crate) fn of(payment: &Payment, given: Option<&GivenBack>) -> Self {
        Self {
            payment_id: Id(payment.id),
            reservation_id: Id(payment.reservation),
            amount: payment.amount,
            balance: payment.balance_after,
            seats: payment.seats.to_vec(),
            refunded_seats: given.map_or_else(Vec::new, |given| given.seats.clone()),
            refunded_amount: given.map_or(0, |given| given.amount),
            paid_at: Instant(payment.paid_at),
        }
    }
}

impl Sample for PaymentShown {
    fn sample() -> Value {
        json!({
            "paymentId": sample::PAYMENT, "reservationId": sample::RESERVATION, "amount": 100_000, "balance": 50_000,
            "seats": [7, 8], "refundedSeats": [], "refundedAmount": 0, "paidAt": "2026-11-22T11:14:13.456Z"
        })
    }
}

/// The reservation to pay.
#[derive(Body, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PayBody {
    reservation_id: Id<ReservationId>,
}

impl Sample for PayBody {
    fn sample() -> Value {
        json!({"reservationId": sample::RESERVATION})
    }
}

/// Pay a hold from the points
///
/// The seats are sold and the token ends, unless its user still holds other seats of this concert. Judged in this
/// order: unknown reservation (also another user's), paid already, lapsed or released, a cancelled performance, too few points (the seats stay
/// held).
#[operation(
    tag = Payments,
    returns = "The seats are sold",
    codes(ReservationNotFound, AlreadyPaid, HoldExpired, PerformanceCancelled, InsufficientBalance)
)]
pub(crate) async fn create_payment(
    State(app): State<App>,
    turn: Turn,
    payload: Payload<PayBody>,
) -> Result<Decided<Created<PaymentShown>>, Problem> {
    let PayBody { reservation_id: Id(reservation) } = turn.first(payload.read())?;
    let key = payload.key(&turn.token.user);
    let pay = Pay { token: turn.token, reservation };
    app.decide(pay, key, |payment| Created(PaymentShown::of(payment, None))).await
}

/// Get a payment
///
/// Without `ONSALE_AUTH=jwt` the id, which cannot be guessed, is the key to it.
#[operation(tag = Payments, returns = "The payment", codes(PaymentNotFound))]
pub(crate) async fn get_payment(
    State(app): State<App>,
    caller: Caller,
    path: Path<PaymentId>,
    mut query: Query,
) -> Result<OkJson<PaymentShown>, Problem> {
    query.read()?;
    let id = path.id()?;
    // Both within the time of one read.
    let both = async { Ok((app.reader.payment(id).await?, app.reader.given_back(&[id]).await?)) };
    let (found, given) = app.read(both).await?;
    let payment = found.ok_or_else(|| Problem::new(Code::PaymentNotFound))?;
    caller.acting_for(payment.user.clone())?;
    Ok(OkJson(PaymentShown::of(&payment, given.get(&id))))
}

/// List a user's payments, newest first
#[operation(tag = Payments, returns = "The payments")]
pub(crate) async fn list_user_payments(
    State(app): State<App>,
    PathUser(user): PathUser,
    mut query: Query<Paged<PaymentId>>,
) -> Result<Listed<PaymentShown>, Problem> {
    let Paged { rows, .. } = query.read()?;
    let both = async {
        let payments = app.reader.payments_of(&user, rows).await?;
        let ids: Vec<PaymentId> = payments.iter().map(|payment| payment.id).collect();
        let given = app.reader.given_back(&ids).await?;
        Ok((payments, given))
    };
    let (payments, given) = app.read(both).await?;
    let show = |payment: &Payment| PaymentShown::of(payment, given.get(&payment.id));
    Ok(Listed::page(&query, payments, |payment| payment.id.to_string(), show))
}
