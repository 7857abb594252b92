//! The relay's side of the outbox: leases, marks, deliveries.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use onsale_app::event::StoredEvent;
use onsale_app::relay::{Backlog, Lease, Marks, Outbox};
use onsale_app::store::{Page, StoreError};
use onsale_domain::ids::EventId;
use onsale_domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::connection::{Role, open, unavailable};
use super::event;
use super::values::{Sql, big};

/// How long a relay that is not heard of keeps its parts, in milliseconds.
const LEASED_MILLIS: i64 = 4_000;

/// How long it is remembered that an event was delivered, in milliseconds.
const REMEMBERED_MILLIS: i64 = 14 * 86_400_000;

/// An outbox, over one connection of its own beside the sale's writer.
pub struct SqliteOutbox {
    path: PathBuf,
    db: Arc<Mutex<Option<Connection>>>,
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl SqliteOutbox {
    /// Opens the file when it is first asked, and again after every fault.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), db: Arc::default() }
    }

    /// Works on a thread that may be blocked.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Sql<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (path, db) = (self.path.clone(), self.db.clone());
        let done = tokio::task::spawn_blocking(move || {
            let mut db = db.lock().unwrap_or_else(PoisonError::into_inner);
            let mut own = match db.take() {
                Some(own) => own,
                None => open(&path, Role::Outbox)?,
            };
            let done = work(&mut own).map_err(unavailable)?;
            *db = Some(own);
            Ok(done)
        });
        done.await.unwrap_or_else(|_| Err(StoreError::Unavailable("a read of the outbox ended".to_owned())))
    }
}

fn take_leases(db: &mut Connection, relay: [u8; 16], now: i64) -> Sql<Vec<Lease>> {
    let until = now + LEASED_MILLIS;
    let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    transaction.execute("DELETE FROM relays WHERE heard_until < ?1", [now])?;
    let heard = "INSERT INTO relays (relay, heard_until) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET heard_until = ?2";
    transaction.execute(heard, params![relay, until])?;
    let renew = "UPDATE relay_parts SET leased_until = ?2 WHERE relay = ?1 AND leased_until >= ?3";
    transaction.execute(renew, params![relay, until, now])?;
    let count = |sql: &str| transaction.query_row(sql, [], |row| row.get::<_, i64>(0));
    let relays = count("SELECT count(*) FROM relays")?.max(1);
    let share = (count("SELECT count(*) FROM relay_parts")? + relays - 1) / relays;
    let give_up = "UPDATE relay_parts SET relay = NULL, leased_until = 0 WHERE part IN (
        SELECT part FROM relay_parts WHERE relay = ?1 ORDER BY part LIMIT -1 OFFSET ?2)";
    transaction.execute(give_up, params![relay, share])?;
    let take = "UPDATE relay_parts SET relay = ?1, fence = fence + 1, leased_until = ?2 WHERE part IN (
        SELECT part FROM relay_parts WHERE leased_until < ?3 ORDER BY part
        LIMIT max(0, ?4 - (SELECT count(*) FROM relay_parts WHERE relay = ?1 AND leased_until >= ?3)))";
    transaction.execute(take, params![relay, until, now, share])?;
    let own = "SELECT part, sent_to, fence FROM relay_parts WHERE relay = ?1 AND leased_until >= ?2 ORDER BY part";
    let lease = |row: &rusqlite::Row<'_>| Ok(Lease { part: row.get(0)?, sent_to: row.get(1)?, fence: row.get(2)? });
    let own = transaction.prepare(own)?.query_map(params![relay, now], lease)?.collect();
    transaction.commit()?;
    own
}

fn mark(db: &mut Connection, relay: [u8; 16], marks: &Marks) -> Sql<()> {
    let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for (position, reason) in &marks.dead {
        let dead = "UPDATE events SET state = 'DEAD', reason = ?2 WHERE position = ?1";
        transaction.execute(dead, params![big(*position), reason])?;
        transaction.execute("DELETE FROM events_put_back WHERE position = ?1", [big(*position)])?;
    }
    for position in &marks.sent_again {
        transaction.execute("DELETE FROM events_put_back WHERE position = ?1", [big(*position)])?;
    }
    for lease in &marks.leases {
        let sent = "UPDATE relay_parts SET sent_to = ?4
            WHERE part = ?1 AND fence = ?2 AND relay = ?3 AND sent_to < ?4";
        transaction.execute(sent, params![lease.part, big(lease.fence), relay, big(lease.sent_to)])?;
    }
    transaction.commit()
}

/// The last event stays: positions go on from it.
fn forget(db: &mut Connection, before: i64, most: usize) -> Sql<usize> {
    let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let old = "DELETE FROM events WHERE position IN (
        SELECT position FROM (SELECT position, at FROM events
            WHERE position <= (SELECT min(sent_to) FROM relay_parts) AND position < (SELECT max(position) FROM events)
                AND state <> 'DEAD' AND position NOT IN (SELECT position FROM events_put_back)
            ORDER BY position LIMIT ?2) WHERE at < ?1)";
    let gone = transaction.execute(old, params![before, most])?;
    if gone > 0 {
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
                    WHERE position > (SELECT min(sent_to) FROM relay_parts))
                OR EXISTS (SELECT 1 FROM events_put_back)";
            db.prepare_cached(has_work)?.query_row([], |row| row.get(0))
        })
        .await
    }

    async fn put_back(&self, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        self.with(move |db| event::put_back(db, limit)).await
    }

    async fn mark(&self, relay: Uuid, marks: &Marks) -> Result<(), StoreError> {
        let marks = marks.clone();
        self.with(move |db| mark(db, relay.into_bytes(), &marks)).await
    }

    async fn forget(&self, before: Timestamp, most: usize) -> Result<usize, StoreError> {
        self.with(move |db| forget(db, before.as_millis(), most)).await
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.with(move |db| {
            let waiting = "SELECT count(*), coalesce(min(at), 0) FROM (SELECT at FROM events
                WHERE position > (SELECT min(sent_to) FROM relay_parts) ORDER BY position LIMIT 10000)";
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
            let mut look = db.prepare_cached("SELECT 1 FROM deliveries WHERE event_id = ?1")?;
            for id in ids {
                if look.exists([id.uuid().as_bytes()])? {
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

    async fn set_aside(&self, _topic: &str, _subject: &str, id: EventId, reason: &str) -> Result<(), StoreError> {
        let reason = reason.to_owned();
        self.with(move |db| {
            let dead = "UPDATE events SET state = 'DEAD', reason = ?2 WHERE event_id = ?1";
            db.execute(dead, params![id.uuid().as_bytes(), reason]).map(|_| ())
        })
        .await
    }
}
