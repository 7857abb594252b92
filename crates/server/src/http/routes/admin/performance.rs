//! Performances, as an organiser changes them: start, prices, further seats, refunds, and whether they are closed.

use axum::extract::State;
use onsale_app::calendar::Calendar;
use onsale_domain::concert::{AddSeats, ChangePerformance, Performance};
use onsale_domain::ids::{ConcertId, PerformanceId};
use onsale_macros::operation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::change::nothing_named;
use super::concert::SectionShown;
use super::figures::Figures;
use super::layout::AddedField;
use super::prices::PricesField;
use crate::http::App;
use crate::http::input::staff::{ReadSale, RunSale, Staff};
use crate::http::input::{Body, Path, Payload, Query};
use crate::http::openapi::sample::{self, Sample};
use crate::http::reply::problem::{Code, Problem};
use crate::http::reply::{Created, Decided, OkJson};
use crate::http::routes::concert::PerformanceStatus;
use crate::http::routes::refund_policy::{PolicyField, RuleShown};
use crate::http::values::{Day, Id, Instant};

/// What to change about a performance. A missing field keeps its value.
#[derive(Body, JsonSchema)]
#[schemars(extend("minProperties" = 1))]
#[serde(rename_all = "camelCase")]
pub(crate) struct PerformancePatch {
    /// Whether its holds are closed.
    closed: Option<bool>,
    /// The rules by which buyers get points back, no two with the same hours; an empty list lets only staff refund. Holds
    /// keep the policy of their time, and a buyer gets the cheaper of both.
    refund_policy: Option<PolicyField>,
    /// The start, earlier or later: RFC 3339, with seconds and an offset; years 0001 to 9999. Holds and payments stay.
    starts_at: Option<Instant>,
    /// New prices, each for all seats of a grade, no two for one grade. Holds and payments keep the prices of their seats.
    prices: Option<PricesField>,
}

impl Sample for PerformancePatch {
    fn sample() -> Value {
        let policy = json!([{"hoursBefore": 72, "feePercent": 20}, {"hoursBefore": 0, "feePercent": 90}]);
        let prices = json!([{"grade": "R", "price": 60_000}]);
        json!({"closed": true, "refundPolicy": policy, "startsAt": "2026-12-19T19:00:00+09:00", "prices": prices})
    }
}

/// A performance as its administrator sees it.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AdminPerformance {
    performance_id: Id<PerformanceId>,
    concert_id: Id<ConcertId>,
    date: Day,
    starts_at: Instant,
    #[serde(flatten)]
    figures: Figures,
    /// Sections in ascending order.
    seats: Vec<SectionShown>,
    status: PerformanceStatus,
    /// Its holds are closed.
    closed: bool,
    /// The rules by which buyers get points back, by descending hours.
    refund_policy: Vec<RuleShown>,
}

impl AdminPerformance {
    pub(super) fn of(performance: &Performance, calendar: &Calendar) -> Self {
        Self {
            performance_id: Id(performance.id),
            concert_id: Id(performance.concert),
            date: Day(calendar.date_of(performance.starts_at)),
            starts_at: Instant(performance.starts_at),
            figures: Figures::of(performance),
            seats: SectionShown::all(&performance.seating),
            status: PerformanceStatus::of(performance),
            closed: performance.closed,
            refund_policy: RuleShown::all(&performance.refund_policy),
        }
    }
}

impl Sample for AdminPerformance {
    fn sample() -> Value {
        let mut performance = json!({
            "performanceId": sample::PERFORMANCE, "concertId": sample::CONCERT, "date": "2026-12-19",
            "startsAt": "2026-12-19T10:00:00.000Z", "seats": [{"from": 1, "to": 50, "grade": "R", "price": 60_000}],
            "status": "CLOSED", "closed": true, "refundPolicy": PerformancePatch::sample()["refundPolicy"]
        });
        if let (Value::Object(own), Value::Object(figures)) = (&mut performance, Figures::sample()) {
            own.extend(figures);
        }
        performance
    }
}

/// Change the start, the prices or the refund policy of a performance, or open or close it
///
/// `closed` stops its holds. Live holds can be paid or released. `refundPolicy` sets what part of the price buyers lose. `startsAt`
/// moves the date, the end of its sale and the hours of the refund policy at once. `prices` sets the price of all seats of a
/// grade. At least one field is needed.
#[operation(tag = Administration, returns = "The performance", codes(PerformanceNotFound, PerformanceCancelled))]
pub(crate) async fn update_performance(
    State(app): State<App>,
    staff: Staff<RunSale>,
    path: Path<PerformanceId>,
    payload: Payload<PerformancePatch>,
) -> Result<Decided<OkJson<AdminPerformance>>, Problem> {
    let performance = path.id()?;
    let PerformancePatch { closed, refund_policy, starts_at, prices } = payload.read()?;
    if closed.is_none() && refund_policy.is_none() && starts_at.is_none() && prices.is_none() {
        return Err(nothing_named());
    }
    let refund_policy = refund_policy.map(|PolicyField(policy)| policy);
    let starts_at = starts_at.map(|Instant(at)| at);
    let prices = prices.map_or_else(Vec::new, |PricesField(prices)| prices);
    let change = ChangePerformance { performance, closed, refund_policy, starts_at, prices };
    wake_room(&app, performance).await?;
    let calendar = app.calendar.clone();
    let show = move |performance: &Performance| OkJson(AdminPerformance::of(performance, &calendar));
    let answer = app.decide_by_staff(&staff, change, &payload, show).await;
    app.see_own_changes().await;
    answer
}

/// Get a performance
///
/// As the database has it, past ones included.
#[operation(tag = Administration, returns = "The performance", codes(PerformanceNotFound))]
pub(crate) async fn get_performance(
    State(app): State<App>,
    _: Staff<ReadSale>,
    path: Path<PerformanceId>,
    mut query: Query,
) -> Result<OkJson<AdminPerformance>, Problem> {
    query.read()?;
    Ok(OkJson(AdminPerformance::of(&find(&app, path.id()?).await?, &app.calendar)))
}

/// A performance as the database has it.
///
/// # Errors
/// `performance-not-found`; `unavailable` if the database cannot be read.
pub(super) async fn find(app: &App, id: PerformanceId) -> Result<Performance, Problem> {
    let listed = app.read(app.reader.listed(&[], &[id])).await?;
    let found = listed.performances.into_iter().find(|performance| performance.id == id);
    found.ok_or_else(|| Problem::new(Code::PerformanceNotFound))
}

/// Loads the room of a performance if it is retired, so that this instance sees what changes it.
async fn wake_room(app: &App, performance: PerformanceId) -> Result<(), Problem> {
    app.read(app.catalogue.know(&[], &[performance])).await?;
    let showing = app.catalogue.showing(performance).ok_or_else(|| Problem::new(Code::PerformanceNotFound))?;
    app.rooms.find(showing.concert).await?;
    Ok(())
}

/// Seats to add to a performance.
#[derive(Body, JsonSchema)]
pub(crate) struct AddSeatsBody {
    /// Ranges that share no seat, with one another and with the performance.
    seats: AddedField,
}

impl Sample for AddSeatsBody {
    fn sample() -> Value {
        json!({"seats": [{"from": 51, "to": 60, "grade": "S", "price": 30_000}]})
    }
}

/// Add seats to a performance
///
/// Buyers see them at once. Neighbours of one grade and price become one section, and a performance has at most 1,000 sections.
/// If the performance has a layout, `section` and `row` are required: a new row ranks last in its section, a new section last in the
/// hall, and at most 200 sections and 2,000 segments are taken. Without a layout they are refused. `seat-exists` names the first 20 seats that it has already.
#[operation(
    tag = Administration,
    returns = "The performance",
    codes(PerformanceNotFound, PerformanceCancelled, SeatExists, SectionLimit)
)]
pub(crate) async fn add_performance_seats(
    State(app): State<App>,
    staff: Staff<RunSale>,
    path: Path<PerformanceId>,
    payload: Payload<AddSeatsBody>,
) -> Result<Decided<Created<AdminPerformance>>, Problem> {
    let performance = path.id()?;
    let AddSeatsBody { seats: AddedField { seats, places } } = payload.read()?;
    wake_room(&app, performance).await?;
    let calendar = app.calendar.clone();
    let show = move |performance: &Performance| Created(AdminPerformance::of(performance, &calendar));
    let answer = app.decide_by_staff(&staff, AddSeats { performance, seats, places }, &payload, show).await;
    app.see_own_changes().await;
    answer
}
