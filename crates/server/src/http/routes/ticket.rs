//! Tickets: each paid seat is one.

use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use onsale_app::store::{Page, ShownTicket, SigningKey, TicketStatus, TicketsOf};
use onsale_domain::ids::{PaymentId, PerformanceId, TicketId};
use onsale_domain::payment::Payment;
use onsale_domain::ticket::Reissue;
use onsale_macros::operation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::refund::find;
use crate::http::App;
use crate::http::input::callers::{Caller, PathUser};
use crate::http::input::{Paged, Path, PathArgs, Payload, Query};
use crate::http::openapi::sample::{self, Sample};
use crate::http::openapi::{Input, Operation};
use crate::http::reply::problem::{Code, Problem};
use crate::http::reply::{Created, Decided, Listed, OkJson};
use crate::http::values::{Id, Instant};
use crate::ticket::PublicKey;

/// Whether a ticket opens the door.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum StatusShown {
    /// It opens the door once.
    Valid,
    /// Its seat was refunded, its performance was cancelled, or it was reissued.
    Void,
    /// It has opened the door.
    CheckedIn,
}

/// A ticket of a paid seat.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Ticket")]
#[serde(rename_all = "camelCase")]
pub(crate) struct TicketShown {
    ticket_id: Id<TicketId>,
    seat: u32,
    status: StatusShown,
    /// What the QR code of the ticket contains. Always the same text for one ticket, whatever its status is. It holds nothing about
    /// the buyer.
    code: String,
}

impl TicketShown {
    fn of(app: &App, keys: &[SigningKey], performance: PerformanceId, ticket: &ShownTicket) -> Self {
        Self {
            ticket_id: Id(ticket.id),
            seat: ticket.seat,
            status: match ticket.status {
                TicketStatus::Valid => StatusShown::Valid,
                TicketStatus::Void => StatusShown::Void,
                TicketStatus::CheckedIn => StatusShown::CheckedIn,
            },
            code: app.tickets.code(keys, performance, ticket),
        }
    }
}

impl Sample for TicketShown {
    fn sample() -> Value {
        json!({"ticketId": sample::TICKET, "seat": 7, "status": "VALID", "code": sample::CODE})
    }
}

/// A ticket of a user.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserTicket {
    #[serde(flatten)]
    ticket: TicketShown,
    payment_id: Id<PaymentId>,
    performance_id: Id<PerformanceId>,
    /// Null if the performance is not known here yet.
    starts_at: Option<Instant>,
}

impl Sample for UserTicket {
    fn sample() -> Value {
        let mut ticket = TicketShown::sample();
        ticket["paymentId"] = json!(sample::PAYMENT);
        ticket["performanceId"] = json!(sample::PERFORMANCE);
        ticket["startsAt"] = json!("2026-12-19T10:00:00.000Z");
        ticket
    }
}

/// List the tickets of a payment
///
/// In the order of the seats of the payment. Of a seat whose ticket was reissued, the new ticket comes first, and the ones before it
/// follow as `VOID`. Without `ONSALE_AUTH=jwt` the id of the payment, which cannot be guessed, is the key to it.
#[operation(tag = Tickets, returns = "The tickets", codes(PaymentNotFound))]
pub(crate) async fn list_payment_tickets(
    State(app): State<App>,
    caller: Caller,
    path: Path<PaymentId>,
    mut query: Query,
) -> Result<OkJson<Vec<TicketShown>>, Problem> {
    query.read()?;
    let id = path.id()?;
    // All within the time of one read.
    let all = async {
        let payment = app.reader.payment(id).await?;
        Ok((payment, app.reader.tickets_of(&[id]).await?, app.reader.ticket_keys().await?))
    };
    let (payment, tickets, keys) = app.read(all).await?;
    let payment = payment.ok_or_else(|| Problem::new(Code::PaymentNotFound))?;
    caller.acting_for(payment.user.clone())?;
    let tickets = tickets.first().cloned().unwrap_or_default().list(&payment);
    let show = |ticket: &ShownTicket| TicketShown::of(&app, &keys, payment.performance, ticket);
    Ok(OkJson(tickets.iter().map(show).collect()))
}

/// The payment and the ticket in a path.
pub(crate) struct TicketPath(PathArgs);

impl axum::extract::FromRequestParts<App> for TicketPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, app: &App) -> Result<Self, Problem> {
        PathArgs::from_request_parts(parts, app).await.map(Self)
    }
}

impl TicketPath {
    /// # Errors
    /// `invalid-request` if one of them is no UUID.
    pub(super) fn ids(&self) -> Result<(PaymentId, TicketId), Problem> {
        let Id(payment) = self.0.parse("paymentId")?;
        let Id(ticket) = self.0.parse("ticketId")?;
        Ok((payment, ticket))
    }
}

impl Input for TicketPath {
    fn describe(operation: &mut Operation) {
        operation.path::<Id<PaymentId>>("paymentId", "The payment");
        operation.path::<Id<TicketId>>("ticketId", "The ticket");
    }
}

/// Replace a ticket by a new one
///
/// For a ticket that was lost, or that another person may have seen. The old one is void from now on. Send no body. Judged in this order:
/// unknown payment; unknown ticket; a ticket that is void; one that was checked in; a seat whose tickets were replaced 100 times.
#[operation(
    tag = Tickets,
    returns = "The new ticket",
    codes(PaymentNotFound, TicketNotFound, TicketVoid, AlreadyCheckedIn, ReissueLimit)
)]
pub(crate) async fn reissue_ticket(
    State(app): State<App>,
    caller: Caller,
    path: TicketPath,
    payload: Payload<()>,
) -> Result<Decided<Created<TicketShown>>, Problem> {
    let (id, ticket) = path.ids()?;
    payload.arrived()?;
    let payment = find(&app, id).await?;
    let user = caller.acting_for(payment.user.clone())?;
    let keys = app.read(app.reader.ticket_keys()).await?;
    let Payment { reservation, performance, .. } = payment;
    let key = payload.key(&user);
    let command = Reissue { payment: id, reservation, performance, user, ticket };
    let shower = app.clone();
    app.decide(command, key, move |new| {
        let ticket = ShownTicket { id: new.ticket, seat: new.seat, status: TicketStatus::Valid, issued_at: new.at };
        Created(TicketShown::of(&shower, &keys, new.performance, &ticket))
    })
    .await
}

/// The last ticket of a page: its payment, and its index among the tickets of the payment.
pub(crate) struct TicketCursor(PaymentId, usize);

impl crate::http::input::Cursor for TicketCursor {
    fn parse(text: &str) -> Option<Self> {
        let (payment, index) = text.split_once(' ')?;
        Some(Self(PaymentId::parse(payment)?, index.parse().ok()?))
    }
}

/// List a user's tickets, newest payment first
#[operation(tag = Tickets, returns = "The tickets")]
pub(crate) async fn list_user_tickets(
    State(app): State<App>,
    PathUser(user): PathUser,
    mut query: Query<Paged<TicketCursor>>,
) -> Result<Listed<UserTicket>, Problem> {
    let Paged { rows: Page { after, limit }, .. } = query.read()?;
    let all = async {
        // Each payment has a ticket at least. The payment of the cursor may have further ones.
        let mut payments: Vec<Payment> = match &after {
            Some(TicketCursor(payment, _)) => app.reader.payment(*payment).await?.into_iter().collect(),
            None => Vec::new(),
        };
        payments.retain(|payment| payment.user == user);
        let page = Page { after: after.as_ref().map(|TicketCursor(payment, _)| *payment), limit };
        payments.extend(app.reader.payments_of(&user, page).await?);
        let ids: Vec<PaymentId> = payments.iter().map(|payment| payment.id).collect();
        let tickets = app.reader.tickets_of(&ids).await?;
        Ok((payments, tickets, app.reader.ticket_keys().await?))
    };
    let (payments, tickets, keys) = app.read(all).await?;
    let performances: Vec<PerformanceId> = payments.iter().map(|payment| payment.performance).collect();
    app.read(app.catalogue.know(&[], &performances)).await?;
    let mut found = Vec::new();
    for (payment, differs) in payments.iter().zip(&tickets) {
        for (index, ticket) in TicketsOf::list(differs, payment).into_iter().enumerate() {
            let is_before = |TicketCursor(last, at): &TicketCursor| *last == payment.id && index <= *at;
            if !after.as_ref().is_some_and(is_before) {
                found.push((payment, index, ticket));
            }
        }
    }
    found.truncate(limit);
    let cursor = |(payment, index, _): &(&Payment, usize, ShownTicket)| format!("{} {index}", payment.id);
    let show = |(payment, _, ticket): &(&Payment, usize, ShownTicket)| UserTicket {
        ticket: TicketShown::of(&app, &keys, payment.performance, ticket),
        payment_id: Id(payment.id),
        performance_id: Id(payment.performance),
        starts_at: app.catalogue.showing(payment.performance).map(|showing| Instant(showing.starts_at)),
    };
    Ok(Listed::page(&query, found, cursor, show))
}

/// A key that verifies codes of tickets.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TicketKey")]
#[serde(rename_all = "camelCase")]
pub(crate) struct TicketKeyShown {
    /// 8 hexadecimal digits: the 4 bytes after the first one of a code.
    key_id: String,
    /// The public half: 32 bytes in base64url, without padding (Ed25519, RFC 8032).
    public_key: String,
    created_at: Instant,
    /// Since when another key signs new tickets; null while it signs them, or before. Codes that it signed stay valid.
    retired_at: Option<Instant>,
}

impl TicketKeyShown {
    pub(crate) fn of(key: &PublicKey) -> Self {
        Self {
            key_id: key.id.iter().map(|byte| format!("{byte:02x}")).collect(),
            public_key: URL_SAFE_NO_PAD.encode(key.public),
            created_at: Instant(key.created_at),
            retired_at: key.retired_at.map(Instant),
        }
    }
}

impl Sample for TicketKeyShown {
    fn sample() -> Value {
        json!({
            "keyId": "3f9a1c07", "publicKey": "6kpsY-KcUgq-9VB7Ey7F-ZVHdq66-vnuSQh7qaRRG0w",
            "createdAt": "2026-11-22T11:12:13.456Z", "retiredAt": null
        })
    }
}

/// List the keys that verify tickets
///
/// The one that signs new tickets comes first. With a key a client can verify a code without a network.
#[operation(tag = Tickets, returns = "The keys")]
pub(crate) async fn list_ticket_keys(
    State(app): State<App>,
    mut query: Query,
) -> Result<OkJson<Vec<TicketKeyShown>>, Problem> {
    query.read()?;
    let known = app.read(app.reader.ticket_keys()).await?;
    Ok(OkJson(app.tickets.listed(&known).iter().map(TicketKeyShown::of).collect()))
}
