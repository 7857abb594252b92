//! Waiting lists of lectures.

use onsale_app::store::{Page, WaitingUser};
use onsale_domain::ids::{LectureId, UserId};
use onsale_domain::lecture::Waiting;
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::time::Timestamp;
use rusqlite::{Connection, params};

use super::values::{Sql, big, instant, user, uuid};

/// The position of the entry `own` of `applications`: the entries of the blocks before its own, and those of its own block.
macro_rules! position {
    () => {
        "(SELECT coalesce(sum(entries), 0) FROM waiting_blocks before
            WHERE before.lecture_id = own.lecture_id AND before.block < own.waiting_number / 1024)
        + (SELECT count(*) FROM applications other WHERE other.lecture_id = own.lecture_id
            AND other.waiting_number BETWEEN own.waiting_number / 1024 * 1024 AND own.waiting_number)"
    };
}
pub(super) use position;

/// The users at the front of the lists that a unit of work may promote from. Lectures without a list are not read again.
pub(super) fn load(db: &Connection, keys: &Keys, rows: &mut Rows) -> Sql<()> {
    for (lecture, wanted) in &keys.waiting_lists {
        let waits = rows.lectures.get(lecture).is_some_and(|row| row.waitlisted > 0);
        let front = if waits { front(db, *lecture, *wanted)? } else { Vec::new() };
        let is_whole = front.len() < *wanted;
        for (user, waiting) in &front {
            rows.waiting.load((*lecture, user.clone()), Some(waiting.clone()));
        }
        rows.waiting_lists.load(*lecture, front.into_iter().map(|(user, own)| (user, own.number)), is_whole);
    }
    Ok(())
}

fn front(db: &Connection, lecture: LectureId, wanted: usize) -> Sql<Vec<(UserId, Waiting)>> {
    db.prepare_cached(
        "SELECT user_id, waiting_number, applied_at FROM applications WHERE lecture_id = ?1 AND waiting_number > 0
         ORDER BY waiting_number LIMIT ?2",
    )?
    .query_map(params![lecture.uuid().as_bytes(), wanted], |row| {
        Ok((user(row, 0)?, Waiting { number: row.get(1)?, applied_at: instant(row, 2)? }))
    })?
    .collect()
}

/// Adds entries. Those that ended were deleted with the applications.
pub(super) fn save(db: &Connection, rows: &Rows) -> Sql<()> {
    for ((lecture, user), waiting) in rows.waiting.changed() {
        let Some(Waiting { number, applied_at }) = waiting else { continue };
        db.prepare_cached(
            "INSERT INTO applications (lecture_id, user_id, waiting_number, applied_at) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![lecture.uuid().as_bytes(), user.as_str(), number, applied_at.as_millis()])?;
    }
    for (lecture, block, change) in rows.waiting_lists.changed_blocks() {
        // An insert with fewer than no entries would fail before its conflict is found.
        let statement = if change > 0 {
            "INSERT INTO waiting_blocks (lecture_id, block, entries) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET entries = entries + ?3"
        } else {
            "UPDATE waiting_blocks SET entries = entries + ?3 WHERE lecture_id = ?1 AND block = ?2"
        };
        db.prepare_cached(statement)?.execute(params![lecture.uuid().as_bytes(), block, change])?;
    }
    Ok(())
}

/// A page of the users who wait, in order.
pub(super) fn waiting(db: &Connection, lecture: LectureId, page: Page<u64>) -> Sql<Vec<WaitingUser>> {
    let after = big(page.after.unwrap_or(0));
    let before: u32 = db
        .prepare_cached(concat!("SELECT ", position!(), " FROM (SELECT ?1 AS lecture_id, ?2 AS waiting_number) own"))?
        .query_row(params![lecture.uuid().as_bytes(), after], |row| row.get(0))?;
    let mut statement = db.prepare_cached(
        "SELECT user_id, waiting_number, applied_at FROM applications WHERE lecture_id = ?1 AND waiting_number > ?2
         ORDER BY waiting_number LIMIT ?3",
    )?;
    let found = statement.query_map(params![lecture.uuid().as_bytes(), after, page.limit], |row| {
        Ok((user(row, 0)?, Waiting { number: row.get(1)?, applied_at: instant(row, 2)? }))
    })?;
    (before + 1..).zip(found).map(|(position, found)| found.map(|found| WaitingUser::of(found, position))).collect()
}

/// Lectures that have a free place for a user who waits, if they are open at an instant.
pub(super) fn to_promote(db: &Connection, at: Timestamp) -> Sql<Vec<LectureId>> {
    db.prepare_cached(
        "SELECT lecture_id FROM lectures
         WHERE waitlisted > 0 AND starts_at > ?1 AND enrolled < capacity AND NOT closed AND cancelled_at IS NULL
           AND (opens_at IS NULL OR opens_at <= ?1)
         ORDER BY starts_at, lecture_id",
    )?
    .query_map([at.as_millis()], |row| Ok(LectureId::new(uuid(row, 0)?)))?
    .collect()
}
