//! Lectures: users apply first-come, first-served; one place a person; never more than the capacity.

use std::sync::Arc;

use crate::event::{Event, Happening};
use crate::ids::{EventId, LectureId, UserId};
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;
use crate::{Context, Done, Refusal};

/// Capacity if a lecture is created without one.
pub const CAPACITY_DEFAULT: u32 = 30;

/// Maximum capacity; the minimum is 1.
pub const CAPACITY_MAX: u32 = 1_000_000;

/// A lecture and its counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lecture {
    /// Id of the lecture.
    pub id: LectureId,
    /// 1 to 200 characters.
    pub title: Arc<str>,
    /// 1 to 200 characters, if known.
    pub lecturer: Option<Arc<str>>,
    /// Start. From this instant on applications are refused.
    pub starts_at: Timestamp,
    /// Capacity, 1 to [`CAPACITY_MAX`].
    pub capacity: u32,
    /// Number of places taken.
    pub enrolled: u32,
    /// The highest seat number ever given. Lower numbers that are free again are in [`FreedSeats`].
    pub seats_opened: u32,
    /// Number of changes so far. Each history line carries the value after its change.
    pub version: u64,
    /// Time of the last application or cancellation, or of the creation.
    pub updated_at: Timestamp,
}

impl Lecture {
    /// Number of free places.
    pub fn remaining(&self) -> u32 {
        self.capacity.saturating_sub(self.enrolled)
    }
}

/// A user's place in a lecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// Seat number: the lowest that was free, from 1.
    pub seat_number: u32,
    /// Time of the application.
    pub applied_at: Timestamp,
}

/// Kind of a history line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryKind {
    /// The user got a place.
    Applied,
    /// The user gave the place back.
    Cancelled,
}

/// One line of a lecture's history. Never changed or deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryLine {
    /// Id of the line and of its event.
    pub id: EventId,
    /// The lecture.
    pub lecture: LectureId,
    /// Order within the lecture, from 1.
    pub version: u64,
    /// The user.
    pub user: UserId,
    /// Applied or cancelled.
    pub kind: HistoryKind,
    /// Seat number, from 1.
    pub seat_number: u32,
    /// Time of the change.
    pub created_at: Timestamp,
}

/// A lecture to create.
#[derive(Clone, Debug)]
pub struct NewLecture {
    /// 1 to 200 characters.
    pub title: Arc<str>,
    /// 1 to 200 characters, if given.
    pub lecturer: Option<Arc<str>>,
    /// Start. May lie in the past: then applications are refused.
    pub starts_at: Timestamp,
    /// Capacity, 1 to [`CAPACITY_MAX`].
    pub capacity: u32,
}

/// Commands about lectures.
#[derive(Clone, Debug)]
pub enum Command {
    /// Creates a lecture.
    Open(NewLecture),
    /// Applies for a place.
    Apply {
        /// The user.
        user: UserId,
        /// The lecture.
        lecture: LectureId,
    },
    /// Cancels an application.
    Cancel {
        /// The user.
        user: UserId,
        /// The lecture.
        lecture: LectureId,
    },
}

impl Command {
    pub(crate) fn needs(&self, keys: &mut Keys) {
        match self {
            Self::Open(_) => {}
            Self::Apply { user, lecture } => {
                *keys.lectures.entry(*lecture).or_default() += 1;
                keys.applications.insert((*lecture, user.clone()));
            }
            Self::Cancel { user, lecture } => {
                keys.lectures.entry(*lecture).or_default();
                keys.applications.insert((*lecture, user.clone()));
            }
        }
    }

    pub(crate) fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Done, Refusal> {
        match self {
            Self::Open(new) => Ok(open(new, rows, cx)),
            Self::Apply { user, lecture } => apply(user, *lecture, rows, cx),
            Self::Cancel { user, lecture } => cancel(user, *lecture, rows, cx),
        }
    }
}

fn open(new: &NewLecture, rows: &mut Rows, cx: &mut Context<'_>) -> Done {
    let lecture = Lecture {
        id: LectureId::new(cx.ids.next(cx.at)),
        title: new.title.clone(),
        lecturer: new.lecturer.clone(),
        starts_at: new.starts_at,
        capacity: new.capacity,
        enrolled: 0,
        seats_opened: 0,
        version: 0,
        updated_at: cx.at,
    };
    rows.lectures.put(lecture.id, lecture.clone());
    rows.freed_seats.load(lecture.id, []);
    Done::LectureOpened(lecture)
}

fn apply(user: &UserId, id: LectureId, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Done, Refusal> {
    let lecture = rows.lectures.get(&id).ok_or(Refusal::LectureNotFound)?;
    let at = cx.at.max(lecture.updated_at);
    if rows.applications.get(&(id, user.clone())).is_some() {
        return Err(Refusal::AlreadyApplied);
    }
    if lecture.starts_at <= cx.at.not_before(lecture.updated_at) {
        return Err(Refusal::LectureClosed);
    }
    if lecture.remaining() == 0 {
        return Err(Refusal::LectureFull);
    }

    let freed = rows.freed_seats.take_lowest(id);
    let lecture = rows.lectures.change(&id).ok_or(Refusal::LectureNotFound)?;
    let seat_number = freed.unwrap_or_else(|| {
        lecture.seats_opened += 1;
        lecture.seats_opened
    });
    lecture.enrolled += 1;
    lecture.updated_at = at;
    assert!(lecture.enrolled <= lecture.capacity && seat_number <= lecture.capacity, "a lecture left its capacity");

    rows.applications.put((id, user.clone()), Application { seat_number, applied_at: at });
    record(rows, cx, id, user, Line { kind: HistoryKind::Applied, seat_number, at });
    Ok(Done::Applied { lecture: id, user: user.clone(), applied_at: at, seat_number })
}

fn cancel(user: &UserId, id: LectureId, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Done, Refusal> {
    let key = (id, user.clone());
    let seat_number = rows.applications.get(&key).ok_or(Refusal::ApplicationNotFound)?.seat_number;
    let lecture = rows.lectures.change(&id).ok_or(Refusal::ApplicationNotFound)?;

    let at = cx.at.max(lecture.updated_at);
    lecture.enrolled -= 1;
    lecture.updated_at = at;
    rows.applications.remove(&key);
    rows.freed_seats.free(id, seat_number);
    record(rows, cx, id, user, Line { kind: HistoryKind::Cancelled, seat_number, at });
    Ok(Done::Cancelled)
}

#[derive(Clone, Copy)]
struct Line {
    kind: HistoryKind,
    seat_number: u32,
    at: Timestamp,
}

/// Adds one history line and its event.
fn record(rows: &mut Rows, cx: &mut Context<'_>, lecture: LectureId, user: &UserId, line: Line) {
    let Line { kind, seat_number, at } = line;
    let Some(row) = rows.lectures.change(&lecture) else { return };
    row.version += 1;
    let (version, id) = (row.version, EventId::new(cx.ids.next(at)));
    let user = user.clone();
    rows.lecture_history.push(HistoryLine {
        id,
        lecture,
        version,
        user: user.clone(),
        kind,
        seat_number,
        created_at: at,
    });
    rows.events.push(Event {
        id,
        at,
        version,
        happening: Happening::LectureChanged { lecture, user, kind, seat_number },
    });
}
