//! Holds, as an administrator extends them after an outage.

use axum::extract::State;
use onsale_domain::concert::{EXTENSION_SECONDS_MAX, Extend, Extended};
use onsale_domain::ids::{ConcertId, PerformanceId};
use onsale_macros::operation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::App;
use crate::http::input::staff::{RunSale, Staff};
use crate::http::input::{Body, Path, Payload};
use crate::http::openapi::Sample;
use crate::http::reply::problem::{Code, Problem};
use crate::http::reply::{Decided, OkJson};
use crate::http::values::{Count, Instant, Name};

/// How much longer holds last, and why.
#[derive(Body, JsonSchema)]
pub(crate) struct ExtendBody {
    seconds: Count<1, EXTENSION_SECONDS_MAX>,
    /// Kept with the extension and in its events. Every character shows.
    reason: Name,
}

impl Sample for ExtendBody {
    fn sample() -> Value {
        json!({"seconds": 600, "reason": "payment was down from 20:03 to 20:09"})
    }
}

/// What an extension did.
#[derive(Serialize, JsonSchema)]
pub(crate) struct HoldsExtended {
    /// The instant of the decision: a hold that was live then lasts longer.
    at: Instant,
    seconds: u32,
    /// How many holds were live.
    holds: u64,
}

impl HoldsExtended {
    fn of(extended: &Extended) -> OkJson<Self> {
        let Extended { at, seconds, holds } = *extended;
        OkJson(Self { at: Instant(at), seconds, holds })
    }
}

impl Sample for HoldsExtended {
    fn sample() -> Value {
        json!({"at": "2026-11-22T11:12:13.456Z", "seconds": 600, "holds": 312})
    }
}

/// Extend the live holds of a performance
///
/// Every hold that is live at the instant of the decision lasts that much longer; one that has lapsed is not revived. It
/// counts at once on every instance: seats stay held, tokens stay active, streams send the new `activeUntil`.
#[operation(tag = Administration, returns = "What was extended", codes(PerformanceNotFound, PerformanceCancelled))]
pub(crate) async fn extend_performance_holds(
    State(app): State<App>,
    staff: Staff<RunSale>,
    path: Path<PerformanceId>,
    payload: Payload<ExtendBody>,
) -> Result<Decided<OkJson<HoldsExtended>>, Problem> {
    let performance = path.id()?;
    let body = payload.read()?;
    app.read(app.catalogue.know(&[], &[performance])).await?;
    let showing = app.catalogue.showing(performance).ok_or_else(|| Problem::new(Code::PerformanceNotFound))?;
    extend(&app, &staff, (showing.concert, Some(performance)), body, &payload).await
}

/// Extend the live holds of all performances of a concert
///
/// As for one performance, with one decision for all of them. A cancelled performance is left out.
#[operation(tag = Administration, returns = "What was extended", codes(ConcertNotFound))]
pub(crate) async fn extend_concert_holds(
    State(app): State<App>,
    staff: Staff<RunSale>,
    path: Path<ConcertId>,
    payload: Payload<ExtendBody>,
) -> Result<Decided<OkJson<HoldsExtended>>, Problem> {
    let concert = path.id()?;
    let body = payload.read()?;
    extend(&app, &staff, (concert, None), body, &payload).await
}

async fn extend(
    app: &App,
    staff: &Staff<RunSale>,
    (concert, performance): (ConcertId, Option<PerformanceId>),
    body: ExtendBody,
    payload: &Payload<ExtendBody>,
) -> Result<Decided<OkJson<HoldsExtended>>, Problem> {
    let ExtendBody { seconds: Count(seconds), reason: Name(reason) } = body;
    let extend = Extend { concert, performance, seconds, reason: reason.into() };
    // A retired room is loaded first, so that this instance sees what changes it.
    app.rooms.find(concert).await?;
    let answer = app.decide_by_staff(staff, extend, payload, HoldsExtended::of).await;
    app.see_own_changes().await;
    answer
}
