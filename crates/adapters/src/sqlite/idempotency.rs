//! Stored answers of idempotency keys.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use onsale_app::idempotency::{KeptAnswer, KeptCount, KeyId, Owner};
use onsale_app::store::{Unit, Wanted};
use onsale_domain::table::Table;
use onsale_domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::values::{Sql, instant};

/// Maximum number of old answers that one unit of work deletes.
const FORGOTTEN_AT_ONCE: usize = 500;

fn owner(id: &KeyId) -> Cow<'_, str> {
    id.owner.text()
}

pub(super) fn load(db: &Connection, ids: &BTreeSet<KeyId>, answers: &mut Table<KeyId, KeptAnswer>) -> Sql<()> {
    for id in ids {
        let answer = db
            .prepare_cached("SELECT fingerprint, answer, kept_at FROM kept_answers WHERE owner = ?1 AND key = ?2")?
            .query_row(params![owner(id), &*id.key], |row| {
                Ok(KeptAnswer {
                    fingerprint: row.get(0)?,
                    answer: row.get_ref(1)?.as_blob()?.into(),
                    kept_at: instant(row, 2)?,
                })
            })
            .optional()?;
        answers.load(id.clone(), answer);
    }
    Ok(())
}

/// Counts the answers of owners, up to a limit. Reads the index on owners and keys, and at most one row of the table: rows are
/// in the order in which they were stored, so the first is the oldest.
pub(super) fn count(db: &Connection, wanted: &Wanted, counts: &mut BTreeMap<Owner, KeptCount>) -> Sql<()> {
    for owner in &wanted.counted {
        let text = owner.text();
        let answers: u32 = db
            .prepare_cached("SELECT count(*) FROM (SELECT 1 FROM kept_answers WHERE owner = ?1 LIMIT ?2)")?
            .query_row(params![text, wanted.count_max], |row| row.get(0))?;
        let mut oldest = None;
        // Only at the limit: the age of the oldest answer decides when a key becomes free.
        if answers >= wanted.count_max {
            oldest = db
                .prepare_cached(
                    "SELECT kept_at FROM kept_answers
                     WHERE position = (SELECT min(position) FROM kept_answers WHERE owner = ?1)",
                )?
                .query_row(params![text], |row| instant(row, 0))
                .optional()?;
        }
        counts.insert(owner.clone(), KeptCount { answers, oldest });
    }
    Ok(())
}

pub(super) fn save(db: &Connection, unit: &Unit) -> Sql<()> {
    for (id, kept) in unit.answers.changed() {
        let Some(KeptAnswer { fingerprint, answer, kept_at }) = kept else { continue };
        // A key may be used again after it has expired and before its old answer is deleted.
        db.prepare_cached(
            "INSERT OR REPLACE INTO kept_answers (owner, key, fingerprint, answer, kept_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![owner(id), &*id.key, fingerprint, &**answer, kept_at.as_millis()])?;
    }
    unit.forget_answers_before.map_or(Ok(()), |before| forget(db, before))
}

/// Deletes old answers. Rows are in the order in which they were stored, so the first ones are the oldest.
fn forget(db: &Connection, before: Timestamp) -> Sql<()> {
    let oldest = "SELECT position FROM kept_answers ORDER BY position LIMIT ?2";
    db.prepare_cached(&format!("DELETE FROM kept_answers WHERE position IN ({oldest}) AND kept_at < ?1"))?
        .execute(params![before.as_millis(), FORGOTTEN_AT_ONCE])?;
    Ok(())
}

/// Whether there is an old answer to delete.
pub(super) fn has_old(db: &Connection, before: Timestamp) -> Sql<bool> {
    let oldest = "SELECT coalesce((SELECT kept_at FROM kept_answers ORDER BY position LIMIT 1) < ?1, 0)";
    db.prepare_cached(oldest)?.query_row([before.as_millis()], |row| row.get(0))
}
