//! Sessions of the back office.

use onsale_app::store::Unit;
use onsale_domain::ids::{SessionId, StaffKeyId};
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::staff::{Session as StaffSession, SessionHash};
use tokio_postgres::Row;
use uuid::Uuid;

use super::error::DbError;
use super::session::{Pipeline, Session};
use super::values::{Sql, columns, get, instant, params, uuid};

/// Maximum number of sessions that are over and that one sign-in deletes.
const DELETED_AT_ONCE: i64 = 100;

const LOCK: &str = "SELECT hash, session_id, key_id, started_at, expires_at FROM staff_sessions
    WHERE hash = ANY ($1) ORDER BY hash FOR UPDATE";

const START: &str = "INSERT INTO staff_sessions (hash, session_id, key_id, started_at, expires_at)
    SELECT * FROM unnest($1::bytea[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[])";

const END: &str = "DELETE FROM staff_sessions WHERE hash = ANY ($1)";

const DELETE_OVER: &str = "DELETE FROM staff_sessions WHERE hash IN (
    SELECT hash FROM staff_sessions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)";

pub(super) const WRITES: &[&str] = &[LOCK, START, END, DELETE_OVER];

const FIND: &str = "SELECT hash, session_id, key_id, started_at, expires_at FROM staff_sessions
    WHERE hash = ANY ($1) LIMIT 1";

#[cfg(test)]
pub(super) const READS: &[&str] = &[FIND];

/// Locks the sessions that a unit ends. After the locks of the keys: see `writer.rs`.
pub(super) fn lock<'a>(pipeline: &mut Pipeline<'a, Unit>, keys: &'a Keys) {
    if keys.staff_sessions.is_empty() {
        return;
    }
    let hashes: Vec<&[u8]> = keys.staff_sessions.iter().map(|hash| &hash[..]).collect();
    pipeline.query(LOCK, params![hashes], |found, unit| {
        for hash in &keys.staff_sessions {
            unit.rows.staff_sessions.load(*hash, None);
        }
        for row in found {
            let session = read(row)?;
            unit.rows.staff_sessions.load(session.hash, Some(session));
        }
        Ok(())
    });
}

pub(super) fn save<'a>(pipeline: &mut Pipeline<'a, ()>, rows: &'a Rows) {
    let sessions = &rows.staff_sessions;
    pipeline.write(
        START,
        columns!(
            sessions.added(),
            |(hash, session)| &hash[..],
            session.id.uuid(),
            session.key.map(StaffKeyId::uuid),
            session.started_at.as_millis(),
            session.expires_at.as_millis(),
        ),
    );
    let ended = sessions.outdated().filter(|hash| sessions.get(hash).is_none());
    pipeline.write(END, columns!(ended, |hash| &hash[..]));
    if let Some(at) = rows.sessions_over_at {
        pipeline.execute(DELETE_OVER, params![at.as_millis(), DELETED_AT_ONCE]);
    }
}

/// The session with one of these hashes.
pub(super) async fn find(session: &Session, hashes: &[SessionHash]) -> Sql<Option<StaffSession>> {
    let hashes: Vec<&[u8]> = hashes.iter().map(|hash| &hash[..]).collect();
    session.query(FIND, params![hashes]).await?.first().map(read).transpose()
}

fn read(row: &Row) -> Sql<StaffSession> {
    let hash: &[u8] = get(row, 0)?;
    Ok(StaffSession {
        hash: hash.try_into().map_err(|_| DbError::Broken("a hash of another length"))?,
        id: SessionId::new(uuid(row, 1)?),
        key: get::<Option<Uuid>>(row, 2)?.map(StaffKeyId::new),
        started_at: instant(row, 3)?,
        expires_at: instant(row, 4)?,
    })
}
