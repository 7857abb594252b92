//! Concerts and performances, as an administrator changes them.

use axum::extract::State;
use onsale_app::calendar::Calendar;
use onsale_domain::concert::{Change, ChangePerformance, Concert, Performance, SEATS_PER_USER_MAX};
use onsale_domain::ids::{ConcertId, PerformanceId};
use onsale_macros::operation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::figures::Figures;
use crate::http::App;
use crate::http::input::staff::{RunSale, Staff};
use crate::http::input::{Body, Path, Payload};
use crate::http::openapi::sample::{self, Sample};
use crate::http::reply::problem::Problem;
use crate::http::reply::{Decided, OkJson};
use crate::http::routes::concert::{ConcertShown, PerformanceStatus};
use crate::http::routes::hours::InstantField;
use crate::http::routes::notice::NoticeField;
use crate::http::routes::refund_policy::{PolicyField, RuleShown};
use crate::http::values::{Count, Day, Id, Instant, Name};

/// What to change about a concert. A missing field keeps its value.
#[derive(Body, JsonSchema)]
#[schemars(extend("minProperties" = 1))]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConcertPatch {
    /// Every character shows: no control characters, direction marks or invisible characters.
    title: Option<Name>,
    /// As `title`.
    venue: Option<Name>,
    /// The text that buyers read from now on; null removes it.
    notice: Option<NoticeField>,
    /// Before this instant no user enters, is admitted or holds seats; null removes it.
    opens_at: Option<InstantField>,
    /// The same from this instant on, which is later than `opensAt`; null removes it.
    closes_at: Option<InstantField>,
    /// Whether the sale is closed.
    closed: Option<bool>,
    /// How many seats of a performance one user may have. A lower number takes no seat away.
    max_seats_per_user: Option<Count<1, SEATS_PER_USER_MAX>>,
}

impl ConcertPatch {
    /// The change; `None` if no field is named.
    fn into_change(self, concert: ConcertId) -> Option<Change> {
        let Self { title, venue, notice, opens_at, closes_at, closed, max_seats_per_user } = self;
        let is_empty = title.is_none()
            && venue.is_none()
            && notice.is_none()
            && opens_at.is_none()
            && closes_at.is_none()
            && closed.is_none()
            && max_seats_per_user.is_none();
        let text = |name: Option<Name>| name.map(|Name(text)| text.into());
        (!is_empty).then(|| Change {
            title: text(title),
            venue: text(venue),
            notice: notice.map(|NoticeField(notice)| notice),
            opens_at: opens_at.map(|InstantField(at)| at),
            closes_at: closes_at.map(|InstantField(at)| at),
            closed,
            seats_per_user: max_seats_per_user.map(|Count(seats)| seats),
            ..Change::of(concert)
        })
    }
}

impl Sample for ConcertPatch {
    fn sample() -> Value {
        let notice = json!({"ko": "결제 시간을 10분 연장했습니다.", "en": "You have 10 more minutes to pay."});
        json!({
            "notice": notice, "opensAt": "2026-11-20T14:00:00+09:00", "closesAt": null, "closed": false,
            "maxSeatsPerUser": 4
        })
    }
}

fn changed_concert() -> Value {
    let mut concert = ConcertShown::sample();
    concert["notice"] = ConcertPatch::sample()["notice"].clone();
    concert
}

/// Change a concert: its texts, the hours of its sale, or how many seats one user may have
///
/// `closed`, the time before `opensAt` and the time from `closesAt` on stop entering, admission and holds. Places stay, running
/// turns end as ever, and live holds can be paid or released. At least one field is needed.
#[operation(tag = Administration, returns = "The concert", codes(ConcertNotFound), example = changed_concert())]
pub(crate) async fn update_concert(
    State(app): State<App>,
    staff: Staff<RunSale>,
    path: Path<ConcertId>,
    payload: Payload<ConcertPatch>,
) -> Result<Decided<OkJson<ConcertShown>>, Problem> {
    let concert = path.id()?;
    let change = payload.read()?.into_change(concert).ok_or_else(nothing_named)?;
    // A retired room is loaded first, so that this instance sees what changes it.
    app.rooms.find(concert).await?;
    app.read(app.catalogue.know(&[concert], &[])).await?;
    let shown_by = app.clone();
    let show = move |concert: &Concert| OkJson(ConcertShown::for_staff(&shown_by, concert));
    let answer = app.decide_by_staff(&staff, change, &payload, show).await;
    app.see_own_changes().await;
    answer
}

fn nothing_named() -> Problem {
    Problem::invalid_field("body", "must name at least one field")
}

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
}

impl Sample for PerformancePatch {
    fn sample() -> Value {
        let policy = json!([{"hoursBefore": 72, "feePercent": 20}, {"hoursBefore": 0, "feePercent": 90}]);
        json!({"closed": true, "refundPolicy": policy})
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
            "startsAt": "2026-12-19T10:00:00.000Z", "status": "CLOSED", "closed": true,
            "refundPolicy": PerformancePatch::sample()["refundPolicy"]
        });
        if let (Value::Object(own), Value::Object(figures)) = (&mut performance, Figures::sample()) {
            own.extend(figures);
        }
        performance
    }
}

/// Open or close a performance, or change its refund policy
///
/// `closed` stops its holds. Live holds can be paid or released. `refundPolicy` sets what part of the price buyers lose. At least
/// one field is needed.
#[operation(tag = Administration, returns = "The performance", codes(PerformanceNotFound, PerformanceCancelled))]
pub(crate) async fn update_performance(
    State(app): State<App>,
    staff: Staff<RunSale>,
    path: Path<PerformanceId>,
    payload: Payload<PerformancePatch>,
) -> Result<Decided<OkJson<AdminPerformance>>, Problem> {
    let performance = path.id()?;
    let PerformancePatch { closed, refund_policy } = payload.read()?;
    if closed.is_none() && refund_policy.is_none() {
        return Err(nothing_named());
    }
    let refund_policy = refund_policy.map(|PolicyField(policy)| policy);
    let change = ChangePerformance { performance, closed, refund_policy };
    let calendar = app.calendar.clone();
    let show = move |performance: &Performance| OkJson(AdminPerformance::of(performance, &calendar));
    let answer = app.decide_by_staff(&staff, change, &payload, show).await;
    app.see_own_changes().await;
    answer
}
