//! The event log (outbox): one row per event, in the order of commits.

use std::collections::HashMap;

use onsale_app::event::{EventState, StoredEvent, data_of, kind_of, subject_of};
use onsale_app::relay::part_of;
use onsale_app::store::{Page, Unit};
use onsale_app::trace::TraceContext;
use onsale_domain::ids::EventId;
use onsale_domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::dead_letters;
use super::values::{Sql, big, instant, uuid, word};

macro_rules! columns {
    () => {
        "position, event_id, type, subject, version, at, data, state, reason, trace"
    };
}

const DEAD: &str =
    concat!("SELECT ", columns!(), " FROM events WHERE state = 'DEAD' AND position > ?1 ORDER BY position LIMIT ?2");

const PUT_BACK_AFTER: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM events_put_back JOIN events USING (position) WHERE position > ?1 AND position <= ?2 ORDER BY position LIMIT ?3"
);

const LAST: &str =
    concat!("SELECT * FROM (SELECT ", columns!(), " FROM events ORDER BY position DESC LIMIT ?1) ORDER BY position");

/// The unary plus keeps SQLite from searching in the order of positions, which reads all earlier events.
const FIRST_SINCE: &str = "SELECT min(+position) FROM events WHERE event_id >= ?1";

/// The latest time in an id (UUID version 7): 48 bits of milliseconds.
const MILLIS_MAX: u64 = (1 << 48) - 1;

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

/// A page of the log in the order of positions.
pub(super) fn log(db: &Connection, page: Page<u64>) -> Sql<Vec<StoredEvent>> {
    db.prepare_cached(concat!("SELECT ", columns!(), " FROM events WHERE position > ?1 ORDER BY position LIMIT ?2"))?
        .query_map(params![big(page.after.unwrap_or(0)), page.limit], read)?
        .collect()
}

/// Events that were put back, in order, then copies of dead letters that were.
pub(super) fn put_back(db: &Connection, limit: usize) -> Sql<Vec<StoredEvent>> {
    db.prepare_cached(concat!(
        "SELECT ",
        columns!(),
        " FROM events_put_back JOIN events USING (position) ORDER BY position LIMIT ?1"
    ))?
    .query_map([limit], read)?
    .chain(dead_letters::put_back(db, limit)?.into_iter().map(Ok))
    .collect()
}

/// A page of the log with the state of each event. The first page begins with the copies of dead letters.
pub(super) fn list(db: &Connection, page: Page<u64>) -> Sql<Vec<StoredEvent>> {
    let copies = if page.after.is_none() { dead_letters::all(db, page.limit)? } else { Vec::new() };
    Ok(copies.into_iter().chain(with_states(db, log(db, page)?)?).collect())
}

/// A page of dead letters, by their partial index.
pub(super) fn dead(db: &Connection, page: Page<u64>) -> Sql<Vec<StoredEvent>> {
    let copies = if page.after.is_none() { dead_letters::dead(db, page.limit)? } else { Vec::new() };
    let mut dead = db.prepare_cached(DEAD)?;
    let dead = dead.query_map(params![big(page.after.unwrap_or(0)), page.limit], read)?;
    copies.into_iter().map(Ok).chain(dead).collect()
}

/// Events that were put back, then all events after the position up to which every part was sent.
pub(super) fn unsent(db: &Connection, page: Page<u64>) -> Sql<Vec<StoredEvent>> {
    let passed: u64 = db.query_row(
        "SELECT coalesce(min(min(sent_to, coalesce(checked_to, sent_to))), 0) FROM relay_parts",
        [],
        |row| row.get(0),
    )?;
    let after = page.after.unwrap_or(0);
    let mut events: Vec<StoredEvent> = db
        .prepare_cached(PUT_BACK_AFTER)?
        .query_map(params![big(after), big(passed), page.limit], read)?
        .collect::<Sql<_>>()?;
    let limit = page.limit.saturating_sub(events.len());
    if limit > 0 {
        events.extend(log(db, Page { after: Some(after.max(passed)), limit })?);
    }
    with_states(db, events)
}

/// The last events, oldest first.
pub(super) fn last(db: &Connection, limit: usize) -> Sql<Vec<StoredEvent>> {
    let events = db.prepare_cached(LAST)?.query_map([limit], read)?.collect::<Sql<_>>()?;
    with_states(db, events)
}

/// Sets the state of sent events: it is recorded in the parts of the outbox, not in the events' rows.
fn with_states(db: &Connection, mut events: Vec<StoredEvent>) -> Sql<Vec<StoredEvent>> {
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

/// Makes up to `most` dead letters pending again: the named ones, or all. Returns how many. The sale waits for this transaction, so
/// `most` should be small.
pub(super) fn retry_dead(db: &mut Connection, ids: &[EventId], most: usize) -> Sql<usize> {
    let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let mut positions: Vec<u64> = Vec::new();
    if ids.is_empty() {
        let mut dead =
            transaction.prepare("SELECT position FROM events WHERE state = 'DEAD' ORDER BY position LIMIT ?1")?;
        positions = dead.query_map([most], |row| row.get(0))?.collect::<Sql<_>>()?;
    } else {
        let mut named = transaction.prepare("SELECT position FROM events WHERE event_id = ?1 AND state = 'DEAD'")?;
        for id in ids {
            positions.extend(named.query_row([id.uuid().as_bytes()], |row| row.get::<_, u64>(0)).optional()?);
        }
    }
    // State and note in one transaction: the relay sends an event again only if both are there.
    for position in &positions {
        transaction.execute("UPDATE events SET state = 'PENDING', reason = NULL WHERE position = ?1", [position])?;
        transaction.execute("INSERT INTO events_put_back VALUES (?1) ON CONFLICT DO NOTHING", [position])?;
    }
    let copies = dead_letters::retry(&transaction, ids, most - positions.len().min(most))?;
    transaction.commit()?;
    Ok(positions.len() + copies)
}

/// The position of the first event since an instant. Searched by the index on ids: the time in an id is not before the time of its
/// event. Takes no lock.
pub(super) fn first_since(db: &Connection, since: Timestamp) -> Sql<Option<u64>> {
    let millis = u64::try_from(since.as_millis()).unwrap_or(0).min(MILLIS_MAX);
    let mut least = [0; 16];
    least[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    db.query_row(FIRST_SINCE, [least], |row| row.get(0))
}

/// Has all events from a position on sent again. Takes the parts from their relays, because the marks that they are about to write
/// are wrong now. Returns whether any of the events had been sent.
pub(super) fn replay(db: &Connection, first: u64) -> Sql<bool> {
    let replayed = "UPDATE relay_parts SET sent_to = ?1 - 1, fence = fence + 1, relay = NULL, leased_until = 0
        WHERE sent_to >= ?1";
    Ok(db.execute(replayed, [big(first)])? > 0)
}

pub(super) fn read(row: &Row<'_>) -> Sql<StoredEvent> {
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

#[cfg(test)]
mod tests {
    use onsale_domain::ids::EventId;
    use uuid::Uuid;

    use super::*;

    const MANY: u64 = 200_000;

    /// A log of this many events, one a second from 1970 on; the first half was sent, and two events are dead.
    fn log_of(many: u64) -> (tempfile::TempDir, Connection) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sale.db");
        super::super::migrate(&path).unwrap();
        let db = Connection::open(&path).unwrap();
        let fill = "INSERT INTO events (event_id, type, subject, version, at, data)
            SELECT unhex(printf('%012x7000', value * 1000) || hex(randomblob(8))), 'onsale.points.charged.v1', 'ada', value,
                value * 1000, '{}' FROM generate_series";
        let series = "WITH RECURSIVE generate_series (value) AS
            (SELECT 1 UNION ALL SELECT value + 1 FROM generate_series WHERE value < ?1)";
        db.execute(&format!("{series} {fill}"), [many]).unwrap();
        db.execute("UPDATE relay_parts SET sent_to = ?1, checked_to = ?1", [many / 2]).unwrap();
        db.execute("UPDATE events SET state = 'DEAD', reason = 'why' WHERE position IN (7, ?1 - 7)", [many]).unwrap();
        db.execute("INSERT INTO events_put_back VALUES (9)", []).unwrap();
        (folder, db)
    }

    fn plan(db: &Connection, sql: &str) -> String {
        let mut explained = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        // Without values for its parameters.
        let mut rows = explained.raw_query();
        let mut lines = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            lines.push(row.get::<_, String>(3).unwrap());
        }
        lines.join("; ")
    }

    #[test]
    fn no_command_of_the_event_log_reads_all_of_it() {
        let (_folder, db) = log_of(1_000);
        for (sql, index) in [
            (DEAD, "USING INDEX events_dead"),
            (FIRST_SINCE, "USING COVERING INDEX"),
            ("SELECT position FROM events WHERE state = 'DEAD' ORDER BY position LIMIT ?1", "INDEX events_dead"),
            (
                "SELECT position FROM events WHERE event_id = ?1 AND state = 'DEAD'",
                "INDEX sqlite_autoindex_events_1 (event_id=?)",
            ),
            (PUT_BACK_AFTER, "INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
        ] {
            let plan = plan(&db, sql);
            assert!(plan.contains(index), "{sql}: {plan}");
        }
        assert!(!plan(&db, LAST).contains("TEMP B-TREE FOR ORDER BY; SCAN events"), "{}", plan(&db, LAST));
    }

    #[test]
    fn each_part_of_a_long_log_is_found() {
        let (_folder, mut db) = log_of(MANY);
        let page = |after, limit| Page { after, limit };
        let positions = |events: Vec<StoredEvent>| events.iter().map(|event| event.position).collect::<Vec<_>>();
        assert_eq!(positions(dead(&db, page(None, 10)).unwrap()), [7, MANY - 7]);
        assert_eq!(positions(dead(&db, page(Some(7), 10)).unwrap()), [MANY - 7]);
        let half = MANY / 2;
        assert_eq!(positions(unsent(&db, page(None, 3)).unwrap()), [9, half + 1, half + 2]);
        assert_eq!(positions(unsent(&db, page(Some(half + 2), 2)).unwrap()), [half + 3, half + 4]);
        assert_eq!(positions(last(&db, 2).unwrap()), [MANY - 1, MANY]);
        assert!(unsent(&db, page(None, 3)).unwrap().iter().all(|event| event.state == EventState::Pending));

        let since = |seconds: u64| Timestamp::from_millis(i64::try_from(seconds * 1_000).unwrap());
        for (seconds, first) in [(0, Some(1)), (77, Some(77)), (MANY, Some(MANY)), (MANY + 1, None)] {
            assert_eq!(first_since(&db, since(seconds)).unwrap(), first, "{seconds}");
        }
        assert_eq!(first_since(&db, Timestamp::from_millis(i64::MIN)).unwrap(), Some(1));
        assert_eq!(first_since(&db, Timestamp::from_millis(i64::MAX)).unwrap(), None);
        assert!(!replay(&db, half + 1).unwrap(), "nothing of that was sent");
        assert!(replay(&db, 11).unwrap());
        assert_eq!(positions(unsent(&db, page(None, 2)).unwrap()), [9, 11]);

        let unknown = EventId::new(Uuid::nil());
        let alive = last(&db, 1).unwrap()[0].id;
        let named = dead(&db, page(None, 1)).unwrap()[0].id;
        assert_eq!(retry_dead(&mut db, &[unknown, alive], 10).unwrap(), 0);
        assert_eq!(retry_dead(&mut db, &[named], 10).unwrap(), 1);
        assert_eq!(retry_dead(&mut db, &[], 10).unwrap(), 1);
        assert_eq!(positions(unsent(&db, page(None, 3)).unwrap()), [7, 9, 11]);
    }
}
