//! Lectures: users apply first-come, first-served; one place per user; never more than the capacity.

mod by_staff;
mod freed_seats;
mod waiting_list;

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
pub use waiting_list::{
    PROMOTED_TOGETHER_MAX, PromoteWaiting, Promoted, WAITING_BLOCK, WAITLISTED_MAX, Waiting, WaitingLists,
};

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
    /// Number of users who wait for a place, at most [`WAITLISTED_MAX`].
    pub waitlisted: u32,
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

    /// Whether a user may apply at an instant, as far as the lecture itself decides it. While a user waits, free places are
    /// for the waiting list.
    pub fn is_available(&self, at: Timestamp) -> bool {
        self.remaining() > 0 && self.waitlisted == 0 && self.gives_places(at)
    }

    /// Whether users on the waiting list get places at an instant.
    pub fn promotes(&self, at: Timestamp) -> bool {
        self.remaining() > 0 && self.waitlisted > 0 && self.gives_places(at)
    }

    /// Whether it is open and has not started at an instant.
    fn gives_places(&self, at: Timestamp) -> bool {
        at < self.starts_at && self.is_on_offer() && self.opens_at.is_none_or(|opens| opens <= at)
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
    /// Time of the application. A user who was on the waiting list applied when joining it.
    pub applied_at: Timestamp,
}

/// What a history line records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryKind {
    /// The user got a free place.
    Applied {
        /// Seat number, from 1.
        seat_number: u32,
    },
    /// The place was given back.
    Cancelled {
        /// Seat number, from 1.
        seat_number: u32,
    },
    /// The user joined the waiting list.
    Waitlisted {
        /// The position at the end of the list, from 1.
        position: u32,
    },
    /// The user at the front of the waiting list got a place.
    Promoted {
        /// Seat number, from 1.
        seat_number: u32,
    },
    /// The user left the waiting list without a place.
    Left,
}

impl HistoryKind {
    /// The seat number of a place that was taken or given back.
    pub fn seat_number(self) -> Option<u32> {
        match self {
            Self::Applied { seat_number } | Self::Cancelled { seat_number } | Self::Promoted { seat_number } => {
                Some(seat_number)
            }
            Self::Waitlisted { .. } | Self::Left => None,
        }
    }

    /// The position of a user who joined the waiting list.
    pub fn position(self) -> Option<u32> {
        if let Self::Waitlisted { position } = self { Some(position) } else { None }
    }
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
    /// The user whose place or entry it is.
    pub user: UserId,
    /// What happened to the place or the entry.
    pub kind: HistoryKind,
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
    /// Whether the user joins the waiting list if there is no place.
    pub waitlist: bool,
}

/// Cancels an application. Its seat number is free again, and goes to the first user of the waiting list. A user who waits
/// leaves the list.
#[derive(Clone, Debug)]
pub struct Cancel {
    /// The user whose application it is.
    pub user: UserId,
    /// The lecture of the application.
    pub lecture: LectureId,
}

/// What an application led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The user has a place.
    Applied(Applied),
    /// The user waits for one.
    Waitlisted(Waitlisted),
}

/// An entry at the end of a waiting list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waitlisted {
    /// The lecture of the list.
    pub lecture: LectureId,
    /// The user who applied.
    pub user: UserId,
    /// The time of the application.
    pub applied_at: Timestamp,
    /// The position in the list, from 1.
    pub position: u32,
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
    type Output = Outcome;

    fn needs(&self, keys: &mut Keys) {
        *keys.lectures.entry(self.lecture).or_default() += 1;
        keys.applications.insert((self.lecture, self.user.clone()));
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Outcome, Refusal> {
        let Self { user, lecture: id, waitlist } = self;
        let key = (*id, user.clone());
        let lecture = rows.lectures.get(id).ok_or(Refusal::LectureNotFound)?;
        if rows.applications.get(&key).is_some() {
            return Err(Refusal::AlreadyApplied);
        }
        if let Some(waiting) = rows.waiting.get(&key) {
            let position = rows.waiting_lists.position(*id, user, waiting.number);
            return Err(Refusal::AlreadyWaitlisted { position });
        }
        let (at, now) = (cx.at.max(lecture.updated_at), cx.at.not_before(lecture.updated_at));
        if lecture.starts_at <= now || !lecture.is_on_offer() {
            return Err(Refusal::LectureClosed);
        }
        if let Some(opens_at) = lecture.opens_at.filter(|opens_at| now < *opens_at) {
            let retry_after_seconds = now.seconds_until(opens_at).min(RETRY_AFTER_SECONDS_MAX);
            return Err(Refusal::LectureNotOpen { retry_after_seconds });
        }
        // A free place belongs to the users who wait.
        let is_full = lecture.remaining() == 0 || lecture.waitlisted > 0;
        if is_full && !waitlist {
            return Err(Refusal::LectureFull);
        }
        if is_full && lecture.waitlisted >= WAITLISTED_MAX {
            return Err(Refusal::WaitlistFull);
        }

        // All checks are done: from here on rows change, so nothing below may refuse.
        let (lecture, user) = (*id, user.clone());
        if is_full {
            let position = waiting_list::join(rows, cx, lecture, &user, at);
            return Ok(Outcome::Waitlisted(Waitlisted { lecture, user, applied_at: at, position }));
        }
        let (seat_number, applied_at) = take_seat(rows, cx, lecture).ok_or(Refusal::LectureNotFound)?;
        rows.applications.put(key, Application { seat_number, applied_at });
        record(rows, cx, lecture, &user, Record { kind: HistoryKind::Applied { seat_number }, at: applied_at });
        Ok(Outcome::Applied(Applied { lecture, user, applied_at, seat_number }))
    }
}

/// Takes the lowest free seat number. Returns it with the instant of the change; `None` if there is no such lecture.
///
/// # Panics
/// If the lecture is full.
fn take_seat(rows: &mut Rows, cx: &Context<'_>, id: LectureId) -> Option<(u32, Timestamp)> {
    let freed = rows.freed_seats.take_lowest(id);
    let lecture = rows.lectures.change(&id)?;
    let seat_number = freed.unwrap_or_else(|| {
        lecture.seats_given += 1;
        lecture.seats_given
    });
    lecture.enrolled += 1;
    lecture.updated_at = cx.at.max(lecture.updated_at);
    assert!(lecture.enrolled <= lecture.capacity && seat_number <= lecture.capacity, "a lecture left its capacity");
    Some((seat_number, lecture.updated_at))
}

impl Command for Cancel {
    type Output = ();

    fn needs(&self, keys: &mut Keys) {
        waiting_list::needs(keys, self.lecture, 1);
        keys.applications.insert((self.lecture, self.user.clone()));
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<(), Refusal> {
        end(rows, cx, self.lecture, &self.user).map(|_| ()).ok_or(Refusal::ApplicationNotFound)
    }
}

/// An application that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The seat number of the place; `None` if the user was on the waiting list.
    pub seat_number: Option<u32>,
}

/// Ends an application or an entry of the waiting list. A place that this frees goes to the first user who waits. Returns `None`
/// if there is neither, and then nothing changes.
fn end(rows: &mut Rows, cx: &mut Context<'_>, id: LectureId, user: &UserId) -> Option<Ended> {
    if let Some(Application { seat_number, .. }) = give_back(rows, cx, id, user) {
        waiting_list::promote(rows, cx, id, 1);
        return Some(Ended { seat_number: Some(seat_number) });
    }
    waiting_list::leave(rows, cx, id, user).map(|_| Ended { seat_number: None })
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
    record(rows, cx, id, user, Record { kind: HistoryKind::Cancelled { seat_number }, at });
    Some(application)
}

/// What one history line records, besides the lecture and the user.
#[derive(Clone, Copy)]
struct Record {
    kind: HistoryKind,
    at: Timestamp,
}

/// Adds one history line and its event. Returns the version of the line.
fn record(rows: &mut Rows, cx: &mut Context<'_>, lecture: LectureId, user: &UserId, what: Record) -> u64 {
    let Record { kind, at } = what;
    let Some(row) = rows.lectures.change(&lecture) else { return 0 };
    row.version += 1;
    // The event has the id of the line, so that each can be found from the other.
    let (version, id) = (row.version, EventId::new(cx.ids.next(at)));
    let user = user.clone();
    rows.lecture_history.push(HistoryLine { id, lecture, version, user: user.clone(), kind, created_at: at });
    rows.events.push(Event { id, at, version, happening: Happening::LectureChanged { lecture, user, kind } });
    version
}
