//! Concerts, as an administrator changes them: texts, the hours of the sale, and how many seats one user may have.

use axum::extract::State;
use onsale_domain::concert::{Change, Concert, SEATS_PER_USER_MAX};
use onsale_domain::ids::ConcertId;
use onsale_macros::operation;
use schemars::JsonSchema;
use serde_json::{Value, json};

use crate::http::App;
use crate::http::input::staff::{RunSale, Staff};
use crate::http::input::{Body, Path, Payload};
use crate::http::openapi::Sample;
use crate::http::reply::problem::Problem;
use crate::http::reply::{Decided, OkJson};
use crate::http::routes::concert::ConcertShown;
use crate::http::routes::hours::InstantField;
use crate::http::routes::notice::NoticeField;
use crate::http::values::{Count, Name};

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
    /// Until this instant a presale code is needed to enter and to hold; later than `opensAt`; null for none.
    codes_until: Option<InstantField>,
    /// Whether the sale is closed.
    closed: Option<bool>,
    /// How many seats of a performance one user may have. A lower number takes no seat away.
    max_seats_per_user: Option<Count<1, SEATS_PER_USER_MAX>>,
}

impl ConcertPatch {
    /// The change; `None` if no field is named.
    fn into_change(self, concert: ConcertId) -> Option<Change> {
        let Self { title, venue, notice, opens_at, closes_at, codes_until, closed, max_seats_per_user } = self;
        let is_empty = title.is_none()
            && venue.is_none()
            && notice.is_none()
            && opens_at.is_none()
            && closes_at.is_none()
            && codes_until.is_none()
            && closed.is_none()
            && max_seats_per_user.is_none();
        let text = |name: Option<Name>| name.map(|Name(text)| text.into());
        (!is_empty).then(|| Change {
            title: text(title),
            venue: text(venue),
            notice: notice.map(|NoticeField(notice)| notice),
            opens_at: opens_at.map(|InstantField(at)| at),
            closes_at: closes_at.map(|InstantField(at)| at),
            codes_until: codes_until.map(|InstantField(at)| at),
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
            "notice": notice, "opensAt": "2026-11-20T14:00:00+09:00", "closesAt": null, "codesUntil": null,
            "closed": false, "maxSeatsPerUser": 4
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
/// turns end as ever, and live holds can be paid or released. At least one field is needed. Once users entered early, `opensAt`
/// moves only later (`room-in-use`), and no longer after the opening (`sale-opened`).
#[operation(
    tag = Administration,
    returns = "The concert",
    codes(ConcertNotFound, RoomInUse, SaleDrawn, SaleOpened),
    example = changed_concert()
)]
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

pub(super) fn nothing_named() -> Problem {
    Problem::invalid_field("body", "must name at least one field")
}
