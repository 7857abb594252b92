//! Ends of users' sessions.

use async_trait::async_trait;
use onsale_app::store::{EndedSessions, StoreError};
use onsale_domain::ids::UserSessionId;
use onsale_domain::rows::Rows;
use onsale_domain::session::EndedSession;
use onsale_domain::time::Timestamp;
use rusqlite::{Connection, params};

use super::reader::ReaderPool;
use super::values::{Sql, instant, uuid};

/// Maximum number of ends that may be forgotten and that one new end deletes.
const DELETED_AT_ONCE: usize = 100;

/// Adds ends, and deletes a few that may be forgotten at `at`.
pub(super) fn save(db: &Connection, rows: &Rows, at: Timestamp) -> Sql<()> {
    if rows.ended_sessions.is_empty() {
        return Ok(());
    }
    for ended in &rows.ended_sessions {
        // The greatest number is never deleted, so no number is used twice.
        db.prepare_cached(
            "INSERT INTO ended_sessions (number, session_id, kept_until)
             SELECT ifnull(max(number), 0) + 1, ?1, ?2 FROM ended_sessions WHERE true ON CONFLICT DO NOTHING",
        )?
        .execute(params![ended.id.uuid().as_bytes(), ended.kept_until.as_millis()])?;
    }
    let over = "SELECT number FROM ended_sessions WHERE kept_until <= ?1 ORDER BY kept_until LIMIT ?2";
    db.prepare_cached(&format!(
        "DELETE FROM ended_sessions WHERE number IN ({over}) AND number < (SELECT max(number) FROM ended_sessions)"
    ))?
    .execute(params![at.as_millis(), DELETED_AT_ONCE])?;
    Ok(())
}

fn list(db: &Connection, from: u64, limit: usize) -> Sql<Vec<(u64, EndedSession)>> {
    db.prepare_cached(
        "SELECT number, session_id, kept_until FROM ended_sessions WHERE number >= ?1 ORDER BY number LIMIT ?2",
    )?
    .query_map(params![from, limit], |row| {
        let ended = EndedSession { id: UserSessionId::new(uuid(row, 1)?), kept_until: instant(row, 2)? };
        Ok((row.get(0)?, ended))
    })?
    .collect()
}

#[async_trait]
impl EndedSessions for ReaderPool {
    async fn ended_sessions(&self, from: u64, limit: usize) -> Result<Vec<(u64, EndedSession)>, StoreError> {
        self.read(move |db| list(db, from, limit)).await
    }
}
