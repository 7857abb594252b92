//! What an administrator changes while a sale runs: extensions of holds, closed sales and notices. The same fact is kept in
//! several rows and in an event, and all of them agree.

use std::collections::BTreeMap;

use onsale_domain::concert::Concert;
use onsale_domain::ids::PerformanceId;
use onsale_domain::time::Timestamp;
use serde_json::{Value, json};

use super::Finding;
use super::source::{AuditSource, EventRow, ExtendedRow, PerformanceRow, RoomRow, ToldRow};
use crate::calendar::rfc3339;
use crate::event::{policy_data, seating_data};
use crate::store::{LogRow, StoreError};

/// Every extension has its event, with the same figures.
pub(super) async fn extensions(source: &dyn AuditSource, forgotten: Timestamp) -> Result<Finding, StoreError> {
    let mut finding = Finding::new("every extension of holds has its event");
    let mut extensions = source.extensions();
    while let Some(row) = extensions.recv().await {
        let row = row?;
        // The task that deletes old events may have deleted this one.
        let is_right = row.event.as_ref().map_or(row.extension.at < forgotten, |event| is_of_extension(event, &row));
        finding.check(is_right, || format!("{}, extension {}", row.performance, row.extension.number));
    }
    Ok(finding)
}

fn is_of_extension(event: &EventRow, row: &ExtendedRow) -> bool {
    let performance = row.performance.to_string();
    let data = json!({
        "performanceId": performance, "at": rfc3339(row.extension.at), "seconds": row.extension.seconds,
        "holds": row.holds, "reason": row.reason,
    });
    event.kind == "onsale.holds.extended.v1"
        && event.subject == performance
        && event.version == row.extension.version
        && data_of(event) == data
}

/// Whether a performance has the hours and the limit of its concert, and is as its last change left it.
pub(super) fn agrees(row: &PerformanceRow) -> bool {
    let PerformanceRow { performance, sale, changed, .. } = row;
    let is_right = changed.as_ref().is_none_or(|event| {
        let data = data_of(event);
        event.version <= performance.version
            && data["closed"] == performance.closed
            && data["startsAt"] == rfc3339(performance.starts_at)
            && data["seats"] == seating_data(&performance.seating)
            && data["refundPolicy"] == policy_data(&performance.refund_policy)
    });
    is_right && *sale == Some((performance.sale, performance.seats_per_user))
}

/// Whether a room has the hours of its concert, and the concert is as the event of its version has it.
pub(super) fn concert_agrees(row: &RoomRow, forgotten: Timestamp) -> bool {
    let Some(concert) = &row.concert_row else { return false };
    let is_right = match &row.changed {
        Some(event) => event.kind == "onsale.concert.changed.v1" && is_of_concert(event, concert),
        // No change has an event of its own before the first, and old events may have been deleted.
        None => concert.version == 0 || concert.created_at < forgotten,
    };
    is_right && row.room.settings.sale == concert.sale
}

fn is_of_concert(event: &EventRow, concert: &Concert) -> bool {
    let data = data_of(event);
    let text = |language: &str| data["notice"][language].as_str();
    let notice = concert.notice.as_deref();
    // Events of older versions have no hours.
    let is_as = |field: &str, now: Value| data.get(field).is_none_or(|told| *told == now);
    data["title"] == *concert.title
        && data["venue"] == *concert.venue
        && data["closed"] == concert.sale.closed
        && is_as("opensAt", json!(concert.sale.opens_at.map(rfc3339)))
        && is_as("closesAt", json!(concert.sale.closes_at.map(rfc3339)))
        && is_as("codesUntil", json!(concert.sale.codes_until.map(rfc3339)))
        && is_as("maxSeatsPerUser", json!(concert.seats_per_user))
        && text("ko") == notice.and_then(|notice| notice.ko.as_deref())
        && text("en") == notice.and_then(|notice| notice.en.as_deref())
}

fn data_of(event: &EventRow) -> Value {
    serde_json::from_str(&event.data).unwrap_or(Value::Null)
}

/// Actions that change a performance, each with the type of its event. No row of its own describes such an event.
const CHANGES: [(&str, &str); 3] = [
    ("performance.changed", "onsale.performance.changed.v1"),
    ("seats.blocked", "onsale.seats.blocked.v1"),
    ("seats.unblocked", "onsale.seats.unblocked.v1"),
];

/// Changes of performances in the log of staff, and their events.
pub(super) struct LoggedChanges {
    /// The number of log entries and of events, by performance and type.
    counts: BTreeMap<(String, &'static str), (u64, u64)>,
    /// The task that deletes old events may have deleted those before this instant.
    forgotten: Timestamp,
}

impl LoggedChanges {
    pub(super) const fn new(forgotten: Timestamp) -> Self {
        Self { counts: BTreeMap::new(), forgotten }
    }

    /// Counts the changes among all log entries about a performance.
    pub(super) fn log(&mut self, performance: PerformanceId, entries: &[LogRow]) {
        let forgotten = self.forgotten;
        for entry in entries.iter().filter(|entry| forgotten <= entry.at) {
            if let Some((_, kind)) = CHANGES.iter().find(|(action, _)| *action == &*entry.action) {
                self.counts.entry((performance.to_string(), *kind)).or_default().0 += 1;
            }
        }
    }

    /// Adds 1 to the events of a performance with such a log entry.
    pub(super) fn event(&mut self, event: &ToldRow) {
        if let Some((_, kind)) = CHANGES.iter().find(|(_, kind)| *kind == event.kind)
            && let Some((_, events)) = self.counts.get_mut(&(event.subject.clone(), *kind))
        {
            *events += 1;
        }
    }

    /// Each log entry has its event. Changes from before there was a log have only events.
    pub(super) fn finding(self) -> Finding {
        let mut finding = Finding::new("every change of a performance by staff has its event");
        for ((performance, kind), (logged, events)) in self.counts {
            finding.check(logged <= events, || format!("{performance}: {logged} log entries, and {events} of {kind}"));
        }
        finding
    }
}
