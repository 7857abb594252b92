//! Stored answers of idempotency keys.

use std::borrow::Cow;
use std::collections::BTreeSet;

use onsale_app::idempotency::{KeptAnswer, KeptCount, KeyId, Owner};
use onsale_app::store::{Unit, Wanted};
use onsale_domain::time::Timestamp;
use tokio_postgres::Row;

use super::error::DbError;
use super::session::{Pipeline, Session};
use super::values::{Sql, columns, get, instant, number, optional_instant, params};
use super::waiting_room::SETTLED_KEPT_MILLIS;

/// Maximum number of old answers that one unit of work deletes.
const FORGOTTEN_AT_ONCE: i64 = 500;

const FIND: &str = "SELECT owner, key, fingerprint, answer, kept_at
    FROM unnest($1::text[], $2::text[]) wanted (owner, key) JOIN kept_answers USING (owner, key)";

const KEEP: &str = "INSERT INTO kept_answers (owner, key, fingerprint, answer, kept_at)
    SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[], $5::bigint[])";

/// Replaces the answer of a key that has expired and was not deleted yet. Fails with a division by zero if another unit was first:
/// it replaced the answer (which is then younger than an hour), or deleted it. The unit is then run again.
const REPLACE: &str = "WITH replaced AS (
        UPDATE kept_answers SET fingerprint = v.fingerprint, answer = v.answer, kept_at = v.kept_at
        FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[], $5::bigint[])
            v (owner, key, fingerprint, answer, kept_at)
        WHERE kept_answers.owner = v.owner AND kept_answers.key = v.key
            AND kept_answers.kept_at < v.kept_at - 3600000
        RETURNING 1)
    SELECT 1 / (count(*) = cardinality($1))::integer FROM replaced";

const FORGET: &str = "DELETE FROM kept_answers WHERE (owner, key) IN (
    SELECT owner, key FROM kept_answers WHERE kept_at < $1 ORDER BY kept_at LIMIT $2 FOR UPDATE SKIP LOCKED)";

/// Counts an owner's answers up to a limit, and finds the oldest only if the limit is reached. `OFFSET 0` keeps the planner
/// from searching all owners' answers by age.
const COUNT: &str = "SELECT owner, answers, CASE WHEN answers >= $2 THEN (SELECT min(kept_at) FROM
            (SELECT kept_at FROM kept_answers WHERE kept_answers.owner = counted.owner OFFSET 0) own) END
    FROM (SELECT owner, (SELECT count(*) FROM
            (SELECT 1 FROM kept_answers WHERE kept_answers.owner = wanted.owner LIMIT $2) kept) answers
        FROM unnest($1::text[]) wanted (owner)) counted";

pub(super) const WRITES: &[&str] = &[FIND, COUNT, KEEP, REPLACE, FORGET];

pub(super) fn owner(id: &KeyId) -> Cow<'_, str> {
    id.owner.text()
}

/// The key in two columns of a row.
pub(super) fn read_id(row: &Row, owner: usize, key: usize) -> Sql<KeyId> {
    Ok(KeyId { owner: read_owner(row, owner)?, key: get::<&str>(row, key)?.into() })
}

fn read_owner(row: &Row, column: usize) -> Sql<Owner> {
    Owner::parse(get(row, column)?).ok_or(DbError::Broken("an owner of keys that does not exist"))
}

/// Loads the answers of keys. Sent after the row locks: of two requests with one key about the same rows, the second finds the
/// answer of the first. Two requests about different rows collide at the primary key when they are saved.
pub(super) fn load<'a>(pipeline: &mut Pipeline<'a, Unit>, ids: &'a BTreeSet<KeyId>) {
    let Some(wanted) = columns!(ids.iter(), |id| owner(id), &*id.key) else { return };
    pipeline.query(FIND, wanted, move |found, unit| {
        for id in ids {
            unit.answers.load(id.clone(), None);
        }
        for row in found {
            let (id, kept) = read(row)?;
            unit.answers.load(id, Some(kept));
        }
        Ok(())
    });
}

/// Counts the answers of owners, up to a limit.
pub(super) fn count<'a>(pipeline: &mut Pipeline<'a, Unit>, wanted: &'a Wanted) {
    if wanted.counted.is_empty() {
        return;
    }
    let owners: Vec<Cow<'_, str>> = wanted.counted.iter().map(Owner::text).collect();
    pipeline.query(COUNT, params![owners, i64::from(wanted.count_max)], |found, unit| {
        for row in found {
            let answers = u32::try_from(number(row, 1)?).unwrap_or(u32::MAX);
            unit.kept_counts.insert(read_owner(row, 0)?, KeptCount { answers, oldest: optional_instant(row, 2)? });
        }
        Ok(())
    });
}

fn read(row: &Row) -> Sql<(KeyId, KeptAnswer)> {
    let id = read_id(row, 0, 1)?;
    let fingerprint: &[u8] = get(row, 2)?;
    let fingerprint = fingerprint.try_into().map_err(|_| DbError::Broken("a fingerprint of another length"))?;
    Ok((id, KeptAnswer { fingerprint, answer: get::<&[u8]>(row, 3)?.into(), kept_at: instant(row, 4)? }))
}

pub(super) fn save<'a>(pipeline: &mut Pipeline<'a, ()>, unit: &'a Unit) {
    // Sorted by key: two units that insert the same keys in different orders would deadlock at the primary key.
    let mut added: Vec<_> = unit.answers.added().collect();
    added.sort_by_key(|(id, _)| *id);
    let replaced = unit.answers.outdated().filter_map(|id| Some((id, unit.answers.get(id)?)));
    for (sql, rows) in [(KEEP, added), (REPLACE, replaced.collect())] {
        pipeline.write(
            sql,
            columns!(
                rows.into_iter(),
                |(id, kept)| owner(id),
                &*id.key,
                &kept.fingerprint[..],
                &*kept.answer,
                kept.kept_at.as_millis()
            ),
        );
    }
    if let Some(before) = unit.forget_answers_before {
        pipeline.execute(FORGET, params![Timestamp::as_millis(before), FORGOTTEN_AT_ONCE]);
    }
}

/// Whether there is anything that a unit of work deletes in addition to its own work: old answers, settled turns, ends of turns.
const HAS_OLD: &str = "SELECT coalesce((SELECT min(kept_at) FROM kept_answers) < $1, false)
    OR coalesce((SELECT min(settled_at) FROM turns WHERE settled_at > 0) < $2, false)
    OR EXISTS (SELECT FROM turn_ends)";

#[cfg(test)]
pub(super) const READS: &[&str] = &[HAS_OLD];

pub(super) async fn has_old(session: &Session, before: Timestamp, now: Timestamp) -> Sql<bool> {
    let settled_before = now.plus_millis(-SETTLED_KEPT_MILLIS);
    let found = session.query(HAS_OLD, params![before.as_millis(), settled_before.as_millis()]).await?;
    get(found.first().ok_or(DbError::Broken("no answer"))?, 0)
}
