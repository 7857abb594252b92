//! Events, each with whether the row that it is about exists.

use onsale_app::audit::source::{EventRow, ToldRow};
use onsale_domain::ids::EventId;
use rusqlite::{Connection, ToSql, params};
use uuid::Uuid;

use super::super::values::{Sql, uuid};
use super::{GROUP, exists};

/// A group of events, each with whether the row that it is about exists.
pub(super) fn events(db: &Connection, after: &u64) -> Sql<(Vec<ToldRow>, Option<u64>)> {
    let mut statement = db.prepare_cached(
        "SELECT position, event_id, type, subject, version, data FROM events
         WHERE position > ?1 ORDER BY position LIMIT ?2",
    )?;
    let mut last = None;
    let mut rows = Vec::new();
    let mut found = statement.query(params![after, GROUP])?;
    while let Some(row) = found.next()? {
        last = Some(row.get(0)?);
        let id = uuid(row, 1)?;
        let event = EventRow { kind: row.get(2)?, subject: row.get(3)?, version: row.get(4)?, data: row.get(5)? };
        let has_source = has_source(db, &event, id)?;
        rows.push(ToldRow { id: EventId::new(id), kind: event.kind, subject: event.subject, has_source });
    }
    let next = last.filter(|_| rows.len() == GROUP);
    Ok((rows, next))
}

/// The reservation that an event's data names, if it does.
fn named_reservation(data: &str) -> Option<[u8; 16]> {
    let data: serde_json::Value = serde_json::from_str(data).ok()?;
    Uuid::try_parse(data["reservationId"].as_str()?).ok().map(Uuid::into_bytes)
}

/// Whether the row that an event is about exists.
fn has_source(db: &Connection, event: &EventRow, id: Uuid) -> Sql<bool> {
    let EventRow { kind, subject, version, data } = event;
    let exists = |sql: &str, values: &[&dyn ToSql]| exists(db, sql, values);
    let id = id.into_bytes();
    match kind.as_str() {
        "onsale.points.charged.v1"
        | "onsale.points.used.v1"
        | "onsale.points.refunded.v1"
        | "onsale.points.adjusted.v1" => exists(
            "SELECT 1 FROM ledger WHERE user_id = ?1 AND version = ?2 AND entry_id = ?3",
            &[subject, version, &id],
        ),
        "onsale.seats.held.v1" => exists("SELECT 1 FROM reservations WHERE reservation_id = ?1", &[&id]),
        "onsale.payment.completed.v1" => exists("SELECT 1 FROM payments WHERE payment_id = ?1", &[&id]),
        "onsale.payment.refunded.v1" => exists("SELECT 1 FROM refunds WHERE refund_id = ?1", &[&id]),
        "onsale.seats.released.v1" => {
            // An event whose data names no reservation belongs to none: a finding of the audit, not an error.
            let Some(reservation) = named_reservation(data) else { return Ok(false) };
            exists("SELECT 1 FROM reservations WHERE reservation_id = ?1 AND end_event_id = ?2", &[&reservation, &id])
        }
        "onsale.ticket.checked-in.v1" => {
            exists("SELECT 1 FROM check_ins WHERE check_in_id = ?1 AND answer = 'ADMITTED'", &[&id])
        }
        _ => has_source_of_subject(db, event, id),
    }
}

/// The same for an event whose row is found by the lecture, the concert or the performance that it is about.
fn has_source_of_subject(db: &Connection, event: &EventRow, id: [u8; 16]) -> Sql<bool> {
    let EventRow { kind, subject, version, .. } = event;
    let Ok(subject) = Uuid::try_parse(subject).map(Uuid::into_bytes) else { return Ok(false) };
    let exists = |sql: &str, values: &[&dyn ToSql]| exists(db, sql, values);
    match kind.as_str() {
        "onsale.lecture.applied.v1"
        | "onsale.lecture.cancelled.v1"
        | "onsale.lecture.waitlisted.v1"
        | "onsale.lecture.promoted.v1"
        | "onsale.lecture.left.v1" => exists(
            "SELECT 1 FROM lecture_history WHERE lecture_id = ?1 AND version = ?2 AND line_id = ?3",
            &[&subject, version, &id],
        ),
        // A version is a line of history or a change.
        "onsale.lecture.changed.v1" => exists(
            "SELECT 1 FROM lectures WHERE lecture_id = ?1 AND version >= ?2
             AND NOT EXISTS (SELECT 1 FROM lecture_history WHERE lecture_id = ?1 AND version = ?2)",
            &[&subject, version],
        ),
        "onsale.holds.extended.v1" => exists(
            "SELECT 1 FROM hold_extensions WHERE performance_id = ?1 AND version = ?2 AND event_id = ?3",
            &[&subject, version, &id],
        ),
        "onsale.ticket.check-in-undone.v1" => exists(
            "SELECT 1 FROM check_ins WHERE performance_id = ?1 AND version = ?2 AND version > 0 AND standing = 'UNDONE'",
            &[&subject, version],
        ),
        "onsale.ticket.voided.v1" => exists(
            "SELECT 1 FROM void_tickets WHERE performance_id = ?1 AND version = ?2 AND event_id = ?3",
            &[&subject, version, &id],
        ),
        "onsale.performance.cancelled.v1" => exists(
            "SELECT 1 FROM cancellations WHERE performance_id = ?1 AND version = ?2 AND event_id = ?3",
            &[&subject, version, &id],
        ),
        "onsale.concert.changed.v1" => {
            exists("SELECT 1 FROM concerts WHERE concert_id = ?1 AND version >= ?2", &[&subject, version])
        }
        "onsale.performance.changed.v1" | "onsale.seats.blocked.v1" | "onsale.seats.unblocked.v1" => {
            exists("SELECT 1 FROM performances WHERE performance_id = ?1 AND version >= ?2", &[&subject, version])
        }
        _ => Ok(false),
    }
}
