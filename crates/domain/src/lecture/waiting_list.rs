//! Waiting lists of lectures: users who wait for a place, in the order in which they joined.
//!
//! A list is not numbered from 1: each entry has the version of the lecture that it joined with, which only grows, so no entry
//! is rewritten when another one leaves. A position is the number of entries with this number or a smaller one. Stores count the
//! entries of each block of numbers, so that a position is found without counting the whole list.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::{Application, HistoryKind, Record, record, take_seat};
use crate::ids::{LectureId, UserId};
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;
use crate::{Command, Context, Refusal};

/// Maximum number of users who wait for one lecture. A further one is refused.
pub const WAITLISTED_MAX: u32 = 100_000;

/// How many users one unit of work promotes at most. Further steps promote the rest.
pub const PROMOTED_TOGETHER_MAX: usize = 1_000;

/// How many numbers a block has. The first block has the numbers below it.
pub const WAITING_BLOCK: u64 = 1_024;

/// A user's entry in the waiting list of a lecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The version of the lecture with which the user joined. Entries are served in ascending order.
    pub number: u64,
    /// When the user joined the list.
    pub applied_at: Timestamp,
}

/// The loaded parts of the waiting lists in a unit of work. The entries themselves are in [`Rows::waiting`].
///
/// The store loads the users at the front of a list, at least as many as the unit may promote or end, and the positions of
/// the users who apply. Positions of entries that join in the unit follow from the counter of the lecture.
#[derive(Debug, Default)]
pub struct WaitingLists {
    lectures: HashMap<LectureId, List>,
}

#[derive(Debug, Default)]
struct List {
    /// Users, each with the number of the entry.
    front: VecDeque<(UserId, u64)>,
    /// Whether `front` is the whole list, so that a user who joins stands behind it.
    is_whole: bool,
    /// The position of each user whom a command names, as if no entry had ended in this unit.
    positions: HashMap<UserId, u32>,
    /// Numbers of the entries that joined in this unit.
    joined: Vec<u64>,
    /// Numbers of the entries that ended in this unit.
    ended: Vec<u64>,
}

impl WaitingLists {
    /// Adds the users at the front of a list, in order, each with the number of the entry. `is_whole`: no other user waits.
    pub fn load(&mut self, lecture: LectureId, front: impl IntoIterator<Item = (UserId, u64)>, is_whole: bool) {
        let list = self.lectures.entry(lecture).or_default();
        (list.front, list.is_whole) = (front.into_iter().collect(), is_whole);
    }

    /// Adds the position of a user, from 1.
    pub fn load_position(&mut self, lecture: LectureId, user: UserId, position: u32) {
        self.lectures.entry(lecture).or_default().positions.insert(user, position);
    }

    /// The position of an entry as of now.
    pub(super) fn position(&self, lecture: LectureId, user: &UserId, number: u64) -> u32 {
        let Some(list) = self.lectures.get(&lecture) else { return 0 };
        let before = list.ended.iter().filter(|ended| **ended < number).count();
        let position = list.positions.get(user).copied().unwrap_or(0);
        position.saturating_sub(u32::try_from(before).unwrap_or(u32::MAX))
    }

    /// Adds the entry of a user who joins at this position. Each entry that ended in this unit stood before it.
    fn join(&mut self, lecture: LectureId, user: &UserId, number: u64, position: u32) {
        let list = self.lectures.entry(lecture).or_default();
        let ended = u32::try_from(list.ended.len()).unwrap_or(u32::MAX);
        list.positions.insert(user.clone(), position.saturating_add(ended));
        list.joined.push(number);
        if list.is_whole {
            list.front.push_back((user.clone(), number));
        }
    }

    fn end(&mut self, lecture: LectureId, number: u64) {
        self.lectures.entry(lecture).or_default().ended.push(number);
    }

    /// By how many entries each block of numbers changed, in ascending order. A block is a number divided by [`WAITING_BLOCK`].
    pub fn changed_blocks(&self) -> impl Iterator<Item = (LectureId, u64, i32)> {
        let mut blocks: BTreeMap<(LectureId, u64), i32> = BTreeMap::new();
        for (lecture, list) in &self.lectures {
            for number in &list.joined {
                *blocks.entry((*lecture, number / WAITING_BLOCK)).or_default() += 1;
            }
            for number in &list.ended {
                *blocks.entry((*lecture, number / WAITING_BLOCK)).or_default() -= 1;
            }
        }
        blocks.into_iter().filter(|(_, change)| *change != 0).map(|((lecture, block), change)| (lecture, block, change))
    }

    /// Removes and returns the next loaded entry, which may have ended since.
    fn pop(&mut self, lecture: LectureId) -> Option<(UserId, u64)> {
        self.lectures.get_mut(&lecture)?.front.pop_front()
    }
}

/// Adds a user at the end of the list. Returns the position. The caller has checked that the user may join.
pub(super) fn join(rows: &mut Rows, cx: &mut Context<'_>, id: LectureId, user: &UserId, at: Timestamp) -> u32 {
    let Some(lecture) = rows.lectures.change(&id) else { return 0 };
    lecture.waitlisted += 1;
    lecture.updated_at = at;
    let position = lecture.waitlisted;
    assert!(position <= WAITLISTED_MAX, "a waiting list is longer than it may be");
    let number = record(rows, cx, id, user, Record { kind: HistoryKind::Waitlisted { position }, at });
    rows.waiting.put((id, user.clone()), Waiting { number, applied_at: at });
    rows.waiting_lists.join(id, user, number, position);
    position
}

/// Ends an entry of the list. Returns it; `None` if there is none, and then nothing changes.
pub(super) fn leave(rows: &mut Rows, cx: &mut Context<'_>, id: LectureId, user: &UserId) -> Option<Waiting> {
    let waiting = remove(rows, id, user)?;
    let lecture = rows.lectures.change(&id)?;
    let at = cx.at.max(lecture.updated_at);
    lecture.updated_at = at;
    record(rows, cx, id, user, Record { kind: HistoryKind::Left, at });
    Some(waiting)
}

fn remove(rows: &mut Rows, id: LectureId, user: &UserId) -> Option<Waiting> {
    let key = (id, user.clone());
    let waiting = rows.waiting.get(&key)?.clone();
    rows.lectures.change(&id)?.waitlisted -= 1;
    rows.waiting.remove(&key);
    rows.waiting_lists.end(id, waiting.number);
    Some(waiting)
}

/// The next user who still waits, of those that were loaded.
fn next(rows: &mut Rows, id: LectureId) -> Option<UserId> {
    loop {
        let (user, number) = rows.waiting_lists.pop(id)?;
        // The user may have left the list in this unit of work, and may have joined its end again.
        if rows.waiting.get(&(id, user.clone())).is_some_and(|waiting| waiting.number == number) {
            return Some(user);
        }
    }
}

/// Ends entries from the front, at most as many. Returns how many.
pub(super) fn empty(rows: &mut Rows, cx: &mut Context<'_>, id: LectureId, at_most: usize) -> u32 {
    let mut ended = 0;
    while (ended as usize) < at_most
        && let Some(user) = next(rows, id)
    {
        ended += u32::from(leave(rows, cx, id, &user).is_some());
    }
    ended
}

/// Gives free places to the users at the front of the list, at most as many. Returns how many. None gets a place after the
/// start, while the lecture is closed or cancelled, or before it opens.
pub(super) fn promote(rows: &mut Rows, cx: &mut Context<'_>, id: LectureId, at_most: usize) -> u32 {
    let mut promoted = 0;
    while (promoted as usize) < at_most && may_promote(rows, cx, id) {
        let Some(user) = next(rows, id) else { break };
        let Some(Waiting { applied_at, .. }) = remove(rows, id, &user) else { break };
        let Some((seat_number, at)) = take_seat(rows, cx, id) else { break };
        rows.applications.put((id, user.clone()), Application { seat_number, applied_at });
        record(rows, cx, id, &user, Record { kind: HistoryKind::Promoted { seat_number }, at });
        promoted += 1;
    }
    promoted
}

fn may_promote(rows: &Rows, cx: &Context<'_>, id: LectureId) -> bool {
    let lecture = rows.lectures.get(&id);
    lecture.is_some_and(|lecture| lecture.promotes(cx.at.not_before(lecture.updated_at)))
}

/// What a command needs that may promote users to as many places.
pub(super) fn needs(keys: &mut Keys, lecture: LectureId, places: usize) {
    *keys.lectures.entry(lecture).or_default() += places;
    *keys.waiting_lists.entry(lecture).or_default() += places;
}

/// One step of promotions: gives free places to the users at the front of the waiting list, at most
/// [`PROMOTED_TOGETHER_MAX`]. Any instance may do it at any time, because it only gives places that are free.
#[derive(Clone, Debug)]
pub struct PromoteWaiting {
    /// A lecture. Nothing changes unless it has a free place and a user waits for it.
    pub lecture: LectureId,
}

/// What a step of promotions did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promoted {
    /// How many users got a place.
    pub promoted: u32,
    /// Whether a further step has users to promote now.
    pub goes_on: bool,
}

impl Command for PromoteWaiting {
    type Output = Promoted;

    fn needs(&self, keys: &mut Keys) {
        needs(keys, self.lecture, PROMOTED_TOGETHER_MAX);
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Promoted, Refusal> {
        rows.lectures.get(&self.lecture).ok_or(Refusal::LectureNotFound)?;
        let promoted = promote(rows, cx, self.lecture, PROMOTED_TOGETHER_MAX);
        Ok(Promoted { promoted, goes_on: may_promote(rows, cx, self.lecture) })
    }
}
