//! Holding seats.

use std::collections::HashSet;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::civil::Date;
use onsale_app::calendar::parse_date;
use onsale_app::store::Page;
use onsale_domain::concert::{Held, Hold, Release, Reservation, Status, Target};
use onsale_domain::ids::{PerformanceId, ReservationId};
use onsale_domain::waiting_room::Token;
use schemars::JsonSchema;
use serde::Serialize;

use crate::http::App;
use crate::http::input::callers::{Caller, PathUser, Turn};
use crate::http::input::fields::{Fields, integer, parsed};
use crate::http::input::{PathArgs, Payload, Query};
use crate::http::reply::answer::Rendered;
use crate::http::reply::problem::{Code, Problem};
use crate::http::reply::wire::{Day, Id, Instant, json, page};

/// Seats held together.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Reservation")]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReservationShown {
    reservation_id: Id<ReservationId>,
    performance_id: Id<PerformanceId>,
    date: Option<Day>,
    seats: Vec<u32>,
    /// Points: the sum of the seats' prices.
    amount: i64,
    status: ReservationStatus,
    held_until: Instant,
}

/// What became of a reservation.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum ReservationStatus {
    Held,
    Paid,
    Expired,
    Released,
}

impl ReservationShown {
    pub(crate) fn of(reservation: &Reservation, status: Status, date: Option<Date>) -> Self {
        Self {
            reservation_id: Id(reservation.id),
            performance_id: Id(reservation.performance),
            date: date.map(Day),
            seats: reservation.seats.to_vec(),
            amount: reservation.amount,
            status: match status {
                Status::Held => ReservationStatus::Held,
                Status::Paid => ReservationStatus::Paid,
                Status::Expired => ReservationStatus::Expired,
                Status::Released => ReservationStatus::Released,
            },
            held_until: Instant(reservation.held_until),
        }
    }

    /// As of now: a hold that ran out shows as expired, settled or not. Its performance must be known by now.
    fn now(reservation: &Reservation, app: &App) -> Self {
        let date = app.catalogue.showing(reservation.performance).map(|showing| showing.date);
        Self::of(reservation, reservation.status_at(app.reader.now()), date)
    }
}

/// Which seats of which performance.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the body; read field by field")]
pub(crate) struct HoldBody {
    /// Or `date`.
    performance_id: Option<Id<PerformanceId>>,
    /// Where that date has just one performance.
    date: Option<Day>,
    /// Seat numbers, none twice. A user may have 4 seats of a performance; more are refused with `seat-limit`.
    #[schemars(length(min = 1, max = 1_000), inner(range(min = 1, max = 100_000)))]
    seats: Vec<u32>,
}

pub(crate) async fn create_reservation(
    State(app): State<App>,
    turn: Turn,
    payload: Payload,
) -> Result<Response, Problem> {
    let hold = turn.first(read(&app, &turn.token, &payload).await)?;
    let key = payload.key(Some(&turn.token.user));
    let calendar = app.calendar.clone();
    let show = move |Held { reservation, starts_at }: &Held| {
        let date = calendar.date_of(*starts_at);
        Rendered::json(StatusCode::CREATED, &ReservationShown::of(reservation, reservation.status, Some(date)))
    };
    Ok(app.decide(hold, key, show).await)
}

async fn read(app: &App, token: &Token, payload: &Payload) -> Result<Hold, Problem> {
    let mut fields = payload.fields()?;
    if !fields.has("performanceId") && !fields.has("date") {
        fields.wrong("performanceId", "is required, or date".to_owned());
    }
    let performance = fields.optional("performanceId", parsed("a UUID", PerformanceId::parse));
    let date = fields.optional("date", parsed("YYYY-MM-DD", parse_date));
    let seats = fields.items("seats", integer).and_then(|seats| none_twice(&mut fields, seats));
    let seats = fields.done(|| seats)?;
    match performance {
        Some(_) => app.read(app.catalogue.know(&[], performance.as_slice())).await?,
        None => app.read(app.catalogue.know_all_of(token.concert)).await?,
    }
    let target = target(app, token, performance, date)?;
    Ok(Hold { token: token.clone(), target, seats: seats.into() })
}

/// The seats, unless there are none or one is named twice.
fn none_twice(fields: &mut Fields<'_>, seats: Vec<i64>) -> Option<Vec<i64>> {
    if seats.is_empty() {
        fields.wrong("seats", "must name a seat".to_owned());
        return None;
    }
    let mut known = HashSet::with_capacity(seats.len());
    match seats.iter().position(|seat| !known.insert(*seat)) {
        Some(index) => {
            fields.wrong(&format!("seats.{index}"), "is named twice".to_owned());
            None
        }
        None => Some(seats),
    }
}

fn target(app: &App, token: &Token, performance: Option<PerformanceId>, date: Option<Date>) -> Result<Target, Problem> {
    let programme = app.catalogue.programme(token.concert);
    match (performance, date) {
        (Some(id), None) => Ok(Target::Performance(id)),
        (Some(id), Some(date)) => {
            let own = app.catalogue.showing(id).filter(|showing| showing.concert == token.concert);
            if own.is_some_and(|showing| showing.date != date) {
                return Err(Problem::invalid_field("date", "is not the date of this performance"));
            }
            Ok(Target::Performance(id))
        }
        (None, Some(date)) => Ok(programme.map_or(Target::NoneOnDate, |programme| programme.target_on(date))),
        (None, None) => Err(Problem::invalid_field("performanceId", "is required, or date")),
    }
}

pub(crate) async fn get_reservation(
    State(app): State<App>,
    caller: Caller,
    path: PathArgs,
    mut query: Query,
) -> Result<Response, Problem> {
    query.done(|| Some(()))?;
    let id = path.parse("reservationId", "a UUID", ReservationId::parse)?;
    let found = app.read(app.reader.reservation(id)).await?;
    let reservation = found.ok_or_else(|| Problem::new(Code::ReservationNotFound))?;
    caller.acting_for(reservation.user.clone())?;
    app.read(app.catalogue.know(&[], &[reservation.performance])).await?;
    Ok(json(StatusCode::OK, &ReservationShown::now(&reservation, &app)))
}

pub(crate) async fn release_reservation(
    State(app): State<App>,
    turn: Turn,
    path: PathArgs,
    payload: Payload,
) -> Result<Response, Problem> {
    turn.first(payload.arrived())?;
    let reservation = turn.first(path.parse("reservationId", "a UUID", ReservationId::parse))?;
    let key = payload.key(Some(&turn.token.user));
    let release = Release { token: turn.token, reservation };
    Ok(app.decide(release, key, |()| Rendered::no_content()).await)
}

pub(crate) async fn list_user_reservations(
    State(app): State<App>,
    PathUser(user): PathUser,
    mut query: Query,
) -> Result<Response, Problem> {
    let wanted = query.page(ReservationId::parse);
    query.done(|| Some(()))?;
    let more = Page { limit: wanted.limit + 1, ..wanted };
    let rows = app.read(app.reader.reservations_of(&user, more)).await?;
    let performances: Vec<_> = rows.iter().map(|reservation| reservation.performance).collect();
    app.read(app.catalogue.know(&[], &performances)).await?;
    let show = |reservation: &Reservation| ReservationShown::now(reservation, &app);
    Ok(page(&query, wanted.limit, rows, |reservation| reservation.id.to_string(), show))
}
