//! The attendees of a performance, and the applicants of a lecture as CSV.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use onsale_app::store::{Attendee, Page};
use onsale_domain::ids::{LectureId, PaymentId, PerformanceId, UserId};
use onsale_domain::staff::{ByStaff, Export, NoteExport};
use onsale_macros::operation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::App;
use crate::http::export::{self, Wanted};
use crate::http::input::media::ListForm;
use crate::http::input::staff::{ReadAttendees, ReadSale, Staff};
use crate::http::input::{Paged, Parameters, Path, Query};
use crate::http::openapi::sample::{self, Sample};
use crate::http::openapi::{Content, Operation, Output};
use crate::http::reply::problem::{Code, Problem};
use crate::http::reply::{Listed, NoContent};
use crate::http::values::{Id, Instant, Switch};

/// A sold seat and its owner.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Attendee")]
#[serde(rename_all = "camelCase")]
pub(crate) struct AttendeeShown {
    seat: u32,
    grade: String,
    user_id: Id<UserId>,
    payment_id: Id<PaymentId>,
    paid_at: Instant,
    /// Null before the check-in.
    checked_in_at: Option<Instant>,
}

impl AttendeeShown {
    fn of(attendee: &Attendee) -> Self {
        Self {
            seat: attendee.seat,
            grade: attendee.grade.to_string(),
            user_id: Id(attendee.user.clone()),
            payment_id: Id(attendee.payment),
            paid_at: Instant(attendee.paid_at),
            checked_in_at: attendee.checked_in_at.map(Instant),
        }
    }
}

impl Sample for AttendeeShown {
    fn sample() -> Value {
        json!({
            "seat": 7, "grade": "R", "userId": "42", "paymentId": sample::PAYMENT, "paidAt": "2026-11-22T11:12:13.456Z",
            "checkedInAt": null
        })
    }
}

/// How a list is written as CSV.
#[derive(Parameters)]
pub(crate) struct CsvQuery {
    /// Whether the CSV begins with a byte order mark, by which Excel reads it as UTF-8
    bom: Option<Switch>,
}

impl CsvQuery {
    fn bom(&self) -> bool {
        matches!(self.bom, Some(Switch(true)))
    }
}

/// 200 with a whole list as CSV.
pub(crate) struct CsvList(Response);

/// 200 with a page as JSON, or with the whole list as CSV.
pub(crate) enum PageOrCsv<T> {
    Page(Listed<T>),
    Csv(CsvList),
}

impl IntoResponse for CsvList {
    fn into_response(self) -> Response {
        self.0
    }
}

impl<T> IntoResponse for PageOrCsv<T> {
    fn into_response(self) -> Response {
        match self {
            Self::Page(page) => page.into_response(),
            Self::Csv(csv) => csv.into_response(),
        }
    }
}

const EXAMPLE: &str = "seat,grade,userId,paymentId,paidAt,checkedInAt\r\n\
    7,R,42,019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a04,2026-11-22T11:12:13.456Z,\r\n";

const EXAMPLE_OF_APPLICANTS: &str = "seatNumber,userId,appliedAt\r\n13,42,2026-11-22T11:12:13.456Z\r\n";

/// The text that is common to all lists as CSV.
const ABOUT_CSV: &str = "CSV has all rows as of one instant (RFC 4180, UTF-8, CRLF), with the names of the JSON in the first \
    row. A cell that begins with `=`, `+`, `-`, `@`, a tab, CR or NUL gets a leading `'`, so that no spreadsheet runs it as a \
    formula. Each export leaves an entry in the admin log. An instance makes two exports at a time and refuses a third with \
    `overloaded`. If an export fails after its answer began, its key is deleted or its session ends meanwhile, or the client takes \
    longer than 15 minutes, the connection is closed before the end of the body.";

impl Output for CsvList {
    fn describe(operation: &mut Operation) {
        operation.paragraph(ABOUT_CSV);
        operation.codes(&[Code::Overloaded]);
        operation.answers_as(200, operation.returns, vec![content(operation)]);
    }
}

impl<T: JsonSchema + Sample> Output for PageOrCsv<T> {
    fn describe(operation: &mut Operation) {
        operation.paragraph(ABOUT_CSV);
        operation.codes(&[Code::Overloaded]);
        let json = Content::new::<Vec<T>>("application/json", json!([T::sample()]));
        operation.answers_as(200, operation.returns, vec![json, content(operation)]);
    }
}

/// The description of the list as CSV.
fn content(operation: &Operation) -> Content {
    let is_of_lecture = operation.route.path.contains("/lectures/");
    export::content(if is_of_lecture { EXAMPLE_OF_APPLICANTS } else { EXAMPLE })
}

/// List the attendees of a performance, by seat
///
/// The sold seats that are not refunded, with their owners: as JSON in pages, or all of them as CSV with `Accept: text/csv` (or by
/// the path that ends with `.csv`). `limit` and `cursor` are for JSON, `bom` is for CSV.
#[operation(tag = Administration, returns = "The attendees", codes(PerformanceNotFound))]
pub(crate) async fn list_attendees(
    State(app): State<App>,
    staff: Staff<ReadAttendees>,
    path: Path<PerformanceId>,
    mut query: Query<Paged<u32, CsvQuery>>,
    form: ListForm,
) -> Result<PageOrCsv<AttendeeShown>, Problem> {
    let Paged { filter, rows } = query.read()?;
    let performance = find(&app, &path).await?;
    if form.is_csv {
        return export(&app, &staff, Export::Attendees(performance), &filter, &form).await.map(PageOrCsv::Csv);
    }
    let attendees = app.read(app.reader.attendees(performance, rows)).await?;
    let page = Listed::page(&query, attendees, |attendee| attendee.seat.to_string(), AttendeeShown::of);
    Ok(PageOrCsv::Page(page))
}

/// Export the attendees of a performance as CSV
///
/// As the list of attendees with `Accept: text/csv`, for links.
#[operation(tag = Administration, returns = "All attendees, by seat", codes(PerformanceNotFound))]
pub(crate) async fn export_attendees(
    State(app): State<App>,
    staff: Staff<ReadAttendees>,
    path: Path<PerformanceId>,
    mut query: Query<CsvQuery>,
    form: ListForm,
) -> Result<CsvList, Problem> {
    let asked = query.read()?;
    let performance = find(&app, &path).await?;
    export(&app, &staff, Export::Attendees(performance), &asked, &form).await
}

/// Export the applicants of a lecture as CSV
///
/// As the list of applicants with `Accept: text/csv`, for links.
#[operation(tag = Administration, returns = "All applicants, by seat number", codes(LectureNotFound))]
pub(crate) async fn export_applicants(
    State(app): State<App>,
    staff: Staff<ReadSale>,
    path: Path<LectureId>,
    mut query: Query<CsvQuery>,
    form: ListForm,
) -> Result<CsvList, Problem> {
    let asked = query.read()?;
    let lecture = path.id()?;
    let first = Page { after: None, limit: 1 };
    let known = app.read(app.reader.lecture_history(lecture, first)).await?;
    known.ok_or_else(|| Problem::new(Code::LectureNotFound))?;
    export(&app, &staff, Export::Applicants(lecture), &asked, &form).await
}

/// # Errors
/// `performance-not-found`, or `unavailable`.
async fn find(app: &App, path: &Path<PerformanceId>) -> Result<PerformanceId, Problem> {
    let performance = path.id()?;
    app.read(app.catalogue.know(&[], &[performance])).await?;
    app.catalogue.showing(performance).ok_or_else(|| Problem::new(Code::PerformanceNotFound))?;
    Ok(performance)
}

/// Answers with a whole list. The entry of the admin log is saved once the temporary file is there, before the first row is read.
pub(super) async fn export<N>(
    app: &App,
    staff: &Staff<N>,
    list: Export,
    asked: &CsvQuery,
    form: &ListForm,
) -> Result<CsvList, Problem> {
    let file_name = match list {
        Export::Attendees(performance) => format!("attendees-{performance}.csv"),
        Export::Applicants(lecture) => format!("applicants-{lecture}.csv"),
    };
    if form.is_head {
        return Ok(CsvList(export::head(&file_name)));
    }
    let ready = app.exports.ready(list, asked.bom()).await?;
    app.decide(ByStaff { call: staff.call(), command: NoteExport(list) }, None, |()| NoContent).await?;
    let answer = app.exports.answer(ready, Wanted { file_name, version: form.version }).await?;
    Ok(CsvList(answer.map(|body| staff.lasting().guard(app, body))))
}
