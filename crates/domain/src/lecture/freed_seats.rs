//! Seat numbers of a lecture that were given back. The lowest free number is found without a scan.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::ids::LectureId;

/// The lowest freed seat numbers of each lecture in a unit of work, and their changes.
///
/// The store loads as many of the lowest numbers as the applications of the unit may take. Together with the numbers that
/// the unit itself frees, they always contain the lowest free number.
#[derive(Debug, Default)]
pub struct FreedSeats {
    lectures: HashMap<LectureId, Freed>,
}

#[derive(Debug, Default)]
struct Freed {
    free: BTreeSet<u32>,
    /// For each seat number whose state differs from the store's: whether it is free now.
    changes: BTreeMap<u32, bool>,
}

impl FreedSeats {
    /// Adds the lowest freed numbers of a lecture, as loaded from the store.
    pub fn load(&mut self, lecture: LectureId, lowest: impl IntoIterator<Item = u32>) {
        let free = lowest.into_iter().collect();
        self.lectures.insert(lecture, Freed { free, changes: BTreeMap::new() });
    }

    /// Removes and returns the lowest freed number, if there is one.
    pub(crate) fn take_lowest(&mut self, lecture: LectureId) -> Option<u32> {
        let freed = self.lectures.entry(lecture).or_default();
        let seat = freed.free.pop_first()?;
        freed.note(seat, false);
        Some(seat)
    }

    /// Adds a number that was given back.
    pub(crate) fn free(&mut self, lecture: LectureId, seat: u32) {
        let freed = self.lectures.entry(lecture).or_default();
        freed.free.insert(seat);
        freed.note(seat, true);
    }

    /// The changes to save: `true` if a number became free, `false` if it was taken.
    pub fn changed(&self) -> impl Iterator<Item = (LectureId, u32, bool)> {
        self.lectures
            .iter()
            .flat_map(|(lecture, freed)| freed.changes.iter().map(|(seat, free)| (*lecture, *seat, *free)))
    }
}

impl Freed {
    /// A seat that is taken and freed in one unit of work, or freed and taken, is no change.
    fn note(&mut self, seat: u32, free: bool) {
        if self.changes.remove(&seat).is_none() {
            self.changes.insert(seat, free);
        }
    }
}
