//! The best adjacent seats of a hall: which group of a row, of the first row that fits.

use std::ops::RangeInclusive;

use super::hall::Hall;

/// The first seat of the best `count` adjacent free seats. Rows rank as they come; each is a list of segments with an aisle
/// between two of them, and adjacent seats are consecutive numbers of one segment. In the first row that fits, the best group
///
/// 1. leaves no single free seat beside it that was not single before,
/// 2. has its middle nearest to the middle of the row, counted in seats,
/// 3. has the lowest number.
///
/// Refuses nothing that fits: a single seat left over only ranks lower.
pub(super) fn choose<'a>(
    hall: &Hall,
    rows: impl IntoIterator<Item = &'a [RangeInclusive<u32>]>,
    count: u32,
) -> Option<u32> {
    rows.into_iter().find_map(|row| of_row(hall, row, count))
}

/// The best group of one row.
fn of_row(hall: &Hall, row: &[RangeInclusive<u32>], count: u32) -> Option<u32> {
    let seats = row.iter().map(seats_of).sum();
    let mut before = 0;
    let mut best: Option<Rank> = None;
    for segment in row {
        let row = Row { seats, before, from: i64::from(*segment.start()), count: i64::from(count) };
        before += seats_of(segment);
        for run in hall.runs(segment.clone()) {
            let ranks = row.candidates(&run).map(|seat| row.rank(&run, seat));
            best = ranks.chain(best).min();
        }
    }
    best.and_then(|rank| u32::try_from(rank.seat).ok())
}

fn seats_of(range: &RangeInclusive<u32>) -> i64 {
    i64::from(*range.end()) - i64::from(*range.start()) + 1
}

/// The rank of a group: smaller is better.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    leaves_single: bool,
    /// Twice the distance of the group's middle from that of the row, in seats.
    off_middle: i64,
    seat: i64,
}

/// A row as seen from one of its segments.
struct Row {
    /// Seats of the row.
    seats: i64,
    /// Seats of the segments before this one.
    before: i64,
    /// The first seat of the segment.
    from: i64,
    /// Seats of a group.
    count: i64,
}

impl Row {
    /// The first seats of the groups of a run that may be the best. The distance from the middle has one minimum, and two
    /// groups at most leave a single seat, so the best one is among the nearest few.
    fn candidates(&self, run: &RangeInclusive<u32>) -> RangeInclusive<i64> {
        let (first, last) = (i64::from(*run.start()), i64::from(*run.end()) - self.count + 1);
        if last < first {
            // An empty range.
            return RangeInclusive::new(1, 0);
        }
        let middle = (self.seats - self.count).div_euclid(2) + self.from - self.before;
        let middle = middle.clamp(first, last);
        (middle - NEAR).max(first)..=(middle + NEAR).min(last)
    }

    fn rank(&self, run: &RangeInclusive<u32>, seat: i64) -> Rank {
        let left = seat - i64::from(*run.start());
        let right = i64::from(*run.end()) - (seat + self.count - 1);
        let index = self.before + seat - self.from;
        Rank { leaves_single: left == 1 || right == 1, off_middle: (2 * index + self.count - self.seats).abs(), seat }
    }
}

/// Groups on each side of the middle that are compared.
const NEAR: i64 = 4;
