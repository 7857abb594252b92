//! Waiting lists of lectures: what a history implies about them.

use std::collections::{BTreeMap, HashMap};

use onsale_domain::ids::UserId;
use onsale_domain::lecture::{HistoryKind, HistoryLine, WAITING_BLOCK};

/// The waiting list of a lecture, as the lines so far imply it.
#[derive(Default)]
pub(super) struct WaitingList {
    /// The users by the number of their entry: the version of the line with which they joined.
    entries: BTreeMap<u64, UserId>,
    /// The number of each user's entry.
    numbers: HashMap<UserId, u64>,
    /// Whether some line does not follow from those before it.
    is_broken: bool,
}

impl WaitingList {
    /// Adds the next line. A place is only given to another user while none waits, and to the first one otherwise. A user who
    /// joins stands at the end.
    pub(super) fn add(&mut self, line: &HistoryLine) {
        let follows = match line.kind {
            HistoryKind::Applied { .. } => self.entries.is_empty(),
            HistoryKind::Cancelled { .. } => !self.numbers.contains_key(&line.user),
            HistoryKind::Promoted { .. } => {
                let is_first = self.entries.first_key_value().is_some_and(|(_, first)| *first == line.user);
                self.remove(&line.user) && is_first
            }
            HistoryKind::Left => self.remove(&line.user),
            HistoryKind::Waitlisted { position } => {
                let is_new = self.numbers.insert(line.user.clone(), line.version).is_none();
                self.entries.insert(line.version, line.user.clone());
                is_new && self.entries.len() == position as usize
            }
        };
        self.is_broken |= !follows;
    }

    /// Removes the entry of a user. Returns whether there was one.
    fn remove(&mut self, user: &UserId) -> bool {
        self.numbers.remove(user).is_some_and(|number| self.entries.remove(&number).is_some())
    }

    /// Whether each line followed, and these are the entries that are left.
    pub(super) fn leads_to(&self, entries: &BTreeMap<u64, UserId>) -> bool {
        !self.is_broken && self.entries == *entries
    }
}

/// How many entries each block of waiting numbers has, by their numbers.
pub(super) fn blocks_of(entries: &BTreeMap<u64, UserId>) -> BTreeMap<u64, u64> {
    let mut blocks = BTreeMap::new();
    for number in entries.keys() {
        *blocks.entry(number / WAITING_BLOCK).or_default() += 1;
    }
    blocks
}
