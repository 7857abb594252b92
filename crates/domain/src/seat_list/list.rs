//! The loaded part of a waiting list in a unit of work.

use std::collections::{BTreeMap, HashMap};

use super::{Entry, State};
use crate::concert::Wish;
use crate::ids::{PerformanceId, ReservationId, UserId};
use crate::rows::Rows;

/// How many users wait for seats of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WishCount {
    /// The performance of the list.
    pub performance: PerformanceId,
    /// What they wish for.
    pub wish: Wish,
    /// By how much the number changes.
    pub change: i64,
}

/// The front of a waiting list. The entries themselves are in [`Rows::seat_waits`].
///
/// A store loads it for each locked performance that has a list. Of each wish it loads the number of users who wait, and the
/// first of them.
#[derive(Clone, Debug, Default)]
pub struct SeatList {
    /// By wish: how many users wait, and how many of them are loaded.
    pub(super) wishes: HashMap<Wish, Waiting>,
    /// The loaded users who wait, by number. One may have left since.
    pub(super) front: BTreeMap<u64, UserId>,
    /// Open reservations of the loaded users in the performance, each with its number of seats, as they were loaded.
    pub(super) owned: HashMap<UserId, Vec<(ReservationId, usize)>>,
    /// Offers that this unit of work made, and entries that it ended.
    pub(super) done: usize,
    /// Whether free seats may go to users on the list that this unit of work does not serve.
    pub(super) is_pending: bool,
    /// How the number of users of each wish changed.
    pub(super) changes: HashMap<Wish, i64>,
}

/// The users who wait for seats of one kind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Waiting {
    /// In all.
    pub(super) all: u64,
    /// Of them, those in [`SeatList::front`].
    pub(super) loaded: u64,
    /// The number of the last entry that was loaded.
    pub(super) last: u64,
}

impl SeatList {
    /// Adds a wish with the number of users who wait for it.
    pub fn load_wish(&mut self, wish: Wish, waiting: u64) {
        self.wishes.entry(wish).or_default().all = waiting;
    }

    /// Adds an entry that waits. The entries of a wish are loaded from the first one, without gaps.
    pub fn load_entry(&mut self, entry: &Entry) {
        self.front.insert(entry.number, entry.user.clone());
        let waiting = self.wishes.entry(entry.wish.clone()).or_default();
        waiting.loaded += 1;
        waiting.last = waiting.last.max(entry.number);
    }

    /// Adds an open reservation of a user who waits, with its number of seats that are not refunded.
    pub fn load_owned(&mut self, user: UserId, reservation: ReservationId, seats: usize) {
        self.owned.entry(user).or_default().push((reservation, seats));
    }

    /// Users whose entries wait and are loaded.
    pub fn users(&self) -> impl Iterator<Item = &UserId> {
        self.front.values()
    }

    /// Number of offers that were made and entries that were ended in this unit of work.
    pub fn done(&self) -> usize {
        self.done
    }

    fn change(&mut self, wish: &Wish, by: i64) {
        *self.changes.entry(wish.clone()).or_default() += by;
        let waiting = self.wishes.entry(wish.clone()).or_default();
        waiting.all = waiting.all.saturating_add_signed(by);
    }
}

/// Adds an entry at the end of the list.
pub(super) fn add(rows: &mut Rows, entry: Entry) {
    let list = rows.seat_lists.entry(entry.performance).or_default();
    // The last ones of its wish are loaded if all are.
    let waiting = list.wishes.get(&entry.wish).copied().unwrap_or_default();
    list.change(&entry.wish, 1);
    if waiting.all == waiting.loaded {
        list.load_entry(&entry);
    }
    if let Some(performance) = rows.performances.change(&entry.performance) {
        performance.waitlisted += 1;
    }
    rows.seat_waits.put((entry.performance, entry.user.clone()), entry);
}

/// Takes an entry that waits off the list. Returns it as it is then.
pub(super) fn take(
    rows: &mut Rows,
    id: PerformanceId,
    user: &UserId,
    state: State,
    reservation: Option<ReservationId>,
) -> Option<Entry> {
    let entry = rows.seat_waits.change(&(id, user.clone())).filter(|entry| entry.state == State::Waiting)?;
    (entry.state, entry.reservation) = (state, reservation);
    let entry = entry.clone();
    let list = rows.seat_lists.entry(id).or_default();
    list.change(&entry.wish, -1);
    if list.front.remove(&entry.number).is_some()
        && let Some(waiting) = list.wishes.get_mut(&entry.wish)
    {
        waiting.loaded = waiting.loaded.saturating_sub(1);
    }
    if let Some(performance) = rows.performances.change(&id) {
        performance.waitlisted = performance.waitlisted.saturating_sub(1);
    }
    Some(entry)
}

impl Rows {
    /// By how much the numbers of users who wait for seats of a kind changed.
    pub fn changed_wishes(&self) -> impl Iterator<Item = WishCount> {
        self.seat_lists.iter().flat_map(|(performance, list)| {
            let changed = list.changes.iter().filter(|(_, change)| **change != 0);
            changed.map(|(wish, change)| WishCount { performance: *performance, wish: wish.clone(), change: *change })
        })
    }
}
