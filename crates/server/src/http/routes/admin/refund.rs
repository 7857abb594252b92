//! Refunds, as staff make and see them.

use axum::extract::State;
use onsale_app::event::by;
use onsale_app::store::RefundsOf;
use onsale_domain::concert::PRICE_MAX;
use onsale_domain::ids::{PaymentId, PerformanceId, RefundId, ReservationId, UserId};
use onsale_domain::refund::{Refund, RefundByStaff};
use onsale_macros::operation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::App;
use crate::http::input::staff::{ReadSale, Refund as MayRefund, Staff};
use crate::http::input::{Body, ELEMENTS_MAX, Paged, Path, Payload, Query};
use crate::http::openapi::sample::{self, Sample};
use crate::http::reply::problem::{Code, Problem};
use crate::http::reply::{Created, Decided, Listed};
use crate::http::routes::refund::{RefundShown, command, find};
use crate::http::routes::seats::SeatList;
use crate::http::values::{Id, Name, RuledPoints};

/// The highest fee, in points: the price of as many seats as one request may name.
#[expect(clippy::cast_possible_wrap, reason = "it is 1,000")]
const FEE_MAX: i64 = ELEMENTS_MAX as i64 * PRICE_MAX;

/// The seats to refund, the fee, and why.
#[derive(Body, JsonSchema)]
pub(crate) struct StaffRefundBody {
    /// Seats of the payment, none twice; without it, all that are left.
    #[schemars(with = "Option<Vec<u32>>", length(min = 1, max = ELEMENTS_MAX), inner(range(min = 1, max = 100_000)))]
    seats: Option<SeatList>,
    /// Points to keep, at most the price of the seats. 0 if it is absent, or if the performance is cancelled.
    fee: Option<RuledPoints<0, FEE_MAX>>,
    /// Kept with the refund and in the admin log. Every character shows.
    reason: Name,
}

impl Sample for StaffRefundBody {
    fn sample() -> Value {
        json!({"seats": [7], "fee": 0, "reason": "the view is restricted"})
    }
}

/// Refund seats of a payment, as staff
///
/// At any time, also after the start and without regard to the refund policy. Judged as a refund by the buyer; `fee` is judged before
/// the wallet. The refund and its entry of the admin log are saved together.
#[operation(
    tag = Administration,
    returns = "The seats are free again",
    codes(PaymentNotFound, SeatUnknown, AlreadyRefunded, FeeOutOfRange, BalanceLimit)
)]
pub(crate) async fn refund_payment(
    State(app): State<App>,
    staff: Staff<MayRefund>,
    path: Path<PaymentId>,
    payload: Payload<StaffRefundBody>,
) -> Result<Decided<Created<RefundShown>>, Problem> {
    let id = path.id()?;
    let StaffRefundBody { seats, fee, reason: Name(reason) } = payload.read()?;
    let payment = find(&app, id).await?;
    let fee = fee.map_or(0, |RuledPoints(fee)| fee);
    let refund = RefundByStaff { refund: command(&payment, seats), fee, reason: reason.into() };
    app.decide_by_staff(&staff, refund, &payload, |refund| Created(RefundShown::of(refund))).await
}

/// A refund as staff see it.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AdminRefund {
    #[serde(flatten)]
    refund: RefundShown,
    reservation_id: Id<ReservationId>,
    performance_id: Id<PerformanceId>,
    user_id: Id<UserId>,
    /// Who decided on it.
    #[schemars(extend("enum" = ["buyer", "staff", "cancellation"]))]
    by: &'static str,
    /// Why, as the member of the staff wrote it; null if the buyer gave the seats back, or with a cancellation.
    reason: Option<String>,
}

impl AdminRefund {
    pub(crate) fn of(refund: &Refund) -> Self {
        Self {
            refund: RefundShown::of(refund),
            reservation_id: Id(refund.reservation),
            performance_id: Id(refund.performance),
            user_id: Id(refund.user.clone()),
            by: by(refund.by),
            reason: refund.reason.as_deref().map(str::to_owned),
        }
    }
}

impl Sample for AdminRefund {
    fn sample() -> Value {
        let mut refund = RefundShown::sample();
        refund["reservationId"] = json!(sample::RESERVATION);
        refund["performanceId"] = json!(sample::PERFORMANCE);
        refund["userId"] = json!("42");
        refund["by"] = json!("staff");
        refund["reason"] = json!("the view is restricted");
        refund
    }
}

/// List the refunds of a performance, newest first
#[operation(tag = Administration, returns = "The refunds", codes(PerformanceNotFound))]
pub(crate) async fn list_performance_refunds(
    State(app): State<App>,
    _: Staff<ReadSale>,
    path: Path<PerformanceId>,
    mut query: Query<Paged<RefundId>>,
) -> Result<Listed<AdminRefund>, Problem> {
    let Paged { rows, .. } = query.read()?;
    let performance = path.id()?;
    app.read(app.catalogue.know(&[], &[performance])).await?;
    app.catalogue.showing(performance).ok_or_else(|| Problem::new(Code::PerformanceNotFound))?;
    let refunds = app.read(app.reader.refunds(RefundsOf::Performance(performance), rows)).await?;
    Ok(Listed::page(&query, refunds, |refund| refund.id.to_string(), AdminRefund::of))
}
