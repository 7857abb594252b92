//! The outbox: one row for each event, in the order of the commits.

use std::collections::HashMap;

use onsale_app::event::{EventState, StoredEvent, data_of, kind_of, subject_of};
use onsale_app::relay::part_of;
use onsale_app::store::{Page, Unit};
use onsale_app::trace::TraceContext;
use onsale_domain::ids::EventId;
use onsale_domain::time::Timestamp;
use rusqlite::{Connection, Row, params};

use super::values::{Sql, big, instant, uuid, word};

pub(super) fn save(db: &Connection, unit: &Unit) -> Sql<()> {
    for (event, trace) in unit.events() {
        db.prepare_cached(
            "INSERT INTO events (event_id, type, subject, version, at, data, trace) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            event.id.uuid().as_bytes(),
            kind_of(&event.happening),
            subject_of(event),
            event.version,
            event.at.as_millis(),
            data_of(&event.happening),
            trace.map(TraceContext::to_bytes),
        ])?;
    }
    Ok(())
}

/// In order.
pub(super) fn log(db: &Connection, page: Page<u64>) -> Sql<Vec<StoredEvent>> {
    db.prepare_cached(
        "SELECT position, event_id, type, subject, version, at, data, state, reason, trace FROM events
         WHERE position > ?1 ORDER BY position LIMIT ?2",
    )?
    .query_map(params![big(page.after.unwrap_or(0)), page.limit], read)?
    .collect()
}

/// What was put back, in order.
pub(super) fn put_back(db: &Connection, limit: usize) -> Sql<Vec<StoredEvent>> {
    db.prepare_cached(
        "SELECT position, event_id, type, subject, version, at, data, state, reason, trace
         FROM events_put_back JOIN events USING (position) ORDER BY position LIMIT ?1",
    )?
    .query_map([limit], read)?
    .collect()
}

/// In order, each with what became of it.
pub(super) fn told(db: &Connection, page: Page<u64>) -> Sql<Vec<StoredEvent>> {
    let mut events = log(db, page)?;
    let sent: HashMap<u32, u64> = db
        .prepare_cached("SELECT part, min(sent_to, coalesce(checked_to, sent_to)) FROM relay_parts")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Sql<_>>()?;
    let mut is_put_back = db.prepare_cached("SELECT 1 FROM events_put_back WHERE position = ?1")?;
    for event in &mut events {
        let passed = sent.get(&part_of(event)).is_some_and(|to| event.position <= *to);
        if event.state == EventState::Pending && passed && !is_put_back.exists([event.position])? {
            event.state = EventState::Sent;
        }
    }
    Ok(events)
}

/// Dead letters become pending again: those named, or all. Returns how many.
pub(super) fn retry_dead(db: &mut Connection, ids: &[EventId]) -> Sql<usize> {
    let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let dead: Vec<(u64, [u8; 16])> = transaction
        .prepare("SELECT position, event_id FROM events WHERE state = 'DEAD'")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Sql<_>>()?;
    let wanted = |id: &[u8; 16]| ids.is_empty() || ids.iter().any(|wanted| wanted.uuid().as_bytes() == id);
    let mut put_back = 0;
    for (position, _) in dead.into_iter().filter(|(_, id)| wanted(id)) {
        transaction.execute("UPDATE events SET state = 'PENDING', reason = NULL WHERE position = ?1", [position])?;
        transaction.execute("INSERT INTO events_put_back VALUES (?1) ON CONFLICT DO NOTHING", [position])?;
        put_back += 1;
    }
    transaction.commit()?;
    Ok(put_back)
}

/// Everything since an instant is sent again. Whoever relays a part now loses it: what it is about to mark is not so any
/// more. Returns whether there was anything.
pub(super) fn replay(db: &Connection, since: Timestamp) -> Sql<bool> {
    let replayed =
        "UPDATE relay_parts SET sent_to = first.position - 1, fence = fence + 1, relay = NULL, leased_until = 0
        FROM (SELECT min(position) AS position FROM events WHERE at >= ?1) first
        WHERE first.position IS NOT NULL AND sent_to >= first.position";
    Ok(db.execute(replayed, [since.as_millis()])? > 0)
}

fn read(row: &Row<'_>) -> Sql<StoredEvent> {
    Ok(StoredEvent {
        position: row.get(0)?,
        id: EventId::new(uuid(row, 1)?),
        kind: row.get(2)?,
        subject: row.get(3)?,
        version: row.get(4)?,
        at: instant(row, 5)?,
        data: row.get(6)?,
        state: word(row, 7)?,
        reason: row.get(8)?,
        trace: row.get::<_, Option<Vec<u8>>>(9)?.as_deref().and_then(TraceContext::from_bytes),
    })
}
