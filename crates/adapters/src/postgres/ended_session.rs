//! Ends of users' sessions.

use onsale_app::store::Unit;
use onsale_domain::ids::UserSessionId;
use onsale_domain::session::EndedSession;
use tokio_postgres::Row;

use super::session::{Pipeline, Session};
use super::values::{Sql, columns, instant, limit, number, params, uuid};

/// Maximum number of ends that may be forgotten and that one new end deletes.
const DELETED_AT_ONCE: i64 = 100;

/// The advisory lock under which ends get their numbers: "sess" in ASCII, as a number. It is held to the end of the transaction,
/// so numbers ascend in the order of commits, and a reader that has seen one has seen all smaller ones.
const NUMBERS: i64 = 0x7365_7373;

const LOCK: &str = "SELECT pg_advisory_xact_lock($1)";

/// The greatest number is never deleted, so no number is used twice.
const ADD: &str = "INSERT INTO ended_sessions (number, session_id, kept_until)
    SELECT coalesce((SELECT max(number) FROM ended_sessions), 0) + row_number() OVER (), id, kept
    FROM unnest($1::uuid[], $2::bigint[]) added (id, kept) ON CONFLICT (session_id) DO NOTHING";

const DELETE_OVER: &str = "DELETE FROM ended_sessions WHERE number = ANY (ARRAY(
    SELECT number FROM ended_sessions WHERE kept_until <= $1 ORDER BY kept_until LIMIT $2))
    AND number < (SELECT max(number) FROM ended_sessions)";

pub(super) const WRITES: &[&str] = &[LOCK, ADD, DELETE_OVER];

const LIST: &str = "SELECT number, session_id, kept_until FROM ended_sessions
    WHERE number >= $1 ORDER BY number LIMIT $2";

#[cfg(test)]
pub(super) const READS: &[&str] = &[LIST];

/// Adds ends, and deletes a few that may be forgotten. Other units of work have no further statement.
pub(super) fn save<'a>(pipeline: &mut Pipeline<'a, ()>, unit: &'a Unit) {
    let ended = &unit.rows.ended_sessions;
    if ended.is_empty() {
        return;
    }
    pipeline.execute(LOCK, params![NUMBERS]);
    pipeline.write(ADD, columns!(ended.iter(), |ended| ended.id.uuid(), ended.kept_until.as_millis()));
    pipeline.execute(DELETE_OVER, params![unit.at.as_millis(), DELETED_AT_ONCE]);
}

/// Ends whose number is at least `from`.
pub(super) async fn list(session: &Session, from: u64, most: usize) -> Sql<Vec<(u64, EndedSession)>> {
    let found = session.query(LIST, params![i64::try_from(from).unwrap_or(i64::MAX), limit(most)]).await?;
    let read = |row: &Row| {
        let ended = EndedSession { id: UserSessionId::new(uuid(row, 1)?), kept_until: instant(row, 2)? };
        Ok((number(row, 0)?, ended))
    };
    found.iter().map(read).collect()
}
