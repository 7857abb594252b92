//! Lectures: users apply first-come, first-served; one place per user; never more than the capacity.

mod freed_seats;

use std::sync::Arc;

use crate::event::{Event, Happening};
use crate::ids::{EventId, LectureId, UserId};
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;
use crate::{Command, Context, Refusal};

pub use freed_seats::FreedSeats;

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
    /// The lecture whose history this is.
    pub lecture: LectureId,
    /// Order within the lecture, from 1.
    pub version: u64,
    /// The user who applied or cancelled.
    pub user: UserId,
    /// Whether the user applied or cancelled.
    pub kind: HistoryKind,
    /// Seat number, from 1.
    pub seat_number: u32,
    /// Time of the change.
    pub created_at: Timestamp,
}

/// Creates a lecture with no applications.
#[derive(Clone, Debug)]
pub struct Create {
    /// 1 to 200 characters.
    pub title: Arc<str>,
    /// 1 to 200 characters, if given.
    pub lecturer: Option<Arc<str>>,
    /// Start. May lie in the past: then applications are refused.
    pub starts_at: Timestamp,
    /// Capacity, 1 to [`CAPACITY_MAX`].
    pub capacity: u32,
}

/// Applies for a place. The user gets the lowest free seat number.
#[derive(Clone, Debug)]
pub struct Apply {
    /// The user who applies.
    pub user: UserId,
    /// The lecture to apply for.
    pub lecture: LectureId,
}

/// Cancels an application. Its seat number is free again.
#[derive(Clone, Debug)]
pub struct Cancel {
    /// The user whose application it is.
    pub user: UserId,
    /// The lecture of the application.
    pub lecture: LectureId,
}

/// A place that a user got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The lecture of the place.
    pub lecture: LectureId,
    /// The user who applied.
    pub user: UserId,
    /// The time of the application.
    pub applied_at: Timestamp,
    /// The seat number, from 1.
    pub seat_number: u32,
}

impl Command for Create {
    type Output = Lecture;

    fn needs(&self, _: &mut Keys) {}

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Lecture, Refusal> {
        let lecture = Lecture {
            id: LectureId::new(cx.ids.next(cx.at)),
            title: self.title.clone(),
            lecturer: self.lecturer.clone(),
            starts_at: self.starts_at,
            capacity: self.capacity,
            enrolled: 0,
            seats_opened: 0,
            version: 0,
            updated_at: cx.at,
        };
        rows.lectures.put(lecture.id, lecture.clone());
        rows.freed_seats.load(lecture.id, []);
        Ok(lecture)
    }
}

impl Command for Apply {
    type Output = Applied;

    fn needs(&self, keys: &mut Keys) {
        *keys.lectures.entry(self.lecture).or_default() += 1;
        keys.applications.insert((self.lecture, self.user.clone()));
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Applied, Refusal> {
        let Self { user, lecture: id } = self;
        let key = (*id, user.clone());
        let lecture = rows.lectures.get(id).ok_or(Refusal::LectureNotFound)?;
        let at = cx.at.max(lecture.updated_at);
        if rows.applications.get(&key).is_some() {
            return Err(Refusal::AlreadyApplied);
        }
        if lecture.starts_at <= cx.at.not_before(lecture.updated_at) {
            return Err(Refusal::LectureClosed);
        }
        if lecture.remaining() == 0 {
            return Err(Refusal::LectureFull);
        }

        // All checks are done: from here on rows change, so nothing below may refuse.
        let freed = rows.freed_seats.take_lowest(*id);
        let lecture = rows.lectures.change(id).ok_or(Refusal::LectureNotFound)?;
        let seat_number = freed.unwrap_or_else(|| {
            lecture.seats_opened += 1;
            lecture.seats_opened
        });
        lecture.enrolled += 1;
        lecture.updated_at = at;
        assert!(lecture.enrolled <= lecture.capacity && seat_number <= lecture.capacity, "a lecture left its capacity");

        rows.applications.put(key, Application { seat_number, applied_at: at });
        record(rows, cx, *id, user, Record { kind: HistoryKind::Applied, seat_number, at });
        Ok(Applied { lecture: *id, user: user.clone(), applied_at: at, seat_number })
    }
}

impl Command for Cancel {
    type Output = ();

    fn needs(&self, keys: &mut Keys) {
        keys.lectures.entry(self.lecture).or_default();
        keys.applications.insert((self.lecture, self.user.clone()));
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<(), Refusal> {
        let Self { user, lecture: id } = self;
        let key = (*id, user.clone());
        let seat_number = rows.applications.get(&key).ok_or(Refusal::ApplicationNotFound)?.seat_number;
        let lecture = rows.lectures.change(id).ok_or(Refusal::ApplicationNotFound)?;

        let at = cx.at.max(lecture.updated_at);
        lecture.enrolled -= 1;
        lecture.updated_at = at;
        rows.applications.remove(&key);
        rows.freed_seats.free(*id, seat_number);
        record(rows, cx, *id, user, Record { kind: HistoryKind::Cancelled, seat_number, at });
        Ok(())
    }
}

/// What one history line records, besides the lecture and the user.
#[derive(Clone, Copy)]
struct Record {
    kind: HistoryKind,
    seat_number: u32,
    at: Timestamp,
}

/// Adds one history line and its event.
fn record(rows: &mut Rows, cx: &mut Context<'_>, lecture: LectureId, user: &UserId, what: Record) {
    let Record { kind, seat_number, at } = what;
    let Some(row) = rows.lectures.change(&lecture) else { return };
    row.version += 1;
    // The event has the id of the line, so that each can be found from the other.
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
