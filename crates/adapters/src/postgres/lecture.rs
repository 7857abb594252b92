//! Lectures, who has a place in them, and their history, as units of work see them.

use std::collections::HashMap;

use onsale_app::store::Unit;
use onsale_domain::ids::LectureId;
use onsale_domain::lecture::{Applicant, Application, CANCELLED_TOGETHER_MAX, Cancellation, Lecture};
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::time::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::row_address::{self, RowAddresses, locks, updates};
use super::session::Pipeline;
use super::values::{
    Sql, big, columns, get, instant, int, limit, number, optional_instant, optional_small, optional_text, params,
    small, small_count, text, user, uuid,
};
use super::waiting_list::{self, position};
use crate::stored::history_word;

const LOCK: [&str; 2] = locks!(
    "lectures",
    "lecture_id",
    "lecture_id, title, lecturer, starts_at, capacity, enrolled, seats_given, version, updated_at, opens_at, closed, cancelled_at, \
     cancel_reason, cancelled_applications, highest_capacity, changes, moved_at, waitlisted"
);

/// The applications with the lowest seat numbers of lectures that are locked. The condition on the number, which each row meets,
/// keeps the planner from sorting a whole lecture.
const EMPTIED: &str = "SELECT wanted.lecture_id, user_id, seat_number, applied_at
    FROM unnest($1::uuid[]) wanted (lecture_id) CROSS JOIN LATERAL (
        SELECT user_id, seat_number, applied_at FROM applications
        WHERE lecture_id = wanted.lecture_id AND seat_number > 0 ORDER BY seat_number LIMIT $2) lowest";

const FREED: &str = "SELECT wanted.lecture_id, seat_number
    FROM unnest($1::uuid[], $2::bigint[]) wanted (lecture_id, many) CROSS JOIN LATERAL (
        SELECT seat_number FROM freed_seats WHERE lecture_id = wanted.lecture_id ORDER BY seat_number LIMIT many) free";

/// Places, and entries of waiting lists with their positions.
const APPLICATIONS: &str = concat!(
    "SELECT lecture_id, user_id, seat_number, applied_at, waiting_number, CASE WHEN waiting_number > 0 THEN ",
    position!(),
    " END FROM unnest($1::uuid[], $2::text[]) wanted (lecture_id, user_id)
        JOIN applications own USING (lecture_id, user_id)"
);

const OPEN: &str = "INSERT INTO lectures
        (lecture_id, title, lecturer, starts_at, capacity, enrolled, seats_given, version, updated_at, opens_at, closed,
        highest_capacity)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::integer[], $6::integer[], $7::integer[],
        $8::bigint[], $9::bigint[], $10::bigint[], $11::boolean[], $12::integer[])";

/// Lectures that staff changed, as a whole: a new capacity and a new number of places must be checked together.
const CHANGE: &str = "UPDATE lectures SET title = v.title, lecturer = v.lecturer, starts_at = v.starts_at,
        capacity = v.capacity, enrolled = v.enrolled, seats_given = v.seats_given, version = v.version,
        updated_at = v.updated_at, opens_at = v.opens_at, closed = v.closed, cancelled_at = v.cancelled_at,
        cancel_reason = v.cancel_reason, cancelled_applications = v.cancelled_applications,
        highest_capacity = v.highest_capacity, changes = v.changes, moved_at = v.moved_at, waitlisted = v.waitlisted,
        written_version = v.version
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::integer[], $6::integer[], $7::integer[],
        $8::bigint[], $9::bigint[], $10::bigint[], $11::boolean[], $12::bigint[], $13::text[], $14::integer[],
        $15::integer[], $16::bigint[], $17::bigint[], $18::integer[]) v (lecture_id, title, lecturer, starts_at, capacity, enrolled,
        seats_given, version, updated_at, opens_at, closed, cancelled_at, cancel_reason, cancelled_applications,
        highest_capacity, changes, moved_at, waitlisted)
    WHERE lectures.lecture_id = v.lecture_id";

const UPDATE: [&str; 2] = updates!(
    "lectures",
    "lecture_id",
    "enrolled = v.enrolled, seats_given = v.seats_given, version = v.version, updated_at = v.updated_at, \
     waitlisted = v.waitlisted, written_version = v.version",
    "$1::uuid[], $2::integer[], $3::integer[], $4::bigint[], $5::bigint[], $6::integer[]",
    "$7",
    "lecture_id, enrolled, seats_given, version, updated_at, waitlisted"
);

const TAKE_FREED: &str = "DELETE FROM freed_seats USING unnest($1::uuid[], $2::integer[]) v (lecture_id, seat_number)
    WHERE freed_seats.lecture_id = v.lecture_id AND freed_seats.seat_number = v.seat_number";

const FREE: &str = "INSERT INTO freed_seats (lecture_id, seat_number) SELECT * FROM unnest($1::uuid[], $2::integer[])";

const WITHDRAW: &str = "DELETE FROM applications USING unnest($1::uuid[], $2::text[]) v (lecture_id, user_id)
    WHERE applications.lecture_id = v.lecture_id AND applications.user_id = v.user_id";

const APPLY: &str = "INSERT INTO applications (lecture_id, user_id, seat_number, applied_at, waiting_number)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::integer[], $4::bigint[], $5::bigint[])";

const RECORD: &str = "INSERT INTO lecture_history
        (lecture_id, version, line_id, user_id, type, seat_number, created_at, position)
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::text[], $5::text[], $6::integer[], $7::bigint[],
        $8::integer[])";

pub(super) const WRITES: &[&str] = &[
    LOCK[0],
    LOCK[1],
    EMPTIED,
    FREED,
    APPLICATIONS,
    OPEN,
    CHANGE,
    UPDATE[0],
    UPDATE[1],
    TAKE_FREED,
    FREE,
    WITHDRAW,
    APPLY,
    RECORD,
];

pub(super) fn lock<'a>(pipeline: &mut Pipeline<'a, Unit>, keys: &'a Keys, addresses: &'a mut RowAddresses<LectureId>) {
    if keys.lectures.is_empty() {
        return;
    }
    let ids: Vec<Uuid> = keys.lectures.keys().map(|id| id.uuid()).collect();
    let (sql, wanted) = match addresses.hint(keys.lectures.keys()) {
        Some(tid) => (LOCK[1], params![ids, tid]),
        None => (LOCK[0], params![ids]),
    };
    pipeline.query(sql, wanted, move |found, unit| {
        for id in keys.lectures.keys() {
            unit.rows.lectures.load(*id, None);
        }
        for row in found {
            let lecture = read(row)?;
            addresses.note_locked(lecture.id, row, 18)?;
            unit.rows.lectures.load(lecture.id, Some(lecture));
        }
        Ok(())
    });
}

pub(super) fn load<'a>(pipeline: &mut Pipeline<'a, Unit>, keys: &'a Keys) {
    let wanted = keys.lectures.iter().filter(|(_, many)| **many > 0);
    if let Some(wanted) = columns!(wanted, |(id, many)| id.uuid(), limit(**many)) {
        pipeline.query(FREED, wanted, |found, unit| {
            let mut freed: HashMap<Uuid, Vec<u32>> = HashMap::new();
            for row in found {
                freed.entry(uuid(row, 0)?).or_default().push(small(row, 1)?);
            }
            for id in keys.lectures.keys() {
                unit.rows.freed_seats.load(*id, freed.remove(&id.uuid()).unwrap_or_default());
            }
            Ok(())
        });
    }
    if !keys.emptied_lectures.is_empty() {
        let ids: Vec<Uuid> = keys.emptied_lectures.iter().map(|id| id.uuid()).collect();
        pipeline.query(EMPTIED, params![ids, limit(CANCELLED_TOGETHER_MAX)], |found, unit| {
            for id in &keys.emptied_lectures {
                unit.rows.applicants.insert(*id, Vec::new());
            }
            for row in found {
                let (lecture, applicant) = (LectureId::new(uuid(row, 0)?), applicant(row, 1)?);
                let Applicant { user, application } = applicant;
                unit.rows.applicants.entry(lecture).or_default().push(user.clone());
                unit.rows.applications.load((lecture, user), Some(application));
            }
            Ok(())
        });
    }
    if let Some(wanted) = columns!(keys.applications.iter(), |(lecture, user)| lecture.uuid(), user.as_str()) {
        pipeline.query(APPLICATIONS, wanted, |found, unit| {
            for key in &keys.applications {
                unit.rows.applications.load(key.clone(), None);
                unit.rows.waiting.load(key.clone(), None);
            }
            for row in found {
                let key = (LectureId::new(uuid(row, 0)?), user(row, 1)?);
                match optional_small(row, 2)? {
                    Some(seat_number) => {
                        let application = Application { seat_number, applied_at: instant(row, 3)? };
                        unit.rows.applications.load(key, Some(application));
                    }
                    None => {
                        let (lecture, user) = key.clone();
                        unit.rows.waiting_lists.load_position(lecture, user, small_count(row, 5)?);
                        unit.rows.waiting.load(key, Some(waiting_list::entry(row, 4, 3)?));
                    }
                }
            }
            Ok(())
        });
    }
}

pub(super) fn save<'a>(pipeline: &mut Pipeline<'a, ()>, rows: &'a Rows, addresses: &'a mut RowAddresses<LectureId>) {
    pipeline.write(
        OPEN,
        columns!(
            rows.lectures.added(),
            |(id, lecture)| id.uuid(),
            &*lecture.title,
            lecture.lecturer.as_deref(),
            lecture.starts_at.as_millis(),
            int(lecture.capacity),
            int(lecture.enrolled),
            int(lecture.seats_given),
            big(lecture.version),
            lecture.updated_at.as_millis(),
            lecture.opens_at.map(Timestamp::as_millis),
            lecture.closed,
            int(lecture.highest_capacity),
        ),
    );
    save_changed(pipeline, rows);
    let by_users = rows.lectures.outdated().filter(|id| !rows.changed_lectures.contains(id));
    let changed: Vec<_> = by_users.filter_map(|id| Some((id, rows.lectures.get(id)?))).collect();
    let ids = changed.iter().map(|(id, _)| **id).collect();
    let changed = columns!(
        changed.into_iter(),
        |(id, lecture)| id.uuid(),
        int(lecture.enrolled),
        int(lecture.seats_given),
        big(lecture.version),
        lecture.updated_at.as_millis(),
        int(lecture.waitlisted),
    );
    row_address::update(pipeline, UPDATE, changed, ids, addresses);
    let freed = |wanted| rows.freed_seats.changed().filter(move |(_, _, free)| *free == wanted);
    pipeline.write(TAKE_FREED, columns!(freed(false), |(lecture, seat, _)| lecture.uuid(), int(*seat)));
    pipeline.write(FREE, columns!(freed(true), |(lecture, seat, _)| lecture.uuid(), int(*seat)));
    save_applications(pipeline, rows);
    waiting_list::save(pipeline, rows);
    pipeline.write(
        RECORD,
        columns!(
            rows.lecture_history.iter(),
            |line| line.lecture.uuid(),
            big(line.version),
            line.id.uuid(),
            line.user.as_str(),
            history_word(line.kind),
            line.kind.seat_number().map(int),
            line.created_at.as_millis(),
            line.kind.position().map(int),
        ),
    );
}

/// Places, and entries of waiting lists.
fn save_applications<'a>(pipeline: &mut Pipeline<'a, ()>, rows: &'a Rows) {
    // Seat numbers are unique per lecture: delete applications first, so that a freed number can be inserted again.
    let ended = rows.applications.outdated().chain(rows.waiting.outdated());
    pipeline.write(WITHDRAW, columns!(ended, |(lecture, user)| lecture.uuid(), user.as_str()));
    let placed = rows.applications.changed().filter_map(|(key, application)| Some((key, application?)));
    let placed = placed.map(|(key, place)| (key, Some(int(place.seat_number)), place.applied_at, None));
    let waiting = rows.waiting.changed().filter_map(|(key, waiting)| Some((key, waiting?)));
    let waiting = waiting.map(|(key, entry)| (key, None, entry.applied_at, Some(big(entry.number))));
    pipeline.write(
        APPLY,
        columns!(
            placed.chain(waiting),
            |((lecture, user), seat_number, applied_at, number)| lecture.uuid(),
            user.as_str(),
            *seat_number,
            applied_at.as_millis(),
            *number
        ),
    );
}

fn save_changed<'a>(pipeline: &mut Pipeline<'a, ()>, rows: &'a Rows) {
    let changed = rows.lectures.outdated().filter(|id| rows.changed_lectures.contains(id));
    let changed: Vec<&Lecture> = changed.filter_map(|id| rows.lectures.get(id)).collect();
    pipeline.write(
        CHANGE,
        columns!(
            changed.into_iter(),
            |lecture| lecture.id.uuid(),
            &*lecture.title,
            lecture.lecturer.as_deref(),
            lecture.starts_at.as_millis(),
            int(lecture.capacity),
            int(lecture.enrolled),
            int(lecture.seats_given),
            big(lecture.version),
            lecture.updated_at.as_millis(),
            lecture.opens_at.map(Timestamp::as_millis),
            lecture.closed,
            lecture.cancellation.as_ref().map(|cancellation| cancellation.at.as_millis()),
            lecture.cancellation.as_ref().map(|cancellation| &*cancellation.reason),
            lecture.cancellation.as_ref().map(|cancellation| int(cancellation.applications)),
            int(lecture.highest_capacity),
            big(lecture.changes),
            lecture.moved_at.map(Timestamp::as_millis),
            int(lecture.waitlisted),
        ),
    );
}

pub(super) fn read(row: &Row) -> Sql<Lecture> {
    let cancellation = match (optional_instant(row, 11)?, optional_text(row, 12)?, get::<Option<i32>>(row, 13)?) {
        (Some(at), Some(reason), Some(_)) => Some(Cancellation { at, reason, applications: small(row, 13)? }),
        _ => None,
    };
    Ok(Lecture {
        id: LectureId::new(uuid(row, 0)?),
        title: text(row, 1)?,
        lecturer: optional_text(row, 2)?,
        starts_at: instant(row, 3)?,
        capacity: small(row, 4)?,
        enrolled: small(row, 5)?,
        waitlisted: small(row, 17)?,
        seats_given: small(row, 6)?,
        version: number(row, 7)?,
        updated_at: instant(row, 8)?,
        opens_at: optional_instant(row, 9)?,
        closed: get(row, 10)?,
        cancellation,
        highest_capacity: small(row, 14)?,
        changes: number(row, 15)?,
        moved_at: optional_instant(row, 16)?,
    })
}

/// A user and the place, from three columns.
pub(super) fn applicant(row: &Row, from: usize) -> Sql<Applicant> {
    let application = Application { seat_number: small(row, from + 1)?, applied_at: instant(row, from + 2)? };
    Ok(Applicant { user: user(row, from)?, application })
}
