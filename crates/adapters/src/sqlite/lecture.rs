//! Lectures, who has a place in them, and their history.

use onsale_app::store::{AppliedLecture, LectureFilter, Page};
use onsale_domain::ids::{EventId, LectureId, UserId};
use onsale_domain::lecture::{
    Applicant, Application, CANCELLED_TOGETHER_MAX, Cancellation, HistoryLine, Lecture, Waiting,
};
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::values::{Sql, big, broken, instant, optional_instant, optional_text, text, user, uuid};
use super::waiting_list::{self, position};
use crate::stored::{history_kind, history_word};

pub(super) fn load(db: &Connection, keys: &Keys, rows: &mut Rows) -> Sql<()> {
    for (id, wanted) in &keys.lectures {
        let lecture = lecture(db, *id)?;
        let freed = match &lecture {
            Some(lecture) if lecture.enrolled < lecture.seats_given => lowest_freed(db, *id, *wanted)?,
            _ => Vec::new(),
        };
        rows.freed_seats.load(*id, freed);
        rows.lectures.load(*id, lecture);
    }
    waiting_list::load(db, keys, rows)?;
    load_applications(db, keys, rows)?;
    for lecture in &keys.emptied_lectures {
        load_lowest(db, *lecture, rows)?;
    }
    Ok(())
}

/// The place of each user, or the entry in the waiting list with its position.
fn load_applications(db: &Connection, keys: &Keys, rows: &mut Rows) -> Sql<()> {
    for (lecture, user) in &keys.applications {
        let found = db
            .prepare_cached(concat!(
                "SELECT seat_number, applied_at, waiting_number, CASE WHEN waiting_number > 0 THEN ",
                position!(),
                " END FROM applications own WHERE lecture_id = ?1 AND user_id = ?2"
            ))?
            .query_row(params![lecture.uuid().as_bytes(), user.as_str()], |row| {
                let entry = row.get::<_, Option<u64>>(2)?.zip(row.get::<_, Option<u32>>(3)?);
                Ok((row.get::<_, Option<u32>>(0)?, instant(row, 1)?, entry))
            })
            .optional()?;
        let (mut place, mut waiting) = (None, None);
        match found {
            Some((Some(seat_number), applied_at, _)) => place = Some(Application { seat_number, applied_at }),
            Some((None, applied_at, Some((number, position)))) => {
                waiting = Some(Waiting { number, applied_at });
                rows.waiting_lists.load_position(*lecture, user.clone(), position);
            }
            _ => {}
        }
        rows.applications.load((*lecture, user.clone()), place);
        rows.waiting.load((*lecture, user.clone()), waiting);
    }
    Ok(())
}

/// Applications with the lowest seat numbers.
fn load_lowest(db: &Connection, lecture: LectureId, rows: &mut Rows) -> Sql<()> {
    let lowest = applicants(db, lecture, Page { after: None, limit: CANCELLED_TOGETHER_MAX })?;
    rows.applicants.insert(lecture, lowest.iter().map(|applicant| applicant.user.clone()).collect());
    for Applicant { user, application } in lowest {
        rows.applications.load((lecture, user), Some(application));
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
        match rows.lectures.is_stored(id) && !rows.changed_lectures.contains(id) {
            true => save_counters(db, *id, lecture)?,
            false => save_lecture(db, *id, lecture)?,
        }
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
    for (lecture, user) in rows.applications.outdated().chain(rows.waiting.outdated()) {
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
    waiting_list::save(db, rows)?;
    save_history(db, rows)
}

fn save_history(db: &Connection, rows: &Rows) -> Sql<()> {
    for line in &rows.lecture_history {
        db.prepare_cached(
            "INSERT INTO lecture_history (lecture_id, version, line_id, user_id, type, seat_number, created_at, position)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            line.lecture.uuid().as_bytes(),
            line.version,
            line.id.uuid().as_bytes(),
            line.user.as_str(),
            history_word(line.kind),
            line.kind.seat_number(),
            line.created_at.as_millis(),
            line.kind.position(),
        ])?;
    }
    Ok(())
}

/// Saves the columns that an application or its cancellation changes.
fn save_counters(db: &Connection, id: LectureId, lecture: &Lecture) -> Sql<()> {
    db.prepare_cached(
        "UPDATE lectures SET enrolled = ?2, seats_given = ?3, version = ?4, updated_at = ?5, waitlisted = ?6
         WHERE lecture_id = ?1",
    )?
    .execute(params![
        id.uuid().as_bytes(),
        lecture.enrolled,
        lecture.seats_given,
        lecture.version,
        lecture.updated_at.as_millis(),
        lecture.waitlisted,
    ])?;
    Ok(())
}

/// A lecture that is new, or that staff changed.
fn save_lecture(db: &Connection, id: LectureId, lecture: &Lecture) -> Sql<()> {
    db.prepare_cached(
        "INSERT INTO lectures
           (lecture_id, title, lecturer, starts_at, capacity, enrolled, seats_given, version, updated_at, opens_at, closed,
            cancelled_at, cancel_reason, cancelled_applications, highest_capacity, changes, moved_at, waitlisted)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)
         ON CONFLICT DO UPDATE SET title = ?2, lecturer = ?3, starts_at = ?4, capacity = ?5, enrolled = ?6, seats_given = ?7,
            version = ?8, updated_at = ?9, opens_at = ?10, closed = ?11, cancelled_at = ?12, cancel_reason = ?13,
            cancelled_applications = ?14, highest_capacity = ?15, changes = ?16, moved_at = ?17,
            waitlisted = ?18",
    )?
    .execute(params![
        id.uuid().as_bytes(),
        &*lecture.title,
        lecture.lecturer.as_deref(),
        lecture.starts_at.as_millis(),
        lecture.capacity,
        lecture.enrolled,
        lecture.seats_given,
        lecture.version,
        lecture.updated_at.as_millis(),
        lecture.opens_at.map(Timestamp::as_millis),
        lecture.closed,
        lecture.cancellation.as_ref().map(|cancellation| cancellation.at.as_millis()),
        lecture.cancellation.as_ref().map(|cancellation| &*cancellation.reason),
        lecture.cancellation.as_ref().map(|cancellation| cancellation.applications),
        lecture.highest_capacity,
        lecture.changes,
        lecture.moved_at.map(Timestamp::as_millis),
        lecture.waitlisted,
    ])?;
    Ok(())
}

const COLUMNS: &str = "lecture_id, title, lecturer, starts_at, capacity, enrolled, seats_given, version, updated_at,
    opens_at, closed, cancelled_at, cancel_reason, cancelled_applications, highest_capacity, changes, moved_at,
    waitlisted";

fn read(row: &Row<'_>) -> Sql<Lecture> {
    let cancellation = match (optional_instant(row, 11)?, optional_text(row, 12)?, row.get(13)?) {
        (Some(at), Some(reason), Some(applications)) => Some(Cancellation { at, reason, applications }),
        _ => None,
    };
    Ok(Lecture {
        id: LectureId::new(uuid(row, 0)?),
        title: text(row, 1)?,
        lecturer: optional_text(row, 2)?,
        starts_at: instant(row, 3)?,
        capacity: row.get(4)?,
        enrolled: row.get(5)?,
        waitlisted: row.get(17)?,
        seats_given: row.get(6)?,
        version: row.get(7)?,
        updated_at: instant(row, 8)?,
        opens_at: optional_instant(row, 9)?,
        closed: row.get(10)?,
        cancellation,
        highest_capacity: row.get(14)?,
        changes: row.get(15)?,
        moved_at: optional_instant(row, 16)?,
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
    let LectureFilter { from, until, available_at } = filter;
    let (after_start, after_id) = match page.after {
        Some((start, id)) => (start.as_millis(), id.uuid().into_bytes().to_vec()),
        None => (i64::MIN, Vec::new()),
    };
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM lectures
         WHERE starts_at >= ?1 AND starts_at < ?2 AND (starts_at, lecture_id) > (?3, ?4)
           AND (?5 IS NULL OR (enrolled < capacity AND waitlisted = 0 AND starts_at > ?5 AND NOT closed AND cancelled_at IS NULL
               AND (opens_at IS NULL OR opens_at <= ?5)))
         ORDER BY starts_at, lecture_id LIMIT ?6"
    ))?;
    let until = until.map_or(i64::MAX, Timestamp::as_millis);
    let available_at = available_at.map(Timestamp::as_millis);
    let wanted = params![from.as_millis(), until, after_start, after_id, available_at, page.limit];
    statement.query_map(wanted, read)?.collect()
}

/// Lectures that changed, and those that were moved away from the dates that are read.
pub(super) fn changed(db: &Connection, from: Timestamp, since: Timestamp) -> Sql<Vec<Lecture>> {
    db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM lectures WHERE starts_at >= ?1 AND updated_at >= ?2
         UNION ALL SELECT {COLUMNS} FROM lectures WHERE moved_at >= ?2 AND starts_at < ?1"
    ))?
    .query_map(params![from.as_millis(), since.as_millis()], read)?
    .collect()
}

/// A page of users with a place, by seat number.
pub(super) fn applicants(db: &Connection, lecture: LectureId, page: Page<u64>) -> Sql<Vec<Applicant>> {
    db.prepare_cached(
        "SELECT user_id, seat_number, applied_at FROM applications WHERE lecture_id = ?1 AND seat_number > ?2
         ORDER BY seat_number LIMIT ?3",
    )?
    .query_map(params![lecture.uuid().as_bytes(), big(page.after.unwrap_or(0)), page.limit], |row| {
        let application = Application { seat_number: row.get(1)?, applied_at: instant(row, 2)? };
        Ok(Applicant { user: user(row, 0)?, application })
    })?
    .collect()
}

/// Cancelled lectures that still have applications or waiting lists.
pub(super) fn to_empty(db: &Connection, since: Timestamp) -> Sql<Vec<LectureId>> {
    let sql = "SELECT lecture_id FROM lectures WHERE cancelled_at >= ?1 AND (enrolled > 0 OR waitlisted > 0)
        ORDER BY cancelled_at, lecture_id";
    db.prepare_cached(sql)?.query_map([since.as_millis()], |row| Ok(LectureId::new(uuid(row, 0)?)))?.collect()
}

const APPLIED: &str = concat!(
    "SELECT lecture_id, title, starts_at, applied_at, CASE WHEN waiting_number > 0 THEN ",
    position!(),
    " END FROM applications own JOIN lectures USING (lecture_id)
    WHERE user_id = ?1 AND (?2 IS NULL OR lecture_id = ?2) ORDER BY starts_at, lecture_id"
);

pub(super) fn applications(db: &Connection, user: &UserId, lecture: Option<LectureId>) -> Sql<Vec<AppliedLecture>> {
    db.prepare_cached(APPLIED)?
        .query_map(params![user.as_str(), lecture.map(|id| id.uuid().into_bytes())], |row| {
            Ok(AppliedLecture {
                lecture: LectureId::new(uuid(row, 0)?),
                title: text(row, 1)?,
                starts_at: instant(row, 2)?,
                applied_at: instant(row, 3)?,
                position: row.get(4)?,
            })
        })?
        .collect()
}

/// A page of a lecture's history, oldest line first.
pub(super) fn history(db: &Connection, lecture: LectureId, page: Page<u64>) -> Sql<Vec<HistoryLine>> {
    db.prepare_cached(
        "SELECT lecture_id, version, line_id, user_id, type, seat_number, created_at, position FROM lecture_history
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
        kind: history_kind(row.get_ref(4)?.as_str()?, row.get(5)?, row.get(7)?)
            .ok_or_else(|| broken(4, "not a line of history"))?,
        created_at: instant(row, 6)?,
    })
}
