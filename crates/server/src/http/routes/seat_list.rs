//! Waiting lists of performances: users who wait for seats that come back.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use onsale_app::store::ListedEntry;
use onsale_domain::concert::{Reservation, SEATS_PER_USER_MAX, Wish};
use onsale_domain::ids::{ConcertId, PerformanceId, ReservationId, UserId, WaitlistId};
use onsale_domain::seat_list::{Entry, EntryStatus, Join, Joined, Leave};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Token;
use onsale_macros::operation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{Instant as Moment, timeout};

use crate::http::App;
use crate::http::input::callers::{Caller, PathUser};
use crate::http::input::media::prefers;
use crate::http::input::{Body, Path, Payload, Query};
use crate::http::openapi::sample::{self, Sample};
use crate::http::openapi::{Content, Operation, Output};
use crate::http::reply::problem::{Code, Problem};
use crate::http::reply::{Created, Decided, NoContent, OkJson, to_json};
use crate::http::routes::waiting_room_events::unbuffered;
use crate::http::values::{Count, Id, Instant, Name};

/// The media type of server-sent events, as `Accept` names it.
const EVENT_STREAM: &str = "text/event-stream";

/// How often a stream reads the entries of its user.
const READ_EVERY: Duration = Duration::from_secs(1);

/// The longest reading for an event. Beyond it the stream stays silent until the next one.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// The same list is sent again after this long, so that a client notices a connection that died.
const REPEAT_EVERY: Duration = Duration::from_secs(10);

/// How often an entry is read again because seats were offered meanwhile. One more answers `unavailable`.
const MOVES_MAX: usize = 3;

/// An entry of the waiting list of a performance.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WaitlistEntry")]
#[serde(rename_all = "camelCase")]
pub(crate) struct EntryShown {
    waitlist_id: Id<WaitlistId>,
    performance_id: Id<PerformanceId>,
    /// Number of adjacent seats.
    count: u32,
    section: Option<String>,
    grade: Option<String>,
    status: EntryWord,
    /// Number of users who wait, up to and including this one; null if the user does not wait.
    position: Option<u32>,
    /// The reservation that was offered.
    reservation_id: Option<Id<ReservationId>>,
    /// The seats that were offered.
    seats: Option<Vec<u32>>,
    /// Points: the sum of the prices of these seats.
    amount: Option<i64>,
    /// The end of the offer.
    held_until: Option<Instant>,
    /// The queue token of an offer that lives. It pays or releases this reservation, and nothing else.
    token: Option<String>,
}

/// What became of an entry.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum EntryWord {
    Waiting,
    Offered,
    Served,
    Lapsed,
    Left,
    Ended,
}

impl EntryShown {
    fn joined(Joined { entry, position }: &Joined) -> Self {
        Self { position: Some(*position), ..Self::of(entry, EntryStatus::Waiting, None) }
    }

    fn of(entry: &Entry, status: EntryStatus, reservation: Option<&Reservation>) -> Self {
        Self {
            waitlist_id: Id(entry.id),
            performance_id: Id(entry.performance),
            count: entry.wish.count,
            section: entry.wish.section.as_deref().map(str::to_owned),
            grade: entry.wish.grade.as_deref().map(str::to_owned),
            status: match status {
                EntryStatus::Waiting => EntryWord::Waiting,
                EntryStatus::Offered => EntryWord::Offered,
                EntryStatus::Served => EntryWord::Served,
                EntryStatus::Lapsed => EntryWord::Lapsed,
                EntryStatus::Left => EntryWord::Left,
                EntryStatus::Ended => EntryWord::Ended,
            },
            position: None,
            reservation_id: entry.reservation.map(Id),
            seats: reservation.map(|own| own.seats.to_vec()),
            amount: reservation.map(|own| own.amount),
            held_until: reservation.map(|own| Instant(own.held_until)),
            token: None,
        }
    }

    /// The entry as of now. `with_token`: the caller may act for its user.
    async fn read(app: &App, listed: &ListedEntry, with_token: bool) -> Result<Self, Problem> {
        let entry = &listed.entry;
        let reservation = match entry.reservation {
            Some(id) => app.read(app.reader.reservation(id)).await?,
            None => None,
        };
        let now = app.reader.now();
        let mut status = entry.status_at(reservation.as_ref(), now, listed.is_cancelled);
        if status == EntryStatus::Waiting && (listed.is_cancelled || listed.starts_at <= now) {
            // A step ends the stored entry in a moment.
            status = EntryStatus::Ended;
        }
        let offered = reservation.as_ref().filter(|_| with_token && status == EntryStatus::Offered);
        let token = offered.map(|own| app.tokens.encode(&Token::of_offer(own)));
        let position = listed.position.filter(|_| status == EntryStatus::Waiting);
        Ok(Self { position, token, ..Self::of(entry, status, reservation.as_ref()) })
    }
}

impl Sample for EntryShown {
    fn sample() -> Value {
        json!({
            "waitlistId": sample::ENTRY, "performanceId": sample::PERFORMANCE, "count": 2, "section": null, "grade": "VIP",
            "status": "OFFERED", "position": null, "reservationId": sample::RESERVATION, "seats": [7, 8],
            "amount": 100_000, "heldUntil": "2026-11-22T11:17:13.456Z", "token": sample::JWT
        })
    }
}

/// The seats that a user waits for.
#[derive(Body, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JoinBody {
    user_id: Id<UserId>,
    performance_id: Id<PerformanceId>,
    /// Number of adjacent seats, at most `maxSeatsPerUser`; more are refused with `seat-limit`.
    count: Count<1, SEATS_PER_USER_MAX>,
    /// Only seats of this section. Without it, none of an accessible section.
    section: Option<Name>,
    /// Only seats of this grade.
    grade: Option<Name>,
}

impl Sample for JoinBody {
    fn sample() -> Value {
        json!({"userId": "42", "performanceId": sample::PERFORMANCE, "count": 2, "grade": "VIP"})
    }
}

/// Join the waiting list of a sold-out performance
///
/// A list opens when each seat is sold, blocked or offered, and no other hold lives. From then on a seat that comes back is offered to
/// the first user on the list whose wish it fits, and no other user can hold it. Needs no queue token: users in line may join. Judged
/// in this order: unknown performance; performance cancelled; started or closed; unknown section or grade; more seats of one user than
/// `maxSeatsPerUser` of the concert; on the list already, or with an offer; a list that is not open, or seats that fit are free; 100,000
/// users wait.
#[operation(
    tag = Reservations,
    returns = "The entry",
    codes(
        PerformanceNotFound, PerformanceCancelled, PerformanceClosed, SectionUnknown, SeatLimit, AlreadyWaitlisted,
        SeatsAvailable, WaitlistFull
    )
)]
pub(crate) async fn join_waitlist(
    State(app): State<App>,
    caller: Caller,
    path: Path<ConcertId>,
    payload: Payload<JoinBody>,
) -> Result<Decided<Created<EntryShown>>, Problem> {
    let JoinBody { user_id: Id(user), performance_id: Id(performance), count, section, grade } = payload.read()?;
    let user = caller.acting_for(user)?;
    let concert = path.id()?;
    let key = payload.key(&user);
    let name = |name: Option<Name>| name.map(|Name(text)| text.as_str().into());
    let wish = Wish { count: count.0, section: name(section), grade: name(grade) };
    app.decide(Join { concert, performance, user, wish }, key, |joined| Created(EntryShown::joined(joined))).await
}

/// 200 with the entries as JSON, or with server-sent events.
pub(crate) enum Entries {
    Once(OkJson<Vec<EntryShown>>),
    Events(Response),
}

impl IntoResponse for Entries {
    fn into_response(self) -> Response {
        match self {
            Self::Once(entries) => entries.into_response(),
            Self::Events(events) => events,
        }
    }
}

impl Output for Entries {
    fn describe(operation: &mut Operation) {
        let entries = json!([EntryShown::sample()]);
        let events = format!("event: waitlist\ndata: {entries}\n\n");
        let json = Content::new::<Vec<EntryShown>>("application/json", entries);
        let events = Content::new::<String>(EVENT_STREAM, json!(events));
        operation.answers_as(200, operation.returns, vec![json, events]);
    }
}

/// List the entries of a user in the waiting lists of a concert, newest first
///
/// With `Accept: text/event-stream` the list comes as the event `waitlist`: at once, when it changes, and every 10 seconds. A member of
/// the staff gets no token.
#[operation(tag = Reservations, returns = "The entries")]
pub(crate) async fn list_waitlist_entries(
    State(app): State<App>,
    caller: Caller,
    PathUser(user): PathUser,
    path: Path<ConcertId>,
    mut query: Query,
    headers: HeaderMap,
) -> Result<Entries, Problem> {
    query.read()?;
    let concert = Some(path.id()?);
    let with_token = !matches!(caller, Caller::Staff);
    let first = read_entries(&app, &user, concert, with_token).await?;
    if !prefers(&headers, EVENT_STREAM) {
        return Ok(Entries::Once(OkJson(first)));
    }
    let watcher = Watcher {
        app,
        user,
        concert,
        with_token,
        first: Some(to_json(&first)),
        sent: Vec::new(),
        sent_at: Moment::now(),
    };
    let events = stream::unfold(watcher, |mut watcher| async {
        let event = watcher.next().await?;
        Some((Ok::<_, Infallible>(event), watcher))
    });
    Ok(Entries::Events(unbuffered(Sse::new(events).into_response())))
}

/// Entries of a user: of a concert, or of all whose performance has not started.
pub(crate) async fn read_entries(
    app: &App,
    user: &UserId,
    concert: Option<ConcertId>,
    with_token: bool,
) -> Result<Vec<EntryShown>, Problem> {
    let since: Timestamp = app.reader.now();
    let listed = app.read(app.reader.seat_waits_of(user, concert, since)).await?;
    let mut entries = Vec::with_capacity(listed.len());
    for entry in &listed {
        entries.push(EntryShown::read(app, entry, with_token).await?);
    }
    Ok(entries)
}

/// A client of a stream.
struct Watcher {
    app: App,
    user: UserId,
    concert: Option<ConcertId>,
    with_token: bool,
    /// Sent first: it was read before the answer began.
    first: Option<Vec<u8>>,
    sent: Vec<u8>,
    sent_at: Moment,
}

impl Watcher {
    /// The next event; `None` after the end of the server.
    async fn next(&mut self) -> Option<Event> {
        if let Some(first) = self.first.take() {
            return Some(self.event(first));
        }
        loop {
            let stopping = self.app.stopping.clone();
            tokio::select! {
                () = stopping.closing() => return None,
                () = tokio::time::sleep(READ_EVERY) => {}
            }
            let read = read_entries(&self.app, &self.user, self.concert, self.with_token);
            // A database that does not answer ends no stream: each client would reconnect to a server that cannot answer it.
            let entries = match timeout(READ_WITHIN, read).await {
                Ok(Ok(entries)) => to_json(&entries),
                Ok(Err(_)) | Err(_) => continue,
            };
            if entries != self.sent || self.sent_at.elapsed() >= REPEAT_EVERY {
                return Some(self.event(entries));
            }
        }
    }

    fn event(&mut self, entries: Vec<u8>) -> Event {
        self.sent_at = Moment::now();
        self.sent = entries;
        Event::default().event("waitlist").data(String::from_utf8_lossy(&self.sent))
    }
}

/// Leave the waiting list of a performance, or decline an offer
///
/// Declined seats are offered to the next user whose wish they fit. An entry that has ended stays as it is.
#[operation(
    tag = Reservations,
    returns = "The user does not wait and has no offer",
    codes(PerformanceNotFound, WaitlistEntryNotFound)
)]
pub(crate) async fn leave_waitlist(
    State(app): State<App>,
    PathUser(user): PathUser,
    concert: Path<ConcertId>,
    performance: Path<PerformanceId>,
    payload: Payload,
) -> Result<Decided<NoContent>, Problem> {
    payload.arrived()?;
    let (concert, performance) = (concert.id()?, performance.id()?);
    for _ in 0..MOVES_MAX {
        let since = app.reader.now();
        let listed = app.read(app.reader.seat_waits_of(&user, Some(concert), since)).await?;
        let own = listed.iter().find(|own| own.entry.performance == performance);
        let offer = own.and_then(|own| own.entry.reservation);
        let leave = Leave { concert, performance, user: user.clone(), offer };
        match app.decide(leave, payload.key(&user), |()| NoContent).await {
            // Seats were offered after the entry was read.
            Err(problem) if problem.is_outdated => {}
            answer => return answer,
        }
    }
    Err(Problem::new(Code::Unavailable))
}
