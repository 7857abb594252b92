//! Lectures: apply first-come, first-served; one place a person; exactly the capacity.

use std::sync::Arc;

use crate::event::{Event, Happening};
use crate::ids::{EventId, LectureId, UserId};
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;
use crate::{Context, Done, Refusal};

/// The capacity of a lecture that names none.
pub const CAPACITY_DEFAULT: u32 = 30;

/// The largest capacity; the least is 1.
pub const CAPACITY_MAX: u32 = 1_000_000;

/// A lecture and how full it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lecture {
    /// Its name.
    pub id: LectureId,
    /// 1 to 200 characters.
    pub title: Arc<str>,
    /// 1 to 200 characters, where known.
    pub lecturer: Option<Arc<str>>,
    /// From this instant on nobody can apply.
    pub starts_at: Timestamp,
    /// Places, 1 to [`CAPACITY_MAX`].
    pub capacity: u32,
    /// Places taken.
    pub enrolled: u32,
    /// The highest seat number ever given; lower ones that are free again stand in [`FreedSeats`].
    pub seats_opened: u32,
    /// Counts the changes; each line of the history carries one.
    pub version: u64,
    /// When the last application or cancellation was made, or the lecture itself.
    pub updated_at: Timestamp,
}

impl Lecture {
    /// Places left.
    pub fn remaining(&self) -> u32 {
        self.capacity.saturating_sub(self.enrolled)
    }
}

/// A person's place in a lecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// The lowest number that was free, from 1.
    pub seat_number: u32,
    /// When.
    pub applied_at: Timestamp,
}

/// What a line of a lecture's history tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryKind {
    /// A place was taken.
    Applied,
    /// A place was given back.
    Cancelled,
}

/// One line of a lecture's history. Never rewritten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryLine {
    /// Also the id of the event that tells of it.
    pub id: EventId,
    /// Which lecture.
    pub lecture: LectureId,
    /// Its order within the lecture, from 1.
    pub version: u64,
    /// Who.
    pub user: UserId,
    /// What.
    pub kind: HistoryKind,
    /// Which seat.
    pub seat_number: u32,
    /// When.
    pub created_at: Timestamp,
}

/// A new lecture, as an administrator describes it.
#[derive(Clone, Debug)]
pub struct NewLecture {
    /// 1 to 200 characters.
    pub title: Arc<str>,
    /// 1 to 200 characters, if any.
    pub lecturer: Option<Arc<str>>,
    /// May lie in the past: then nobody can apply.
    pub starts_at: Timestamp,
    /// 1 to [`CAPACITY_MAX`].
    pub capacity: u32,
}

/// What a caller may ask.
#[derive(Clone, Debug)]
pub enum Command {
    /// Make a lecture.
    Open(NewLecture),
    /// Take a place.
    Apply {
        /// Who.
        user: UserId,
        /// Where.
        lecture: LectureId,
    },
    /// Give the place back.
    Cancel {
        /// Who.
        user: UserId,
        /// Where.
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
    if lecture.starts_at <= at {
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

/// Writes one line of history with its event.
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
