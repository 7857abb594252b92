//! The outbox as the relay sees it: leases of its parts, marks of progress, and records of deliveries.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use onsale_app::audit::source::MarkRow;
use onsale_app::event::StoredEvent;
use onsale_app::relay::{Backlog, Delivery, Lease, Marks, Outbox, PartMark};
use onsale_app::store::{Page, StoreError};
use onsale_domain::ids::EventId;
use onsale_domain::time::Timestamp;
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::connection::{Role, open, unavailable};
use super::values::{Sql, big};
use super::{dead_letters, event};

/// How long a relay without a heartbeat keeps its parts, in milliseconds.
const LEASED_MILLIS: i64 = 4_000;

/// How long a delivery is remembered to recognize duplicates, in milliseconds.
const REMEMBERED_MILLIS: i64 = 14 * 86_400_000;

/// An outbox over a connection of its own, in addition to the sale's writer.
pub struct SqliteOutbox {
    path: PathBuf,
    db: Arc<Mutex<Option<Opened>>>,
}

/// A connection with the identity of its file.
struct Opened {
    db: Connection,
    file: (u64, u64),
}

/// The identity of the file at a path: device and inode.
fn file_at(path: &Path) -> io::Result<(u64, u64)> {
    let file = path.metadata()?;
    Ok((file.dev(), file.ino()))
}

impl Opened {
    fn new(path: &Path) -> Result<Self, StoreError> {
        let db = open(path, Role::Outbox)?;
        let file = file_at(path).map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { db, file })
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl SqliteOutbox {
    /// Opens the file at the first operation, and again after every fault.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), db: Arc::default() }
    }

    /// Runs an operation on a thread that may block. The lock is held during the operation, so operations run one after another.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Sql<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (path, opened) = (self.path.clone(), self.db.clone());
        let done = tokio::task::spawn_blocking(move || {
            let mut opened = opened.lock();
            // The file was replaced, for example by a restored copy. This operation fails, because what its caller knows is about
            // the old file; the next one opens the new file.
            // Taken out: after an error or a panic the next operation opens another connection.
            let mut own = match opened.take() {
                Some(own) if file_at(&path).is_ok_and(|file| file == own.file) => own,
                Some(_) => {
                    return Err(StoreError::Unavailable(
                        "the file was replaced or removed; it is opened anew".to_owned(),
                    ));
                }
                None => Opened::new(&path)?,
            };
            let done = work(&mut own.db).map_err(unavailable)?;
            *opened = Some(own);
            Ok(done)
        });
        done.await.unwrap_or_else(|_| Err(StoreError::Unavailable("a read of the outbox ended".to_owned())))
    }
}

fn take_leases(db: &mut Connection, relay: [u8; 16], now: i64) -> Sql<Vec<Lease>> {
    let until = now + LEASED_MILLIS;
    let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    // A lease that is valid for longer than a new one was written while the clock was ahead, and counts as expired.
    transaction.execute("DELETE FROM relays WHERE heard_until NOT BETWEEN ?1 AND ?2", [now, until + LEASED_MILLIS])?;
    let heard = "INSERT INTO relays (relay, heard_until) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET heard_until = ?2";
    transaction.execute(heard, params![relay, until])?;
    let renew = "UPDATE relay_parts SET leased_until = ?2 WHERE relay = ?1 AND leased_until >= ?3";
    transaction.execute(renew, params![relay, until, now])?;
    let count = |sql: &str| transaction.query_row(sql, [], |row| row.get::<_, i64>(0));
    let relays = count("SELECT count(*) FROM relays")?.max(1);
    // Rounded up, so that the shares of all relays cover all parts.
    let share = (count("SELECT count(*) FROM relay_parts")? + relays - 1) / relays;
    let give_up = "UPDATE relay_parts SET relay = NULL, leased_until = 0 WHERE part IN (
        SELECT part FROM relay_parts WHERE relay = ?1 ORDER BY part LIMIT -1 OFFSET ?2)";
    // Surplus parts are given up before any are taken: two relays never wait for each other's parts.
    transaction.execute(give_up, params![relay, share])?;
    let take = "UPDATE relay_parts SET relay = ?1, fence = fence + 1, leased_until = ?2 WHERE part IN (
        SELECT part FROM relay_parts WHERE leased_until < ?3 OR leased_until > ?2 + ?2 - ?3 ORDER BY part
        LIMIT max(0, ?4 - (SELECT count(*) FROM relay_parts WHERE relay = ?1 AND leased_until >= ?3)))";
    transaction.execute(take, params![relay, until, now, share])?;
    // Before the marks are read below: no events are read from a mark that does not fit the log.
    correct(&transaction, relay)?;
    let own = "SELECT part, sent_to, fence FROM relay_parts WHERE relay = ?1 AND leased_until >= ?2 ORDER BY part";
    let lease = |row: &rusqlite::Row<'_>| Ok(Lease { part: row.get(0)?, sent_to: row.get(1)?, fence: row.get(2)? });
    let own = transaction.prepare(own)?.query_map(params![relay, now], lease)?.collect();
    transaction.commit()?;
    own
}

/// Number of relays and consumers with a heartbeat that is still valid.
pub(super) fn live_relays(db: &Connection) -> Sql<i64> {
    let now = now();
    // As above: a heartbeat that is valid for longer than a new one does not count.
    let live = "SELECT count(*) FROM relays WHERE heard_until BETWEEN ?1 AND ?2";
    db.query_row(live, [now, now + 2 * LEASED_MILLIS], |row| row.get(0))
}

/// Corrects marks that do not fit the log. A mark goes back to the last checked position if an older version moved it, and to the
/// beginning if it is beyond the log or its event is not the one at that position. A mark without a checked position is
/// trusted if it is within the log.
fn correct(db: &Connection, relay: [u8; 16]) -> Sql<()> {
    let wrong = "SELECT part, was, checked_to, iif(
                mark > last OR mark = checked_to AND EXISTS (
                    SELECT 1 FROM events WHERE position = mark AND event_id <> checked_id), 0, mark) AS becomes
        FROM (SELECT part, sent_to AS was, min(sent_to, coalesce(checked_to, sent_to)) AS mark, checked_to, checked_id,
                (SELECT coalesce(max(position), 0) FROM events) AS last
            FROM relay_parts WHERE relay = ?1)
        WHERE becomes <> was OR checked_to IS NOT becomes";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    let found =
        db.prepare_cached(wrong)?.query_map([relay], read)?.collect::<Sql<Vec<(u32, i64, Option<i64>, i64)>>>()?;
    for (part, was, checked_to, becomes) in found {
        if was != becomes {
            tracing::error!(
                part,
                sent_to = was,
                corrected = becomes,
                "a mark of the outbox does not fit the event log; sending events again from the corrected mark"
            );
        }
        // The id of the checked event stays only if the mark goes back to just that event.
        let keeps_id = checked_to == Some(becomes);
        let fix = "UPDATE relay_parts SET sent_to = ?2, checked_to = ?2, checked_id = iif(?3, checked_id, NULL)
            WHERE part = ?1";
        db.execute(fix, params![part, becomes, keeps_id])?;
    }
    Ok(())
}

/// The marks of all parts, for the audit.
pub(super) fn marks(db: &Connection) -> Sql<Vec<MarkRow>> {
    let read = |row: &rusqlite::Row<'_>| {
        let (part, sent_to, checked_to) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(MarkRow { part, sent_to, checked_to, is_other_event: row.get(3)?, last: row.get(4)? })
    };
    db.prepare(
        "SELECT part, sent_to, checked_to, EXISTS (SELECT 1 FROM events
                WHERE position = sent_to AND sent_to = checked_to AND event_id <> checked_id),
            (SELECT coalesce(max(position), 0) FROM events)
        FROM relay_parts ORDER BY part",
    )?
    .query_map([], read)?
    .collect()
}

/// Moves marks, and records dead letters and events that were sent again, in one transaction. Returns `false` if a mark did not
/// move, because its part was taken by another relay or its event is not in this log.
fn mark(db: &mut Connection, relay: [u8; 16], marks: &Marks) -> Sql<bool> {
    let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let sent_again = "DELETE FROM events_put_back WHERE position = ?1
        AND EXISTS (SELECT 1 FROM events WHERE position = ?1 AND event_id = ?2)";
    // Dead letters and marks in one transaction: an event never counts as sent although it was refused.
    for (event, reason) in &marks.dead {
        let id = event.id.uuid();
        let dead = "UPDATE events SET state = 'DEAD', reason = ?3 WHERE position = ?1 AND event_id = ?2";
        transaction.execute(dead, params![big(event.position), id.as_bytes(), reason])?;
        transaction.execute(sent_again, params![big(event.position), id.as_bytes()])?;
        dead_letters::died(&transaction, event.id, reason)?;
    }
    for event in &marks.sent_again {
        dead_letters::sent(&transaction, event.id)?;
        transaction.execute(sent_again, params![big(event.position), event.id.uuid().as_bytes()])?;
    }
    let mut moved = 0;
    for PartMark { lease, to } in &marks.parts {
        // Only if the mark still has the value from which events were read, and the last event is still at its position:
        // otherwise the file was replaced by an older copy.
        let sent = "UPDATE relay_parts SET sent_to = ?5, checked_to = ?5, checked_id = ?6
            WHERE part = ?1 AND fence = ?2 AND relay = ?3 AND sent_to = ?4
                AND EXISTS (SELECT 1 FROM events WHERE position = ?5 AND event_id = ?6)";
        let (from, id) = (big(lease.sent_to), to.id.uuid());
        moved += transaction
            .execute(sent, params![lease.part, big(lease.fence), relay, from, big(to.position), id.as_bytes()])?;
    }
    transaction.commit()?;
    Ok(moved == marks.parts.len())
}

/// Deletes old events that were sent. Keeps the event at the lowest mark, by which marks are compared with the log, and the last
/// event, after which positions continue.
fn forget(db: &mut Connection, before: i64, most: usize) -> Sql<usize> {
    let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let old = "DELETE FROM events WHERE position IN (
        SELECT position FROM (SELECT position, at FROM events
            WHERE position < (SELECT min(min(sent_to, coalesce(checked_to, sent_to))) FROM relay_parts)
                AND state <> 'DEAD' AND position NOT IN (SELECT position FROM events_put_back)
            ORDER BY position LIMIT ?2) WHERE at < ?1)";
    let gone = transaction.execute(old, params![before, most])?;
    if gone > 0 {
        // In the same transaction: the audit takes an event that is missing and younger than this for lost.
        transaction.execute("UPDATE events_forgotten SET before = max(before, ?1)", [before])?;
    }
    transaction.commit()?;
    Ok(gone)
}

fn note_delivered(db: &mut Connection, ids: &[EventId], files: &[(String, u64)], now: i64) -> Sql<()> {
    let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for id in ids {
        let noted = "INSERT INTO deliveries (event_id, at) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        transaction.prepare_cached(noted)?.execute(params![id.uuid().as_bytes(), now])?;
    }
    for (file, length) in files {
        let noted = "INSERT INTO delivery_files (file, length) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET length = ?2";
        transaction.execute(noted, params![file, big(*length)])?;
    }
    let old = "DELETE FROM deliveries WHERE event_id IN (SELECT event_id FROM deliveries WHERE at < ?1 ORDER BY at LIMIT 1000)";
    transaction.execute(old, [now - REMEMBERED_MILLIS])?;
    transaction.commit()
}

#[async_trait]
impl Outbox for SqliteOutbox {
    async fn lease(&self, relay: Uuid) -> Result<Vec<Lease>, StoreError> {
        self.with(move |db| take_leases(db, relay.into_bytes(), now())).await
    }

    async fn release(&self, relay: Uuid) -> Result<(), StoreError> {
        self.with(move |db| {
            let relay = relay.into_bytes();
            db.execute("DELETE FROM relays WHERE relay = ?1", [relay])?;
            db.execute("UPDATE relay_parts SET relay = NULL, leased_until = 0 WHERE relay = ?1", [relay]).map(|_| ())
        })
        .await
    }

    async fn after(&self, position: u64, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        self.with(move |db| event::log(db, Page { after: Some(position), limit })).await
    }

    async fn has_work(&self) -> Result<bool, StoreError> {
        self.with(move |db| {
            let has_work = "SELECT EXISTS (SELECT 1 FROM events
                    WHERE position > (SELECT min(min(sent_to, coalesce(checked_to, sent_to))) FROM relay_parts))
                OR EXISTS (SELECT 1 FROM events_put_back) OR EXISTS (SELECT 1 FROM dead_letters WHERE reason IS NULL)
                OR EXISTS (SELECT 1 FROM relay_parts WHERE checked_to IS NOT sent_to
                    OR sent_to > (SELECT coalesce(max(position), 0) FROM events))";
            db.prepare_cached(has_work)?.query_row([], |row| row.get(0))
        })
        .await
    }

    async fn put_back(&self, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        self.with(move |db| event::put_back(db, limit)).await
    }

    async fn mark(&self, relay: Uuid, marks: &Marks) -> Result<bool, StoreError> {
        let marks = marks.clone();
        self.with(move |db| mark(db, relay.into_bytes(), &marks)).await
    }

    async fn forget(&self, before: Timestamp, most: usize) -> Result<usize, StoreError> {
        self.with(move |db| forget(db, before.as_millis(), most)).await
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.with(move |db| {
            let waiting = "SELECT count(*), coalesce(min(at), 0) FROM (SELECT at FROM events
                WHERE position > (SELECT min(min(sent_to, coalesce(checked_to, sent_to))) FROM relay_parts) ORDER BY position LIMIT 10000)";
            let (events, oldest): (u64, i64) = db.query_row(waiting, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let oldest_millis = if events == 0 { 0 } else { u64::try_from(now() - oldest).unwrap_or(0) };
            Ok(Backlog { events, oldest_millis })
        })
        .await
    }

    async fn delivered(&self, ids: &[EventId]) -> Result<Vec<EventId>, StoreError> {
        let ids = ids.to_vec();
        self.with(move |db| {
            let mut known = Vec::new();
            let mut known_delivery = db.prepare_cached("SELECT 1 FROM deliveries WHERE event_id = ?1")?;
            for id in ids {
                if known_delivery.exists([id.uuid().as_bytes()])? {
                    known.push(id);
                }
            }
            Ok(known)
        })
        .await
    }

    async fn note_delivered(&self, ids: &[EventId], files: &[(String, u64)]) -> Result<(), StoreError> {
        let (ids, files) = (ids.to_vec(), files.to_vec());
        self.with(move |db| note_delivered(db, &ids, &files, now())).await
    }

    async fn length_of(&self, file: &str) -> Result<u64, StoreError> {
        let file = file.to_owned();
        self.with(move |db| {
            let length = "SELECT length FROM delivery_files WHERE file = ?1";
            Ok(db.query_row(length, [file], |row| row.get(0)).optional()?.unwrap_or(0))
        })
        .await
    }

    async fn set_aside(&self, event: &Delivery, reason: &str) -> Result<(), StoreError> {
        let (event, reason) = (event.clone(), reason.to_owned());
        self.with(move |db| dead_letters::set_aside(db, &event, &reason)).await
    }
}
