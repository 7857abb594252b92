//! What staff do with lectures: they make, change and cancel them, and remove applications.

use std::sync::Arc;

use super::{
    Application, CANCELLED_TOGETHER_MAX, Cancellation, Ended, Lecture, PROMOTED_TOGETHER_MAX, end, give_back,
    waiting_list,
};
use crate::event::{Event, Happening};
use crate::ids::{EventId, LectureId, UserId};
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;
use crate::{Command, Context, Refusal};

/// Creates a lecture with no applications.
#[derive(Clone, Debug)]
pub struct Create {
    /// 1 to 200 characters.
    pub title: Arc<str>,
    /// 1 to 200 characters, if given.
    pub lecturer: Option<Arc<str>>,
    /// Start. May lie in the past: then applications are refused.
    pub starts_at: Timestamp,
    /// Capacity, 1 to [`super::CAPACITY_MAX`].
    pub capacity: u32,
    /// Before this instant applications are refused; `None` for no such instant.
    pub opens_at: Option<Timestamp>,
    /// Whether applications are refused until staff open the lecture.
    pub closed: bool,
}

/// Changes a lecture. A field that is `None` keeps its value. Returns the lecture as it is afterwards.
///
/// Places stay, whatever changes. Seat numbers above a lower capacity stay with the users who have them. If the lecture then has
/// free places, is open and has not started, at most [`PROMOTED_TOGETHER_MAX`] users of the waiting list get them, and
/// [`super::PromoteWaiting`] promotes the others.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// 1 to 200 characters.
    pub title: Option<Arc<str>>,
    /// 1 to 200 characters; `Some(None)` removes it.
    pub lecturer: Option<Option<Arc<str>>>,
    /// When it starts, in UTC.
    pub starts_at: Option<Timestamp>,
    /// Capacity, 1 to [`super::CAPACITY_MAX`], and at least the number of places taken.
    pub capacity: Option<u32>,
    /// Before this instant applications are refused; `Some(None)` for no such instant.
    pub opens_at: Option<Option<Timestamp>>,
    /// Whether applications are refused.
    pub closed: Option<bool>,
}

/// Changes, with the lecture that they are for.
#[derive(Clone, Debug)]
pub struct ChangeLecture {
    /// The lecture to change.
    pub lecture: LectureId,
    /// What to change about it.
    pub change: Change,
}

/// Cancels a lecture for good. [`CancelApplications`] ends its applications afterwards. If it is cancelled already, nothing
/// changes.
#[derive(Clone, Debug)]
pub struct CancelLecture {
    /// The lecture to cancel.
    pub lecture: LectureId,
    /// Why: 1 to 200 characters.
    pub reason: Arc<str>,
}

/// The answer to a cancellation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LectureCancelled {
    /// When, why, and of how many applications.
    pub cancellation: Cancellation,
    /// How many applications are left.
    pub left: u32,
    /// How many users are left on the waiting list.
    pub waiting: u32,
    /// Whether this command cancelled it.
    pub is_new: bool,
}

/// One step of a cancellation: ends the applications with the lowest seat numbers and then the entries of the waiting list, at
/// most [`CANCELLED_TOGETHER_MAX`] together. Any instance may do it at any time, because it only ends what a cancelled lecture
/// still has.
#[derive(Clone, Debug)]
pub struct CancelApplications {
    /// A lecture. Nothing changes unless it is cancelled.
    pub lecture: LectureId,
}

/// What a step of a cancellation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Emptied {
    /// How many applications and entries of the waiting list it ended.
    pub cancelled: u32,
    /// How many of both the lecture still has.
    pub left: u32,
}

/// Ends the application of a user, or the entry in the waiting list, as the user's own cancellation would.
#[derive(Clone, Debug)]
pub struct RemoveApplication {
    /// The lecture of the application.
    pub lecture: LectureId,
    /// The user whose application it is.
    pub user: UserId,
}

/// A user who has a place in a lecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applicant {
    /// The user who applied.
    pub user: UserId,
    /// The user's place, with its seat number.
    pub application: Application,
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
            waitlisted: 0,
            seats_given: 0,
            version: 0,
            updated_at: cx.at,
            opens_at: self.opens_at,
            closed: self.closed,
            cancellation: None,
            highest_capacity: self.capacity,
            changes: 0,
            moved_at: None,
        };
        rows.lectures.put(lecture.id, lecture.clone());
        rows.freed_seats.load(lecture.id, []);
        Ok(lecture)
    }
}

impl Change {
    /// The lecture after the change, apart from its version.
    fn apply(&self, before: &Lecture) -> Lecture {
        let capacity = self.capacity.unwrap_or(before.capacity);
        Lecture {
            title: self.title.clone().unwrap_or_else(|| before.title.clone()),
            lecturer: self.lecturer.clone().unwrap_or_else(|| before.lecturer.clone()),
            starts_at: self.starts_at.unwrap_or(before.starts_at),
            capacity,
            highest_capacity: before.highest_capacity.max(capacity),
            opens_at: self.opens_at.unwrap_or(before.opens_at),
            closed: self.closed.unwrap_or(before.closed),
            ..before.clone()
        }
    }
}

impl Command for ChangeLecture {
    type Output = Lecture;

    fn needs(&self, keys: &mut Keys) {
        waiting_list::needs(keys, self.lecture, PROMOTED_TOGETHER_MAX);
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Lecture, Refusal> {
        let before = rows.lectures.get(&self.lecture).ok_or(Refusal::LectureNotFound)?;
        if before.cancellation.is_some() {
            return Err(Refusal::LectureClosed);
        }
        let mut after = self.change.apply(before);
        if after.capacity < before.enrolled {
            return Err(Refusal::CapacityBelowEnrolled);
        }
        if after == *before {
            return Ok(after);
        }
        if after.starts_at != before.starts_at {
            after.moved_at = Some(cx.at.max(before.updated_at));
        }
        announce(rows, cx, after);
        waiting_list::promote(rows, cx, self.lecture, PROMOTED_TOGETHER_MAX);
        rows.lectures.get(&self.lecture).cloned().ok_or(Refusal::LectureNotFound)
    }
}

impl Command for CancelLecture {
    type Output = LectureCancelled;

    fn needs(&self, keys: &mut Keys) {
        keys.lectures.entry(self.lecture).or_default();
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<LectureCancelled, Refusal> {
        let before = rows.lectures.get(&self.lecture).ok_or(Refusal::LectureNotFound)?;
        let (left, waiting) = (before.enrolled, before.waitlisted);
        if let Some(cancellation) = before.cancellation.clone() {
            return Ok(LectureCancelled { cancellation, left, waiting, is_new: false });
        }
        let at = cx.at.max(before.updated_at);
        let cancellation = Cancellation { at, reason: self.reason.clone(), applications: left };
        let after = Lecture { cancellation: Some(cancellation.clone()), ..before.clone() };
        announce(rows, cx, after);
        Ok(LectureCancelled { cancellation, left, waiting, is_new: true })
    }
}

/// Saves a lecture that staff changed, with its event.
fn announce(rows: &mut Rows, cx: &mut Context<'_>, mut after: Lecture) {
    after.updated_at = cx.at.max(after.updated_at);
    after.version += 1;
    after.changes += 1;
    let (at, version) = (after.updated_at, after.version);
    rows.lectures.put(after.id, after.clone());
    rows.changed_lectures.insert(after.id);
    let id = EventId::new(cx.ids.next(at));
    rows.events.push(Event { id, at, version, happening: Happening::LectureUpdated { lecture: after } });
}

impl Command for CancelApplications {
    type Output = Emptied;

    fn needs(&self, keys: &mut Keys) {
        keys.lectures.entry(self.lecture).or_default();
        keys.emptied_lectures.insert(self.lecture);
        *keys.waiting_lists.entry(self.lecture).or_default() += CANCELLED_TOGETHER_MAX;
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Emptied, Refusal> {
        let lecture = rows.lectures.get(&self.lecture).ok_or(Refusal::LectureNotFound)?;
        let before = lecture.enrolled + lecture.waitlisted;
        if lecture.cancellation.is_none() {
            return Ok(Emptied { cancelled: 0, left: before });
        }
        let mut cancelled = 0;
        // Another command of this batch may have ended some of them.
        for user in rows.applicants_of(self.lecture).into_iter().take(CANCELLED_TOGETHER_MAX) {
            cancelled += u32::from(give_back(rows, cx, self.lecture, &user).is_some());
        }
        let further = CANCELLED_TOGETHER_MAX.saturating_sub(cancelled as usize);
        cancelled += waiting_list::empty(rows, cx, self.lecture, further);
        Ok(Emptied { cancelled, left: before - cancelled })
    }
}

impl Command for RemoveApplication {
    type Output = Ended;

    fn needs(&self, keys: &mut Keys) {
        waiting_list::needs(keys, self.lecture, 1);
        keys.applications.insert((self.lecture, self.user.clone()));
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Ended, Refusal> {
        end(rows, cx, self.lecture, &self.user).ok_or(Refusal::ApplicationNotFound)
    }
}
