//! Live figures of the sale: as JSON, and as server-sent events once a second.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use onsale_app::live::{Figures, InstanceFigures, RoomFigures, RouteFigures};
use onsale_app::store::PerformanceFigures;
use onsale_domain::ids::{ConcertId, PerformanceId};
use onsale_macros::operation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant as Moment, timeout};

use crate::http::App;
use crate::http::input::Query;
use crate::http::input::media::prefers;
use crate::http::input::staff::{CHECK_EVERY, Lasting, ReadSale, Staff};
use crate::http::openapi::sample::{self, Sample};
use crate::http::openapi::{Content, Operation, Output};
use crate::http::reply::problem::{Code, Problem};
use crate::http::reply::{OkJson, to_json};
use crate::http::routes::waiting_room_events::unbuffered;
use crate::http::values::{Id, Instant};

/// Streams of live figures of one instance at a time. A further one is refused with `overloaded`.
pub(crate) const LIVE_STREAMS_MAX: usize = 20;

/// When a refused stream may be opened again, in seconds.
const RETRY_SECONDS: u32 = 5;

/// The media type of server-sent events, as `Accept` names it.
const EVENT_STREAM: &str = "text/event-stream";

/// The time from one event to the next.
const EVENT_EVERY: Duration = Duration::from_secs(1);

/// The longest reading for an event. Beyond it the stream shows that the database does not answer.
const READ_WITHIN: Duration = Duration::from_secs(1);

/// A waiting room, as of now.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LiveRoom")]
#[serde(rename_all = "camelCase")]
pub(crate) struct RoomShown {
    concert_id: Id<ConcertId>,
    title: String,
    /// Visitors in line.
    waiting: u64,
    /// Turns that run, or ran until a moment ago.
    active: u32,
    /// Visitors admitted in the last 60 seconds.
    admitted_last_minute: u64,
    /// When the last place in line is expected to be admitted; null if the line is empty or does not move.
    estimated_end_at: Option<Instant>,
}

impl RoomShown {
    fn of(room: &RoomFigures) -> Self {
        Self {
            concert_id: Id(room.concert),
            title: room.title.to_string(),
            waiting: room.waiting,
            active: room.active,
            admitted_last_minute: room.admitted,
            estimated_end_at: room.ends_at.map(Instant),
        }
    }
}

/// A performance, as of now. `capacity` is the sum of `available`, `held`, `sold` and `blocked`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LivePerformance")]
#[serde(rename_all = "camelCase")]
pub(crate) struct PerformanceShown {
    performance_id: Id<PerformanceId>,
    concert_id: Id<ConcertId>,
    starts_at: Instant,
    capacity: u32,
    /// Seats that are paid and not refunded.
    sold: u32,
    /// Seats in holds. A seat of a lapsed hold counts until the hold is settled.
    held: u32,
    /// Seats that may be held now. Of a cancelled performance: seats that are neither held, sold nor blocked.
    available: u32,
    /// Seats that staff have blocked.
    blocked: u32,
    /// Points paid for seats, less those that refunds gave back.
    revenue: i64,
    /// Points that refunds gave back, without the fees.
    refunded: i64,
    /// Seats paid in the last 60 seconds.
    sales_last_minute: u64,
    /// Whether staff have cancelled it: no seat of it can be held or paid any more.
    cancelled: bool,
}

impl PerformanceShown {
    fn of((performance, sales): &(PerformanceFigures, u64)) -> Self {
        Self {
            performance_id: Id(performance.id),
            concert_id: Id(performance.concert),
            starts_at: Instant(performance.starts_at),
            capacity: performance.capacity,
            sold: performance.sold,
            held: performance.held,
            available: performance.available(),
            blocked: performance.blocked,
            revenue: performance.revenue,
            refunded: performance.refunded,
            sales_last_minute: *sales,
            cancelled: performance.is_cancelled,
        }
    }
}

/// Problems of one code.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LiveRefusals")]
pub(crate) struct RefusalsShown {
    code: String,
    count: u64,
}

/// Answers of one route.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LiveRoute")]
#[serde(rename_all = "camelCase")]
pub(crate) struct RouteShown {
    method: String,
    /// As in this document, with the names of its parameters.
    path: String,
    count: u64,
    /// Milliseconds, to 12 %: half of the answers took at most this.
    #[schemars(with = "serde_json::Number")]
    p50_ms: f64,
    /// Milliseconds, to 12 %: 99 % of the answers took at most this.
    #[schemars(with = "serde_json::Number")]
    p99_ms: f64,
}

impl RouteShown {
    fn of(route: &RouteFigures) -> Self {
        let RouteFigures { method, path, count, p50, p99 } = route.clone();
        Self { method, path, count, p50_ms: p50, p99_ms: p99 }
    }
}

/// What one instance answered in its last minute.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LiveInstance")]
#[serde(rename_all = "camelCase")]
pub(crate) struct InstanceShown {
    /// Another id after each start.
    instance_id: String,
    /// When the instance published this.
    seen_at: Instant,
    /// The most frequent code first.
    refusals: Vec<RefusalsShown>,
    /// Routes that were called, the most frequent first.
    routes: Vec<RouteShown>,
    /// Requests refused with `overloaded`: the instance had too much to do, and did nothing.
    shed: u64,
}

impl InstanceShown {
    fn of(instance: &InstanceFigures) -> Self {
        let refusals = &instance.answers.refusals;
        let shed = refusals.iter().find(|(code, _)| *code == Code::Overloaded.as_str());
        Self {
            instance_id: instance.id.simple().to_string(),
            seen_at: Instant(instance.seen_at),
            refusals: refusals
                .iter()
                .map(|(code, count)| RefusalsShown { code: code.clone(), count: *count })
                .collect(),
            routes: instance.answers.routes.iter().map(RouteShown::of).collect(),
            shed: shed.map_or(0, |(_, count)| *count),
        }
    }
}

/// The sale as of now.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LiveFigures")]
#[serde(rename_all = "camelCase")]
pub(crate) struct LiveShown {
    as_of: Instant,
    /// Rooms of concerts that are not over, by title. A concert is over one hour after the start of its last performance.
    rooms: Vec<RoomShown>,
    /// Performances that started less than one hour ago or did not start yet, by start.
    performances: Vec<PerformanceShown>,
    /// Instances that were seen in the last minute. Each is up to a second behind while figures are viewed.
    instances: Vec<InstanceShown>,
}

impl LiveShown {
    fn of(figures: &Figures) -> Self {
        Self {
            as_of: Instant(figures.as_of),
            rooms: figures.rooms.iter().map(RoomShown::of).collect(),
            performances: figures.performances.iter().map(PerformanceShown::of).collect(),
            instances: figures.instances.iter().map(InstanceShown::of).collect(),
        }
    }
}

impl Sample for LiveShown {
    fn sample() -> Value {
        let at = "2026-11-22T11:12:13.456Z";
        json!({
            "asOf": at,
            "rooms": [{
                "concertId": sample::CONCERT, "title": "Night of the Locks", "waiting": 120, "active": 200,
                "admittedLastMinute": 2_400, "estimatedEndAt": "2026-11-22T11:15:00.000Z"
            }],
            "performances": [{
                "performanceId": sample::PERFORMANCE, "concertId": sample::CONCERT, "startsAt": "2026-12-19T10:00:00.000Z",
                "capacity": 50, "sold": 20, "held": 4, "available": 25, "blocked": 1, "revenue": 1_000_000,
                "refunded": 50_000, "salesLastMinute": 12, "cancelled": false
            }],
            "instances": [{
                "instanceId": "5f2c9a7be1d04c335f2c9a7be1d04c33", "seenAt": at,
                "refusals": [{"code": "seat-taken", "count": 31}],
                "routes": [{"method": "POST", "path": "/payments", "count": 640, "p50Ms": 4.2, "p99Ms": 11.9}],
                "shed": 0
            }]
        })
    }
}

/// 200 with the figures as JSON, or with server-sent events.
pub(crate) enum Live {
    Once(OkJson<LiveShown>),
    Events(Response),
}

impl IntoResponse for Live {
    fn into_response(self) -> Response {
        match self {
            Self::Once(figures) => figures.into_response(),
            Self::Events(events) => events,
        }
    }
}

impl Output for Live {
    fn describe(operation: &mut Operation) {
        let figures = LiveShown::sample();
        let events = format!("event: live\nretry: 1000\ndata: {figures}\n\n");
        let json = Content::new::<LiveShown>("application/json", figures);
        let events = Content::new::<String>(EVENT_STREAM, json!(events));
        operation.answers_as(200, operation.returns, vec![json, events]);
    }
}

/// Get live figures of the sale
///
/// Rooms and performances as the database has them, at most one second old at any instance; what each instance answered in its last
/// minute. The database is read once for all clients of an instance, at the same cost whatever was sold: no rows are counted.
/// With `Accept: text/event-stream` the same object comes once a second as the event `live`. If the database does not answer,
/// the event `unavailable` with `{at}` comes instead: what was shown before is old then. A stream ends within one second after its
/// key was deleted or its session ended. An instance has at most 20 streams and refuses a further one with `overloaded`.
#[operation(tag = Administration, returns = "The figures", codes(Overloaded))]
pub(crate) async fn get_live_figures(
    State(app): State<App>,
    staff: Staff<ReadSale>,
    mut query: Query,
    headers: HeaderMap,
) -> Result<Live, Problem> {
    query.read()?;
    if !prefers(&headers, EVENT_STREAM) {
        let figures = app.read(app.live.read()).await?;
        return Ok(Live::Once(OkJson(LiveShown::of(&figures))));
    }
    let Ok(permit) = app.live_streams.clone().try_acquire_owned() else {
        let detail = "this instance has as many streams of live figures as it may; close one, or read them as JSON";
        return Err(Problem::new(Code::Overloaded).detail(detail).retry_after(RETRY_SECONDS));
    };
    let viewer = Viewer { app, lasting: staff.lasting(), _permit: permit, due: Moment::now(), is_first: true };
    let events = stream::unfold(viewer, |mut viewer| async {
        let event = viewer.next().await?;
        Some((Ok::<_, Infallible>(event), viewer))
    });
    Ok(Live::Events(unbuffered(Sse::new(events).into_response())))
}

/// A client of a stream.
struct Viewer {
    app: App,
    lasting: Lasting,
    _permit: OwnedSemaphorePermit,
    /// When the next event is due.
    due: Moment,
    is_first: bool,
}

impl Viewer {
    /// The next event; `None` after the end of the key, the session or the server.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let goes_on = timeout(READ_WITHIN, self.lasting.goes_on(&self.app)).await;
            if matches!(goes_on, Ok(Ok(false))) {
                return None;
            }
            let now = Moment::now();
            if self.due <= now {
                self.due = (self.due + EVENT_EVERY).max(now);
                // Without a check of the key no figures are shown.
                return Some(if matches!(goes_on, Ok(Ok(true))) { self.event().await } else { self.unavailable() });
            }
            let stopping = self.app.stopping.clone();
            tokio::select! {
                () = stopping.closing() => return None,
                () = tokio::time::sleep_until(self.due.min(now + CHECK_EVERY)) => {}
            }
        }
    }

    async fn event(&mut self) -> Event {
        match timeout(READ_WITHIN, self.app.live.read()).await {
            Ok(Ok(figures)) => self.named("live", &LiveShown::of(&figures)),
            Ok(Err(_)) | Err(_) => self.unavailable(),
        }
    }

    fn unavailable(&mut self) -> Event {
        let at = Instant(self.app.reader.now());
        self.named("unavailable", &json!({"at": at}))
    }

    fn named<T: Serialize>(&mut self, name: &str, data: &T) -> Event {
        let event = Event::default().event(name).data(String::from_utf8_lossy(&to_json(data)));
        if std::mem::take(&mut self.is_first) { event.retry(EVENT_EVERY) } else { event }
    }
}
