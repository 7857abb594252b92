//! Cancelled lectures, and who has a place in a lecture, as staff see and change them.

use axum::extract::State;
use onsale_app::store::WaitingUser;
use onsale_domain::ids::{LectureId, UserId};
use onsale_domain::lecture::{Applicant, CancelLecture, Cancellation, RemoveApplication};
use onsale_domain::staff::Export;
use onsale_macros::operation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::attendees::{CsvQuery, PageOrCsv, export};
use super::lecture::known;
use crate::http::App;
use crate::http::input::media::ListForm;
use crate::http::input::staff::{ReadSale, RunSale, Staff};
use crate::http::input::{Body, Paged, Path, Payload, Query};
use crate::http::openapi::Sample;
use crate::http::reply::problem::{Code, Problem};
use crate::http::reply::{Begun, Decided, Listed, NoContent, OkJson};
use crate::http::values::{Id, Instant, Name};

/// Why a lecture is cancelled.
#[derive(Body, JsonSchema)]
pub(crate) struct LectureCancelBody {
    /// Kept with the lecture and in the admin log, and sent with its event. Every character shows.
    reason: Name,
}

impl Sample for LectureCancelBody {
    fn sample() -> Value {
        json!({"reason": "the speaker is ill"})
    }
}

/// How far the cancellation of a lecture has come.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LectureCancellation {
    /// `RUNNING` until no application is left and no user waits, then `DONE`.
    #[schemars(extend("enum" = ["RUNNING", "DONE"]))]
    state: &'static str,
    cancelled_at: Instant,
    /// As the member of the staff wrote it.
    reason: String,
    /// Number of applications when it was cancelled.
    applications: u32,
    /// How many of them are cancelled by now.
    applications_cancelled: u32,
}

impl LectureCancellation {
    /// With this many applications and entries of the waiting list left.
    fn of(cancellation: &Cancellation, left: u32, waiting: u32) -> Self {
        Self {
            state: if left == 0 && waiting == 0 { "DONE" } else { "RUNNING" },
            cancelled_at: Instant(cancellation.at),
            reason: cancellation.reason.to_string(),
            applications: cancellation.applications,
            applications_cancelled: cancellation.applications.saturating_sub(left),
        }
    }
}

impl Sample for LectureCancellation {
    fn sample() -> Value {
        json!({
            "state": "RUNNING", "cancelledAt": "2026-11-22T11:12:13.456Z", "reason": "the speaker is ill",
            "applications": 1200, "applicationsCancelled": 500
        })
    }
}

/// Cancel a lecture for good
///
/// From now on no user can apply. Its applications are cancelled and its waiting list is emptied in steps, each with a line of the history and an event, also
/// if this server stops: `GET …/cancellation` shows how far it is. A second call changes nothing and returns 200 with the
/// state.
#[operation(tag = Administration, returns = "The lecture is cancelled", codes(LectureNotFound))]
pub(crate) async fn cancel_lecture(
    State(app): State<App>,
    staff: Staff<RunSale>,
    path: Path<LectureId>,
    payload: Payload<LectureCancelBody>,
) -> Result<Decided<Begun<LectureCancellation>>, Problem> {
    let lecture = path.id()?;
    let LectureCancelBody { reason: Name(reason) } = payload.read()?;
    let cancel = CancelLecture { lecture, reason: reason.into() };
    let answer = app
        .decide_by_staff(&staff, cancel, &payload, |done| Begun {
            state: LectureCancellation::of(&done.cancellation, done.left, done.waiting),
            is_new: done.is_new,
        })
        .await;
    app.emptier.wake();
    answer
}

/// Get how far the cancellation of a lecture has come
#[operation(tag = Administration, returns = "The state", codes(LectureNotFound, CancellationNotFound))]
pub(crate) async fn get_lecture_cancellation(
    State(app): State<App>,
    _: Staff<ReadSale>,
    path: Path<LectureId>,
    mut query: Query,
) -> Result<OkJson<LectureCancellation>, Problem> {
    query.read()?;
    let lecture = known(&app, path.id()?).await?;
    let cancellation = lecture.cancellation.as_ref().ok_or_else(|| Problem::new(Code::CancellationNotFound))?;
    Ok(OkJson(LectureCancellation::of(cancellation, lecture.enrolled, lecture.waitlisted)))
}

/// A user with a place in a lecture.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LectureApplicant {
    seat_number: u32,
    user_id: Id<UserId>,
    applied_at: Instant,
}

impl LectureApplicant {
    fn of(applicant: &Applicant) -> Self {
        Self {
            seat_number: applicant.application.seat_number,
            user_id: Id(applicant.user.clone()),
            applied_at: Instant(applicant.application.applied_at),
        }
    }
}

impl Sample for LectureApplicant {
    fn sample() -> Value {
        json!({"seatNumber": 13, "userId": "42", "appliedAt": "2026-11-22T11:12:13.456Z"})
    }
}

/// List the users with a place in a lecture, by seat number
///
/// As JSON in pages, or all of them as CSV with `Accept: text/csv` (or by the path that ends with `.csv`). `limit` and `cursor` are
/// for JSON, `bom` is for CSV.
#[operation(tag = Administration, returns = "The applicants", codes(LectureNotFound))]
pub(crate) async fn list_lecture_applicants(
    State(app): State<App>,
    staff: Staff<ReadSale>,
    path: Path<LectureId>,
    mut query: Query<Paged<u64, CsvQuery>>,
    form: ListForm,
) -> Result<PageOrCsv<LectureApplicant>, Problem> {
    let lecture = path.id()?;
    let Paged { filter, rows } = query.read()?;
    known(&app, lecture).await?;
    if form.is_csv {
        return export(&app, &staff, Export::Applicants(lecture), &filter, &form).await.map(PageOrCsv::Csv);
    }
    let applicants = app.read(app.reader.applicants(lecture, rows)).await?;
    let cursor = |applicant: &Applicant| applicant.application.seat_number.to_string();
    Ok(PageOrCsv::Page(Listed::page(&query, applicants, cursor, LectureApplicant::of)))
}

/// A user who waits for a place in a lecture.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LectureWaiting {
    /// 1 gets the next place.
    position: u32,
    user_id: Id<UserId>,
    applied_at: Instant,
}

impl LectureWaiting {
    fn of(waiting: &WaitingUser) -> Self {
        let WaitingUser { user, waiting, position } = waiting;
        Self { position: *position, user_id: Id(user.clone()), applied_at: Instant(waiting.applied_at) }
    }
}

impl Sample for LectureWaiting {
    fn sample() -> Value {
        json!({"position": 7, "userId": "42", "appliedAt": "2026-11-22T11:12:13.456Z"})
    }
}

/// List the users who wait for a place in a lecture, in order
///
/// The positions of a page are those at the time of the page.
#[operation(tag = Administration, returns = "The waiting list", codes(LectureNotFound))]
pub(crate) async fn list_lecture_waitlist(
    State(app): State<App>,
    _: Staff<ReadSale>,
    path: Path<LectureId>,
    mut query: Query<Paged<u64>>,
) -> Result<Listed<LectureWaiting>, Problem> {
    let lecture = path.id()?;
    let Paged { rows, .. } = query.read()?;
    known(&app, lecture).await?;
    let waiting = app.read(app.reader.waiting_users(lecture, rows)).await?;
    Ok(Listed::page(&query, waiting, |row| row.waiting.number.to_string(), LectureWaiting::of))
}

/// Remove an application, or an entry of the waiting list
///
/// As if its user gave the place back: it is free again, or goes to the first user who waits. The history and the events show it.
#[operation(tag = Administration, returns = "The place is free again", codes(ApplicationNotFound))]
pub(crate) async fn remove_application(
    State(app): State<App>,
    staff: Staff<RunSale>,
    path: Path<LectureId>,
    user: Path<UserId>,
    payload: Payload,
) -> Result<Decided<NoContent>, Problem> {
    payload.arrived()?;
    let remove = RemoveApplication { lecture: path.id()?, user: user.id()? };
    app.decide_by_staff(&staff, remove, &payload, |_| NoContent).await
}
