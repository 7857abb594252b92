//! Seat numbers of a lecture that were given back, so that the lowest free one is found without a scan.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::ids::LectureId;

/// For each lecture of a unit of work: its lowest freed seat numbers, and what became of them.
///
/// The store loads as many of the lowest as applications may take in this unit; together with those that the
/// unit itself frees, they always hold the lowest there is.
#[derive(Debug, Default)]
pub struct FreedSeats {
    lectures: HashMap<LectureId, Freed>,
}

#[derive(Debug, Default)]
struct Freed {
    free: BTreeSet<u32>,
    /// Seat number to whether it is free now, for those whose state differs from the store's.
    changes: BTreeMap<u32, bool>,
}

impl FreedSeats {
    /// Takes in the lowest freed numbers of a lecture, as the store has them.
    pub fn load(&mut self, lecture: LectureId, lowest: impl IntoIterator<Item = u32>) {
        let free = lowest.into_iter().collect();
        self.lectures.insert(lecture, Freed { free, changes: BTreeMap::new() });
    }

    /// Takes the lowest freed number, if there is one.
    pub(crate) fn take_lowest(&mut self, lecture: LectureId) -> Option<u32> {
        let freed = self.lectures.entry(lecture).or_default();
        let seat = freed.free.pop_first()?;
        freed.note(seat, false);
        Some(seat)
    }

    /// Puts a number back.
    pub(crate) fn free(&mut self, lecture: LectureId, seat: u32) {
        let freed = self.lectures.entry(lecture).or_default();
        freed.free.insert(seat);
        freed.note(seat, true);
    }

    /// What must be saved: `true` where a number became free, `false` where it was taken.
    pub fn changed(&self) -> impl Iterator<Item = (LectureId, u32, bool)> {
        self.lectures
            .iter()
            .flat_map(|(lecture, freed)| freed.changes.iter().map(|(seat, free)| (*lecture, *seat, *free)))
    }
}

impl Freed {
    /// A seat that is taken and freed in one unit, or the other way round, ends where the store has it.
    fn note(&mut self, seat: u32, free: bool) {
        if self.changes.remove(&seat).is_none() {
            self.changes.insert(seat, free);
        }
    }
}
