//! Concerts, their dates and their seats: what is shown, nothing that is decided.

use std::sync::Arc;

use crate::http::Written;
use axum::extract::{FromRequestParts, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::Response;
use jiff::civil::Date;
use onsale_app::calendar::{Calendar, parse_date};
use onsale_app::catalogue::{Programme, Showing};
use onsale_app::seat_map::Which;
use onsale_domain::concert::{Concert, Performance};
use onsale_domain::ids::{ConcertId, PerformanceId};
use schemars::JsonSchema;
use serde::Serialize;

use crate::http::App;
use crate::http::cache::Ready;
use crate::http::cache::seat_json;
use crate::http::cache::{Kept, respond};
use crate::http::input::Query;
use crate::http::input::callers::ActiveTurn;
use crate::http::reply::problem::{Code, Problem};
use crate::http::reply::wire::{Day, Id, Instant, written_page};

/// How long a list of concerts may say that a concert is not sold out, in milliseconds.
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
        }
    }

    fn of(programme: &Programme, sold_out: bool) -> Self {
        let day = |showing: Option<&Arc<Showing>>| showing.map(|showing| Day(showing.date));
        Self {
            first_date: day(programme.showings.first()),
            last_date: day(programme.showings.last()),
            sold_out,
            ..Self::new(&programme.concert)
        }
    }
}

/// A performance, as listed among a concert's dates.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Performance")]
#[serde(rename_all = "camelCase")]
pub(crate) struct PerformanceShown {
    performance_id: Id<PerformanceId>,
    date: Day,
    starts_at: Instant,
    capacity: u32,
    /// Seats that anyone may take.
    remaining: u32,
}

impl PerformanceShown {
    pub(crate) fn new(performance: &Performance, calendar: &Calendar) -> Self {
        let capacity = performance.seating.capacity();
        Self {
            performance_id: Id(performance.id),
            date: Day(calendar.date_of(performance.starts_at)),
            starts_at: Instant(performance.starts_at),
            capacity,
            remaining: capacity,
        }
    }

    fn of(showing: &Showing, remaining: u32) -> Self {
        Self {
            performance_id: Id(showing.id),
            date: Day(showing.date),
            starts_at: Instant(showing.starts_at),
            capacity: showing.seating.capacity(),
            remaining,
        }
    }
}

/// A caller who may look at the seats of the path's concert.
pub(crate) struct Onlooker(Arc<Programme>);

impl FromRequestParts<App> for Onlooker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let ActiveTurn(token) = ActiveTurn::from_request_parts(parts, app).await?;
        app.read(app.catalogue.know(&[token.concert], &[])).await?;
        app.catalogue.programme(token.concert).map(Self).ok_or_else(|| Problem::new(Code::ConcertNotFound))
    }
}

pub(crate) async fn list_concerts(
    State(app): State<App>,
    headers: HeaderMap,
    mut query: Query,
) -> Result<Response, Problem> {
    let wanted = query.page(ConcertId::parse);
    query.done(|| Some(()))?;
    let edition = app.read(app.catalogue.edition()).await?;
    let now = app.reader.now();
    let ready = app.shelves.concerts.get(&*query.raw(), edition, now, || {
        let rows = app.catalogue.page(wanted.after, wanted.limit + 1);
        let cursor = |programme: &Arc<Programme>| programme.concert.id.to_string();
        // A room that is not in memory is retired, or was made a moment ago.
        let is_sold_out = |programme: &Programme| match app.rooms.get(programme.concert.id) {
            Some(room) => room.is_sold_out(now),
            None => programme.is_over(now),
        };
        let show = |programme: &Arc<Programme>| ConcertShown::of(programme, is_sold_out(programme));
        let (body, link) = written_page(&query, wanted.limit, rows, cursor, show);
        // Sales do not make an edition: what is sold out is read again after a while.
        Ready { written: Written::new(|| body.into()), link, until: Some(now.plus_millis(SOLD_OUT_MILLIS)) }
    });
    Ok(respond(&headers, &ready.written, Kept::Publicly, ready.link.as_ref()))
}

pub(crate) async fn list_concert_dates(
    State(app): State<App>,
    Onlooker(programme): Onlooker,
    headers: HeaderMap,
    mut query: Query,
) -> Result<Response, Problem> {
    query.done(|| Some(()))?;
    let now = app.reader.now();
    let to_come: Vec<_> = programme.showings.iter().filter(|showing| now < showing.starts_at).collect();
    let look = async {
        let mut left = Vec::with_capacity(to_come.len());
        for showing in &to_come {
            left.push((showing.id, app.seat_maps.view(showing).await?.remaining));
        }
        Ok(left)
    };
    let left = app.read(look).await?;
    let ready = app.shelves.dates.get(&programme.concert.id, left.clone(), now, || {
        let dates =
            to_come.iter().zip(&left).map(|(showing, (_, remaining))| PerformanceShown::of(showing, *remaining));
        let body = || serde_json::to_vec(&dates.collect::<Vec<_>>()).unwrap_or_default().into();
        Ready { written: Written::new(body), link: None, until: None }
    });
    Ok(respond(&headers, &ready.written, Kept::Privately, None))
}

pub(crate) async fn list_concert_seats(
    State(app): State<App>,
    Onlooker(programme): Onlooker,
    headers: HeaderMap,
    mut query: Query,
) -> Result<Response, Problem> {
    let date = query.required("date", "YYYY-MM-DD", parse_date);
    let only_free = query.optional("available", "true or false", |text| text.parse().ok()).unwrap_or(false);
    let date: Date = query.done(|| date)?;
    let which = if only_free { Which::Available } else { Which::All };
    let look = async {
        let mut views = Vec::new();
        for showing in programme.on(date) {
            views.push((showing, app.seat_maps.view(showing).await?));
        }
        Ok(views)
    };
    let views = app.read(look).await?;
    if let [(showing, view)] = &views[..] {
        return Ok(respond(&headers, seat_json::seats_of(date, showing, view, which), Kept::Privately, None));
    }
    let key = (programme.concert.id, date, which);
    let serials = views.iter().map(|(_, view)| view.serial).collect();
    let ready = app.shelves.seats.get(&key, serials, app.reader.now(), || {
        let written = Written::new(|| seat_json::seats_of_date(date, &views, which));
        Ready { written, link: None, until: None }
    });
    Ok(respond(&headers, &ready.written, Kept::Privately, None))
}

/// The seats of a date.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "documents what seat_json writes")]
pub(crate) struct SeatsOfDate {
    date: Day,
    performances: Vec<SeatsOfPerformance>,
}

/// The seats of a performance.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what seat_json writes")]
pub(crate) struct SeatsOfPerformance {
    performance_id: Id<PerformanceId>,
    starts_at: Instant,
    remaining: u32,
    seats: Vec<SeatShown>,
}

/// A seat.
#[derive(JsonSchema)]
#[schemars(rename = "Seat")]
#[expect(dead_code, reason = "documents what seat_json writes")]
pub(crate) struct SeatShown {
    seat: u32,
    grade: String,
    /// Points.
    price: i64,
    status: SeatStatus,
}

/// What is shown of a seat.
#[derive(JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(dead_code, reason = "documents what seat_json writes")]
pub(crate) enum SeatStatus {
    Available,
    Held,
    Sold,
}
