//! Waiting rooms, as an administrator reads and steers them.

use axum::extract::State;
use onsale_domain::ids::ConcertId;
use onsale_domain::waiting_room::{Configure, DrawPatch, Patch, Seed, Settings};
use onsale_macros::operation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::change::nothing_named;
use crate::http::App;
use crate::http::input::staff::{ReadSale, RunSale, Staff};
use crate::http::input::{Body, Path, Payload, Query};
use crate::http::openapi::Sample;
use crate::http::reply::problem::{Code, Problem};
use crate::http::reply::{Decided, OkJson};
use crate::http::routes::hours::InstantField;
use crate::http::values::{Count, Instant, Name, Nullable, PlaceOrder};

/// Settings of a waiting room. A missing field takes the server's default.
#[derive(Body, Default, JsonSchema)]
#[schemars(rename = "QueueSettingsBody")]
#[serde(rename_all = "camelCase")]
pub(crate) struct QueueBody {
    max_active: Option<Count<1, { Settings::RATE_MAX }>>,
    admit_per_second: Option<Count<1, { Settings::RATE_MAX }>>,
    active_seconds: Option<Count<1, { Settings::ACTIVE_SECONDS_MAX }>>,
    claim_seconds: Option<Count<1, { Settings::CLAIM_SECONDS_MAX }>>,
    /// Whether admission is paused.
    paused: Option<bool>,
    /// From this instant on users enter before the sale opens; null for none. It is earlier than `opensAt`, and fixed once it
    /// has passed.
    early_from: Option<InstantField>,
    /// How the order of early places is decided. Fixed once a place was handed out.
    order: Option<PlaceOrder>,
    /// When the list of a draw closes: after `earlyFrom`, and not after `opensAt`. A minute before the opening unless said, but not
    /// before the middle of the early period. Once a place was handed out it moves only later, until five minutes before it.
    draw_at: Option<Instant>,
}

impl QueueBody {
    pub(crate) fn into_patch(self) -> Patch {
        Patch {
            max_active: self.max_active.map(|Count(active)| active),
            admit_per_second: self.admit_per_second.map(|Count(rate)| rate),
            active_seconds: self.active_seconds.map(|Count(seconds)| seconds),
            claim_seconds: self.claim_seconds.map(|Count(seconds)| seconds),
            paused: self.paused,
            early_from: self.early_from.map(|InstantField(from)| from),
            order: self.order.map(|PlaceOrder(order)| order),
            draw_at: self.draw_at.map(|Instant(at)| at),
        }
    }
}

/// How a waiting room admits.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QueueSettings {
    /// How many may be active at once.
    max_active: u32,
    /// How many may become active within any one second.
    admit_per_second: u32,
    /// Length of a turn, in seconds.
    active_seconds: u32,
    /// Seconds without a sign of life after which an unused turn ends.
    claim_seconds: u32,
    /// Admission is stopped; entering, polling and leaving go on.
    paused: bool,
    /// From this instant on users enter before the sale opens; null if they may not.
    early_from: Option<Instant>,
    /// How the order of early places is decided.
    order: PlaceOrder,
    /// When the list of a draw closes; null if places follow the order of arrival.
    draw_at: Option<Instant>,
}

impl QueueSettings {
    pub(crate) fn of(settings: &Settings) -> Self {
        let Settings {
            max_active, admit_per_second, active_seconds, claim_seconds, paused, early_from, draw_at, ..
        } = *settings;
        let (early_from, draw_at, order) =
            (early_from.map(Instant), draw_at.map(Instant), PlaceOrder(settings.order()));
        Self { max_active, admit_per_second, active_seconds, claim_seconds, paused, early_from, order, draw_at }
    }
}

impl Sample for QueueSettings {
    fn sample() -> Value {
        json!({"maxActive": 200, "admitPerSecond": 50, "activeSeconds": 600, "claimSeconds": 60, "paused": false,
            "earlyFrom": null, "order": "arrival", "drawAt": null})
    }
}

/// A waiting room as its administrator sees it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WaitingRoom")]
pub(crate) struct Queue {
    #[serde(flatten)]
    settings: QueueSettings,
    /// Visitors in line.
    waiting: u64,
    /// Turns that run, or ran until a moment ago.
    active: u32,
    /// Places handed out so far.
    issued: u64,
}

impl Sample for Queue {
    fn sample() -> Value {
        let mut queue = QueueSettings::sample();
        (queue["waiting"], queue["active"], queue["issued"]) = (json!(120), json!(200), json!(1520));
        queue
    }
}

/// Get the settings of a waiting room and how full it is
#[operation(tag = Administration, returns = "The waiting room", codes(ConcertNotFound))]
pub(crate) async fn get_queue_settings(
    State(app): State<App>,
    _: Staff<ReadSale>,
    path: Path<ConcertId>,
    mut query: Query,
) -> Result<OkJson<Queue>, Problem> {
    query.read()?;
    let concert = path.id()?;
    app.see_own_changes().await;
    let room = app.rooms.find(concert).await?.ok_or_else(|| Problem::new(Code::ConcertNotFound))?;
    let settings = QueueSettings::of(&room.snapshot().room.settings);
    let (waiting, active, issued) = (room.waiting(), room.snapshot().room.active, room.issued());
    Ok(OkJson(Queue { settings, waiting, active, issued }))
}

/// What to change about a waiting room. A missing field keeps its value.
#[derive(Body, JsonSchema)]
#[schemars(rename = "QueueSettingsPatch", extend("minProperties" = 1))]
#[serde(rename_all = "camelCase")]
pub(crate) struct QueuePatch {
    /// Names one future public value that becomes part of a draw, such as `drand quicknet round 34400000`; null removes it. With
    /// `beaconAt`. Fixed once a place was handed out.
    beacon_name: Option<Nullable<Name>>,
    /// When that value will be known; null removes it. At least 10 seconds after `drawAt`, and not after `opensAt`.
    beacon_at: Option<InstantField>,
    #[serde(flatten)]
    settings: QueueBody,
}

impl Sample for QueuePatch {
    fn sample() -> Value {
        json!({"admitPerSecond": 100, "paused": false})
    }
}

/// Change how a waiting room admits
///
/// What is not named stays. `paused` stops admission only. Turns that run keep the time they were given. At least one field is
/// needed. `earlyFrom` cannot change once it has passed: `room-in-use`.
#[operation(tag = Administration, returns = "The settings from now on", codes(ConcertNotFound, RoomInUse))]
pub(crate) async fn update_queue_settings(
    State(app): State<App>,
    staff: Staff<RunSale>,
    path: Path<ConcertId>,
    payload: Payload<QueuePatch>,
) -> Result<Decided<OkJson<QueueSettings>>, Problem> {
    let concert = path.id()?;
    let QueuePatch { settings, beacon_name, beacon_at } = payload.read()?;
    let draw = DrawPatch {
        beacon_name: beacon_name.map(|Nullable(name)| name.map(|Name(name)| name.into())),
        beacon_at: beacon_at.map(|InstantField(at)| at),
        seed: Some(Seed::new(rand::random())),
    };
    let patch = settings.into_patch();
    if patch == Patch::default() && draw.beacon_name.is_none() && draw.beacon_at.is_none() {
        return Err(nothing_named());
    }
    // A retired room is loaded first, so that this instance sees what changes it.
    app.rooms.find(concert).await?;
    app.decide_by_staff(&staff, Configure { concert, patch, draw }, &payload, |settings| {
        OkJson(QueueSettings::of(settings))
    })
    .await
}
