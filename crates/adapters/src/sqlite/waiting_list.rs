//! Waiting lists of lectures.

use std::collections::BTreeMap;

use onsale_app::store::{Page, WaitingUser};
use onsale_domain::ids::{LectureId, UserId};
use onsale_domain::lecture::Waiting;
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::time::Timestamp;
use rusqlite::{Connection, params};

use super::values::{Sql, big, instant, user, uuid};

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

/// The positions of entries. Each list is counted once, from one entry to the next, however many are named.
pub(super) fn load_positions(db: &Connection, mut entries: Vec<(LectureId, u64, UserId)>, rows: &mut Rows) -> Sql<()> {
    entries.sort_unstable();
    let mut counted: BTreeMap<LectureId, (u64, u32)> = BTreeMap::new();
    for (lecture, number, user) in entries {
        let (after, position) = counted.entry(lecture).or_default();
        let further: u32 = db
            .prepare_cached(
                "SELECT count(*) FROM applications WHERE lecture_id = ?1 AND waiting_number > ?2 AND waiting_number <= ?3",
            )?
            .query_row(params![lecture.uuid().as_bytes(), *after, number], |row| row.get(0))?;
        (*after, *position) = (number, *position + further);
        rows.waiting_lists.load_position(lecture, user, *position);
    }
    Ok(())
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
    Ok(())
}

/// A page of the users who wait, in order.
pub(super) fn waiting(db: &Connection, lecture: LectureId, page: Page<u64>) -> Sql<Vec<WaitingUser>> {
    let after = big(page.after.unwrap_or(0));
    let before: u32 = db
        .prepare_cached("SELECT count(*) FROM applications WHERE lecture_id = ?1 AND waiting_number BETWEEN 1 AND ?2")?
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
