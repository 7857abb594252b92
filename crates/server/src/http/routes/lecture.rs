//! Lectures.

use crate::http::Written;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use jiff::civil::Date;
use onsale_app::calendar::parse_date;
use onsale_app::store::{AppliedLecture, LectureFilter, Page};
use onsale_domain::ids::{LectureId, UserId};
use onsale_domain::lecture::{self as rules, Apply, Cancel, Lecture};
use onsale_domain::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::http::App;
use crate::http::cache::Ready;
use crate::http::cache::{Kept, respond};
use crate::http::input::callers::{A_USER_ID, Caller, PathUser};
use crate::http::input::fields::parsed;
use crate::http::input::{PathArgs, Payload, Query};
use crate::http::reply::answer::Rendered;
use crate::http::reply::problem::Problem;
use crate::http::reply::wire::{Id, Instant, json, page, written_page};

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
#[schemars(rename = "LecturePlace")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Applied {
    lecture_id: Id<LectureId>,
    user_id: Id<UserId>,
    applied_at: Instant,
    /// The lowest number that was free, from 1.
    seat_number: u32,
}

impl Applied {
    fn of(applied: &rules::Applied) -> Self {
        let rules::Applied { lecture, user, applied_at, seat_number } = applied;
        let (lecture_id, user_id) = (Id(*lecture), Id(user.clone()));
        Self { lecture_id, user_id, applied_at: Instant(*applied_at), seat_number: *seat_number }
    }
}

/// What a person applied for.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LectureApplications")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Applications {
    user_id: Id<UserId>,
    /// Whether there is any below.
    applied: bool,
    applications: Vec<Application>,
}

/// One lecture that a person applied for.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LectureApplication")]
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

pub(crate) async fn list_lectures(
    State(app): State<App>,
    headers: HeaderMap,
    mut query: Query,
) -> Result<Response, Problem> {
    let date = query.optional("date", "YYYY-MM-DD", parse_date);
    let with_places = query.optional("available", "true or false", |text| text.parse().ok()).unwrap_or(false);
    let wanted = query.page(|cursor| {
        let (start, id) = cursor.split_once(' ')?;
        Some((Timestamp::from_millis(start.parse().ok()?), LectureId::parse(id)?))
    });
    query.done(|| Some(()))?;
    let now = app.reader.now();
    let today = start_of(&app, app.calendar.date_of(now))?.0;
    let filter = filter(&app, now, date, with_places)?;
    let rows = Page { limit: wanted.limit + 1, ..wanted };
    // Days that are over are seldom asked for.
    if filter.from < today || !app.timetable.is_kept {
        let rows = app.read(app.reader.lectures(filter, rows)).await?;
        return Ok(page(&query, wanted.limit, rows, cursor_of, LectureShown::of));
    }
    let edition = app.read(app.timetable.edition(today)).await?;
    let ready = app.shelves.lectures.get(&*query.raw(), (edition, today), now, || {
        let rows = app.timetable.page(filter, rows);
        // By the time the first one starts, it is no longer available.
        let until = rows.first().filter(|_| with_places).map(|first| first.starts_at);
        let (body, link) = written_page(&query, wanted.limit, rows, cursor_of, LectureShown::of);
        Ready { written: Written::new(|| body.into()), link, until }
    });
    Ok(respond(&headers, &ready.written, Kept::Publicly, ready.link.as_ref()))
}

fn cursor_of(lecture: &Lecture) -> String {
    format!("{} {}", lecture.starts_at.as_millis(), lecture.id)
}

/// The first instant of a date, and the first one after it.
fn start_of(app: &App, date: Date) -> Result<(Timestamp, Timestamp), Problem> {
    app.calendar.span_of(date).ok_or_else(|| Problem::invalid_field("date", "is too far away"))
}

/// Without a date: from today on. Available: not full and not started.
fn filter(app: &App, now: Timestamp, date: Option<Date>, with_places: bool) -> Result<LectureFilter, Problem> {
    let (from, end) = start_of(app, date.unwrap_or_else(|| app.calendar.date_of(now)))?;
    let from = if with_places { from.max(now.plus_millis(1)) } else { from };
    Ok(LectureFilter { until: date.map(|_| end), with_places, ..LectureFilter::starting(from) })
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
    let show = |applied: &rules::Applied| Rendered::json(StatusCode::CREATED, &Applied::of(applied));
    Ok(app.decide(Apply { user, lecture }, key, show).await)
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
    Ok(app.decide(Cancel { user, lecture }, key, |()| Rendered::no_content()).await)
}
