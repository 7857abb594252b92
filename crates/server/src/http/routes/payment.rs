//! Paying holds.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use onsale_app::store::Page;
use onsale_domain::ids::{PaymentId, ReservationId};
use onsale_domain::payment::{Pay, Payment};
use schemars::JsonSchema;
use serde::Serialize;

use crate::http::App;
use crate::http::input::callers::{Caller, PathUser, Turn};
use crate::http::input::fields::parsed;
use crate::http::input::{PathArgs, Payload, Query};
use crate::http::reply::answer::Rendered;
use crate::http::reply::problem::{Code, Problem};
use crate::http::reply::wire::{Id, Instant, json, page};

/// A reservation paid.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Payment")]
#[serde(rename_all = "camelCase")]
pub(crate) struct PaymentShown {
    payment_id: Id<PaymentId>,
    reservation_id: Id<ReservationId>,
    /// Points.
    amount: i64,
    /// What the wallet held afterwards.
    balance: i64,
    seats: Vec<u32>,
    paid_at: Instant,
}

impl PaymentShown {
    pub(crate) fn of(payment: &Payment) -> Self {
        Self {
            payment_id: Id(payment.id),
            reservation_id: Id(payment.reservation),
            amount: payment.amount,
            balance: payment.balance_after,
            seats: payment.seats.to_vec(),
            paid_at: Instant(payment.paid_at),
        }
    }
}

/// What to pay.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the body; read field by field")]
pub(crate) struct PayBody {
    reservation_id: Id<ReservationId>,
}

pub(crate) async fn create_payment(State(app): State<App>, turn: Turn, payload: Payload) -> Result<Response, Problem> {
    let read = payload.fields().and_then(|mut fields| {
        let reservation = fields.required("reservationId", parsed("a UUID", ReservationId::parse));
        fields.done(|| reservation)
    });
    let reservation = turn.first(read)?;
    let key = payload.key(Some(&turn.token.user));
    let show = |payment: &Payment| Rendered::json(StatusCode::CREATED, &PaymentShown::of(payment));
    Ok(app.decide(Pay { token: turn.token, reservation }, key, show).await)
}

pub(crate) async fn get_payment(
    State(app): State<App>,
    caller: Caller,
    path: PathArgs,
    mut query: Query,
) -> Result<Response, Problem> {
    query.done(|| Some(()))?;
    let id = path.parse("paymentId", "a UUID", PaymentId::parse)?;
    let found = app.read(app.reader.payment(id)).await?;
    let payment = found.ok_or_else(|| Problem::new(Code::PaymentNotFound))?;
    caller.acting_for(payment.user.clone())?;
    Ok(json(StatusCode::OK, &PaymentShown::of(&payment)))
}

pub(crate) async fn list_user_payments(
    State(app): State<App>,
    PathUser(user): PathUser,
    mut query: Query,
) -> Result<Response, Problem> {
    let wanted = query.page(PaymentId::parse);
    query.done(|| Some(()))?;
    let more = Page { limit: wanted.limit + 1, ..wanted };
    let rows = app.read(app.reader.payments_of(&user, more)).await?;
    Ok(page(&query, wanted.limit, rows, |payment| payment.id.to_string(), PaymentShown::of))
}
