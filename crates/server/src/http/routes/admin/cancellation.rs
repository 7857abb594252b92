//! Cancellations of performances, as an administrator makes and follows them.

use axum::extract::State;
use axum::http::StatusCode;
use onsale_domain::cancellation::{Cancel, Cancelled, FailedRefund, State as Stage};
use onsale_domain::ids::{PaymentId, PerformanceId, ReservationId, UserId};
use onsale_domain::payment::Payment;
use onsale_macros::operation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::App;
use crate::http::input::staff::{ReadSale, RunSale, Staff};
use crate::http::input::{Body, Paged, Path, Payload, Query};
use crate::http::openapi::sample::{self, Sample};
use crate::http::openapi::{Content, Operation, Output};
use crate::http::reply::problem::{Code, Problem};
use crate::http::reply::{Decided, Listed, OkJson, Success, to_json};
use crate::http::values::{Id, Instant, Name};

/// Why a performance is cancelled.
#[derive(Body, JsonSchema)]
pub(crate) struct CancelBody {
    /// Kept with the cancellation, in the admin log and in its event. Every character shows.
    reason: Name,
}

impl Sample for CancelBody {
    fn sample() -> Value {
        json!({"reason": "the singer is ill"})
    }
}

/// The cancellation of a performance.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Cancellation")]
#[serde(rename_all = "camelCase")]
pub(crate) struct CancellationShown {
    state: CancellationState,
    cancelled_at: Instant,
    reason: String,
    /// Payments of which seats were left when the performance was cancelled.
    payments: u32,
    /// Those of them that were refunded in full since, by the cancellation or by a request.
    payments_refunded: u32,
    /// Those of them whose refund the wallet cannot take. They are tried again every minute.
    payments_failed: u32,
    /// Points that were given back since the performance was cancelled.
    points_refunded: i64,
}

/// What is left to do about a cancellation.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum CancellationState {
    /// Holds are ended and payments are refunded.
    Running,
    /// Only payments are left that the wallets cannot take back.
    Waiting,
    /// No seat is held or sold any more.
    Done,
}

impl CancellationShown {
    fn of(cancelled: &Cancelled) -> Self {
        Self {
            state: match cancelled.state() {
                Stage::Running => CancellationState::Running,
                Stage::Waiting => CancellationState::Waiting,
                Stage::Done => CancellationState::Done,
            },
            cancelled_at: Instant(cancelled.cancellation.cancelled_at),
            reason: cancelled.cancellation.reason.to_string(),
            payments: cancelled.cancellation.payments,
            payments_refunded: cancelled.payments_refunded(),
            payments_failed: cancelled.payments_failed(),
            points_refunded: cancelled.points_refunded(),
        }
    }
}

impl Sample for CancellationShown {
    fn sample() -> Value {
        json!({
            "state": "RUNNING", "cancelledAt": "2026-11-22T11:12:13.456Z", "reason": "the singer is ill", "payments": 4_210,
            "paymentsRefunded": 0, "paymentsFailed": 0, "pointsRefunded": 0
        })
    }
}

/// 202 if the call cancelled the performance, or 200 if it was cancelled before.
pub(crate) struct Accepted {
    is_new: bool,
    shown: CancellationShown,
}

impl Success for Accepted {
    fn status(&self) -> StatusCode {
        if self.is_new { StatusCode::ACCEPTED } else { StatusCode::OK }
    }

    fn body(&self) -> Vec<u8> {
        to_json(&self.shown)
    }
}

impl Output for Accepted {
    fn describe(operation: &mut Operation) {
        operation.answers::<CancellationShown>(202);
        let known = Content::new::<CancellationShown>("application/json", CancellationShown::sample());
        operation.answers_as(200, "The performance was cancelled before; this is how far it has come", vec![known]);
    }
}

/// Cancel a performance for good
///
/// Also after its start. From this answer on no seat of it is held or paid, on every instance, and any refund is in full: without
/// fee, policy or regard to the time. Then its holds are ended and its payments are refunded in the background, which goes on
/// after a restart. `GET …/cancellation` shows how far it has come. A second call changes nothing.
#[operation(tag = Administration, returns = "The performance is cancelled", codes(PerformanceNotFound))]
pub(crate) async fn cancel_performance(
    State(app): State<App>,
    staff: Staff<RunSale>,
    path: Path<PerformanceId>,
    payload: Payload<CancelBody>,
) -> Result<Decided<Accepted>, Problem> {
    let performance = path.id()?;
    let CancelBody { reason: Name(reason) } = payload.read()?;
    let cancel = Cancel { performance, reason: reason.into() };
    let show = |cancelled: &Cancelled| Accepted { is_new: cancelled.is_new, shown: CancellationShown::of(cancelled) };
    let answer = app.decide_by_staff(&staff, cancel, &payload, show).await;
    app.see_own_changes().await;
    answer
}

/// The cancellation of a performance.
///
/// # Errors
/// `performance-not-found`, `cancellation-not-found` or `unavailable`.
async fn find(app: &App, performance: PerformanceId) -> Result<Cancelled, Problem> {
    if let Some(found) = app.read(app.reader.cancellation(performance)).await? {
        return Ok(found);
    }
    app.read(app.catalogue.know(&[], &[performance])).await?;
    app.catalogue.showing(performance).ok_or_else(|| Problem::new(Code::PerformanceNotFound))?;
    Err(Problem::new(Code::CancellationNotFound))
}

/// Get the cancellation of a performance
///
/// `state` is `RUNNING` while holds are ended and payments refunded, `WAITING` if only payments are left that the wallets cannot
/// take back, and `DONE` if no seat is held or sold.
#[operation(
    tag = Administration,
    returns = "The cancellation",
    codes(PerformanceNotFound, CancellationNotFound)
)]
pub(crate) async fn get_performance_cancellation(
    State(app): State<App>,
    _: Staff<ReadSale>,
    path: Path<PerformanceId>,
    mut query: Query,
) -> Result<OkJson<CancellationShown>, Problem> {
    query.read()?;
    let found = find(&app, path.id()?).await?;
    Ok(OkJson(CancellationShown::of(&found)))
}

/// A payment whose refund the wallet cannot take.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FailedRefundShown {
    payment_id: Id<PaymentId>,
    reservation_id: Id<ReservationId>,
    user_id: Id<UserId>,
    /// Seats that are not refunded.
    seats: Vec<u32>,
    /// Points to give back: the price that was paid for these seats.
    amount: i64,
    /// Why the refund failed. `balance-limit`: with these points the wallet would hold more than 1,000,000,000.
    #[schemars(extend("enum" = ["balance-limit"]))]
    code: &'static str,
    /// The first attempt.
    failed_at: Instant,
}

impl FailedRefundShown {
    fn of((failed, payment, refunded): &(FailedRefund, Payment, Vec<u32>)) -> Self {
        let left = || payment.seats.iter().copied().filter(|seat| !refunded.contains(seat));
        Self {
            payment_id: Id(failed.payment),
            reservation_id: Id(failed.reservation),
            user_id: Id(payment.user.clone()),
            seats: left().collect(),
            amount: left().filter_map(|seat| payment.price_of(seat)).sum(),
            code: Code::BalanceLimit.as_str(),
            failed_at: Instant(failed.failed_at),
        }
    }
}

impl Sample for FailedRefundShown {
    fn sample() -> Value {
        json!({
            "paymentId": sample::PAYMENT, "reservationId": sample::RESERVATION, "userId": "42", "seats": [7, 8],
            "amount": 100_000, "code": "balance-limit", "failedAt": "2026-11-22T11:12:15.001Z"
        })
    }
}

/// List the failed refunds of a cancellation, newest payment first
///
/// The wallet of each of these users cannot take the points. A refund is tried again every minute, and succeeds once the user
/// has spent enough. A payment that was refunded since is not listed.
#[operation(
    tag = Administration,
    returns = "The failed refunds",
    codes(PerformanceNotFound, CancellationNotFound)
)]
pub(crate) async fn list_failed_refunds(
    State(app): State<App>,
    _: Staff<ReadSale>,
    path: Path<PerformanceId>,
    mut query: Query<Paged<PaymentId>>,
) -> Result<Listed<FailedRefundShown>, Problem> {
    let Paged { rows, .. } = query.read()?;
    let performance = path.id()?;
    find(&app, performance).await?;
    let failed = app.read(app.reader.failed_refunds(performance, rows)).await?;
    Ok(Listed::page(&query, failed, |(failed, ..)| failed.payment.to_string(), FailedRefundShown::of))
}
