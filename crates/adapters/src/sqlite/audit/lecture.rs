//! Lectures with their applications, freed seats and histories.

use onsale_app::audit::source::LectureRow;
use onsale_app::store::Page;
use onsale_domain::ids::LectureId;
use rusqlite::Connection;
use uuid::Uuid;

use super::super::lecture::{history, lecture};
use super::super::values::{Sql, user};
use super::{LINES_MAX, Rest, event_by_id, ids_after, read_event};

/// The beginning of a group.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    /// After the lecture with this id, or inside its history if there is a rest. Empty before the first lecture.
    id: Vec<u8>,
    rest: Option<Rest>,
}

/// The next lecture with its seats, and its history or a part of it.
pub(super) fn lectures(db: &Connection, cursor: &Cursor) -> Sql<(Vec<LectureRow>, Option<Cursor>)> {
    let mut rows = Vec::new();
    let (id, rest) = match (cursor.rest, Uuid::from_slice(&cursor.id)) {
        (Some(rest), Ok(id)) => (id, rest),
        _ => {
            let sql = "SELECT lecture_id FROM lectures WHERE lecture_id > ?1 ORDER BY lecture_id LIMIT min(?2, 1)";
            let ids = ids_after(db, sql, &cursor.id)?;
            let Some(id) = ids.first().copied().map(Uuid::from_bytes) else { return Ok((Vec::new(), None)) };
            add_seats(db, LectureId::new(id), &mut rows)?;
            let last = "SELECT coalesce(max(version), 0) FROM lecture_history WHERE lecture_id = ?1";
            let last = db.prepare_cached(last)?.query_row([id.as_bytes()], |row| row.get(0))?;
            (id, Rest { after: 0, last })
        }
    };
    let lines = history(db, LectureId::new(id), Page { after: Some(rest.after), limit: LINES_MAX })?;
    let is_full = lines.len() == LINES_MAX;
    let mut after = rest.after;
    // Later lines belong to a later state of the lecture than the one that was read.
    for line in lines.into_iter().take_while(|line| line.version <= rest.last) {
        after = line.version;
        let event = event_by_id(db, line.id.uuid())?;
        rows.push(LectureRow::History(line, event));
    }
    let rest = (is_full && after < rest.last).then_some(Rest { after, ..rest });
    Ok((rows, Some(Cursor { id: id.as_bytes().to_vec(), rest })))
}

/// The events of the changes of a lecture by staff.
const CHANGES: &str = "SELECT type, subject, version, data FROM events
    WHERE type = 'onsale.lecture.changed.v1' AND subject = ?1 ORDER BY version";

const SEATED: &str =
    "SELECT user_id, seat_number FROM applications WHERE lecture_id = ?1 AND seat_number > 0 ORDER BY seat_number";

const WAITING: &str = "SELECT user_id, waiting_number FROM applications WHERE lecture_id = ?1 AND waiting_number > 0
    ORDER BY waiting_number";

/// A lecture with its applications, waiting list and freed seats, at most as many as its highest capacity, and its changes by staff.
fn add_seats(db: &Connection, id: LectureId, rows: &mut Vec<LectureRow>) -> Sql<()> {
    rows.extend(lecture(db, id)?.map(LectureRow::Lecture));
    let mut taken = db.prepare_cached(SEATED)?;
    for found in taken.query_map([id.uuid().as_bytes()], |row| Ok((user(row, 0)?, row.get(1)?)))? {
        let (user, seat) = found?;
        rows.push(LectureRow::Application(user, seat));
    }
    let mut waiting = db.prepare_cached(WAITING)?;
    for found in waiting.query_map([id.uuid().as_bytes()], |row| Ok((user(row, 0)?, row.get(1)?)))? {
        let (user, number) = found?;
        rows.push(LectureRow::Waiting(user, number));
    }
    let mut blocks = db.prepare_cached("SELECT block, entries FROM waiting_blocks WHERE lecture_id = ?1")?;
    for found in blocks.query_map([id.uuid().as_bytes()], |row| Ok(LectureRow::Block(row.get(0)?, row.get(1)?)))? {
        rows.push(found?);
    }
    let mut freed = db.prepare_cached("SELECT seat_number FROM freed_seats WHERE lecture_id = ?1")?;
    for seat in freed.query_map([id.uuid().as_bytes()], |row| row.get(0))? {
        rows.push(LectureRow::Freed(seat?));
    }
    let mut changed = db.prepare_cached(CHANGES)?;
    for event in changed.query_map([id.to_string()], read_event)? {
        rows.push(LectureRow::Changed(event?));
    }
    Ok(())
}
