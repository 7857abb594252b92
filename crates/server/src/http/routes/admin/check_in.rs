//! Check-ins of a performance, as staff see them.

use axum::extract::State;
use onsale_app::store::{Conflict, ConflictKind, Page};
use onsale_domain::ids::{CheckInId, PerformanceId, TicketId};
use onsale_domain::ticket::{CheckIn, Standing};
use onsale_macros::operation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::App;
use crate::http::input::staff::{ReadAttendees, Staff};
use crate::http::input::{Paged, Parameters, Path, Query};
use crate::http::openapi::sample::{self, Sample};
use crate::http::reply::Listed;
use crate::http::reply::problem::{Code, Problem};
use crate::http::routes::check_in::{CheckInShown, code_of};
use crate::http::values::{Id, Instant, Switch};

/// Whether a scan counts.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum StandingShown {
    /// It is the check-in of its ticket.
    Counts,
    /// An earlier scan of the same ticket came later, and counts.
    Superseded,
    /// A member of the staff has undone it.
    Undone,
    /// It was not admitted.
    Refused,
}

/// A scan with what became of it.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ScanShown {
    #[serde(flatten)]
    check_in: CheckInShown,
    status: StandingShown,
    /// Why it was refused; null if it was admitted.
    code: Option<String>,
    /// When it was undone.
    undone_at: Option<Instant>,
    /// Name of the key of the member of the staff who scanned.
    by: String,
}

impl ScanShown {
    fn of(scan: &CheckIn) -> Self {
        Self {
            check_in: CheckInShown::of(scan),
            status: match scan.standing {
                Standing::Counts => StandingShown::Counts,
                Standing::Superseded => StandingShown::Superseded,
                Standing::Undone => StandingShown::Undone,
                Standing::Refused => StandingShown::Refused,
            },
            code: code_of(&scan.answer).map(|code| code.as_str().to_owned()),
            undone_at: scan.undone_at.map(Instant),
            by: scan.made_by.to_string(),
        }
    }

    fn sample() -> Value {
        let mut scan = CheckInShown::sample();
        scan["status"] = json!("COUNTS");
        scan["code"] = json!(null);
        scan["undoneAt"] = json!(null);
        scan["by"] = json!("gate");
        scan
    }
}

/// Scans of one ticket that contradict each other.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConflictShown {
    ticket_id: Id<TicketId>,
    seat: u32,
    /// `twice`: the ticket was scanned again. `void`: it was void. `same-seat`: it was void or was refunded after its check-in, and
    /// another ticket of its seat was checked in.
    #[schemars(extend("enum" = ["twice", "void", "same-seat"]))]
    kind: &'static str,
    /// By the time that counts.
    scans: Vec<ScanShown>,
}

impl ConflictShown {
    fn of(conflict: &Conflict) -> Self {
        Self {
            ticket_id: Id(conflict.ticket),
            seat: conflict.seat,
            kind: match conflict.kind {
                ConflictKind::Twice => "twice",
                ConflictKind::Void => "void",
                ConflictKind::SameSeat => "same-seat",
            },
            scans: conflict.scans.iter().map(ScanShown::of).collect(),
        }
    }
}

/// A scan, or a conflict with `conflict=true`.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum ScanOrConflict {
    /// Without `conflict=true`.
    Scan(ScanShown),
    /// With `conflict=true`.
    Conflict(ConflictShown),
}

impl Sample for ScanOrConflict {
    fn sample() -> Value {
        json!({"ticketId": sample::TICKET, "seat": 7, "kind": "twice", "scans": [ScanShown::sample()]})
    }
}

/// Which scans to list.
#[derive(Parameters)]
pub(crate) struct ScansFilter {
    /// `true`: only scans that contradict each other, by ticket
    conflict: Option<Switch>,
}

/// List the scans of a performance
///
/// Newest first, those that were refused too. With `conflict=true`: tickets whose scans contradict each other, with these scans.
#[operation(tag = Administration, returns = "The scans, or the conflicts", codes(PerformanceNotFound))]
pub(crate) async fn list_check_ins(
    State(app): State<App>,
    _: Staff<ReadAttendees>,
    path: Path<PerformanceId>,
    mut query: Query<Paged<CheckInId, ScansFilter>>,
) -> Result<Listed<ScanOrConflict>, Problem> {
    let Paged { filter: ScansFilter { conflict }, rows } = query.read()?;
    let performance = path.id()?;
    app.read(app.catalogue.know(&[], &[performance])).await?;
    app.catalogue.showing(performance).ok_or_else(|| Problem::new(Code::PerformanceNotFound))?;
    if matches!(conflict, Some(Switch(true))) {
        // The cursor is the id of a ticket here.
        let page = Page { after: rows.after.map(|id| TicketId::new(id.uuid())), limit: rows.limit };
        let conflicts = app.read(app.reader.conflicts(performance, page)).await?;
        let show = |conflict: &Conflict| ScanOrConflict::Conflict(ConflictShown::of(conflict));
        return Ok(Listed::page(&query, conflicts, |conflict| conflict.ticket.to_string(), show));
    }
    let scans = app.read(app.reader.check_ins(performance, rows)).await?;
    Ok(Listed::page(&query, scans, |scan| scan.id.to_string(), |scan| ScanOrConflict::Scan(ScanShown::of(scan))))
}
