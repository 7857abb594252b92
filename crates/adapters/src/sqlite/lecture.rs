//! Lectures, who has a place in them, and their history.

use onsale_app::store::{AppliedLecture, LectureFilter, Page};
use onsale_domain::ids::{EventId, LectureId, UserId};
use onsale_domain::lecture::{Application, HistoryLine, Lecture};
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::values::{Sql, big, instant, optional_text, text, user, uuid, word};
use crate::stored::Word;

pub(super) fn load(db: &Connection, keys: &Keys, rows: &mut Rows) -> Sql<()> {
    for (id, wanted) in &keys.lectures {
        let lecture = lecture(db, *id)?;
        let freed = match &lecture {
            Some(lecture) if lecture.enrolled < lecture.seats_opened => lowest_freed(db, *id, *wanted)?,
            _ => Vec::new(),
        };
        rows.freed_seats.load(*id, freed);
        rows.lectures.load(*id, lecture);
    }
    for (lecture, user) in &keys.applications {
        let application = db
            .prepare_cached("SELECT seat_number, applied_at FROM applications WHERE lecture_id = ?1 AND user_id = ?2")?
            .query_row(params![lecture.uuid().as_bytes(), user.as_str()], |row| {
                Ok(Application { seat_number: row.get(0)?, applied_at: instant(row, 1)? })
            })
            .optional()?;
        rows.applications.load((*lecture, user.clone()), application);
    }
    Ok(())
}

fn lowest_freed(db: &Connection, lecture: LectureId, wanted: usize) -> Sql<Vec<u32>> {
    db.prepare_cached("SELECT seat_number FROM freed_seats WHERE lecture_id = ?1 ORDER BY seat_number LIMIT ?2")?
        .query_map(params![lecture.uuid().as_bytes(), wanted], |row| row.get(0))?
        .collect()
}

pub(super) fn save(db: &Connection, rows: &Rows) -> Sql<()> {
    for (id, lecture) in rows.lectures.changed() {
        let Some(lecture) = lecture else { continue };
        save_lecture(db, *id, lecture)?;
    }
    for (lecture, seat, free) in rows.freed_seats.changed() {
        let statement = if free {
            "INSERT INTO freed_seats (lecture_id, seat_number) VALUES (?1, ?2)"
        } else {
            "DELETE FROM freed_seats WHERE lecture_id = ?1 AND seat_number = ?2"
        };
        db.prepare_cached(statement)?.execute(params![lecture.uuid().as_bytes(), seat])?;
    }
    // Seat numbers are unique per lecture: delete applications first, so that a freed number can be inserted again.
    for (lecture, user) in rows.applications.outdated() {
        db.prepare_cached("DELETE FROM applications WHERE lecture_id = ?1 AND user_id = ?2")?
            .execute(params![lecture.uuid().as_bytes(), user.as_str()])?;
    }
    for ((lecture, user), application) in rows.applications.changed() {
        let Some(Application { seat_number, applied_at }) = application else { continue };
        db.prepare_cached(
            "INSERT INTO applications (lecture_id, user_id, seat_number, applied_at) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![lecture.uuid().as_bytes(), user.as_str(), seat_number, applied_at.as_millis()])?;
    }
    for line in &rows.lecture_history {
        db.prepare_cached(
            "INSERT INTO lecture_history (lecture_id, version, line_id, user_id, type, seat_number, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            line.lecture.uuid().as_bytes(),
            line.version,
            line.id.uuid().as_bytes(),
            line.user.as_str(),
            line.kind.word(),
            line.seat_number,
            line.created_at.as_millis(),
        ])?;
    }
    Ok(())
}

fn save_lecture(db: &Connection, id: LectureId, lecture: &Lecture) -> Sql<()> {
    db.prepare_cached(
        "INSERT INTO lectures
           (lecture_id, title, lecturer, starts_at, capacity, enrolled, seats_opened, version, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT DO UPDATE SET enrolled = ?6, seats_opened = ?7, version = ?8, updated_at = ?9",
    )?
    .execute(params![
        id.uuid().as_bytes(),
        &*lecture.title,
        lecture.lecturer.as_deref(),
        lecture.starts_at.as_millis(),
        lecture.capacity,
        lecture.enrolled,
        lecture.seats_opened,
        lecture.version,
        lecture.updated_at.as_millis(),
    ])?;
    Ok(())
}

const COLUMNS: &str = "lecture_id, title, lecturer, starts_at, capacity, enrolled, seats_opened, version, updated_at";

fn read(row: &Row<'_>) -> Sql<Lecture> {
    Ok(Lecture {
        id: LectureId::new(uuid(row, 0)?),
        title: text(row, 1)?,
        lecturer: optional_text(row, 2)?,
        starts_at: instant(row, 3)?,
        capacity: row.get(4)?,
        enrolled: row.get(5)?,
        seats_opened: row.get(6)?,
        version: row.get(7)?,
        updated_at: instant(row, 8)?,
    })
}

pub(super) fn lecture(db: &Connection, id: LectureId) -> Sql<Option<Lecture>> {
    db.prepare_cached(&format!("SELECT {COLUMNS} FROM lectures WHERE lecture_id = ?1"))?
        .query_row([id.uuid().as_bytes()], read)
        .optional()
}

/// A page of lectures in the order of start and id.
pub(super) fn lectures(
    db: &Connection,
    filter: LectureFilter,
    page: Page<(Timestamp, LectureId)>,
) -> Sql<Vec<Lecture>> {
    let LectureFilter { from, until, with_places, changed_since } = filter;
    let (after_start, after_id) = match page.after {
        Some((start, id)) => (start.as_millis(), id.uuid().into_bytes().to_vec()),
        None => (i64::MIN, Vec::new()),
    };
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM lectures
         WHERE starts_at >= ?1 AND starts_at < ?2 AND (starts_at, lecture_id) > (?3, ?4)
           AND (NOT ?5 OR enrolled < capacity) AND updated_at >= ?6
         ORDER BY starts_at, lecture_id LIMIT ?7"
    ))?;
    let until = until.map_or(i64::MAX, Timestamp::as_millis);
    let since = changed_since.map_or(i64::MIN, Timestamp::as_millis);
    let wanted = params![from.as_millis(), until, after_start, after_id, with_places, since, page.limit];
    statement.query_map(wanted, read)?.collect()
}

pub(super) fn applications(db: &Connection, user: &UserId, lecture: Option<LectureId>) -> Sql<Vec<AppliedLecture>> {
    db.prepare_cached(
        "SELECT lecture_id, title, starts_at, applied_at FROM applications JOIN lectures USING (lecture_id)
         WHERE user_id = ?1 AND (?2 IS NULL OR lecture_id = ?2) ORDER BY starts_at, lecture_id",
    )?
    .query_map(params![user.as_str(), lecture.map(|id| id.uuid().into_bytes())], |row| {
        Ok(AppliedLecture {
            lecture: LectureId::new(uuid(row, 0)?),
            title: text(row, 1)?,
            starts_at: instant(row, 2)?,
            applied_at: instant(row, 3)?,
        })
    })?
    .collect()
}

/// A page of a lecture's history, oldest line first.
pub(super) fn history(db: &Connection, lecture: LectureId, page: Page<u64>) -> Sql<Vec<HistoryLine>> {
    db.prepare_cached(
        "SELECT lecture_id, version, line_id, user_id, type, seat_number, created_at FROM lecture_history
         WHERE lecture_id = ?1 AND version > ?2 ORDER BY version LIMIT ?3",
    )?
    .query_map(params![lecture.uuid().as_bytes(), big(page.after.unwrap_or(0)), page.limit], history_line)?
    .collect()
}

pub(super) fn history_line(row: &Row<'_>) -> Sql<HistoryLine> {
    Ok(HistoryLine {
        lecture: LectureId::new(uuid(row, 0)?),
        version: row.get(1)?,
        id: EventId::new(uuid(row, 2)?),
        user: user(row, 3)?,
        kind: word(row, 4)?,
        seat_number: row.get(5)?,
        created_at: instant(row, 6)?,
    })
}
