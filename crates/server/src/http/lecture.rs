//! Lectures.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::civil::Date;
use onsale_app::calendar::parse_date;
use onsale_app::store::{AppliedLecture, LectureFilter, Page};
use onsale_domain::ids::{LectureId, UserId};
use onsale_domain::lecture::{Command, Lecture};
use onsale_domain::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::App;
use super::gate::{A_USER_ID, Caller, PathUser};
use super::input::fields::parsed;
use super::input::{PathArgs, Payload, Query};
use super::problem::Problem;
use super::wire::{Id, Instant, json, page};

/// A lecture, as listed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Lecture")]
#[serde(rename_all = "camelCase")]
pub(crate) struct LectureShown {
    lecture_id: Id<LectureId>,
    title: String,
    lecturer: Option<String>,
    starts_at: Instant,
    capacity: u32,
    enrolled: u32,
    remaining: u32,
}

impl LectureShown {
    pub(crate) fn of(lecture: &Lecture) -> Self {
        Self {
            lecture_id: Id(lecture.id),
            title: lecture.title.to_string(),
            lecturer: lecture.lecturer.as_deref().map(str::to_owned),
            starts_at: Instant(lecture.starts_at),
            capacity: lecture.capacity,
            enrolled: lecture.enrolled,
            remaining: lecture.remaining(),
        }
    }
}

/// A place in a lecture.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Applied {
    lecture_id: Id<LectureId>,
    user_id: Id<UserId>,
    applied_at: Instant,
    /// The lowest number that was free, from 1.
    seat_number: u32,
}

impl Applied {
    pub(crate) fn of(lecture: LectureId, user: &UserId, applied_at: Timestamp, seat_number: u32) -> Self {
        Self { lecture_id: Id(lecture), user_id: Id(user.clone()), applied_at: Instant(applied_at), seat_number }
    }
}

/// What a person applied for.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Applications {
    user_id: Id<UserId>,
    /// Whether there is any below.
    applied: bool,
    applications: Vec<Application>,
}

/// One lecture that a person applied for.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Application {
    lecture_id: Id<LectureId>,
    title: String,
    starts_at: Instant,
    applied_at: Instant,
}

impl Application {
    fn of(applied: &AppliedLecture) -> Self {
        Self {
            lecture_id: Id(applied.lecture),
            title: applied.title.to_string(),
            starts_at: Instant(applied.starts_at),
            applied_at: Instant(applied.applied_at),
        }
    }
}

/// Who applies for what.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the body; read field by field")]
pub(crate) struct ApplyBody {
    user_id: Id<UserId>,
    lecture_id: Id<LectureId>,
}

pub(crate) async fn list_lectures(State(app): State<App>, mut query: Query) -> Result<Response, Problem> {
    let date = query.optional("date", "YYYY-MM-DD", parse_date);
    let with_places = query.optional("available", "true or false", |text| text.parse().ok()).unwrap_or(false);
    let wanted = query.page(|cursor| {
        let (start, id) = cursor.split_once(' ')?;
        Some((Timestamp::from_millis(start.parse().ok()?), LectureId::parse(id)?))
    });
    query.done(|| Some(()))?;
    let filter = filter(&app, date, with_places)?;
    let limit = wanted.limit;
    let rows = app.read(app.reader.lectures(filter, Page { limit: limit + 1, ..wanted })).await?;
    let cursor = |lecture: &Lecture| format!("{} {}", lecture.starts_at.as_millis(), lecture.id);
    Ok(page(&query, limit, rows, cursor, LectureShown::of))
}

/// Without a date: from today on. Available: not full and not started.
fn filter(app: &App, date: Option<Date>, with_places: bool) -> Result<LectureFilter, Problem> {
    let now = app.reader.now();
    let span = app.calendar.span_of(date.unwrap_or_else(|| app.calendar.date_of(now)));
    let (from, end) = span.ok_or_else(|| Problem::invalid_field("date", "is too far away"))?;
    let from = if with_places { from.max(now.plus_millis(1)) } else { from };
    Ok(LectureFilter { from, until: date.map(|_| end), with_places })
}

pub(crate) async fn apply_for_lecture(
    State(app): State<App>,
    caller: Caller,
    payload: Payload,
) -> Result<Response, Problem> {
    let mut fields = payload.fields()?;
    let user = fields.required("userId", parsed(A_USER_ID, UserId::parse));
    let lecture = fields.required("lectureId", parsed("a UUID", LectureId::parse));
    let (user, lecture) = fields.done(|| Some((user?, lecture?)))?;
    let user = caller.acting_for(user)?;
    let key = payload.key(Some(&user));
    Ok(app.decide(Command::Apply { user, lecture }.into(), key).await)
}

pub(crate) async fn list_lecture_applications(
    State(app): State<App>,
    PathUser(user): PathUser,
    mut query: Query,
) -> Result<Response, Problem> {
    let lecture = query.optional("lectureId", "a UUID", LectureId::parse);
    query.done(|| Some(()))?;
    let applied = app.read(app.reader.applications(&user, lecture)).await?;
    let applications: Vec<_> = applied.iter().map(Application::of).collect();
    let body = Applications { user_id: Id(user), applied: !applications.is_empty(), applications };
    Ok(json(StatusCode::OK, &body))
}

pub(crate) async fn cancel_lecture_application(
    State(app): State<App>,
    PathUser(user): PathUser,
    path: PathArgs,
    payload: Payload,
) -> Result<Response, Problem> {
    payload.arrived()?;
    let lecture = path.parse("lectureId", "a UUID", LectureId::parse)?;
    let key = payload.key(Some(&user));
    Ok(app.decide(Command::Cancel { user, lecture }.into(), key).await)
}
