//! Draws: what is published of them, and the value of a beacon.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use onsale_app::store::{EntryRow, Page, StoreError};
use onsale_domain::ids::{ConcertId, TokenId};
use onsale_domain::waiting_room::{Draw, DrawChange, List, Mark, Places, PutBeacon, Room};
use onsale_macros::operation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::http::App;
use crate::http::input::staff::{RunSale, Staff};
use crate::http::input::{Body as ReadBody, Parameters, Path, Payload, Query};
use crate::http::openapi::sample::{self, Sample};
use crate::http::openapi::{Content, Operation, Output};
use crate::http::reply::problem::{Code, Problem};
use crate::http::reply::{Decided, OkJson};
use crate::http::values::{BeaconValue, Id, Instant};

/// Lists of draws that one instance reads at a time. A further one is refused with `too-many-requests`.
static READS: Semaphore = Semaphore::const_new(4);

/// Entries that are read together.
const READ_TOGETHER: usize = 5_000;

/// How far a draw has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DrawState {
    /// The seed is fixed, and the list is open.
    Committed,
    /// The list is closed, and its order is being computed.
    Closed,
    /// The list is closed, and the value of the beacon is missing.
    AwaitingBeacon,
    /// Each entry has its place, and the seed is public.
    Drawn,
}

/// A draw, as it is public.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Draw")]
#[serde(rename_all = "camelCase")]
pub(crate) struct DrawShown {
    concert_id: Id<ConcertId>,
    state: DrawState,
    /// The SHA-256 of the seed, in hexadecimal.
    commitment: String,
    /// Number of entries; null before the closing.
    entries: Option<u64>,
    /// The SHA-256 of the list, in hexadecimal; null until it is computed after the closing.
    entries_hash: Option<String>,
    /// The public value that becomes part of the draw; null if none was named.
    beacon_name: Option<String>,
    /// When the beacon will be known; null if none was named.
    beacon_at: Option<Instant>,
    /// The value of the beacon, as it was given; null until then.
    beacon: Option<String>,
    /// The seed, in hexadecimal; null before the draw.
    seed: Option<String>,
    closed_at: Option<Instant>,
    drawn_at: Option<Instant>,
    /// What an organiser changed since the concert was made, oldest first.
    changes: Vec<ChangeShown>,
}

/// A change of what visitors were promised.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DrawChange")]
pub(crate) struct ChangeShown {
    at: Instant,
    field: String,
    /// The value before; null for none.
    before: Option<String>,
    /// The value afterwards; null for none.
    after: Option<String>,
}

impl ChangeShown {
    fn of(change: &DrawChange) -> Self {
        let text = |mark: &Option<Mark>| {
            mark.as_ref().map(|mark| match mark {
                Mark::At(at) => onsale_app::calendar::rfc3339(*at),
                Mark::Text(text) => text.to_string(),
            })
        };
        let DrawChange { at, field, before, after } = change;
        Self { at: Instant(*at), field: field.to_string(), before: text(before), after: text(after) }
    }
}

impl DrawShown {
    fn of(concert: ConcertId, room: &Room, draw: &Draw) -> Self {
        let drawn_at = room.list.and_then(|list| list.drawn_at);
        let state = match room.list {
            None => DrawState::Committed,
            Some(_) if drawn_at.is_some() => DrawState::Drawn,
            Some(_) if draw.awaits_beacon() => DrawState::AwaitingBeacon,
            Some(_) => DrawState::Closed,
        };
        Self {
            concert_id: Id(concert),
            state,
            commitment: draw.seed.commitment().to_string(),
            entries: room.list.map(|list| list.entries),
            entries_hash: draw.entries_hash.map(|hash| hash.to_string()),
            beacon_name: draw.beacon.as_ref().map(|beacon| beacon.name.to_string()),
            beacon_at: draw.beacon.as_ref().map(|beacon| Instant(beacon.at)),
            beacon: draw.value.as_ref().map(ToString::to_string),
            // Only with the draw: before it the seed is in no answer.
            seed: drawn_at.map(|_| draw.seed.reveal().to_string()),
            closed_at: room.list.map(|list| Instant(list.closed_at)),
            drawn_at: drawn_at.map(Instant),
            changes: draw.changes.iter().map(ChangeShown::of).collect(),
        }
    }
}

impl Sample for DrawShown {
    fn sample() -> Value {
        json!({
            "concertId": sample::CONCERT, "state": "committed",
            "commitment": "630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd",
            "entries": null, "entriesHash": null, "beaconName": "drand quicknet round 34400000",
            "beaconAt": "2026-11-22T10:59:30.000Z", "beacon": null, "seed": null, "closedAt": null, "drawnAt": null,
            "changes": []
        })
    }
}

/// The room of a concert and the record of its draw, as the database has both now.
async fn draw_of(app: &App, concert: ConcertId) -> Result<(Room, Draw), Problem> {
    let room = app.rooms.find(concert).await?.ok_or_else(|| Problem::new(Code::ConcertNotFound))?;
    // The room before the record: what the room shows as closed or drawn, the record has too.
    let room = room.snapshot().room.clone();
    let draw = app.reader.draw(concert).await?;
    let none = || Problem::new(Code::NotFound).detail("the places of this concert follow the order of arrival");
    let draw = draw.filter(|_| room.settings.draw_at.is_some()).ok_or_else(none)?;
    Ok((room, draw))
}

/// Get the draw of a concert
///
/// `commitment` is fixed before the first visitor enters, `entriesHash` before the seed is public. `onsale verify-draw` checks a draw
/// by its address. A concert whose places follow the order of arrival has none: `not-found`.
#[operation(tag = WaitingRoom, returns = "The draw", codes(ConcertNotFound, NotFound))]
pub(crate) async fn get_draw(
    State(app): State<App>,
    path: Path<ConcertId>,
    mut query: Query,
) -> Result<OkJson<DrawShown>, Problem> {
    query.read()?;
    let concert = path.id()?;
    let (room, draw) = draw_of(&app, concert).await?;
    Ok(OkJson(DrawShown::of(concert, &room, &draw)))
}

/// Which entries to answer with.
#[derive(Parameters)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EntriesQuery {
    /// Only this entry, as JSON
    token_id: Option<Id<TokenId>>,
}

/// One entry of the list.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DrawEntry")]
#[serde(rename_all = "camelCase")]
pub(crate) struct EntryShown {
    token_id: Id<TokenId>,
    /// 1 is drawn first; null before the draw.
    place: Option<u32>,
}

impl Sample for EntryShown {
    fn sample() -> Value {
        json!({"tokenId": sample::TOKEN, "place": 17})
    }
}

/// The whole list as CSV, or one entry as JSON.
pub(crate) struct Entries(Response);

impl IntoResponse for Entries {
    fn into_response(self) -> Response {
        self.0
    }
}

impl Output for Entries {
    fn describe(operation: &mut Operation) {
        let csv = Content::new::<String>("text/csv", json!(format!("tokenId,place\r\n{},17\r\n", sample::TOKEN)));
        let one = Content::new::<EntryShown>("application/json", EntryShown::sample());
        operation.answers_as(200, operation.returns, vec![csv, one]);
        operation.answers_nothing(304, "The client has this list");
    }
}

/// A list while it is read.
struct Reading {
    app: App,
    concert: ConcertId,
    list: List,
    order: Option<Places>,
    after: Option<u64>,
    is_begun: bool,
    _permit: SemaphorePermit<'static>,
}

impl Reading {
    async fn next_rows(&mut self) -> Result<Vec<EntryRow>, StoreError> {
        let page = Page { after: self.after, limit: READ_TOGETHER };
        let rows = self.app.reader.draw_entries(self.concert, self.list, page).await?;
        self.after = rows.last().map(|row| row.token.place).or(self.after);
        Ok(rows)
    }

    fn place(&self, row: &EntryRow) -> Option<u32> {
        u32::try_from(row.token.place).ok().and_then(|number| self.order.as_ref()?.of(number))
    }

    /// The next part of the CSV; `None` at its end.
    async fn next_part(&mut self) -> Option<Result<Bytes, StoreError>> {
        let rows = match self.next_rows().await {
            Ok(rows) => rows,
            Err(error) => return Some(Err(error)),
        };
        let mut text = if self.is_begun { String::new() } else { "tokenId,place\r\n".to_owned() };
        if self.is_begun && rows.is_empty() {
            return None;
        }
        self.is_begun = true;
        for row in &rows {
            let place = self.place(row).map_or_else(String::new, |place| place.to_string());
            text.push_str(&format!("{},{place}\r\n", row.token.id));
        }
        Some(Ok(text.into()))
    }

    /// The entry of a token, if it is on the list.
    async fn find(&mut self, token: TokenId) -> Result<Option<EntryShown>, StoreError> {
        loop {
            let rows = self.next_rows().await?;
            if rows.is_empty() {
                return Ok(None);
            }
            if let Some(row) = rows.iter().find(|row| row.token.id == token) {
                return Ok(Some(EntryShown { token_id: Id(token), place: self.place(row) }));
            }
        }
    }
}

/// Get the list of a draw
///
/// CSV with the header `tokenId,place`; `place` is empty before the draw. Entries come in no order. With `tokenId` only that entry, as
/// JSON. Once drawn the list never changes. An instance reads four lists at a time; a further one is `too-many-requests`.
#[operation(
    tag = WaitingRoom,
    returns = "The list",
    codes(ConcertNotFound, NotFound, DrawNotClosed, TooManyRequests)
)]
pub(crate) async fn list_draw_entries(
    State(app): State<App>,
    path: Path<ConcertId>,
    headers: HeaderMap,
    mut query: Query<EntriesQuery>,
) -> Result<Entries, Problem> {
    let EntriesQuery { token_id } = query.read()?;
    let concert = path.id()?;
    let (room, draw) = draw_of(&app, concert).await?;
    let list = room.list.ok_or_else(|| Problem::new(Code::DrawNotClosed))?;
    let etag = list.drawn_at.and(draw.entries_hash).map(|hash| format!("\"{hash}\""));
    let has_it = |etag: &String| headers.get_all(IF_NONE_MATCH).iter().any(|known| known.as_bytes() == etag.as_bytes());
    if token_id.is_none() && etag.as_ref().is_some_and(has_it) {
        return Ok(Entries(described(StatusCode::NOT_MODIFIED.into_response(), etag.as_deref())));
    }
    let permit = READS.try_acquire().map_err(|_| Problem::new(Code::TooManyRequests).retry_after(2))?;
    let order = match list.drawn_at {
        Some(_) => app.reader.drawn_order(concert).await?.and_then(|order| Places::from_order(&order)),
        None => None,
    };
    let mut reading = Reading { app, concert, list, order, after: None, is_begun: false, _permit: permit };
    if let Some(Id(token)) = token_id {
        let found = reading.find(token).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
        return Ok(Entries(OkJson(found).into_response()));
    }
    let parts = stream::unfold(reading, |mut reading| async {
        let part = reading.next_part().await?;
        Some((part, reading))
    });
    let mut response = Body::from_stream(parts).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present"));
    Ok(Entries(described(response, etag.as_deref())))
}

/// With the validator of a list that never changes.
fn described(mut response: Response, etag: Option<&str>) -> Response {
    if let Some(etag) = etag.and_then(|etag| HeaderValue::try_from(etag).ok()) {
        response.headers_mut().insert(ETAG, etag);
        let immutable = HeaderValue::from_static("public, max-age=31536000, immutable");
        response.headers_mut().insert(CACHE_CONTROL, immutable);
    }
    response
}

/// The value of a beacon.
#[derive(ReadBody, JsonSchema)]
pub(crate) struct BeaconBody {
    /// As its source shows it: 1 to 512 visible ASCII characters.
    value: BeaconValue,
}

impl Sample for BeaconBody {
    fn sample() -> Value {
        json!({"value": "3439d92d58e47d342131d446a3abe264396dd264717897af30525c98408c834f"})
    }
}

/// Give the value of the beacon of a draw
///
/// Once the list is closed, and only for a beacon that was named. The same value again changes nothing; another one is refused.
#[operation(
    tag = Administration,
    returns = "The draw",
    codes(ConcertNotFound, DrawNotClosed, BeaconUnnamed, BeaconSet)
)]
pub(crate) async fn put_beacon(
    State(app): State<App>,
    staff: Staff<RunSale>,
    path: Path<ConcertId>,
    payload: Payload<BeaconBody>,
) -> Result<Decided<OkJson<DrawShown>>, Problem> {
    let concert = path.id()?;
    let BeaconBody { value: BeaconValue(value) } = payload.read()?;
    // A retired room is loaded first, so that this instance sees what changes it.
    app.rooms.find(concert).await?;
    let put = PutBeacon { concert, value: value.into() };
    app.decide_by_staff(&staff, put, &payload, move |(room, draw)| OkJson(DrawShown::of(concert, room, draw))).await
}
