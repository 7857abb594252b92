//! Sessions of the back office.

use onsale_domain::ids::{SessionId, StaffKeyId};
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::staff::{Session, SessionHash};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::values::{Sql, instant, optional_uuid, uuid};

/// Maximum number of sessions that are over and that one sign-in deletes.
const DELETED_AT_ONCE: usize = 100;

pub(super) fn load(db: &Connection, keys: &Keys, rows: &mut Rows) -> Sql<()> {
    for hash in &keys.staff_sessions {
        rows.staff_sessions.load(*hash, by_hash(db, hash)?);
    }
    Ok(())
}

pub(super) fn save(db: &Connection, rows: &Rows) -> Sql<()> {
    for (hash, session) in rows.staff_sessions.changed() {
        let Some(session) = session else {
            db.prepare_cached("DELETE FROM staff_sessions WHERE hash = ?1")?.execute([hash])?;
            continue;
        };
        db.prepare_cached(
            "INSERT INTO staff_sessions (hash, session_id, key_id, started_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            hash,
            session.id.uuid().as_bytes(),
            session.key.map(|key| key.uuid().into_bytes()),
            session.started_at.as_millis(),
            session.expires_at.as_millis(),
        ])?;
    }
    let Some(at) = rows.sessions_over_at else { return Ok(()) };
    let over = "SELECT hash FROM staff_sessions WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2";
    db.prepare_cached(&format!("DELETE FROM staff_sessions WHERE hash IN ({over})"))?
        .execute(params![at.as_millis(), DELETED_AT_ONCE])?;
    Ok(())
}

/// The session with one of these hashes.
pub(super) fn find(db: &Connection, hashes: &[SessionHash]) -> Sql<Option<Session>> {
    for hash in hashes {
        if let Some(session) = by_hash(db, hash)? {
            return Ok(Some(session));
        }
    }
    Ok(None)
}

fn by_hash(db: &Connection, hash: &SessionHash) -> Sql<Option<Session>> {
    db.prepare_cached("SELECT hash, session_id, key_id, started_at, expires_at FROM staff_sessions WHERE hash = ?1")?
        .query_row([hash], read)
        .optional()
}

fn read(row: &Row<'_>) -> Sql<Session> {
    Ok(Session {
        hash: row.get(0)?,
        id: SessionId::new(uuid(row, 1)?),
        key: optional_uuid(row, 2)?.map(StaffKeyId::new),
        started_at: instant(row, 3)?,
        expires_at: instant(row, 4)?,
    })
}
