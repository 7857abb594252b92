//! The outbox: one row for each event, in the order of the commits.

use onsale_app::event::{StoredEvent, data_of, kind_of, subject_of};
use onsale_app::store::Page;
use onsale_domain::ids::EventId;
use onsale_domain::rows::Rows;
use rusqlite::{Connection, Row, params};

use super::values::{Sql, big, instant, uuid, word};

pub(super) fn save(db: &Connection, rows: &Rows) -> Sql<()> {
    for event in &rows.events {
        db.prepare_cached(
            "INSERT INTO events (event_id, type, subject, version, at, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            event.id.uuid().as_bytes(),
            kind_of(&event.happening),
            subject_of(event),
            event.version,
            event.at.as_millis(),
            data_of(&event.happening),
        ])?;
    }
    Ok(())
}

/// In order.
pub(super) fn events(db: &Connection, page: Page<u64>) -> Sql<Vec<StoredEvent>> {
    db.prepare_cached(
        "SELECT position, event_id, type, subject, version, at, data, state, reason FROM events
         WHERE position > ?1 ORDER BY position LIMIT ?2",
    )?
    .query_map(params![big(page.after.unwrap_or(0)), page.limit], read)?
    .collect()
}

/// Dead letters become pending again.
pub(super) fn retry_dead(db: &Connection) -> Sql<usize> {
    db.execute("UPDATE events SET state = 'PENDING', reason = NULL WHERE state = 'DEAD'", [])
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
    })
}
