//! Lectures, as an administrator makes and reads them.

use axum::extract::State;
use onsale_domain::ids::{LectureId, UserId};
use onsale_domain::lecture::{CAPACITY_DEFAULT, CAPACITY_MAX, Create, HistoryKind, HistoryLine};
use onsale_macros::operation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::App;
use crate::http::input::staff::{ReadSale, RunSale, Staff};
use crate::http::input::{Body, Paged, Path, Payload, Query};
use crate::http::openapi::Sample;
use crate::http::reply::problem::{Code, Problem};
use crate::http::reply::{Created, Decided, Listed};
use crate::http::routes::lecture::LectureShown;
use crate::http::values::{Count, Id, Instant, Name, Nullable};

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
    lecture
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

impl Sample for LectureHistoryLine {
    fn sample() -> Value {
        json!({"userId": "42", "type": "APPLIED", "seatNumber": 13, "createdAt": "2026-11-22T11:12:13.456Z"})
    }
}

/// List the applications and cancellations of a lecture, oldest first
///
/// Never rewritten.
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
