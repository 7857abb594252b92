//! The changes of a hall as server-sent events.
//!
//! Every listener of a hall, or of one section, gets the same bytes. A stream keeps a place in the log of its hall and nothing else:
//! a client that reads slowly finds the log too far ahead, and gets the event `reset`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, FromRequestParts, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use onsale_app::seat_map::{Listener, Part, Position};
use onsale_app::waiting_room::{LiveRoom, Purpose, Standing};
use onsale_domain::ids::PerformanceId;
use onsale_domain::waiting_room::Token;
use onsale_macros::operation;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant as Moment;

use super::waiting_room_events::{
    KEEP_ALIVE_EVERY, LAST_EVENT_ID, PROBE_EVERY, STREAMS_RETRY_SECONDS, retry_of, unbuffered,
};
use crate::http::App;
use crate::http::cache::{SeatTexts, seat_json};
use crate::http::edge::{OpenStream, Peer};
use crate::http::input::callers::StreamTurn;
use crate::http::input::{Parameters, Query};
use crate::http::openapi::{Content, Input, Operation, Output, Sample};
use crate::http::reply::problem::{Code, Problem};
use crate::http::values::{EventId, Exactly, Id, Instant, Text};

/// An open stream is a sign of life, shown this often. The end of the turn is noticed this late at most.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// Sent when the turn has ended.
const END: &[u8] = b"event: end\ndata: {}\n\n";

/// Keeps proxies from closing a silent stream, and shows whether the client is still there.
const COMMENT: &[u8] = b":\n\n";

/// Whose changes to follow, and from which version on.
#[derive(Parameters)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SeatEventsQuery {
    /// The performance whose seats are followed
    performance_id: Id<PerformanceId>,
    /// Only seats of the section with this name
    section: Option<Exactly>,
    /// The version of the map that the client has, or the id of the last event that it got. Without it the first event has all
    /// seats. `Last-Event-ID` counts more
    after: Option<EventId>,
    /// The queue token, for clients that cannot set a header; never logged
    #[expect(dead_code, reason = "`StreamTurn` has read it; here it is a known parameter")]
    token: Option<String>,
}

/// Seats of a performance with their present status, by status. Each range has its first and its last seat.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SeatChanges {
    pub(crate) version: u64,
    pub(crate) as_of: Instant,
    pub(crate) available: Vec<(u32, u32)>,
    pub(crate) held: Vec<(u32, u32)>,
    pub(crate) sold: Vec<(u32, u32)>,
    pub(crate) blocked: Vec<(u32, u32)>,
}

impl Sample for SeatChanges {
    fn sample() -> Value {
        json!({
            "version": 812, "asOf": "2026-11-22T11:12:13.456Z", "available": [[4, 4]], "held": [[7, 9], [31, 31]],
            "sold": [], "blocked": []
        })
    }
}

/// The data of `reset`: the version that the map to read is at least of.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reset {
    pub(crate) version: u64,
    pub(crate) as_of: Instant,
}

/// The id of the last event that a reconnecting client got; `None` for a first request, which may send the header empty.
pub(crate) struct LastEvent(Option<Position>);

impl FromRequestParts<App> for LastEvent {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Infallible> {
        let header = parts.headers.get(LAST_EVENT_ID).filter(|id| !id.is_empty());
        // An id that is not one of ours is a version that is not known here.
        let position = |id: &HeaderValue| {
            id.to_str().ok().and_then(EventId::parse).map_or(Position::LOST, |EventId(position)| position)
        };
        Ok(Self(header.map(position)))
    }
}

impl Input for LastEvent {
    fn describe(operation: &mut Operation) {
        let description = "Sent by browsers when they reconnect: the stream continues after this event. If the turn has ended, \
                           the answer is then 204";
        operation.header("Last-Event-ID", json!({"type": "string"}), description);
    }
}

/// 200 with server-sent events, or 204 to a reconnect whose turn has ended.
pub(crate) struct SeatEvents(Response);

impl IntoResponse for SeatEvents {
    fn into_response(self) -> Response {
        self.0
    }
}

impl Output for SeatEvents {
    fn describe(operation: &mut Operation) {
        let changes = SeatChanges::sample();
        let events = format!("retry: 2000\nid: 9f8e7d6c5b4a3928-812\ndata: {changes}\n\n");
        let content = Content::new::<String>("text/event-stream", json!(events));
        operation.answers_as(200, operation.returns, vec![content]);
        operation.answers_nothing(204, "The turn has ended, and this is a reconnect: an `EventSource` stops");
    }
}

/// Follow the seats of a performance as server-sent events
///
/// The first event has what changed since `after` or `Last-Event-ID`, or all seats if there is neither. Each later one has what changed
/// since the one before, at most four a second, and at least one every 10 seconds, which may be empty. An event names the seats that
/// have a status now as ranges: `{version, asOf, available, held, sold, blocked}`. A status may come twice. A lapsed hold is sent
/// within one second, with the version of before. With `section` only the changes of that section come; its `version` may skip.
///
/// `id` is the history of the database and the version. The event `reset` with `{version, asOf}` comes if the changes are not known
/// any more, if the history is another one, if seats or prices were changed, or if the client reads too slowly: read the map again,
/// until its `version` is at least this, and continue. The event `end` comes when the turn ends; a reconnect then gets 204. The
/// stream uses the turn, as any ● call, and is a sign of life while it is open.
#[operation(tag = Concerts, returns = "Events until the turn ends", codes(ConcertNotFound, PerformanceNotFound))]
pub(crate) async fn follow_concert_seats(
    State(app): State<App>,
    StreamTurn { token, room, is_over }: StreamTurn,
    LastEvent(last): LastEvent,
    mut query: Query<SeatEventsQuery>,
    peer: Option<Extension<Peer>>,
) -> Result<SeatEvents, Problem> {
    if is_over && last.is_some() {
        // An `EventSource` that gets 204 stops. It would reconnect for ever otherwise.
        return Ok(SeatEvents(unbuffered(StatusCode::NO_CONTENT.into_response())));
    }
    if is_over {
        return Err(Problem::new(Code::QueueTokenExpired));
    }
    let SeatEventsQuery { performance_id: Id(id), section, after, token: _ } = query.read()?;
    app.read(app.catalogue.know(&[token.concert], &[id])).await?;
    if app.catalogue.programme(token.concert).is_none() {
        return Err(Problem::new(Code::ConcertNotFound));
    }
    let showing = app.catalogue.showing(id).filter(|showing| showing.concert == token.concert);
    let showing = showing.ok_or_else(|| Problem::new(Code::PerformanceNotFound))?;
    let Some(open) = app.streams.open(token.id) else {
        let detail = "this queue token has as many event streams as it may; close one, or poll";
        return Err(Problem::new(Code::TooManyRequests).detail(detail).retry_after(STREAMS_RETRY_SECONDS));
    };
    // A browser repeats the query of its first request, so the header is newer.
    let from = last.or(after.map(|EventId(position)| position));
    let (listener, frame) = app.read(app.seat_feeds.listen(&showing, from)).await?;
    let part = listener.part(section.as_ref().map(|Exactly(name)| name.as_str()));
    let retry = format!("retry: {}\n", retry_of(&room).as_millis());
    let (first, now) = (seat_json::event_of(&frame, part), Moment::now());
    let viewer = Viewer {
        _open: open,
        app,
        room,
        token,
        listener,
        part,
        opening: [Some(retry.into()), first],
        has_ended: false,
        checked_at: now,
        sent_at: now,
        peer: peer.map(|Extension(peer)| peer),
    };
    let events = stream::unfold(viewer, |mut viewer| async {
        let bytes = viewer.next().await?;
        Some((Ok::<_, Infallible>(bytes), viewer))
    });
    let mut response = Response::new(Body::from_stream(events));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    Ok(SeatEvents(unbuffered(response)))
}

/// A client of a stream.
struct Viewer {
    /// The token's share of open streams.
    _open: OpenStream,
    app: App,
    room: Arc<LiveRoom>,
    token: Token,
    listener: Listener<SeatTexts>,
    part: Part,
    /// Sent first: `retry`, and the event that it belongs to.
    opening: [Option<Bytes>; 2],
    has_ended: bool,
    /// When the turn was read last.
    checked_at: Moment,
    /// When anything was sent last.
    sent_at: Moment,
    peer: Option<Peer>,
}

impl Viewer {
    /// The next bytes; `None` after the end of the turn, or when the server stops.
    async fn next(&mut self) -> Option<Bytes> {
        if self.has_ended {
            return None;
        }
        if let Some(bytes) = self.opening.iter_mut().find_map(Option::take) {
            return Some(bytes);
        }
        loop {
            if self.checked_at.elapsed() >= CHECK_EVERY {
                self.checked_at = Moment::now();
                if !self.has_turn().await {
                    self.has_ended = true;
                    return Some(Bytes::from_static(END));
                }
            }
            while let Some(frame) = self.listener.take() {
                if let Some(text) = seat_json::event_of(&frame, self.part) {
                    self.sent_at = Moment::now();
                    return Some(text);
                }
            }
            let is_half_closed = self.peer.as_ref().is_some_and(Peer::is_half_closed);
            let silence = if is_half_closed { PROBE_EVERY } else { KEEP_ALIVE_EVERY };
            if self.sent_at.elapsed() >= silence {
                self.sent_at = Moment::now();
                return Some(Bytes::from_static(COMMENT));
            }
            let stopping = self.app.stopping.clone();
            tokio::select! {
                () = stopping.closing() => return None,
                () = self.listener.moved() => {}
                () = tokio::time::sleep(silence.min(CHECK_EVERY)) => {}
            }
        }
    }

    /// Whether the turn runs, as far as can be known: while the database does not answer, the stream stays open.
    async fn has_turn(&mut self) -> bool {
        // A reload of all rooms replaces their values. A stream that kept the old one would keep it in memory.
        if let Some(room) = self.app.rooms.current(&self.room) {
            self.room = room;
        }
        let placement = self.app.rooms.placement(&self.room, &self.token, Purpose::Use).await;
        let Ok(placement) = placement else { return true };
        placement.is_some_and(|placement| matches!(placement.standing, Standing::Active { .. }))
    }
}
