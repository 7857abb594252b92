//! Lectures: places are given first come, first served.

use axum::extract::State;
use axum::http::HeaderMap;
use jiff::civil::Date;
use onsale_app::store::{AppliedLecture, LectureFilter};
use onsale_domain::ids::{LectureId, UserId};
use onsale_domain::lecture::{self as rules, Apply, Cancel, Lecture, Outcome};
use onsale_domain::time::Timestamp;
use onsale_macros::operation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::App;
use crate::http::cache::{Kept, Ready};
use crate::http::input::callers::{Caller, PathUser};
use crate::http::input::{Body, Paged, Parameters, Path, Payload, Query};
use crate::http::openapi::sample::{self, Sample};
use crate::http::reply::problem::Problem;
use crate::http::reply::{Cached, CreatedOrAwaited, Decided, Listed, NoContent, OkJson};
use crate::http::routes::seat_list::{EntryShown, read_entries};
use crate::http::values::{Day, Id, Instant, Switch};

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
    /// Users who wait for a place. While there is one, free places are for them.
    waitlisted: u32,
    /// Before this instant no user can apply; null for no such instant.
    opens_at: Option<Instant>,
    /// No user can apply until staff open it again.
    closed: bool,
    /// It does not take place.
    cancelled: bool,
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
            waitlisted: lecture.waitlisted,
            opens_at: lecture.opens_at.map(Instant),
            closed: lecture.closed,
            cancelled: lecture.cancellation.is_some(),
        }
    }
}

impl Sample for LectureShown {
    fn sample() -> Value {
        json!({
            "lectureId": sample::LECTURE, "title": "Building queues that hold", "lecturer": null,
            "startsAt": "2026-12-05T10:00:00.000Z", "capacity": 30, "enrolled": 12, "remaining": 18, "waitlisted": 0,
            "opensAt": "2026-11-22T11:00:00.000Z", "closed": false, "cancelled": false
        })
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
    status: ApplicationStatus,
}

/// Whether the user has a place or waits for one.
#[derive(Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum ApplicationStatus {
    Applied,
    Waitlisted,
}

impl Applied {
    fn of(applied: &rules::Applied) -> Self {
        let rules::Applied { lecture, user, applied_at, seat_number } = applied;
        let (lecture_id, user_id) = (Id(*lecture), Id(user.clone()));
        let (applied_at, status) = (Instant(*applied_at), ApplicationStatus::Applied);
        Self { lecture_id, user_id, applied_at, seat_number: *seat_number, status }
    }
}

impl Sample for Applied {
    fn sample() -> Value {
        json!({
            "lectureId": sample::LECTURE, "userId": "42", "appliedAt": "2026-11-22T11:12:13.456Z", "seatNumber": 13,
            "status": "APPLIED"
        })
    }
}

/// An entry in the waiting list of a lecture.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LectureEntry")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Waits {
    lecture_id: Id<LectureId>,
    user_id: Id<UserId>,
    applied_at: Instant,
    status: ApplicationStatus,
    /// How many users wait up to this one; 1 gets the next place.
    position: u32,
}

impl Waits {
    fn of(waits: &rules::Waitlisted) -> Self {
        let rules::Waitlisted { lecture, user, applied_at, position } = waits;
        let (lecture_id, user_id, applied_at) = (Id(*lecture), Id(user.clone()), Instant(*applied_at));
        Self { lecture_id, user_id, applied_at, status: ApplicationStatus::Waitlisted, position: *position }
    }
}

impl Sample for Waits {
    fn sample() -> Value {
        json!({
            "lectureId": sample::LECTURE, "userId": "42", "appliedAt": "2026-11-22T11:12:13.456Z",
            "status": "WAITLISTED", "position": 7
        })
    }
}

/// The applications of a user.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LectureApplications")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Applications {
    user_id: Id<UserId>,
    /// Whether the user has a place in a lecture of `applications`.
    applied: bool,
    applications: Vec<Application>,
}

/// One lecture for which a user applied.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LectureApplication")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Application {
    lecture_id: Id<LectureId>,
    title: String,
    starts_at: Instant,
    applied_at: Instant,
    status: ApplicationStatus,
    /// How many users wait up to this one; null if the user has a place.
    position: Option<u32>,
}

impl Application {
    pub(crate) fn of(applied: &AppliedLecture) -> Self {
        Self {
            lecture_id: Id(applied.lecture),
            title: applied.title.to_string(),
            starts_at: Instant(applied.starts_at),
            applied_at: Instant(applied.applied_at),
            status: match applied.position {
                Some(_) => ApplicationStatus::Waitlisted,
                None => ApplicationStatus::Applied,
            },
            position: applied.position,
        }
    }
}

impl Sample for Application {
    fn sample() -> Value {
        json!({
            "lectureId": sample::LECTURE, "title": "Building queues that hold",
            "startsAt": "2026-12-05T10:00:00.000Z", "appliedAt": "2026-11-22T11:12:13.456Z",
            "status": "WAITLISTED", "position": 7
        })
    }
}

impl Sample for Applications {
    fn sample() -> Value {
        json!({
            "userId": "42", "applied": true,
            "applications": [{
                "lectureId": sample::LECTURE, "title": "Building queues that hold",
                "startsAt": "2026-12-05T10:00:00.000Z", "appliedAt": "2026-11-22T11:12:13.456Z",
                "status": "APPLIED", "position": null
            }]
        })
    }
}

/// Which lectures to list.
#[derive(Parameters)]
pub(crate) struct LecturesQuery {
    /// Only lectures of this date
    date: Option<Day>,
    /// Only lectures that can be applied for
    available: Option<Switch>,
}

/// List lectures by start
///
/// Without `date`: from today on. `available`: not full, without a waiting list, not started, open, and neither closed nor
/// cancelled.
#[operation(tag = Lectures, returns = "The lectures")]
pub(crate) async fn list_lectures(
    State(app): State<App>,
    headers: HeaderMap,
    mut query: Query<Paged<(Timestamp, LectureId), LecturesQuery>>,
) -> Result<Cached<Vec<LectureShown>>, Problem> {
    let Paged { filter: LecturesQuery { date, available }, rows } = query.read()?;
    let date = date.map(|Day(date)| date);
    let with_places = available.is_some_and(|Switch(on)| on);
    let now = app.reader.now();
    let today = start_of(&app, app.calendar.date_of(now))?.0;
    let filter = filter(&app, now, date, with_places)?;
    // Clients seldom ask for past days, so their lists are not cached.
    if filter.from < today || !app.timetable.is_kept {
        let lectures = app.read(app.reader.lectures(filter, rows)).await?;
        return Ok(Cached::uncached(Listed::page(&query, lectures, cursor_of, LectureShown::of)));
    }
    let edition = app.read(app.timetable.edition(today)).await?;
    let ready = app.answers.lectures.get(&*query.raw(), (edition, today), now, || {
        let lectures = app.timetable.page(filter, rows);
        // When the first one starts, it is no longer available. When the next one opens, it is.
        let first_start = lectures.first().map(|first| first.starts_at);
        let until = first_start.into_iter().chain(app.timetable.next_opening(now)).min().filter(|_| with_places);
        Ready { until, ..Listed::page(&query, lectures, cursor_of, LectureShown::of).into_ready() }
    });
    Ok(Cached::ready(&headers, &ready, Kept::Publicly))
}

pub(crate) fn cursor_of(lecture: &Lecture) -> String {
    format!("{} {}", lecture.starts_at.as_millis(), lecture.id)
}

/// The first instant of a date, and the first one after it.
///
/// # Errors
/// `invalid-request` if the date is out of range.
fn start_of(app: &App, date: Date) -> Result<(Timestamp, Timestamp), Problem> {
    app.calendar.span_of(date).ok_or_else(|| Problem::invalid_field("date", "is too far away"))
}

/// The lectures of a date, or from today on. With `with_places`: only those that users can apply for.
fn filter(app: &App, now: Timestamp, date: Option<Date>, with_places: bool) -> Result<LectureFilter, Problem> {
    let (from, end) = start_of(app, date.unwrap_or_else(|| app.calendar.date_of(now)))?;
    let from = if with_places { from.max(now.plus_millis(1)) } else { from };
    let available_at = with_places.then_some(now);
    Ok(LectureFilter { until: date.map(|_| end), available_at, ..LectureFilter::starting(from) })
}

/// The user and the lecture that the user applies for.
#[derive(Body, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApplyBody {
    user_id: Id<UserId>,
    lecture_id: Id<LectureId>,
    /// Whether the user joins the waiting list if there is no place; false if it is missing.
    waitlist: Option<bool>,
}

impl Sample for ApplyBody {
    fn sample() -> Value {
        json!({"userId": "42", "lectureId": sample::LECTURE, "waitlist": true})
    }
}

/// Apply for a lecture, first come, first served
///
/// Judged in this order: unknown lecture, applied already, waits already (with `position`), started or closed or cancelled, not
/// open yet, full. With `waitlist` a full lecture has a waiting list of at most 100,000 users: the answer is 202 with the
/// position at its end. A place that is given back, or added by staff, goes to the first user who waits. While a user waits,
/// no other user gets a place.
#[operation(
    tag = Lectures,
    returns = "The place",
    codes(
        LectureNotFound,
        AlreadyApplied,
        AlreadyWaitlisted,
        LectureClosed,
        LectureNotOpen,
        LectureFull,
        WaitlistFull
    )
)]
pub(crate) async fn apply_for_lecture(
    State(app): State<App>,
    caller: Caller,
    payload: Payload<ApplyBody>,
) -> Result<Decided<CreatedOrAwaited<Applied, Waits>>, Problem> {
    let ApplyBody { user_id: Id(user), lecture_id: Id(lecture), waitlist } = payload.read()?;
    let user = caller.acting_for(user)?;
    let key = payload.key(&user);
    let apply = Apply { user, lecture, waitlist: waitlist.unwrap_or(false) };
    app.decide(apply, key, |outcome| match outcome {
        Outcome::Applied(applied) => CreatedOrAwaited::Created(Applied::of(applied)),
        Outcome::Waitlisted(waits) => CreatedOrAwaited::Awaited(Waits::of(waits)),
    })
    .await
}

/// Which applications to list.
#[derive(Parameters)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApplicationsQuery {
    /// About this lecture alone
    lecture_id: Option<Id<LectureId>>,
}

/// List the applications of a user
///
/// Those with a place and those on waiting lists. Places given back are not listed. `applied` is true if the user has a place in
/// one of them.
#[operation(tag = Lectures, returns = "The applications")]
pub(crate) async fn list_lecture_applications(
    State(app): State<App>,
    PathUser(user): PathUser,
    mut query: Query<ApplicationsQuery>,
) -> Result<OkJson<Applications>, Problem> {
    let lecture = query.read()?.lecture_id.map(|Id(id)| id);
    let applied = app.read(app.reader.applications(&user, lecture)).await?;
    let applications: Vec<_> = applied.iter().map(Application::of).collect();
    let has_place = applied.iter().any(|applied| applied.position.is_none());
    Ok(OkJson(Applications { user_id: Id(user), applied: has_place, applications }))
}

/// List the waiting lists on which a user is
///
/// Lectures by their start, then entries of performances that have not started, newest first.
#[operation(tag = Lectures, returns = "The entries")]
pub(crate) async fn list_user_waitlists(
    State(app): State<App>,
    PathUser(user): PathUser,
    caller: Caller,
    mut query: Query,
) -> Result<OkJson<Vec<WaitsFor>>, Problem> {
    query.read()?;
    let applied = app.read(app.reader.applications(&user, None)).await?;
    let waiting = applied.iter().filter(|applied| applied.position.is_some());
    let mut lists: Vec<WaitsFor> = waiting.map(Application::of).map(WaitsFor::Lecture).collect();
    let entries = read_entries(&app, &user, None, !matches!(caller, Caller::Staff)).await?;
    lists.extend(entries.into_iter().map(WaitsFor::Seats));
    Ok(OkJson(lists))
}

/// What a user waits for, or waited for.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum WaitsFor {
    /// A place in a lecture.
    Lecture(Application),
    /// Seats of a performance.
    Seats(EntryShown),
}

impl Sample for WaitsFor {
    fn sample() -> Value {
        EntryShown::sample()
    }
}

/// Give a place back, or leave the waiting list
///
/// The place is free again, and goes to the first user who waits for one. Each change stays in the lecture's history.
#[operation(tag = Lectures, returns = "The user has no place and does not wait", codes(ApplicationNotFound))]
pub(crate) async fn cancel_lecture_application(
    State(app): State<App>,
    PathUser(user): PathUser,
    path: Path<LectureId>,
    payload: Payload,
) -> Result<Decided<NoContent>, Problem> {
    payload.arrived()?;
    let lecture = path.id()?;
    let key = payload.key(&user);
    app.decide(Cancel { user, lecture }, key, |()| NoContent).await
}
