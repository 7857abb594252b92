//! Lectures, who has a place in them, and their history.

use onsale_app::audit::source::{EventRow, LectureRow};
use onsale_domain::ids::UserId;
use tokio_postgres::Row;
use uuid::Uuid;

use super::super::values::{Sql, number, small, user, uuid};
use super::super::{lecture, lecture_reads};
use super::Out;
use super::cursor::Cursor;
use super::event::{event_of, read_effect, read_event};
use super::snapshot::Connection;

const LECTURES: &str = "SELECT lecture_id, title, lecturer, starts_at, capacity, enrolled, seats_given, version,
        updated_at, opens_at, closed, cancelled_at, cancel_reason, cancelled_applications, highest_capacity, changes, moved_at,
        waitlisted FROM lectures ORDER BY lecture_id";

const APPLICATIONS: &str =
    "SELECT lecture_id, user_id, seat_number FROM applications WHERE seat_number > 0 ORDER BY lecture_id, seat_number";

const WAITING: &str = "SELECT lecture_id, user_id, waiting_number FROM applications WHERE waiting_number > 0
    ORDER BY lecture_id, waiting_number";

const BLOCKS: &str = "SELECT lecture_id, block, entries FROM waiting_blocks ORDER BY lecture_id, block";

const FREED: &str = "SELECT lecture_id, seat_number FROM freed_seats ORDER BY lecture_id, seat_number";

const HISTORY: &str = "SELECT lecture_id, version, line_id, user_id, type, seat_number, created_at, position
    FROM lecture_history
    ORDER BY lecture_id, version";

/// In the lectures' order: ids sort as their text does.
const EVENTS: &str = "SELECT type, subject, version, data, event_id FROM events WHERE topic = 'onsale.lectures'
    ORDER BY subject, version";

/// The changes of lectures by staff, in the lectures' order.
const CHANGES: &str = "SELECT type, subject, version, data FROM events
    WHERE topic = 'onsale.lectures' AND type = 'onsale.lecture.changed.v1' ORDER BY subject, version";

pub(super) async fn lectures(mut connection: Connection, out: Out<LectureRow>) -> Sql<()> {
    let transaction = connection.begin().await?;
    let mut lectures = Cursor::open(&transaction, LECTURES, lecture::read).await?;
    let mut applications = Cursor::open(&transaction, APPLICATIONS, read_application).await?;
    let mut waiting = Cursor::open(&transaction, WAITING, read_waiting).await?;
    let mut blocks = Cursor::open(&transaction, BLOCKS, read_block).await?;
    let mut freed = Cursor::open(&transaction, FREED, |row| Ok((uuid(row, 0)?, small(row, 1)?))).await?;
    let mut history =
        Cursor::open(&transaction, HISTORY, |row| Ok((uuid(row, 0)?, lecture_reads::history_line(row)?))).await?;
    let mut events = Cursor::open(&transaction, EVENTS, read_effect).await?;
    let mut changes = Cursor::open(&transaction, CHANGES, read_change).await?;
    while let Some(lecture) = lectures.next().await? {
        let id = lecture.id.uuid();
        let subject = id.to_string();
        out.row(LectureRow::Lecture(lecture)).await;
        while let Some((user, seat)) = applications.of(&id).await? {
            out.row(LectureRow::Application(user, seat)).await;
        }
        while let Some((user, number)) = waiting.of(&id).await? {
            out.row(LectureRow::Waiting(user, number)).await;
        }
        while let Some((block, entries)) = blocks.of(&id).await? {
            out.row(LectureRow::Block(block, entries)).await;
        }
        while let Some(seat) = freed.of(&id).await? {
            out.row(LectureRow::Freed(seat)).await;
        }
        while let Some(event) = changes.of(&subject).await? {
            out.row(LectureRow::Changed(event)).await;
        }
        while let Some(line) = history.of(&id).await? {
            let event = event_of(&mut events, &subject, line.version, line.id).await?;
            out.row(LectureRow::History(line, event)).await;
        }
    }
    Ok(())
}

fn read_change(row: &Row) -> Sql<(String, EventRow)> {
    let event = read_event(row, 0)?;
    Ok((event.subject.clone(), event))
}

fn read_application(row: &Row) -> Sql<(Uuid, (UserId, u32))> {
    Ok((uuid(row, 0)?, (user(row, 1)?, small(row, 2)?)))
}

fn read_waiting(row: &Row) -> Sql<(Uuid, (UserId, u64))> {
    Ok((uuid(row, 0)?, (user(row, 1)?, number(row, 2)?)))
}

fn read_block(row: &Row) -> Sql<(Uuid, (u64, u64))> {
    Ok((uuid(row, 0)?, (number(row, 1)?, u64::from(small(row, 2)?))))
}
