//! Concerts and performances, as an administrator changes them: the notice, whether the sale is closed, and refunds.

use axum::extract::State;
use onsale_app::calendar::Calendar;
use onsale_domain::concert::{Change, ChangePerformance, Concert, Performance};
use onsale_domain::ids::{ConcertId, PerformanceId};
use onsale_macros::operation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::App;
use crate::http::input::staff::{RunSale, Staff};
use crate::http::input::{Body, Path, Payload};
use crate::http::openapi::sample::{self, Sample};
use crate::http::reply::problem::Problem;
use crate::http::reply::{Decided, OkJson};
use crate::http::routes::concert::{ConcertShown, PerformanceStatus};
use crate::http::routes::notice::NoticeField;
use crate::http::routes::refund_policy::{PolicyField, RuleShown};
use crate::http::values::{Day, Id, Instant};

/// What to change about a concert. A missing field keeps its value.
#[derive(Body, JsonSchema)]
#[schemars(extend("minProperties" = 1))]
pub(crate) struct ConcertPatch {
    /// The text that buyers read from now on; null removes it.
    notice: Option<NoticeField>,
    /// Whether the sale is closed.
    closed: Option<bool>,
}

impl Sample for ConcertPatch {
    fn sample() -> Value {
        let notice = json!({"ko": "결제 시간을 10분 연장했습니다.", "en": "You have 10 more minutes to pay."});
        json!({"notice": notice, "closed": false})
    }
}

/// A concert as its administrator sees it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct AdminConcert {
    #[serde(flatten)]
    concert: ConcertShown,
    /// The sale is closed.
    closed: bool,
}

impl AdminConcert {
    fn of(app: &App, concert: &Concert) -> Self {
        let now = app.reader.now();
        let shown = match app.catalogue.programme(concert.id) {
            Some(programme) => {
                let room = app.rooms.get(concert.id);
                let sold_out = room.map_or_else(|| programme.is_over(now), |room| room.is_sold_out(now));
                ConcertShown::of(&programme, sold_out, concert.notice.clone())
            }
            None => ConcertShown::new(concert),
        };
        Self { concert: shown, closed: concert.closed }
    }
}

impl Sample for AdminConcert {
    fn sample() -> Value {
        let mut concert = ConcertShown::sample();
        (concert["closed"], concert["notice"]) = (json!(false), ConcertPatch::sample()["notice"].clone());
        concert
    }
}

/// Change the notice of a concert, or open or close its sale
///
/// `closed` stops entering, admission and holds. Places stay, running turns end as ever, and live holds can be paid or
/// released. At least one field is needed.
#[operation(tag = Administration, returns = "The concert", codes(ConcertNotFound))]
pub(crate) async fn update_concert(
    State(app): State<App>,
    staff: Staff<RunSale>,
    path: Path<ConcertId>,
    payload: Payload<ConcertPatch>,
) -> Result<Decided<OkJson<AdminConcert>>, Problem> {
    let concert = path.id()?;
    let ConcertPatch { notice, closed } = payload.read()?;
    if notice.is_none() && closed.is_none() {
        return Err(nothing_named());
    }
    let change = Change { concert, notice: notice.map(|NoticeField(notice)| notice), closed };
    // A retired room is loaded first, so that this instance sees what changes it.
    app.rooms.find(concert).await?;
    app.read(app.catalogue.know(&[concert], &[])).await?;
    let shown_by = app.clone();
    let answer = app
        .decide_by_staff(&staff, change, &payload, move |concert| OkJson(AdminConcert::of(&shown_by, concert)))
        .await;
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
    capacity: u32,
    /// Number of paid seats that were not refunded.
    sold: u32,
    status: PerformanceStatus,
    /// Its holds are closed.
    closed: bool,
    /// The rules by which buyers get points back, by descending hours.
    refund_policy: Vec<RuleShown>,
}

impl AdminPerformance {
    fn of(performance: &Performance, calendar: &Calendar) -> Self {
        Self {
            performance_id: Id(performance.id),
            concert_id: Id(performance.concert),
            date: Day(calendar.date_of(performance.starts_at)),
            starts_at: Instant(performance.starts_at),
            capacity: performance.seating.capacity(),
            sold: performance.sold,
            status: PerformanceStatus::of(performance.closed),
            closed: performance.closed,
            refund_policy: RuleShown::all(&performance.refund_policy),
        }
    }
}

impl Sample for AdminPerformance {
    fn sample() -> Value {
        json!({
            "performanceId": sample::PERFORMANCE, "concertId": sample::CONCERT, "date": "2026-12-19",
            "startsAt": "2026-12-19T10:00:00.000Z", "capacity": 50, "sold": 12, "status": "CLOSED", "closed": true,
            "refundPolicy": PerformancePatch::sample()["refundPolicy"]
        })
    }
}

/// Open or close a performance, or change its refund policy
///
/// `closed` stops its holds. Live holds can be paid or released. `refundPolicy` sets what part of the price buyers lose. At least
/// one field is needed.
#[operation(tag = Administration, returns = "The performance", codes(PerformanceNotFound))]
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
