//! A place in line as server-sent events.
//!
//! A stream starts with the present state, sends each change, and repeats the state every ten seconds, so that a client
//! can notice a connection that died without an error. It ends after `expired`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, FromRequestParts, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use onsale_app::waiting_room::{LiveRoom, Purpose};
use onsale_domain::waiting_room::Token;
use onsale_macros::operation;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::http::App;
use crate::http::edge::{OpenStream, Peer};
use crate::http::input::callers::{QueueToken, token_of_stream};
use crate::http::input::{Parameters, Query};
use crate::http::openapi::{Content, Input, Operation, Output, Proof, Sample};
use crate::http::reply::problem::{Code, Problem};
use crate::http::routes::waiting_room::{PlaceNews, QueuePlace, TokenStatus};

/// Positions are sent no more often than this.
const POSITION_EVERY: Duration = Duration::from_secs(1);

/// An open stream is a sign of life, shown this often.
const READ_EVERY: Duration = Duration::from_millis(500);

/// The state is sent again after this long without a change, with fresh estimates.
const REPEAT_EVERY: Duration = Duration::from_secs(10);

/// A comment is sent if there was no event for this long. A client that is gone is noticed only by what it does not
/// acknowledge: 20 seconds after that was sent, so within 25 seconds in all.
pub(super) const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(5);

/// The same once the client has shut its sending side. If it is gone, its system answers the first comment with a
/// reset, and the second one fails.
pub(super) const PROBE_EVERY: Duration = Duration::from_millis(500);

/// When a token with too many streams may try again, in seconds.
pub(super) const STREAMS_RETRY_SECONDS: u32 = 5;

/// Whether a path is that of an event stream of visitors.
pub(crate) fn is_event_stream(path: &str) -> bool {
    path == "/queue/token/events" || (path.starts_with("/concerts/") && path.ends_with("/seats/events"))
}

/// The longest time before a client reconnects, in milliseconds. The first event carries it as `retry`.
const RETRY_MILLIS_MAX: u64 = 3_000;

pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// nginx passes each event on at once if an answer has this header with the value `no`.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The query of a client that cannot set a header.
#[derive(Parameters)]
struct TokenQuery {
    /// The queue token, for clients that cannot set a header; never logged
    token: Option<String>,
}

/// A queue token from the header, or from `?token=`, as a browser's `EventSource` sets no header.
pub(crate) struct StreamToken(QueueToken);

impl FromRequestParts<App> for StreamToken {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let mut query = Query::<TokenQuery>::from_request_parts(parts, app).await?;
        let in_query = query.read()?.token;
        token_of_stream(in_query, parts, app).await.map(Self)
    }
}

impl Input for StreamToken {
    fn describe(operation: &mut Operation) {
        TokenQuery::describe(operation);
        QueueToken::describe(operation);
        operation.proof(Proof::QueueTokenInQuery);
    }
}

/// Whether this client has had an event of a stream before. The id is not read: each stream starts with the present
/// state, so no event can be missed. A client without an id may send the header empty.
pub(crate) struct IsReconnect(bool);

impl FromRequestParts<App> for IsReconnect {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Infallible> {
        Ok(Self(parts.headers.get(LAST_EVENT_ID).is_some_and(|id| !id.is_empty())))
    }
}

impl Input for IsReconnect {
    fn describe(operation: &mut Operation) {
        let description = "Sent by browsers when they reconnect. The value is not read; if it is there and the token \
                           has ended, the answer is 204";
        operation.header("Last-Event-ID", json!({"type": "string"}), description);
    }
}

/// 200 with server-sent events, or 204 to a reconnect whose token has ended.
pub(crate) struct Events(Response);

/// Forbids proxies to keep, to compress or to hold back events.
pub(crate) fn unbuffered(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform"));
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

impl IntoResponse for Events {
    fn into_response(self) -> Response {
        self.0
    }
}

impl Output for Events {
    fn describe(operation: &mut Operation) {
        let place = QueuePlace::sample();
        let events = format!("event: position\nid: 1795346473460\nretry: 2000\ndata: {place}\n\n");
        let content = Content::new::<String>("text/event-stream", json!(events));
        operation.answers_as(200, operation.returns, vec![content]);
        let ended = "The token has ended, and this is a reconnect: an `EventSource` stops";
        operation.answers_nothing(204, ended);
    }
}

/// What one stream has sent, and what it sends next.
struct Follower {
    /// The token's share of open streams.
    _open: OpenStream,
    app: App,
    room: Arc<LiveRoom>,
    token: Token,
    text: String,
    moved: watch::Receiver<u64>,
    /// Sent first: it was read before the answer began, to choose the status.
    first: Option<QueuePlace>,
    sent: Option<PlaceNews>,
    sent_at: Instant,
    /// When a comment was sent last; at first, when the stream began.
    commented_at: Instant,
    peer: Option<Peer>,
}

/// Follow a place as server-sent events
///
/// Events `early`, `position`, `active` and `expired`, each with the place as data. The first event is the present state; it is
/// sent again every 10 seconds, so a stream that is silent for longer is lost. The stream lives as long as the token
/// waits or is active and the client is connected; it ends after `expired`. An open stream is a sign of life. `retry`
/// is random, so that clients of a server that stops do not reconnect at once.
#[operation(tag = WaitingRoom, returns = "Events until the token ends")]
pub(crate) async fn follow_queue_place(
    State(app): State<App>,
    IsReconnect(is_reconnect): IsReconnect,
    StreamToken(QueueToken { token, text, room }): StreamToken,
    peer: Option<Extension<Peer>>,
) -> Result<Events, Problem> {
    // Subscribed before the place is read: a change in between is not missed.
    let moved = app.rooms.follow();
    let place = QueuePlace::of(&app, &room, &token, Purpose::Poll, text.clone()).await?;
    if place.status == TokenStatus::Expired && is_reconnect {
        // An `EventSource` that gets 204 stops. It would reconnect for ever otherwise.
        return Ok(Events(unbuffered(StatusCode::NO_CONTENT.into_response())));
    }
    let Some(open) = app.streams.open(token.id) else {
        let detail = "this queue token has as many event streams as it may; close one, or poll";
        return Err(Problem::new(Code::TooManyRequests).detail(detail).retry_after(STREAMS_RETRY_SECONDS));
    };
    let (first, now, peer) = (Some(place), Instant::now(), peer.map(|Extension(peer)| peer));
    let follower = Follower {
        _open: open,
        app,
        room,
        token,
        text,
        moved,
        first,
        sent: None,
        sent_at: now,
        commented_at: now,
        peer,
    };
    let events = stream::unfold(follower, |mut follower| async {
        let event = follower.next().await?;
        Some((Ok::<_, Infallible>(event), follower))
    });
    Ok(Events(unbuffered(Sse::new(events).into_response())))
}

impl Follower {
    /// The next event; `None` after the end of the token, of its room, or of the server.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if self.sent.as_ref().is_some_and(|sent| sent.status == TokenStatus::Expired) {
                return None;
            }
            self.moved.borrow_and_update();
            if let Some(place) = self.read_place().await.ok()?
                && self.is_due(&place)
            {
                return self.event(&place);
            }
            if self.is_comment_due() {
                self.commented_at = Instant::now();
                return Some(Event::default().comment(""));
            }
            let stopping = self.app.stopping.clone();
            tokio::select! {
                () = stopping.closing() => return None,
                _ = self.moved.changed() => {}
                () = tokio::time::sleep(READ_EVERY) => {}
            }
        }
    }

    /// The place now; `None` if it cannot be read at the moment. The stream then stays open and is silent: if it ended,
    /// every client would reconnect to a server that cannot answer it.
    ///
    /// # Errors
    /// If the room no longer exists.
    async fn read_place(&mut self) -> Result<Option<QueuePlace>, Problem> {
        if let Some(place) = self.first.take() {
            return Ok(Some(place));
        }
        // A reload of all rooms replaces their values. A stream that kept the old one would keep it in memory.
        if let Some(room) = self.app.rooms.current(&self.room) {
            self.room = room;
        }
        match QueuePlace::of(&self.app, &self.room, &self.token, Purpose::Stream, self.text.clone()).await {
            Ok(place) => Ok(Some(place)),
            Err(problem) if problem.code == Code::QueueTokenInvalid => Err(problem),
            Err(_) => Ok(None),
        }
    }

    /// Whether the stream has been silent for too long.
    fn is_comment_due(&self) -> bool {
        let is_half_closed = self.peer.as_ref().is_some_and(Peer::is_half_closed);
        let silence = self.sent_at.max(self.commented_at).elapsed();
        silence >= if is_half_closed { PROBE_EVERY } else { KEEP_ALIVE_EVERY }
    }

    /// A new status, pause, close, opening or notice is sent at once, a new position or end of the turn if the last event is old
    /// enough, the same state when it is time to repeat it.
    fn is_due(&self, place: &QueuePlace) -> bool {
        let Some(sent) = &self.sent else { return true };
        let news = place.news();
        let age = self.sent_at.elapsed();
        sent.status != news.status
            || (sent.paused, sent.closed, sent.hours) != (news.paused, news.closed, news.hours)
            || sent.notice != news.notice
            || (*sent != news && age >= POSITION_EVERY)
            || age >= REPEAT_EVERY
    }

    fn event(&mut self, place: &QueuePlace) -> Option<Event> {
        let is_first = self.sent.is_none();
        self.sent = Some(place.news());
        self.sent_at = Instant::now();
        let name = match place.status {
            TokenStatus::Early => "early",
            TokenStatus::Waiting => "position",
            TokenStatus::Active => "active",
            TokenStatus::Expired => "expired",
        };
        // Browsers send the id of the last event when they reconnect, which distinguishes a reconnect from a first request.
        let event = Event::default().event(name).id(place.event_id()).data(serde_json::to_string(place).ok()?);
        Some(if is_first { event.retry(retry_of(&self.room)) } else { event })
    }
}

/// How long the client of a stream waits before it reconnects: random, so that the clients of a server that stopped do not come
/// back at once, and at most half of the silence that costs a turn.
pub(super) fn retry_of(room: &LiveRoom) -> Duration {
    let claim_seconds = room.snapshot().room.settings.claim_seconds;
    let longest = (u64::from(claim_seconds) * 500).clamp(1, RETRY_MILLIS_MAX);
    Duration::from_millis(rand::random_range(longest / 3..=longest))
}
