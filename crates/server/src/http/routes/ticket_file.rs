//! Tickets to show at the door: the QR code as a picture, and a page to keep.

use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use onsale_app::store::{ShownTicket, TicketStatus};
use onsale_domain::payment::Payment;
use onsale_macros::operation;
use serde_json::json;

use super::ticket::TicketPath;
use crate::http::App;
use crate::http::input::Query;
use crate::http::input::callers::Caller;
use crate::http::openapi::{Content, Operation, Output};
use crate::http::reply::problem::{Code, Problem};
use crate::ticket::{Paper, QrCode};

const SVG: &str = "image/svg+xml";
const PDF: &str = "application/pdf";

/// The ticket in a path with its payment and its code, unless it is void.
///
/// # Errors
/// In this order: `payment-not-found`, `not-your-account`, `ticket-not-found`, `ticket-void`.
async fn find(app: &App, caller: Caller, path: &TicketPath) -> Result<(Payment, ShownTicket, String), Problem> {
    let (id, ticket) = path.ids()?;
    // All within the time of one read.
    let all = async {
        let payment = app.reader.payment(id).await?;
        Ok((payment, app.reader.tickets_of(&[id]).await?, app.reader.ticket_keys().await?))
    };
    let (payment, tickets, keys) = app.read(all).await?;
    let payment = payment.ok_or_else(|| Problem::new(Code::PaymentNotFound))?;
    caller.acting_for(payment.user.clone())?;
    let tickets = tickets.first().cloned().unwrap_or_default().list(&payment);
    let found = tickets.into_iter().find(|own| own.id == ticket);
    let found = found.ok_or_else(|| Problem::new(Code::TicketNotFound))?;
    if found.status == TicketStatus::Void {
        return Err(Problem::new(Code::TicketVoid));
    }
    let code = app.tickets.code(&keys, payment.performance, &found);
    Ok((payment, found, code))
}

/// 200 with the picture of a QR code.
pub(crate) struct Picture(String);

impl IntoResponse for Picture {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, HeaderValue::from_static(SVG))], self.0).into_response()
    }
}

impl Output for Picture {
    fn describe(operation: &mut Operation) {
        let example =
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"40mm\" height=\"40mm\" viewBox=\"0 0 57 57\">…</svg>";
        let picture = Content::new::<String>(SVG, json!(example));
        operation.answers_as(200, operation.returns, vec![picture]);
    }
}

/// Get the QR code of a ticket as a picture
///
/// SVG with error correction M and the light border of four modules that scanners need, 40 mm wide unless a page sets another width.
/// Show it at 25 mm or larger. It contains the `code` of the ticket and nothing else. A void ticket has no picture.
#[operation(tag = Tickets, returns = "The picture", codes(PaymentNotFound, TicketNotFound, TicketVoid))]
pub(crate) async fn get_ticket_picture(
    State(app): State<App>,
    caller: Caller,
    path: TicketPath,
    mut query: Query,
) -> Result<Picture, Problem> {
    query.read()?;
    let (_, _, code) = find(&app, caller, &path).await?;
    let qr = QrCode::of(&code).ok_or_else(|| Problem::new(Code::Internal))?;
    Ok(Picture(qr.svg()))
}

/// 200 with a document to keep.
pub(crate) struct Document {
    bytes: Vec<u8>,
    seat: u32,
}

impl IntoResponse for Document {
    fn into_response(self) -> Response {
        let name = HeaderValue::try_from(format!("attachment; filename=\"ticket-seat-{}.pdf\"", self.seat));
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PDF));
        headers.insert(CONTENT_DISPOSITION, name.unwrap_or(HeaderValue::from_static("attachment")));
        (headers, self.bytes).into_response()
    }
}

impl Output for Document {
    fn describe(operation: &mut Operation) {
        let document = Content::new::<String>(PDF, json!("%PDF-1.7 …"));
        operation.answers_as(200, operation.returns, vec![document]);
        operation.headers.push(("Content-Disposition", "`attachment` with the name of a file"));
    }
}

/// Get a ticket to keep, as PDF
///
/// One page of A5: the concert, the venue, the start, the section and row if the performance has a layout, the seat, the id of the
/// ticket, and its QR code, 50 mm wide. The document contains its font, with Hangul. Nothing on it names the buyer. The same ticket
/// gives the same bytes until the concert or the start is changed. A void ticket has no document.
#[operation(
    tag = Tickets,
    returns = "The document",
    codes(PaymentNotFound, TicketNotFound, TicketVoid, PerformanceNotFound)
)]
pub(crate) async fn get_ticket_document(
    State(app): State<App>,
    caller: Caller,
    path: TicketPath,
    mut query: Query,
) -> Result<Document, Problem> {
    query.read()?;
    let (payment, ticket, code) = find(&app, caller, &path).await?;
    // Another instance may have just added the performance.
    app.read(app.catalogue.know(&[], &[payment.performance])).await?;
    let showing = app.catalogue.showing(payment.performance);
    let showing = showing.ok_or_else(|| Problem::new(Code::PerformanceNotFound))?;
    app.read(app.catalogue.know(&[showing.concert], &[])).await?;
    let programme = app.catalogue.programme(showing.concert);
    let programme = programme.ok_or_else(|| Problem::new(Code::PerformanceNotFound))?;
    let starts_at = app.calendar.local_time(showing.starts_at);
    let mut facts = vec![("일시 · Starts", format!("{starts_at} ({})", app.calendar.zone_name()))];
    if let Some((section, row)) = showing.layout.as_ref().and_then(|layout| layout.place_of(ticket.seat)) {
        facts.push(("구역 · Section", section.name.to_string()));
        facts.push(("열 · Row", row.name.to_string()));
    }
    facts.push(("좌석 · Seat", ticket.seat.to_string()));
    if let Some(section) = showing.seating.section_of(ticket.seat) {
        facts.push(("등급 · Grade", section.grade.to_string()));
    }
    let seat = ticket.seat;
    let (concert, id) = (programme.concert.clone(), ticket.id.to_string());
    // Fonts and compression take some milliseconds of a processor: other requests do not wait for them.
    let written = tokio::task::spawn_blocking(move || {
        let qr = QrCode::of(&code)?;
        Paper { title: &concert.title, venue: &concert.venue, facts, id, qr }.pdf()
    });
    let bytes = written.await.ok().flatten().ok_or_else(|| Problem::new(Code::Internal))?;
    Ok(Document { bytes, seat })
}
