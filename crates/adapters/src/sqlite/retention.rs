//! Retires rooms and deletes old places and events, in steps. Each step opens a connection of its own.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use onsale_app::store::Retention;
use onsale_app::store::StoreError;
use onsale_domain::ids::ConcertId;
use onsale_domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::connection::{Role, open, unavailable};
use super::values::{Sql, big};

/// Maximum number of rooms whose places one step deletes. Most rooms of a year have few places.
const ROOMS_AT_ONCE: usize = 16;

/// [`Retention`] on SQLite.
pub(super) struct SqliteRetention {
    path: PathBuf,
}

impl SqliteRetention {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Runs a step in one transaction, on a thread that may block.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Sql<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let path = self.path.clone();
        let done = tokio::task::spawn_blocking(move || {
            let mut db = open(&path, Role::Outbox)?;
            in_transaction(&mut db, work).map_err(unavailable)
        });
        done.await.unwrap_or_else(|_| Err(StoreError::Unavailable("a step of retention ended".to_owned())))
    }
}

fn in_transaction<T>(db: &mut Connection, work: impl FnOnce(&Transaction<'_>) -> Sql<T>) -> Sql<T> {
    // IMMEDIATE: takes the write lock before the first read. A deferred transaction could read, lose the race for the lock to
    // the sale's writer, and fail.
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = work(&transaction)?;
    transaction.commit()?;
    Ok(done)
}

fn retire(db: &Connection, rooms: &[(ConcertId, u64)], started_before: Timestamp) -> Sql<Vec<ConcertId>> {
    let mut retire = db.prepare(
        "UPDATE rooms SET retired_version = version WHERE concert_id = ?1 AND version = ?2 AND retired_version <> version
             AND NOT EXISTS (SELECT 1 FROM turns WHERE turns.concert_id = ?1)
             AND NOT EXISTS (SELECT 1 FROM performances WHERE performances.concert_id = ?1 AND starts_at >= ?3)",
    )?;
    let mut is_retired = db.prepare("SELECT 1 FROM rooms WHERE concert_id = ?1 AND retired_version = version")?;
    // Open holds are few: they have a partial index without sold reservations.
    let mut held =
        db.prepare("SELECT DISTINCT concert_id FROM reservations WHERE status = 'HELD' AND held_until > 0")?;
    let held: HashSet<[u8; 16]> = held.query_map([], |row| row.get(0))?.collect::<Sql<_>>()?;
    let mut retired = Vec::new();
    for (concert, version) in rooms {
        let id = concert.uuid().into_bytes();
        // A room with an open hold can still change: its payment ends a turn.
        if held.contains(&id) {
            continue;
        }
        // The version must be the one that the caller saw: a room that changed since is not idle.
        retire.execute(params![id, big(*version), started_before.as_millis()])?;
        if is_retired.exists([id])? {
            retired.push(*concert);
        }
    }
    Ok(retired)
}

/// A room whose first remaining place is old and was admitted.
const WITH_OLD_PLACES: &str = "SELECT concert_id, served, places_dropped_to,
        (SELECT min(place) FROM turns WHERE turns.concert_id = rooms.concert_id) AS first_turn
    FROM rooms WHERE served > places_dropped_to AND (SELECT issued_at < ?1 AND place < coalesce(first_turn, place + 1)
        FROM places WHERE places.concert_id = rooms.concert_id AND place > places_dropped_to AND place <= served
        ORDER BY place LIMIT 1)
    LIMIT 1";

/// A room with old places.
struct OldRoom {
    concert: [u8; 16],
    /// The last admitted place.
    served: u64,
    /// The last deleted place.
    dropped_to: u64,
    /// The lowest place with a turn that is not settled.
    first_turn: Option<u64>,
}

fn drop_places(db: &Connection, before: Timestamp, most: usize) -> Sql<usize> {
    let mut gone = 0;
    for _ in 0..ROOMS_AT_ONCE {
        match drop_places_of_one(db, before, most - gone)? {
            Some(some) => gone += some,
            None => break,
        }
        if gone >= most {
            break;
        }
    }
    Ok(gone)
}

/// Deletes old places of the next room. Returns how many, or `None` if no room has old places.
fn drop_places_of_one(db: &Connection, before: Timestamp, most: usize) -> Sql<Option<usize>> {
    let read = |row: &rusqlite::Row<'_>| {
        let (concert, served) = (row.get(0)?, row.get(1)?);
        Ok(OldRoom { concert, served, dropped_to: row.get(2)?, first_turn: row.get(3)? })
    };
    let found = db.prepare_cached(WITH_OLD_PLACES)?.query_row([before.as_millis()], read).optional()?;
    let Some(OldRoom { concert, served, dropped_to, first_turn }) = found else { return Ok(None) };
    // A turn that is not settled still needs the row of its place, and rows are deleted without gaps: stop before it.
    let called = first_turn.map_or(served, |place| served.min(place.saturating_sub(1)));
    let next = "SELECT place, issued_at FROM places WHERE concert_id = ?1 AND place > ?2 AND place <= ?3
        ORDER BY place LIMIT ?4";
    let next: Vec<(u64, i64)> = db
        .prepare(next)?
        .query_map(params![concert, dropped_to, called, most], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Sql<_>>()?;
    let old = next.iter().take_while(|(_, issued_at)| *issued_at < before.as_millis()).count();
    // If all admitted places are old, also passes the numbers after the last of them that have no row.
    let to =
        if old == next.len() && old < most { called } else { next[..old].last().map_or(dropped_to, |last| last.0) };
    let gone = "DELETE FROM places WHERE concert_id = ?1 AND place > ?2 AND place <= ?3";
    let gone = db.execute(gone, params![concert, dropped_to, to])?;
    db.execute("UPDATE rooms SET places_dropped_to = ?2 WHERE concert_id = ?1", params![concert, to])?;
    Ok(Some(gone))
}

/// Deletes old events. Unsent ones only if no relay ever took a part of the outbox (every fence is 0): then no relay is meant to send
/// them.
const FORGET: &str = "DELETE FROM events WHERE position IN (
    SELECT position FROM (SELECT position, at FROM events
        WHERE position < (SELECT max(position) FROM events) AND state <> 'DEAD'
            AND (position < (SELECT min(min(sent_to, coalesce(checked_to, sent_to))) FROM relay_parts)
                OR (?3 AND (SELECT max(fence) FROM relay_parts) = 0))
            AND position NOT IN (SELECT position FROM events_put_back)
        ORDER BY position LIMIT ?2) WHERE at < ?1)";

fn forget_events(db: &Connection, before: Timestamp, even_unsent: bool, most: usize) -> Sql<usize> {
    let gone = db.execute(FORGET, params![before.as_millis(), most, even_unsent])?;
    if gone > 0 {
        db.execute("UPDATE events_forgotten SET before = max(before, ?1)", [before.as_millis()])?;
    }
    Ok(gone)
}

#[async_trait]
impl Retention for SqliteRetention {
    async fn retire(
        &self,
        rooms: &[(ConcertId, u64)],
        started_before: Timestamp,
    ) -> Result<Vec<ConcertId>, StoreError> {
        let rooms = rooms.to_vec();
        self.with(move |db| retire(db, &rooms, started_before)).await
    }

    async fn drop_places(&self, before: Timestamp, most: usize) -> Result<usize, StoreError> {
        self.with(move |db| drop_places(db, before, most)).await
    }

    async fn forget_events(&self, before: Timestamp, even_unsent: bool, most: usize) -> Result<usize, StoreError> {
        self.with(move |db| forget_events(db, before, even_unsent, most)).await
    }
}
