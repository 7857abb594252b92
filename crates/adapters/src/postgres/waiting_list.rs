//! Waiting lists of lectures.

use std::collections::HashMap;

use onsale_app::store::{Page, Unit, WaitingUser};
use onsale_domain::ids::{LectureId, UserId};
use onsale_domain::lecture::Waiting;
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::time::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::session::{Pipeline, Session};
use super::values::{Sql, big, columns, instant, limit, number, params, small_count, user, uuid};

/// The position of the entry `own` of `applications`: the entries of the blocks before its own, and those of its own block.
macro_rules! position {
    () => {
        "(SELECT coalesce(sum(entries), 0) FROM waiting_blocks before
            WHERE before.lecture_id = own.lecture_id AND before.block < own.waiting_number / 1024)
        + (SELECT count(*) FROM applications other WHERE other.lecture_id = own.lecture_id
            AND other.waiting_number >= own.waiting_number / 1024 * 1024 AND other.waiting_number <= own.waiting_number)"
    };
}
pub(super) use position;

/// The users at the front of the lists of lectures that are locked.
const FRONT: &str = "SELECT wanted.lecture_id, user_id, waiting_number, applied_at
    FROM unnest($1::uuid[], $2::bigint[]) wanted (lecture_id, many) CROSS JOIN LATERAL (
        SELECT user_id, waiting_number, applied_at FROM applications
        WHERE lecture_id = wanted.lecture_id AND waiting_number > 0 ORDER BY waiting_number LIMIT many) front
    ORDER BY wanted.lecture_id, waiting_number";

const COUNT_MORE: &str = "INSERT INTO waiting_blocks (lecture_id, block, entries)
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::integer[])
    ON CONFLICT (lecture_id, block) DO UPDATE SET entries = waiting_blocks.entries + excluded.entries";

/// An insert with fewer than no entries would fail before its conflict is found.
const COUNT_FEWER: &str = "UPDATE waiting_blocks SET entries = waiting_blocks.entries + v.entries
    FROM unnest($1::uuid[], $2::bigint[], $3::integer[]) v (lecture_id, block, entries)
    WHERE waiting_blocks.lecture_id = v.lecture_id AND waiting_blocks.block = v.block";

const BEFORE: &str =
    concat!("SELECT ", position!(), " FROM (SELECT $1::uuid AS lecture_id, $2::bigint AS waiting_number) own");

const WAITING: &str = "SELECT user_id, waiting_number, applied_at FROM applications
    WHERE lecture_id = $1 AND waiting_number > $2 ORDER BY waiting_number LIMIT $3";

/// Each such lecture starts within the range, which selects the index of lectures with a list also without statistics.
const TO_PROMOTE: &str =
    "SELECT lecture_id FROM lectures WHERE waitlisted > 0 AND starts_at BETWEEN $1 AND 9223372036854775807
        AND enrolled < capacity AND NOT closed AND cancelled_at IS NULL AND (opens_at IS NULL OR opens_at < $1)
    ORDER BY starts_at, lecture_id";

pub(super) const WRITES: &[&str] = &[FRONT, COUNT_MORE, COUNT_FEWER];

#[cfg(test)]
pub(super) const READS: &[&str] = &[BEFORE, WAITING, TO_PROMOTE];

/// The users at the front of the lists that a unit of work may promote from.
pub(super) fn load<'a>(pipeline: &mut Pipeline<'a, Unit>, keys: &'a Keys) {
    let wanted = keys.waiting_lists.iter();
    let Some(wanted) = columns!(wanted, |(id, many)| id.uuid(), limit(**many)) else { return };
    pipeline.query(FRONT, wanted, move |found, unit| {
        let mut fronts: HashMap<Uuid, Vec<(UserId, u64)>> = HashMap::new();
        for row in found {
            let (lecture, user, waiting) = (uuid(row, 0)?, user(row, 1)?, entry(row, 2, 3)?);
            fronts.entry(lecture).or_default().push((user.clone(), waiting.number));
            unit.rows.waiting.load((LectureId::new(lecture), user), Some(waiting));
        }
        for (lecture, many) in &keys.waiting_lists {
            let front = fronts.remove(&lecture.uuid()).unwrap_or_default();
            let is_whole = front.len() < *many;
            unit.rows.waiting_lists.load(*lecture, front, is_whole);
        }
        Ok(())
    });
}

/// An entry, from the column with its number and the one with its instant.
pub(super) fn entry(row: &Row, numbered: usize, applied: usize) -> Sql<Waiting> {
    Ok(Waiting { number: number(row, numbered)?, applied_at: instant(row, applied)? })
}

/// Saves the counters of blocks. The entries themselves are saved with the applications.
pub(super) fn save(pipeline: &mut Pipeline<'_, ()>, rows: &Rows) {
    let changed =
        |is_more: bool| rows.waiting_lists.changed_blocks().filter(move |(_, _, change)| (*change > 0) == is_more);
    let columns = |is_more| columns!(changed(is_more), |(lecture, block, change)| lecture.uuid(), big(*block), *change);
    pipeline.write(COUNT_MORE, columns(true));
    pipeline.write(COUNT_FEWER, columns(false));
}

/// A page of the users who wait, in order.
pub(super) async fn waiting(session: &Session, lecture: LectureId, page: Page<u64>) -> Sql<Vec<WaitingUser>> {
    let (id, after) = (lecture.uuid(), big(page.after.unwrap_or(0)));
    let before = session.query(BEFORE, params![id, after]).await?;
    let before = before.first().map(|row| small_count(row, 0)).transpose()?.unwrap_or(0);
    let found = session.query(WAITING, params![id, after, limit(page.limit)]).await?;
    let entries = found.iter().map(|row| Ok((user(row, 0)?, entry(row, 1, 2)?)));
    (before + 1..).zip(entries).map(|(position, found)| found.map(|found| WaitingUser::of(found, position))).collect()
}

/// Lectures that have a free place for a user who waits, if they are open at an instant.
pub(super) async fn to_promote(session: &Session, at: Timestamp) -> Sql<Vec<LectureId>> {
    let found = session.query(TO_PROMOTE, params![at.plus_millis(1).as_millis()]).await?;
    found.iter().map(|row| Ok(LectureId::new(uuid(row, 0)?))).collect()
}
