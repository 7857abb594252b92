//! Concerts, their dates and their seats.

mod performance;

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use onsale_app::catalogue::{Programme, Showing};
use onsale_app::seat_map::Which;
use onsale_app::waiting_room::LiveRoom;
use onsale_domain::concert::Concert;
use onsale_domain::ids::{ConcertId, PerformanceId};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{Order, Settings};
use onsale_macros::operation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

pub(crate) use self::performance::{PerformanceShown, PerformanceStatus};
use crate::http::App;
use crate::http::cache::{Kept, Ready, Written, seat_json};
use crate::http::input::callers::{ActiveTurn, Turn};
use crate::http::input::{Paged, Parameters, Query};
use crate::http::openapi::sample::{self, Sample};
use crate::http::openapi::{Input, Operation};
use crate::http::reply::problem::{Code, Problem};
use crate::http::reply::{Cached, Listed, to_json};
use crate::http::routes::notice::NoticeShown;
use crate::http::values::{Day, Exactly, Id, Instant, PathId, PlaceOrder, Switch};

/// A cached list of concerts is read again after this many milliseconds, because a sale changes `soldOut`, and an
/// administrator the notice and the hours, without changing the edition of the catalogue.
const SOLD_OUT_MILLIS: i64 = 500;

/// A concert, as listed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Concert")]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConcertShown {
    concert_id: Id<ConcertId>,
    title: String,
    venue: String,
    /// Null while there is no performance.
    first_date: Option<Day>,
    last_date: Option<Day>,
    /// Nothing is left in this concert, and no hold can come back.
    sold_out: bool,
    /// A text for buyers; null if there is none.
    notice: Option<NoticeShown>,
    /// No user is admitted or holds seats before this instant, and none enters but from `earlyFrom` on; null for no bound.
    opens_at: Option<Instant>,
    /// From this instant on users enter before `opensAt`; null if they may not.
    early_from: Option<Instant>,
    /// How the order of early places is decided.
    order: PlaceOrder,
    /// When the list of a draw closes; null if places follow the order of arrival.
    draw_at: Option<Instant>,
    /// From this instant on no user enters, is admitted or holds seats; null for no bound.
    closes_at: Option<Instant>,
    /// Until this instant a presale code is needed to enter and to hold; null for no presale.
    codes_until: Option<Instant>,
    /// The sale is closed. Lists for buyers show this also once `closesAt` is reached.
    closed: bool,
    /// How many seats of a performance one user may have.
    max_seats_per_user: u32,
}

impl ConcertShown {
    pub(crate) fn new(concert: &Concert) -> Self {
        Self {
            concert_id: Id(concert.id),
            title: concert.title.to_string(),
            venue: concert.venue.to_string(),
            first_date: None,
            last_date: None,
            sold_out: false,
            notice: concert.notice.clone().map(NoticeShown),
            opens_at: concert.sale.opens_at.map(Instant),
            early_from: None,
            order: PlaceOrder(Order::Arrival),
            draw_at: None,
            closes_at: concert.sale.closes_at.map(Instant),
            codes_until: concert.sale.codes_until.map(Instant),
            closed: concert.sale.closed,
            max_seats_per_user: concert.seats_per_user,
        }
    }

    /// As lists for buyers show it now. The room has the notice and the hours as of its last change.
    fn listed(programme: &Programme, room: Option<&LiveRoom>, now: Timestamp) -> Self {
        let shown = Self::of(programme, &programme.concert);
        // A room that is not in memory is retired, or was made a moment ago.
        let Some(room) = room else {
            let closed = programme.concert.sale.is_closed(now);
            return Self { sold_out: programme.is_over(now), closed, ..shown };
        };
        let snapshot = room.snapshot();
        let sale = snapshot.room.settings.sale;
        Self {
            sold_out: room.is_sold_out(now),
            notice: snapshot.announced.notice.clone().map(NoticeShown),
            opens_at: sale.opens_at.map(Instant),
            closes_at: sale.closes_at.map(Instant),
            codes_until: sale.codes_until.map(Instant),
            closed: sale.is_closed(now),
            ..shown
        }
        .with_entry(&snapshot.room.settings)
    }

    /// As staff read it: `closed` is what they have set.
    pub(crate) fn for_staff(app: &App, concert: &Concert) -> Self {
        let now = app.reader.now();
        let Some(programme) = app.catalogue.programme(concert.id) else { return Self::new(concert) };
        let room = app.rooms.get(concert.id);
        let settings = room.as_ref().map(|room| room.snapshot().room.settings);
        let sold_out = room.map_or_else(|| programme.is_over(now), |room| room.is_sold_out(now));
        let shown = Self { sold_out, ..Self::of(&programme, concert) };
        match settings {
            Some(settings) => shown.with_entry(&settings),
            None => shown,
        }
    }

    /// The same, with how users enter before the opening.
    pub(crate) fn with_entry(self, settings: &Settings) -> Self {
        let (early_from, draw_at) = (settings.early_from.map(Instant), settings.draw_at.map(Instant));
        Self { early_from, draw_at, order: PlaceOrder(settings.order()), ..self }
    }

    /// The concert, which may be newer than that of the programme, with the dates of the programme.
    fn of(programme: &Programme, concert: &Concert) -> Self {
        let day = |showing: Option<&Arc<Showing>>| showing.map(|showing| Day(showing.date));
        Self {
            first_date: day(programme.showings.first()),
            last_date: day(programme.showings.last()),
            ..Self::new(concert)
        }
    }
}

impl Sample for ConcertShown {
    fn sample() -> Value {
        json!({
            "concertId": sample::CONCERT, "title": "Night of the Locks", "venue": "Hall of Rows",
            "firstDate": "2026-12-19", "lastDate": "2026-12-20", "soldOut": false, "notice": null,
            "opensAt": "2026-11-20T05:00:00.000Z", "earlyFrom": "2026-11-20T04:30:00.000Z",
            "order": "arrival", "drawAt": null, "closesAt": null, "codesUntil": null, "closed": false, "maxSeatsPerUser": 4
        })
    }
}

/// The concert of the path, for a caller whose turn in it runs.
pub(crate) struct AdmittedConcert(Arc<Programme>);

impl AdmittedConcert {
    pub(crate) fn id(&self) -> ConcertId {
        self.0.concert.id
    }
}

impl FromRequestParts<App> for AdmittedConcert {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let ActiveTurn(token) = ActiveTurn::from_request_parts(parts, app).await?;
        app.read(app.catalogue.know(&[token.concert], &[])).await?;
        app.catalogue.programme(token.concert).map(Self).ok_or_else(|| Problem::new(Code::ConcertNotFound))
    }
}

impl Input for AdmittedConcert {
    fn describe(operation: &mut Operation) {
        operation.path::<Id<ConcertId>>(ConcertId::NAME, ConcertId::DESCRIPTION);
        Turn::describe(operation);
        operation.codes(&[Code::ConcertNotFound]);
    }
}

/// List concerts, page by page
#[operation(tag = Concerts, returns = "The concerts")]
pub(crate) async fn list_concerts(
    State(app): State<App>,
    headers: HeaderMap,
    mut query: Query<Paged<ConcertId>>,
) -> Result<Cached<Vec<ConcertShown>>, Problem> {
    let Paged { rows, .. } = query.read()?;
    let edition = app.read(app.catalogue.edition()).await?;
    let now = app.reader.now();
    let ready = app.answers.concerts.get(&*query.raw(), edition, now, || {
        let programmes = app.catalogue.page(rows.after, rows.limit);
        let show = |programme: &Arc<Programme>| {
            ConcertShown::listed(programme, app.rooms.get(programme.concert.id).as_deref(), now)
        };
        let cursor = |programme: &Arc<Programme>| programme.concert.id.to_string();
        let until = Some(now.plus_millis(SOLD_OUT_MILLIS));
        Ready { until, ..Listed::page(&query, programmes, cursor, show).into_ready() }
    });
    Ok(Cached::ready(&headers, &ready, Kept::Publicly))
}

/// List the dates of a concert that have not started
#[operation(tag = Concerts, returns = "The dates")]
pub(crate) async fn list_concert_dates(
    State(app): State<App>,
    AdmittedConcert(programme): AdmittedConcert,
    headers: HeaderMap,
    mut query: Query,
) -> Result<Cached<Vec<PerformanceShown>>, Problem> {
    query.read()?;
    let now = app.reader.now();
    let to_come: Vec<_> = programme.showings.iter().filter(|showing| now < showing.starts_at).collect();
    let views = app.read(app.seat_maps.views(&to_come)).await?;
    let shown = to_come
        .iter()
        .zip(&views)
        .map(|(showing, view)| ((showing.id, showing.revision), view.remaining, (view.is_closed, view.is_cancelled)));
    let left: Vec<_> = shown.collect();
    let ready = app.answers.dates.get(&programme.concert.id, left.clone(), now, || {
        let dates =
            to_come.iter().zip(&left).map(|(showing, (_, left, closed))| PerformanceShown::of(showing, *left, *closed));
        let written = Written::new(|| to_json(&dates.collect::<Vec<_>>()).into());
        Ready { written, link: None, until: None }
    });
    Ok(Cached::ready(&headers, &ready, Kept::Privately))
}

/// Which seats to list.
#[derive(Parameters)]
pub(crate) struct SeatsQuery {
    /// The date, in the time zone of the server
    date: Day,
    /// Only seats that are available
    available: Option<Switch>,
    /// Only seats of the section with this name
    section: Option<Exactly>,
}

/// The seats of a date.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SeatsOfDate<'a> {
    pub(crate) date: Day,
    // The last member: `seat_json` writes its elements behind the other members.
    pub(crate) performances: Vec<SeatsOfPerformance<'a>>,
}

/// The seats of a performance.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SeatsOfPerformance<'a> {
    pub(crate) performance_id: Id<PerformanceId>,
    pub(crate) starts_at: Instant,
    pub(crate) remaining: u32,
    /// The version that these seats are as of. The events of the performance continue after it.
    pub(crate) version: u64,
    // The last member: `seat_json` writes its elements behind the other members.
    pub(crate) seats: Vec<SeatShown<'a>>,
}

/// A seat of a performance, with its status.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Seat")]
pub(crate) struct SeatShown<'a> {
    pub(crate) seat: u32,
    /// The section and the row; null if the performance has no layout.
    pub(crate) section: Option<&'a str>,
    pub(crate) row: Option<&'a str>,
    pub(crate) grade: &'a str,
    /// Points.
    pub(crate) price: i64,
    pub(crate) status: ShownStatus,
}

/// What is shown of a seat. `BLOCKED`: an organiser took it from sale.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SeatStatus")]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum ShownStatus {
    Available,
    Held,
    Sold,
    Blocked,
}

impl Sample for SeatsOfDate<'_> {
    fn sample() -> Value {
        json!({
            "date": "2026-12-19",
            "performances": [{
                "performanceId": sample::PERFORMANCE, "startsAt": "2026-12-19T10:00:00.000Z", "remaining": 49,
                "version": 1,
                "seats": [
                    {"seat": 1, "section": "A", "row": "1", "grade": "R", "price": 50000, "status": "AVAILABLE"},
                    {"seat": 2, "section": "A", "row": "1", "grade": "R", "price": 50000, "status": "HELD"}
                ]
            }]
        })
    }
}

/// List the seats of a date
///
/// `section` lists only the seats of that section: none of a performance that has no section of this name.
#[operation(tag = Concerts, returns = "The seats")]
pub(crate) async fn list_concert_seats(
    State(app): State<App>,
    AdmittedConcert(programme): AdmittedConcert,
    headers: HeaderMap,
    mut query: Query<SeatsQuery>,
) -> Result<Cached<SeatsOfDate<'static>>, Problem> {
    let SeatsQuery { date: Day(date), available, section } = query.read()?;
    let section = section.map(|Exactly(name)| name);
    let which = if available.is_some_and(|Switch(on)| on) { Which::Available } else { Which::All };
    let showings = programme.on(date);
    if let ([showing], None) = (showings, &section) {
        let view = app.read(app.seat_maps.view(showing)).await?;
        if view.showing.date == date {
            return Ok(Cached::of(&headers, seat_json::seats_of(&view, which), Kept::Privately, None));
        }
    }
    let mut views = app.read(app.seat_maps.views(&showings.iter().collect::<Vec<_>>())).await?;
    // A map may be of a later revision than the programme: its performance was moved to another date just now.
    views.retain(|view| view.showing.date == date);
    let key = (programme.concert.id, date, which, section);
    let serials = views.iter().map(|view| view.serial).collect();
    let ready = app.answers.seats.get(&key, serials, app.reader.now(), || {
        let written = Written::new(|| seat_json::seats_of_date(date, &views, which, key.3.as_deref()));
        Ready { written, link: None, until: None }
    });
    Ok(Cached::ready(&headers, &ready, Kept::Privately))
}
