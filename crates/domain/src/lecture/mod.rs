//! Lectures: users apply first-come, first-served; one place per user; never more than the capacity.

mod by_staff;
mod freed_seats;

use std::sync::Arc;

use crate::event::{Event, Happening};
use crate::ids::{EventId, LectureId, UserId};
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;
use crate::{Command, Context, Refusal};

pub use by_staff::{
    Applicant, CancelApplications, CancelLecture, Change, ChangeLecture, Create, Emptied, LectureCancelled,
    RemoveApplication,
};
pub use freed_seats::FreedSeats;

/// Capacity if a lecture is created without one.
pub const CAPACITY_DEFAULT: u32 = 30;

/// Maximum capacity; the minimum is 1.
pub const CAPACITY_MAX: u32 = 1_000_000;

/// How many applications one step of a cancellation ends.
pub const CANCELLED_TOGETHER_MAX: usize = 500;

/// A client that applies too early retries after at most this many seconds.
const RETRY_AFTER_SECONDS_MAX: u32 = 3_600;

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
    pub seats_given: u32,
    /// Number of changes so far: lines of its history, and changes by staff. Each line, and each event of a change, carries
    /// the value after its change.
    pub version: u64,
    /// Time of the last change, or of the creation.
    pub updated_at: Timestamp,
    /// Before this instant applications are refused; `None` for no such instant.
    pub opens_at: Option<Timestamp>,
    /// Whether applications are refused until staff open the lecture again.
    pub closed: bool,
    /// How staff cancelled it; `None` if it takes place.
    pub cancellation: Option<Cancellation>,
    /// The highest capacity that it ever had. Seat numbers are never above it.
    pub highest_capacity: u32,
    /// How many of its versions are changes by staff.
    pub changes: u64,
    /// When staff changed its start last; `None` if they never did.
    pub moved_at: Option<Timestamp>,
}

/// How a lecture was cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancellation {
    /// When it was cancelled.
    pub at: Timestamp,
    /// Why: 1 to 200 characters.
    pub reason: Arc<str>,
    /// How many applications it had then. Those that it still has are yet to be cancelled.
    pub applications: u32,
}

impl Lecture {
    /// Number of free places.
    pub fn remaining(&self) -> u32 {
        self.capacity.saturating_sub(self.enrolled)
    }

    /// Whether a user may apply at an instant, as far as the lecture itself decides it.
    pub fn is_available(&self, at: Timestamp) -> bool {
        self.remaining() > 0
            && at < self.starts_at
            && self.is_on_offer()
            && self.opens_at.is_none_or(|opens| opens <= at)
    }

    /// Whether it is neither closed nor cancelled.
    pub fn is_on_offer(&self) -> bool {
        !self.closed && self.cancellation.is_none()
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
        let now = cx.at.not_before(lecture.updated_at);
        if lecture.starts_at <= now || !lecture.is_on_offer() {
            return Err(Refusal::LectureClosed);
        }
        if let Some(opens_at) = lecture.opens_at.filter(|opens_at| now < *opens_at) {
            let retry_after_seconds = now.seconds_until(opens_at).min(RETRY_AFTER_SECONDS_MAX);
            return Err(Refusal::LectureNotOpen { retry_after_seconds });
        }
        if lecture.remaining() == 0 {
            return Err(Refusal::LectureFull);
        }

        // All checks are done: from here on rows change, so nothing below may refuse.
        let freed = rows.freed_seats.take_lowest(*id);
        let lecture = rows.lectures.change(id).ok_or(Refusal::LectureNotFound)?;
        let seat_number = freed.unwrap_or_else(|| {
            lecture.seats_given += 1;
            lecture.seats_given
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
        give_back(rows, cx, self.lecture, &self.user).map(|_| ()).ok_or(Refusal::ApplicationNotFound)
    }
}

/// Ends an application: its seat number is free again. Returns it; `None` if there is none, and then nothing changes.
fn give_back(rows: &mut Rows, cx: &mut Context<'_>, id: LectureId, user: &UserId) -> Option<Application> {
    let key = (id, user.clone());
    let application = rows.applications.get(&key)?.clone();
    let lecture = rows.lectures.change(&id)?;

    let at = cx.at.max(lecture.updated_at);
    lecture.enrolled -= 1;
    lecture.updated_at = at;
    let seat_number = application.seat_number;
    rows.applications.remove(&key);
    rows.freed_seats.free(id, seat_number);
    record(rows, cx, id, user, Record { kind: HistoryKind::Cancelled, seat_number, at });
    Some(application)
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
