//! Reads of lectures, of the users with a place, and of histories.

use onsale_app::store::{AppliedLecture, LectureFilter, Page};
use onsale_domain::ids::{EventId, LectureId, UserId};
use onsale_domain::lecture::{Applicant, HistoryLine, Lecture};
use onsale_domain::time::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::error::DbError;
use super::lecture::{applicant, read};
use super::session::Session;
use super::values::{Sql, big, get, instant, limit, number, optional_small, params, text, user, uuid};
use super::waiting_list::position;
use crate::stored::history_kind;

const LIST: &str =
    "SELECT lecture_id, title, lecturer, starts_at, capacity, enrolled, seats_given, version, updated_at, opens_at,
        closed, cancelled_at, cancel_reason, cancelled_applications, highest_capacity, changes, moved_at, waitlisted
    FROM lectures WHERE starts_at >= $1 AND starts_at < $2 AND (starts_at, lecture_id) > ($3, $4)
        AND ($5::bigint IS NULL OR (enrolled < capacity AND waitlisted = 0 AND starts_at > $5 AND NOT closed AND cancelled_at IS NULL
            AND (opens_at IS NULL OR opens_at <= $5)))
    ORDER BY starts_at, lecture_id LIMIT $6";

/// The second part has lectures that were moved away from the dates that are read. Each row is below the upper bounds: with a range
/// the planner expects few rows and reads an index, also without statistics.
const CHANGED: &str =
    "SELECT lecture_id, title, lecturer, starts_at, capacity, enrolled, seats_given, version, updated_at,
        opens_at, closed, cancelled_at, cancel_reason, cancelled_applications, highest_capacity, changes, moved_at, waitlisted
    FROM lectures WHERE starts_at BETWEEN $1 AND 9223372036854775807 AND updated_at >= $2
    UNION ALL
    SELECT lecture_id, title, lecturer, starts_at, capacity, enrolled, seats_given, version, updated_at,
        opens_at, closed, cancelled_at, cancel_reason, cancelled_applications, highest_capacity, changes, moved_at, waitlisted
    FROM lectures WHERE moved_at BETWEEN $2 AND 9223372036854775807 AND starts_at < $1";

const ONE: &str =
    "SELECT lecture_id, title, lecturer, starts_at, capacity, enrolled, seats_given, version, updated_at, opens_at,
        closed, cancelled_at, cancel_reason, cancelled_applications, highest_capacity, changes, moved_at, waitlisted
    FROM lectures WHERE lecture_id = $1";

const APPLICANTS: &str = "SELECT user_id, seat_number, applied_at FROM applications
    WHERE lecture_id = $1 AND seat_number > $2 ORDER BY seat_number LIMIT $3";

/// Every cancelled lecture is within the range, which selects the index of these lectures as in [`CHANGED`].
const TO_EMPTY: &str = "SELECT lecture_id FROM lectures WHERE cancelled_at BETWEEN $1 AND 9223372036854775807
        AND (enrolled > 0 OR waitlisted > 0)
    ORDER BY cancelled_at, lecture_id";

const APPLIED: &str = concat!(
    "SELECT lecture_id, title, starts_at, applied_at, CASE WHEN waiting_number > 0 THEN ",
    position!(),
    " END FROM applications own JOIN lectures USING (lecture_id)
    WHERE user_id = $1 AND ($2::uuid IS NULL OR lecture_id = $2) ORDER BY starts_at, lecture_id"
);

const EXISTS: &str = "SELECT 1 FROM lectures WHERE lecture_id = $1";

const HISTORY: &str = "SELECT lecture_id, version, line_id, user_id, type, seat_number, created_at, position
    FROM lecture_history WHERE lecture_id = $1 AND version > $2 ORDER BY version LIMIT $3";

#[cfg(test)]
pub(super) const READS: &[&str] = &[LIST, CHANGED, ONE, APPLICANTS, TO_EMPTY, APPLIED, EXISTS, HISTORY];

/// By start and id.
pub(super) async fn list(
    session: &Session,
    filter: LectureFilter,
    page: Page<(Timestamp, LectureId)>,
) -> Sql<Vec<Lecture>> {
    let LectureFilter { from, until, available_at } = filter;
    let (after_start, after_id) = page.after.map_or((i64::MIN, Uuid::nil()), |(at, id)| (at.as_millis(), id.uuid()));
    let until = until.map_or(i64::MAX, Timestamp::as_millis);
    let available_at = available_at.map(Timestamp::as_millis);
    let wanted = params![from.as_millis(), until, after_start, after_id, available_at, limit(page.limit)];
    session.query(LIST, wanted).await?.iter().map(read).collect()
}

pub(super) async fn changed(session: &Session, from: Timestamp, since: Timestamp) -> Sql<Vec<Lecture>> {
    session.query(CHANGED, params![from.as_millis(), since.as_millis()]).await?.iter().map(read).collect()
}

pub(super) async fn one(session: &Session, id: LectureId) -> Sql<Option<Lecture>> {
    session.query(ONE, params![id.uuid()]).await?.first().map(read).transpose()
}

/// The users with a place, by ascending seat number.
pub(super) async fn applicants(session: &Session, lecture: LectureId, page: Page<u64>) -> Sql<Vec<Applicant>> {
    // Beyond the highest seat number there is none.
    let after = i32::try_from(page.after.unwrap_or(0)).unwrap_or(i32::MAX);
    let wanted = params![lecture.uuid(), after, limit(page.limit)];
    session.query(APPLICANTS, wanted).await?.iter().map(|row| applicant(row, 0)).collect()
}

pub(super) async fn to_empty(session: &Session, since: Timestamp) -> Sql<Vec<LectureId>> {
    session
        .query(TO_EMPTY, params![since.as_millis()])
        .await?
        .iter()
        .map(|row| Ok(LectureId::new(uuid(row, 0)?)))
        .collect()
}

pub(super) async fn applications(
    session: &Session,
    user: &UserId,
    lecture: Option<LectureId>,
) -> Sql<Vec<AppliedLecture>> {
    let found = session.query(APPLIED, params![user.as_str(), lecture.map(LectureId::uuid)]).await?;
    let applied = |row: &Row| {
        Ok(AppliedLecture {
            lecture: LectureId::new(uuid(row, 0)?),
            title: text(row, 1)?,
            starts_at: instant(row, 2)?,
            applied_at: instant(row, 3)?,
            position: get::<Option<i64>>(row, 4)?.and_then(|position| u32::try_from(position).ok()),
        })
    };
    found.iter().map(applied).collect()
}

/// Oldest first; `None` if the lecture does not exist.
pub(super) async fn history(session: &Session, lecture: LectureId, page: Page<u64>) -> Sql<Option<Vec<HistoryLine>>> {
    if session.query(EXISTS, params![lecture.uuid()]).await?.is_empty() {
        return Ok(None);
    }
    let wanted = params![lecture.uuid(), big(page.after.unwrap_or(0)), limit(page.limit)];
    session.query(HISTORY, wanted).await?.iter().map(history_line).collect::<Sql<_>>().map(Some)
}

pub(super) fn history_line(row: &Row) -> Sql<HistoryLine> {
    Ok(HistoryLine {
        lecture: LectureId::new(uuid(row, 0)?),
        version: number(row, 1)?,
        id: EventId::new(uuid(row, 2)?),
        user: user(row, 3)?,
        kind: history_kind(get(row, 4)?, optional_small(row, 5)?, optional_small(row, 7)?)
            .ok_or(DbError::Broken("what is no line of history"))?,
        created_at: instant(row, 6)?,
    })
}
