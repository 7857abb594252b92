//! Copies of dead letters whose events were deleted from the log.

use onsale_app::event::StoredEvent;
use onsale_app::relay::Delivery;
use onsale_domain::ids::EventId;
use rusqlite::{Connection, params};

use super::event::read;
use super::values::Sql;

/// The columns of an event of the log; position and version are 0.
macro_rules! copies {
    ($condition:literal) => {
        concat!(
            "SELECT 0, event_id, type, subject, 0, at, data, iif(reason IS NULL, 'PENDING', 'DEAD'), reason, NULL
             FROM dead_letters WHERE ",
            $condition,
            " ORDER BY at, event_id LIMIT ?1"
        )
    };
}

/// Sets an event aside as a dead letter: in the log if it is there, else as a copy.
pub(super) fn set_aside(db: &mut Connection, event: &Delivery, reason: &str) -> Sql<()> {
    let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let id = event.id.uuid();
    let dead = "UPDATE events SET state = 'DEAD', reason = ?2 WHERE event_id = ?1";
    if transaction.execute(dead, params![id.as_bytes(), reason])? == 0
        && let Some(copy) = StoredEvent::from_json(&event.json)
    {
        let keep =
            "INSERT INTO dead_letters (event_id, type, subject, at, data, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
            ON CONFLICT DO UPDATE SET reason = ?6";
        let values = params![id.as_bytes(), copy.kind, copy.subject, copy.at.as_millis(), copy.data, reason];
        transaction.execute(keep, values)?;
    }
    transaction.commit()
}

/// Up to `limit` copies, oldest first.
pub(super) fn all(db: &Connection, limit: usize) -> Sql<Vec<StoredEvent>> {
    db.prepare_cached(copies!("true"))?.query_map([limit], read)?.collect()
}

/// Up to `limit` copies that are dead letters, oldest first.
pub(super) fn dead(db: &Connection, limit: usize) -> Sql<Vec<StoredEvent>> {
    db.prepare_cached(copies!("reason IS NOT NULL"))?.query_map([limit], read)?.collect()
}

/// Up to `limit` copies that were put back, oldest first.
pub(super) fn put_back(db: &Connection, limit: usize) -> Sql<Vec<StoredEvent>> {
    db.prepare_cached(copies!("reason IS NULL"))?.query_map([limit], read)?.collect()
}

/// Puts up to `most` copies back: the named ones, or all. Returns how many.
pub(super) fn retry(db: &Connection, ids: &[EventId], most: usize) -> Sql<usize> {
    if ids.is_empty() {
        let all = "UPDATE dead_letters SET reason = NULL WHERE event_id IN (
            SELECT event_id FROM dead_letters WHERE reason IS NOT NULL ORDER BY event_id LIMIT ?1)";
        return db.execute(all, [most]);
    }
    let one = "UPDATE dead_letters SET reason = NULL WHERE event_id = ?1 AND reason IS NOT NULL";
    ids.iter().map(|id| db.execute(one, [id.uuid().as_bytes()])).sum()
}

/// Deletes the copy of an event that was sent, unless it was refused again meanwhile.
pub(super) fn sent(db: &Connection, id: EventId) -> Sql<()> {
    let gone = "DELETE FROM dead_letters WHERE event_id = ?1 AND reason IS NULL";
    db.execute(gone, [id.uuid().as_bytes()]).map(|_| ())
}

/// Records why a copy can never be sent.
pub(super) fn died(db: &Connection, id: EventId, reason: &str) -> Sql<()> {
    let dead = "UPDATE dead_letters SET reason = ?2 WHERE event_id = ?1";
    db.execute(dead, params![id.uuid().as_bytes(), reason]).map(|_| ())
}
