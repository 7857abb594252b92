//! Concerts, as an administrator changes them: the notice, and whether the sale is closed.

use axum::extract::State;
use onsale_domain::concert::{Change, Concert};
use onsale_domain::ids::ConcertId;
use onsale_macros::operation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::App;
use crate::http::input::staff::{RunSale, Staff};
use crate::http::input::{Body, Path, Payload};
use crate::http::openapi::Sample;
use crate::http::reply::problem::Problem;
use crate::http::reply::{Decided, OkJson};
use crate::http::routes::concert::ConcertShown;
use crate::http::routes::notice::NoticeField;

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

pub(super) fn nothing_named() -> Problem {
    Problem::invalid_field("body", "must name at least one field")
}
