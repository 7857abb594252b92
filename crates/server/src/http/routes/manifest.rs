//! What a door without a network needs to know.

use axum::extract::State;
use onsale_app::store::Manifest;
use onsale_domain::ids::{PerformanceId, TicketId};
use onsale_macros::operation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::ticket::TicketKeyShown;
use crate::http::App;
use crate::http::input::staff::{CheckIn as MayCheckIn, Staff};
use crate::http::input::{Parameters, Query};
use crate::http::openapi::sample::{self, Sample};
use crate::http::reply::OkJson;
use crate::http::reply::problem::{Code, Problem};
use crate::http::values::{Id, Instant, Version};

/// Which part of a manifest to get.
#[derive(Parameters)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ManifestQuery {
    /// The performance of the door
    performance_id: Id<PerformanceId>,
    /// The `version` of the manifest before: only what changed since then
    after: Option<Version>,
}

/// What a door without a network needs to know.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Manifest")]
#[serde(rename_all = "camelCase")]
pub(crate) struct ManifestShown {
    performance_id: Id<PerformanceId>,
    /// For `after` of the next request.
    version: u64,
    as_of: Instant,
    /// The title of the concert.
    title: String,
    venue: String,
    starts_at: Instant,
    /// Whether the performance is cancelled: then all of its tickets are void.
    cancelled: bool,
    /// All keys that verify codes.
    keys: Vec<TicketKeyShown>,
    /// Tickets that became void.
    void: Vec<Id<TicketId>>,
    /// Tickets that were checked in.
    checked_in: Vec<Id<TicketId>>,
    /// Tickets whose check-in was undone.
    undone: Vec<Id<TicketId>>,
}

impl Sample for ManifestShown {
    fn sample() -> Value {
        json!({
            "performanceId": sample::PERFORMANCE, "version": 1_204, "asOf": "2026-12-19T09:31:07.515Z",
            "title": "Night of the Locks", "venue": "Hall of Rows",
            "startsAt": "2026-12-19T10:00:00.000Z", "cancelled": false, "keys": [TicketKeyShown::sample()], "void": [],
            "checkedIn": [sample::TICKET], "undone": []
        })
    }
}

/// Get what a door needs without a network
///
/// The keys, and the tickets that became void, were checked in, or whose check-in was undone since a version. A ticket may come again.
#[operation(tag = Tickets, returns = "The manifest", codes(PerformanceNotFound))]
pub(crate) async fn get_manifest(
    State(app): State<App>,
    _: Staff<MayCheckIn>,
    mut query: Query<ManifestQuery>,
) -> Result<OkJson<ManifestShown>, Problem> {
    let ManifestQuery { performance_id: Id(performance), after } = query.read()?;
    let as_of = app.reader.now();
    let both = async {
        let manifest = app.reader.manifest(performance, after.map(|Version(after)| after)).await?;
        Ok((manifest, app.reader.ticket_keys().await?))
    };
    let (manifest, known) = app.read(both).await?;
    let found = manifest.ok_or_else(|| Problem::new(Code::PerformanceNotFound))?;
    app.read(app.catalogue.know(&[], &[performance])).await?;
    let showing = app.catalogue.showing(performance).ok_or_else(|| Problem::new(Code::PerformanceNotFound))?;
    let programme = app.catalogue.programme(showing.concert);
    let concert = programme.map(|programme| (programme.concert.title.to_string(), programme.concert.venue.to_string()));
    let (title, venue) = concert.unwrap_or_default();
    let Manifest { version, starts_at, is_cancelled, void, checked_in, undone } = found;
    Ok(OkJson(ManifestShown {
        performance_id: Id(performance),
        version,
        as_of: Instant(as_of),
        title,
        venue,
        starts_at: Instant(starts_at),
        cancelled: is_cancelled,
        keys: app.tickets.listed(&known).iter().map(TicketKeyShown::of).collect(),
        void: void.into_iter().map(Id).collect(),
        checked_in: checked_in.into_iter().map(Id).collect(),
        undone: undone.into_iter().map(Id).collect(),
    }))
}
