//! The seats of performances that were open, free or held, when a lane last read them all.
//!
//! A hall of 50,000 seats that is 99 % sold has 49,500 rows of sold seats, and a choice of seats needs none of them. So a lane
//! remembers the ranges in which seats were open, and reads the rows of these ranges alone. The counters of the performance,
//! which is locked, prove that no open seat is missing: the open seats that were read are as many as there are. If they are
//! fewer, because a refund or an organiser opened others, all rows are read. Nothing is decided by what is remembered here.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use onsale_domain::concert::{Hall, Performance, Taken};
use onsale_domain::ids::PerformanceId;

/// Number of performances that a lane remembers. With one more, all are forgotten.
const HALLS_MAX: usize = 64;

/// What a lane remembers.
#[derive(Debug, Default)]
pub(crate) struct OpenSeats {
    halls: HashMap<PerformanceId, Vec<RangeInclusive<u32>>>,
}

impl OpenSeats {
    /// The ranges to read first. Empty if nothing is known.
    pub(crate) fn of(&self, performance: PerformanceId) -> &[RangeInclusive<u32>] {
        self.halls.get(&performance).map_or(&[], Vec::as_slice)
    }

    /// The hall of a locked performance from the rows of the remembered ranges; `None` if an open seat is missing. Rows of
    /// other seats do not matter.
    pub(crate) fn part(&mut self, performance: &Performance, rows: &[(u32, Taken)]) -> Option<Hall> {
        let ranges = self.of(performance.id);
        let hall = Hall::read(ranges.iter().cloned(), rows.iter().copied());
        hall.is_whole(performance).then(|| self.remember(performance, hall))
    }

    /// The hall of a locked performance from all of its rows.
    pub(crate) fn whole(&mut self, performance: &Performance, rows: &[(u32, Taken)]) -> Hall {
        let seats = performance.seating.sections().iter().map(|section| section.from..=section.to);
        self.remember(performance, Hall::read(seats, rows.iter().copied()))
    }

    fn remember(&mut self, performance: &Performance, hall: Hall) -> Hall {
        if self.halls.len() >= HALLS_MAX && !self.halls.contains_key(&performance.id) {
            self.halls.clear();
        }
        self.halls.insert(performance.id, hall.open_ranges(performance));
        hall
    }
}

/// Number of seats in these ranges, which hold only numbers that are seats.
pub(crate) fn seats_in(ranges: &[RangeInclusive<u32>]) -> i64 {
    ranges.iter().map(|range| i64::from(*range.end()) - i64::from(*range.start()) + 1).sum()
}
