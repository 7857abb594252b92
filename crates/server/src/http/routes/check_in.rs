//! Check-ins at the door.

use std::borrow::Cow;

use axum::extract::State;
use onsale_domain::ids::{CheckInId, PerformanceId, TicketId};
use onsale_domain::ticket::{Answer, CHECKED_IN_TOGETHER_MAX, CheckIn, Scan, Scans, Shown, Undo, seat_of};
use onsale_domain::{Refusal, staff};
use onsale_macros::operation;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::App;
use crate::http::input::staff::{CheckIn as MayCheckIn, Staff};
use crate::http::input::{Body, Fields, Path, Payload};
use crate::http::openapi::sample::{self, Sample};
use crate::http::openapi::{Operation, Output};
use crate::http::reply::problem::{Code, Problem};
use crate::http::reply::{Created, Decided, NoContent, OkJson, Success, to_json};
use crate::http::values::{Id, Instant, Label};
use crate::ticket::TicketCodec;

/// A scan at the door.
#[derive(Body, JsonSchema)]
#[schemars(rename = "Scan")]
#[serde(rename_all = "camelCase")]
pub(crate) struct ScanFields {
    performance_id: Id<PerformanceId>,
    /// What the QR code contains, or `ticketId`.
    code: Option<String>,
    /// The id of the ticket, typed in by hand. With a code, the code must be of this ticket.
    ticket_id: Option<Id<TicketId>>,
    /// The name of the device.
    device: Label,
    /// Chosen by the device, for each scan another one. A second request with it gets the answer of the first, for good.
    scan_id: Label,
    /// The time of the scan, by the clock of the device.
    scanned_at: Instant,
    /// The time at which the device sends this, by its clock. The difference to the time here corrects `scannedAt`.
    device_now: Instant,
}

/// A scan that names one thing.
pub(crate) struct ScanBody(ScanFields);

impl JsonSchema for ScanBody {
    fn schema_name() -> Cow<'static, str> {
        ScanFields::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        ScanFields::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        ScanFields::json_schema(generator)
    }
}

impl Body for ScanBody {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        if !fields.has("code") && !fields.has("ticketId") {
            fields.wrong("code", "is required, or ticketId".to_owned());
        }
        ScanFields::read(fields).map(Self)
    }
}

impl Sample for ScanBody {
    fn sample() -> Value {
        json!({
            "performanceId": sample::PERFORMANCE, "code": sample::CODE, "device": "gate-2", "scanId": "gate-2-000017",
            "scannedAt": "2026-12-19T09:31:07.120Z", "deviceNow": "2026-12-19T09:31:07.480Z"
        })
    }
}

impl ScanBody {
    fn command(self, actor: staff::Actor, tickets: &TicketCodec) -> Scan {
        let ScanFields { performance_id, code, ticket_id, device, scan_id, scanned_at, device_now } = self.0;
        let typed = ticket_id.map(|Id(ticket)| ticket);
        let of_code = |code: String| match tickets.read(&code) {
            // The seat in the id is the one in the code: nothing else was ever signed.
            Some(read) if seat_of(read.ticket) == read.seat && typed.is_none_or(|typed| typed == read.ticket) => {
                Shown::Code { ticket: read.ticket, performance: read.performance }
            }
            _ => Shown::Unreadable,
        };
        let of_id = || typed.map_or(Shown::Unreadable, Shown::Id);
        Scan {
            actor,
            performance: performance_id.0,
            shown: code.map_or_else(of_id, of_code),
            device: device.0.into(),
            id: scan_id.0.into(),
            scanned_at: scanned_at.0,
            device_now: device_now.0,
        }
    }
}

/// A scan that was admitted.
#[derive(Clone, Serialize, JsonSchema)]
#[schemars(rename = "CheckIn")]
#[serde(rename_all = "camelCase")]
pub(crate) struct CheckInShown {
    check_in_id: Id<CheckInId>,
    performance_id: Id<PerformanceId>,
    ticket_id: Option<Id<TicketId>>,
    seat: Option<u32>,
    device: String,
    scan_id: String,
    /// The time that counts: `scannedAt` corrected by the clock of the device, or the time received.
    checked_in_at: Instant,
    received_at: Instant,
    /// Whether the clock of the device cannot be right: then the time received counts.
    clock_doubtful: bool,
}

impl CheckInShown {
    pub(crate) fn of(scan: &CheckIn) -> Self {
        Self {
            check_in_id: Id(scan.id),
            performance_id: Id(scan.performance),
            ticket_id: scan.ticket.map(Id),
            seat: scan.seat,
            device: scan.device.to_string(),
            scan_id: scan.scan.to_string(),
            checked_in_at: Instant(scan.at),
            received_at: Instant(scan.received_at),
            clock_doubtful: scan.clock_doubtful,
        }
    }
}

impl Sample for CheckInShown {
    fn sample() -> Value {
        json!({
            "checkInId": sample::CHECK_IN, "performanceId": sample::PERFORMANCE, "ticketId": sample::TICKET, "seat": 7,
            "device": "gate-2", "scanId": "gate-2-000017", "checkedInAt": "2026-12-19T09:31:07.155Z",
            "receivedAt": "2026-12-19T09:31:07.515Z", "clockDoubtful": false
        })
    }
}

/// The code of a refused scan; `None` if it was admitted.
pub(crate) fn code_of(answer: &Answer) -> Option<Code> {
    match answer {
        Answer::Admitted => None,
        Answer::Invalid => Some(Code::TicketInvalid),
        Answer::OtherPerformance => Some(Code::TicketOtherPerformance),
        Answer::Void => Some(Code::TicketVoid),
        Answer::AlreadyCheckedIn { .. } => Some(Code::AlreadyCheckedIn),
    }
}

/// The answer to a scan: 201, or the problem that refuses it. The scan is kept in either case.
pub(crate) struct ScanAnswer(Result<CheckInShown, Problem>);

impl ScanAnswer {
    fn of(scan: &CheckIn) -> Self {
        Self(match (code_of(&scan.answer), &scan.answer) {
            (None, _) => Ok(CheckInShown::of(scan)),
            (Some(code), Answer::AlreadyCheckedIn { at, device }) => {
                Err(Problem::new(code).checked_in(*at, device.clone()))
            }
            (Some(code), _) => Err(Problem::new(code)),
        })
    }
}

impl Success for ScanAnswer {
    fn status(&self) -> axum::http::StatusCode {
        self.0.as_ref().map_or_else(Problem::status, |_| axum::http::StatusCode::CREATED)
    }

    fn body(&self) -> Vec<u8> {
        self.0.as_ref().map_or_else(Problem::to_json, to_json)
    }
}

impl Output for ScanAnswer {
    fn describe(operation: &mut Operation) {
        Created::<CheckInShown>::describe(operation);
    }
}

/// Check a ticket in
///
/// The time that counts is `scannedAt`, corrected by the difference of `deviceNow` to the time here. If that is in the future, or more
/// than a day before the start, the time received counts and `clockDoubtful` is true. Judged in this order: something that is no
/// ticket; a ticket of another performance; a void one; one that was checked in at the same time or earlier (`checkedInAt` and
/// `device` name that scan). If an earlier scan of a ticket arrives later, it is admitted and supersedes the one before. Scans that
/// were refused are kept too. A scan is saved durably before it is answered.
#[operation(
    tag = Tickets,
    returns = "The visitor may enter",
    codes(PerformanceNotFound, TicketInvalid, TicketOtherPerformance, TicketVoid, AlreadyCheckedIn)
)]
pub(crate) async fn create_check_in(
    State(app): State<App>,
    staff: Staff<MayCheckIn>,
    payload: Payload<ScanBody>,
) -> Result<Decided<ScanAnswer>, Problem> {
    let scan = payload.read()?.command(staff.call().actor, &app.tickets);
    let key = payload.key_of(|| staff.owner());
    app.decide(scan, key, ScanAnswer::of).await
}

/// The largest body with several scans, in bytes. A larger one is refused with `body-too-large`.
const BATCH_BODY_MAX: usize = 1024 * 1024;

/// Scans of a device that had no network.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BatchBody {
    /// In the order of the scans.
    #[schemars(length(min = 1, max = CHECKED_IN_TOGETHER_MAX))]
    check_ins: Vec<ScanBody>,
}

impl Body for BatchBody {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        if !fields.has("checkIns") {
            fields.wrong("checkIns", "is required".to_owned());
        }
        // A scan that is wrong is noted and comes as `None`.
        let check_ins = fields.objects("checkIns", ScanBody::read)?.into_iter().collect::<Option<Vec<_>>>()?;
        if check_ins.is_empty() {
            fields.wrong("checkIns", "must have a scan".to_owned());
            return None;
        }
        Some(Self { check_ins })
    }
}

impl Sample for BatchBody {
    fn sample() -> Value {
        json!({"checkIns": [ScanBody::sample()]})
    }
}

/// The answer to one scan of several.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BatchAnswer {
    scan_id: String,
    /// The status that the scan alone would be answered with.
    #[schemars(range(min = 201, max = 422))]
    status: u16,
    /// The check-in, if the scan was admitted.
    check_in: Option<CheckInShown>,
    /// The code of the problem, if the scan was refused.
    code: Option<String>,
    /// With `already-checked-in`: the time of the scan that counts.
    checked_in_at: Option<Instant>,
    /// With `already-checked-in`: the device of that scan.
    device: Option<String>,
}

impl BatchAnswer {
    fn of(scan_id: &str, decided: &Result<CheckIn, Refusal>) -> Self {
        let refused = |code: Code| Self {
            scan_id: scan_id.to_owned(),
            status: code.status().as_u16(),
            check_in: None,
            code: Some(code.as_str().to_owned()),
            checked_in_at: None,
            device: None,
        };
        let scan = match decided {
            Ok(scan) => scan,
            Err(refusal) => return refused(Code::from(refusal)),
        };
        match (code_of(&scan.answer), &scan.answer) {
            (Some(code), Answer::AlreadyCheckedIn { at, device }) => {
                Self { checked_in_at: Some(Instant(*at)), device: Some(device.to_string()), ..refused(code) }
            }
            (Some(code), _) => refused(code),
            (None, _) => Self {
                scan_id: scan_id.to_owned(),
                status: 201,
                check_in: Some(CheckInShown::of(scan)),
                code: None,
                checked_in_at: None,
                device: None,
            },
        }
    }
}

impl Sample for BatchAnswer {
    fn sample() -> Value {
        json!({
            "scanId": "gate-2-000017", "status": 201, "checkIn": CheckInShown::sample(), "code": null,
            "checkedInAt": null, "device": null
        })
    }
}

/// Check up to 1,000 tickets in
///
/// In the order of the request, each as if it came alone, and all saved together. The answers are in the same order. The body may
/// have 1 MiB.
#[operation(tag = Tickets, returns = "The answer to each scan")]
pub(crate) async fn create_check_ins(
    State(app): State<App>,
    staff: Staff<MayCheckIn>,
    payload: Payload<BatchBody, BATCH_BODY_MAX>,
) -> Result<Decided<OkJson<Vec<BatchAnswer>>>, Problem> {
    let BatchBody { check_ins } = payload.read()?;
    let actor = staff.call().actor;
    let key = payload.key_of(|| staff.owner());
    let verifier = app.clone();
    // A thousand signatures take some 50 ms of a processor: other requests do not wait for them.
    let verified = tokio::task::spawn_blocking(move || {
        let command = |scan: ScanBody| scan.command(actor.clone(), &verifier.tickets);
        check_ins.into_iter().map(command).collect::<Vec<Scan>>()
    });
    let scans = verified.await.map_err(|_| Problem::new(Code::Internal))?;
    let ids: Vec<String> = scans.iter().map(|scan| scan.id.to_string()).collect();
    app.decide(Scans(scans), key, move |decided| {
        OkJson(ids.iter().zip(decided).map(|(id, decided)| BatchAnswer::of(id, decided)).collect::<Vec<_>>())
    })
    .await
}

/// Undo a check-in
///
/// The ticket can be checked in again. Of a check-in that does not count any more nothing is changed. The admin log has an entry.
#[operation(tag = Tickets, returns = "The check-in does not count", codes(CheckInNotFound))]
pub(crate) async fn undo_check_in(
    State(app): State<App>,
    staff: Staff<MayCheckIn>,
    path: Path<CheckInId>,
    payload: Payload<()>,
) -> Result<Decided<NoContent>, Problem> {
    let id = path.id()?;
    payload.arrived()?;
    let found = app.read(app.reader.check_in(id)).await?;
    let performance = found.ok_or_else(|| Problem::new(Code::CheckInNotFound))?.performance;
    app.decide_by_staff(&staff, Undo { check_in: id, performance }, &payload, |_| NoContent).await
}
