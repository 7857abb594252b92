//! What an administrator does: makes lectures, concerts and performances, and steers waiting rooms.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use onsale_app::calendar::parse_rfc3339;
use onsale_app::store::Page;
use onsale_domain::concert::{
    self, Concert, GRADE_DEFAULT, PRICE_DEFAULT, PRICE_MAX, Performance, SEATS_DEFAULT, SEATS_MAX, Seating, Section,
    Unsound,
};
use onsale_domain::ids::{ConcertId, LectureId, UserId};
use onsale_domain::lecture::{self, CAPACITY_DEFAULT, CAPACITY_MAX, HistoryKind, HistoryLine, Lecture};
use onsale_domain::waiting_room::{Configure, Patch, Settings};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::http::App;
use crate::http::input::callers::Admin;
use crate::http::input::fields::{Fields, Wrong, between, count, name, parsed, switch};
use crate::http::input::{PathArgs, Payload, Query};
use crate::http::reply::answer::Rendered;
use crate::http::reply::problem::{Code, Problem};
use crate::http::reply::wire::{Id, Instant, json, page};
use crate::http::routes::concert::{ConcertShown, PerformanceShown};
use crate::http::routes::lecture::LectureShown;

const AN_INSTANT: &str = "an RFC 3339 instant, such as 2026-11-22T11:12:13Z";

/// How a waiting room admits.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QueueSettings {
    /// How many may be active at once.
    max_active: u32,
    /// How many may become active within any one second.
    admit_per_second: u32,
    /// How long a turn lasts.
    active_seconds: u32,
    /// How long one who was called may stay silent.
    claim_seconds: u32,
    /// Admits nobody; entering, polling and leaving go on.
    paused: bool,
}

impl QueueSettings {
    pub(crate) fn of(settings: &Settings) -> Self {
        let Settings { max_active, admit_per_second, active_seconds, claim_seconds, paused } = *settings;
        Self { max_active, admit_per_second, active_seconds, claim_seconds, paused }
    }
}

/// A waiting room as its administrator sees it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WaitingRoom")]
pub(crate) struct Queue {
    #[serde(flatten)]
    settings: QueueSettings,
    /// People in line.
    waiting: u64,
    /// Turns that run, or ran until a moment ago.
    active: u32,
    /// Places handed out so far.
    issued: u64,
}

/// One line of a lecture's history.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LectureHistoryLine {
    user_id: Id<UserId>,
    r#type: LectureHistoryType,
    seat_number: u32,
    created_at: Instant,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum LectureHistoryType {
    Applied,
    Cancelled,
}

impl LectureHistoryLine {
    fn of(line: &HistoryLine) -> Self {
        Self {
            user_id: Id(line.user.clone()),
            r#type: match line.kind {
                HistoryKind::Applied => LectureHistoryType::Applied,
                HistoryKind::Cancelled => LectureHistoryType::Cancelled,
            },
            seat_number: line.seat_number,
            created_at: Instant(line.created_at),
        }
    }
}

pub(crate) async fn create_lecture(State(app): State<App>, _: Admin, payload: Payload) -> Result<Response, Problem> {
    let mut fields = payload.fields()?;
    let title = fields.required("title", name);
    let lecturer = fields.optional("lecturer", |value| match value.get() {
        "null" => Ok(None),
        _ => name(value).map(Some),
    });
    let starts_at = fields.required("startsAt", parsed(AN_INSTANT, parse_rfc3339));
    let capacity = fields.optional("capacity", count(1, CAPACITY_MAX)).unwrap_or(CAPACITY_DEFAULT);
    let new = fields.done(|| {
        let lecturer = lecturer.flatten().map(Into::into);
        Some(lecture::Create { title: title?.into(), lecturer, starts_at: starts_at?, capacity })
    })?;
    let key = payload.key(None);
    let show = |lecture: &Lecture| Rendered::json(StatusCode::CREATED, &LectureShown::of(lecture));
    Ok(app.decide(new, key, show).await)
}

pub(crate) async fn list_lecture_history(
    State(app): State<App>,
    _: Admin,
    path: PathArgs,
    mut query: Query,
) -> Result<Response, Problem> {
    let lecture = path.parse("lectureId", "a UUID", LectureId::parse)?;
    let wanted = query.page(|cursor| cursor.parse().ok());
    query.done(|| Some(()))?;
    let more = Page { limit: wanted.limit + 1, ..wanted };
    let rows = app.read(app.reader.lecture_history(lecture, more)).await?;
    let rows = rows.ok_or_else(|| Problem::new(Code::LectureNotFound))?;
    Ok(page(&query, wanted.limit, rows, |line| line.version.to_string(), LectureHistoryLine::of))
}

pub(crate) async fn create_concert(State(app): State<App>, _: Admin, payload: Payload) -> Result<Response, Problem> {
    let mut fields = payload.fields()?;
    let title = fields.required("title", name);
    let venue = fields.required("venue", name);
    let patch = fields.object("queue", queue_settings).unwrap_or_default();
    let command = fields
        .done(|| Some(concert::Create { title: title?.into(), venue: venue?.into(), room: patch.apply(app.room) }))?;
    let key = payload.key(None);
    let show = |concert: &Concert| Rendered::json(StatusCode::CREATED, &ConcertShown::new(concert));
    Ok(app.decide(command, key, show).await)
}

fn queue_settings(fields: &mut Fields<'_>) -> Patch {
    Patch {
        max_active: fields.optional("maxActive", count(1, Settings::RATE_MAX)),
        admit_per_second: fields.optional("admitPerSecond", count(1, Settings::RATE_MAX)),
        active_seconds: fields.optional("activeSeconds", count(1, Settings::ACTIVE_SECONDS_MAX)),
        claim_seconds: fields.optional("claimSeconds", count(1, Settings::CLAIM_SECONDS_MAX)),
        paused: None,
    }
}

pub(crate) async fn create_performance(
    State(app): State<App>,
    _: Admin,
    path: PathArgs,
    payload: Payload,
) -> Result<Response, Problem> {
    let concert = path.parse("concertId", "a UUID", ConcertId::parse)?;
    let mut fields = payload.fields()?;
    let starts_at = fields.required("startsAt", parsed(AN_INSTANT, parse_rfc3339));
    let price = fields.optional("price", between(0..=PRICE_MAX)).unwrap_or(PRICE_DEFAULT);
    let seating = if fields.is_list("seats") {
        sections(&mut fields, price)
    } else {
        let seats = fields.optional("seats", seat_count).unwrap_or(SEATS_DEFAULT);
        Seating::new(vec![Section { from: 1, to: seats, grade: GRADE_DEFAULT.into(), price }]).ok()
    };
    let command = fields.done(|| Some(concert::Schedule { concert, starts_at: starts_at?, seating: seating? }))?;
    let key = payload.key(None);
    let calendar = app.calendar.clone();
    let show = move |performance: &Performance| {
        Rendered::json(StatusCode::CREATED, &PerformanceShown::new(performance, &calendar))
    };
    Ok(app.decide(command, key, show).await)
}

fn seat_count(value: &RawValue) -> Result<u32, Wrong> {
    count(1, SEATS_MAX)(value).map_err(|_| format!("must be 1 to {SEATS_MAX}, or a list of sections"))
}

fn sections(fields: &mut Fields<'_>, price: i64) -> Option<Seating> {
    let sections = fields.objects("seats", |section| {
        let from = section.required("from", count(1, SEATS_MAX));
        let to = section.required("to", count(1, SEATS_MAX));
        let grade = section.optional("grade", name).unwrap_or_else(|| GRADE_DEFAULT.to_owned());
        let price = section.optional("price", between(0..=PRICE_MAX)).unwrap_or(price);
        Some(Section { from: from?, to: to?, grade: grade.into(), price })
    })?;
    // A section that was wrong has been named already.
    match Seating::new(sections.into_iter().collect::<Option<_>>()?) {
        Ok(seating) => return Some(seating),
        Err(Unsound::Empty) => fields.wrong("seats", "must name a section".to_owned()),
        Err(Unsound::Range(index)) => fields.wrong(&format!("seats.{index}.to"), "must not be before from".to_owned()),
        Err(Unsound::Overlap(index)) => {
            fields.wrong(&format!("seats.{index}.from"), "is a seat of another section".to_owned());
        }
    }
    None
}

pub(crate) async fn get_queue_settings(
    State(app): State<App>,
    _: Admin,
    path: PathArgs,
    mut query: Query,
) -> Result<Response, Problem> {
    query.done(|| Some(()))?;
    let concert = path.parse("concertId", "a UUID", ConcertId::parse)?;
    app.see_own_changes().await;
    let room = app.rooms.find(concert).await?.ok_or_else(|| Problem::new(Code::ConcertNotFound))?;
    let settings = QueueSettings::of(&room.snapshot().room.settings);
    let (waiting, active, issued) = (room.waiting(), room.snapshot().room.active, room.issued());
    Ok(json(StatusCode::OK, &Queue { settings, waiting, active, issued }))
}

pub(crate) async fn update_queue_settings(
    State(app): State<App>,
    _: Admin,
    path: PathArgs,
    payload: Payload,
) -> Result<Response, Problem> {
    let concert = path.parse("concertId", "a UUID", ConcertId::parse)?;
    let mut fields = payload.fields()?;
    let paused = fields.optional("paused", switch);
    let patch = Patch { paused, ..queue_settings(&mut fields) };
    fields.done(|| Some(()))?;
    let key = payload.key(None);
    // A retired room comes back first: what changes it is then seen here.
    app.rooms.find(concert).await?;
    let show = |settings: &Settings| Rendered::json(StatusCode::OK, &QueueSettings::of(settings));
    Ok(app.decide(Configure { concert, patch }, key, show).await)
}
