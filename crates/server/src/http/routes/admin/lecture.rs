//! Lectures, as an administrator makes and reads them.

use axum::extract::State;
use onsale_app::store::{LectureFilter, Page, StoreError};
use onsale_domain::ids::{LectureId, UserId};
use onsale_domain::lecture::{
    CAPACITY_DEFAULT, CAPACITY_MAX, Change, ChangeLecture, Create, HistoryKind, HistoryLine, Lecture,
};
use onsale_domain::time::Timestamp;
use onsale_macros::operation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::App;
use crate::http::input::staff::{ReadSale, RunSale, Staff};
use crate::http::input::{Body, Paged, Parameters, Path, Payload, Query};
use crate::http::openapi::Sample;
use crate::http::reply::problem::{Code, Problem};
use crate::http::reply::{Created, Decided, Listed, OkJson};
use crate::http::routes::lecture::{LectureShown, cursor_of};
use crate::http::values::{Count, Day, Id, Instant, Name, Nullable, Search};

/// A lecture to create, with its capacity.
#[derive(Body, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LectureBody {
    /// Every character shows: no control characters, direction marks or invisible characters.
    title: Name,
    /// As `title`.
    lecturer: Option<Nullable<Name>>,
    /// RFC 3339, with seconds and an offset; years 0001 to 9999.
    starts_at: Instant,
    /// Capacity; 30 if it is missing.
    capacity: Option<Count<1, CAPACITY_MAX>>,
    /// Before this instant no user can apply; null or missing for no such instant.
    opens_at: Option<Nullable<Instant>>,
    /// No user can apply until staff open it.
    closed: Option<bool>,
}

impl Sample for LectureBody {
    fn sample() -> Value {
        json!({"title": "Building queues that hold", "startsAt": "2026-12-05T19:00:00+09:00", "capacity": 30})
    }
}

impl LectureBody {
    fn into_command(self) -> Create {
        let lecturer = self.lecturer.and_then(|Nullable(lecturer)| lecturer);
        Create {
            title: self.title.0.into(),
            lecturer: lecturer.map(|Name(name)| name.into()),
            starts_at: self.starts_at.0,
            capacity: self.capacity.map_or(CAPACITY_DEFAULT, |Count(capacity)| capacity),
            opens_at: self.opens_at.and_then(|Nullable(opens_at)| opens_at).map(|Instant(at)| at),
            closed: self.closed.unwrap_or(false),
        }
    }
}

/// Create a lecture with a number of seats
#[operation(tag = Administration, returns = "The lecture", example = new_lecture())]
pub(crate) async fn create_lecture(
    State(app): State<App>,
    staff: Staff<RunSale>,
    payload: Payload<LectureBody>,
) -> Result<Decided<Created<LectureShown>>, Problem> {
    let create = payload.read()?.into_command();
    app.decide_by_staff(&staff, create, &payload, |lecture| Created(LectureShown::of(lecture))).await
}

fn new_lecture() -> Value {
    let mut lecture = LectureShown::sample();
    (lecture["enrolled"], lecture["remaining"]) = (json!(0), json!(30));
    lecture["opensAt"] = Value::Null;
    lecture
}

/// What to change about a lecture. A missing field keeps its value.
#[derive(Body, JsonSchema)]
#[schemars(extend("minProperties" = 1))]
#[serde(rename_all = "camelCase")]
pub(crate) struct LecturePatch {
    /// 1 to 200 visible characters.
    title: Option<Name>,
    /// As `title`; null removes it.
    lecturer: Option<Nullable<Name>>,
    /// RFC 3339, with seconds and an offset; years 0001 to 9999.
    starts_at: Option<Instant>,
    /// At least the number of places taken.
    capacity: Option<Count<1, CAPACITY_MAX>>,
    /// Before this instant no user can apply; null for no such instant.
    opens_at: Option<Nullable<Instant>>,
    /// No user can apply until staff open it again.
    closed: Option<bool>,
}

impl Sample for LecturePatch {
    fn sample() -> Value {
        json!({"capacity": 40, "opensAt": "2026-11-22T20:00:00+09:00"})
    }
}

impl LecturePatch {
    /// `None` if it names no field.
    fn into_change(self) -> Option<Change> {
        let Self { title, lecturer, starts_at, capacity, opens_at, closed } = self;
        let is_empty = title.is_none() && lecturer.is_none() && starts_at.is_none();
        if is_empty && capacity.is_none() && opens_at.is_none() && closed.is_none() {
            return None;
        }
        Some(Change {
            title: title.map(|Name(title)| title.into()),
            lecturer: lecturer.map(|Nullable(lecturer)| lecturer.map(|Name(name)| name.into())),
            starts_at: starts_at.map(|Instant(at)| at),
            capacity: capacity.map(|Count(capacity)| capacity),
            opens_at: opens_at.map(|Nullable(opens_at)| opens_at.map(|Instant(at)| at)),
            closed,
        })
    }
}

/// Change a lecture
///
/// Places stay with their users, and so do seat numbers above a lower `capacity`. A free number above it is not given while a
/// lower one is free. `closed` and `opensAt` stop applications; users can still give places back. If the lecture then has free
/// places and is open, users of the waiting list get them: at most 1,000 within this call, the others within seconds. A
/// cancelled lecture answers `lecture-closed`. At least one field is needed.
#[operation(tag = Administration, returns = "The lecture", codes(LectureNotFound, LectureClosed, CapacityBelowEnrolled))]
pub(crate) async fn update_lecture(
    State(app): State<App>,
    staff: Staff<RunSale>,
    path: Path<LectureId>,
    payload: Payload<LecturePatch>,
) -> Result<Decided<OkJson<LectureShown>>, Problem> {
    let lecture = path.id()?;
    let change = payload.read()?.into_change();
    let change = change.ok_or_else(|| Problem::invalid_field("body", "must name at least one field"))?;
    let change = ChangeLecture { lecture, change };
    app.decide_by_staff(&staff, change, &payload, |lecture| OkJson(LectureShown::of(lecture))).await
}

/// Which lectures to list.
#[derive(Parameters)]
pub(crate) struct AdminLecturesQuery {
    /// Only lectures whose title or lecturer contains this text, in any case
    q: Option<Search>,
    /// Only lectures of this date or later
    from: Option<Day>,
    /// Only lectures of this date or earlier
    to: Option<Day>,
}

/// Lectures that are read from the database at a time while a text is looked for.
const SEARCHED_TOGETHER: usize = 500;

/// List all lectures by start, past ones included
///
/// Dates are those of the server's time zone. A lecture whose `startsAt` changes between two pages may come twice, or not
/// at all.
#[operation(tag = Administration, returns = "The lectures")]
pub(crate) async fn list_all_lectures(
    State(app): State<App>,
    _: Staff<ReadSale>,
    mut query: Query<Paged<(Timestamp, LectureId), AdminLecturesQuery>>,
) -> Result<Listed<LectureShown>, Problem> {
    let Paged { filter: AdminLecturesQuery { q, from, to }, rows } = query.read()?;
    let span = |field: &'static str, day: Option<Day>| match day {
        Some(Day(date)) => {
            app.calendar.span_of(date).map(Some).ok_or_else(|| Problem::invalid_field(field, "is too far away"))
        }
        None => Ok(None),
    };
    let from = span("from", from)?.map_or(Timestamp::from_millis(i64::MIN), |(start, _)| start);
    let until = span("to", to)?.map(|(_, end)| end);
    let filter = LectureFilter { until, ..LectureFilter::starting(from) };
    let lectures = app.read(find(&app, filter, q.as_ref(), rows)).await?;
    Ok(Listed::page(&query, lectures, cursor_of, LectureShown::of))
}

/// Whether the title or the lecturer has a text.
fn names(lecture: &Lecture, q: &Search) -> bool {
    q.is_in(&lecture.title) || lecture.lecturer.as_deref().is_some_and(|lecturer| q.is_in(lecturer))
}

/// The lectures of a page. Texts are compared here, because the two databases know the case of different letters.
async fn find(
    app: &App,
    filter: LectureFilter,
    q: Option<&Search>,
    rows: Page<(Timestamp, LectureId)>,
) -> Result<Vec<Lecture>, StoreError> {
    let Some(q) = q else { return app.reader.lectures(filter, rows).await };
    let (mut found, mut after) = (Vec::new(), rows.after);
    loop {
        let some = app.reader.lectures(filter, Page { after, limit: SEARCHED_TOGETHER }).await?;
        let is_last = some.len() < SEARCHED_TOGETHER;
        after = some.last().map(|lecture| (lecture.starts_at, lecture.id));
        found.extend(some.into_iter().filter(|lecture| names(lecture, q)));
        if is_last || found.len() >= rows.limit {
            found.truncate(rows.limit);
            return Ok(found);
        }
    }
}

/// Get a lecture as staff see it
#[operation(tag = Administration, returns = "The lecture", codes(LectureNotFound))]
pub(crate) async fn get_lecture(
    State(app): State<App>,
    _: Staff<ReadSale>,
    path: Path<LectureId>,
    mut query: Query,
) -> Result<OkJson<LectureShown>, Problem> {
    query.read()?;
    Ok(OkJson(LectureShown::of(&known(&app, path.id()?).await?)))
}

/// # Errors
/// `lecture-not-found`; `unavailable` if the database does not answer.
pub(super) async fn known(app: &App, lecture: LectureId) -> Result<Lecture, Problem> {
    let found = app.read(app.reader.lecture(lecture)).await?;
    found.ok_or_else(|| Problem::new(Code::LectureNotFound))
}

/// One line of a lecture's history.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LectureHistoryLine {
    user_id: Id<UserId>,
    r#type: LectureHistoryType,
    /// Null for a user who joined or left the waiting list.
    seat_number: Option<u32>,
    /// The position of a user who joined the waiting list; null otherwise.
    position: Option<u32>,
    created_at: Instant,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum LectureHistoryType {
    Applied,
    Cancelled,
    Waitlisted,
    Promoted,
    Left,
}

impl LectureHistoryLine {
    fn of(line: &HistoryLine) -> Self {
        Self {
            user_id: Id(line.user.clone()),
            r#type: match line.kind {
                HistoryKind::Applied { .. } => LectureHistoryType::Applied,
                HistoryKind::Cancelled { .. } => LectureHistoryType::Cancelled,
                HistoryKind::Waitlisted { .. } => LectureHistoryType::Waitlisted,
                HistoryKind::Promoted { .. } => LectureHistoryType::Promoted,
                HistoryKind::Left => LectureHistoryType::Left,
            },
            seat_number: line.kind.seat_number(),
            position: line.kind.position(),
            created_at: Instant(line.created_at),
        }
    }
}

impl Sample for LectureHistoryLine {
    fn sample() -> Value {
        json!({
            "userId": "42", "type": "APPLIED", "seatNumber": 13, "position": null, "createdAt": "2026-11-22T11:12:13.456Z"
        })
    }
}

/// List the applications and cancellations of a lecture, oldest first
///
/// `APPLIED` and `PROMOTED` took a place, `CANCELLED` gave one back. `WAITLISTED` joined the waiting list, `LEFT` left it without
/// a place. Never rewritten.
#[operation(tag = Administration, returns = "The history", codes(LectureNotFound))]
pub(crate) async fn list_lecture_history(
    State(app): State<App>,
    _: Staff<ReadSale>,
    path: Path<LectureId>,
    mut query: Query<Paged<u64>>,
) -> Result<Listed<LectureHistoryLine>, Problem> {
    let lecture = path.id()?;
    let Paged { rows, .. } = query.read()?;
    let lines = app.read(app.reader.lecture_history(lecture, rows)).await?;
    let lines = lines.ok_or_else(|| Problem::new(Code::LectureNotFound))?;
    Ok(Listed::page(&query, lines, |line| line.version.to_string(), LectureHistoryLine::of))
}
