//! What is read of a hall: a part of its seats is enough if the counters of the performance prove that none is missing.

use std::collections::BTreeMap;

use onsale_domain::concert::{Hall, Performance, Taken};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Settings;
use proptest::prelude::*;

use crate::support::Stage;

/// Seats 1 to 40 and 61 to 100. Of `rows`, those that are sold or blocked are counted.
fn performance(rows: &BTreeMap<u32, Taken>) -> Performance {
    let stage = Stage::empty().concert("gala", Settings::default());
    let stage = stage.performance("eve", 1_000, &[(1, 40, 100), (61, 100, 200)]);
    let row = stage.world.tables.performances.values().next().cloned().expect("a performance");
    let closed = rows.values().filter(|taken| **taken == Taken::Closed).count();
    Performance { sold: u32::try_from(closed).expect("a few"), ..row }
}

fn rows() -> impl Strategy<Value = BTreeMap<u32, Taken>> {
    let seat = prop_oneof![1..=40_u32, 61..=100_u32];
    let held = (1..9_i64).prop_map(|end| Taken::Held(Timestamp::from_millis(end)));
    prop::collection::btree_map(seat, prop_oneof![3 => Just(Taken::Closed), 1 => held], 0..=80)
}

proptest! {
    /// The open seats of an earlier moment are enough unless one that was closed is open again.
    #[test]
    fn what_was_open_before_is_all_that_is_open_unless_the_counters_differ(before in rows(), after in rows()) {
        let (was, is) = (performance(&before), performance(&after));
        let all = || is.seating.sections().iter().map(|range| range.from..=range.to);
        let whole = Hall::read(all(), before.clone());
        prop_assert!(whole.is_whole(&was));
        let ranges = whole.open_ranges(&was);
        let is_remembered = |seat: &u32| ranges.iter().any(|range| range.contains(seat));
        let known: Vec<u32> = is.seating.seats().map(|(seat, _)| seat).collect();
        let is_closed = |rows: &BTreeMap<u32, Taken>, seat: &u32| rows.get(seat) == Some(&Taken::Closed);
        prop_assert!(known.iter().all(|seat| is_closed(&before, seat) || is_remembered(seat)));
        prop_assert!(ranges.iter().flat_map(Clone::clone).all(|seat| is.seating.index_of(seat).is_some()));

        let missing = known.iter().filter(|seat| !is_closed(&after, seat) && !is_remembered(seat)).count();
        let part = Hall::read(ranges.clone(), after.clone().into_iter().filter(|(seat, _)| is_remembered(seat)));
        prop_assert_eq!(part.is_whole(&is), missing == 0);
        // Rows of seats that are not remembered change nothing.
        prop_assert_eq!(Hall::read(ranges, after.clone()).is_whole(&is), missing == 0);
        prop_assert!(Hall::read(all(), after).is_whole(&is));
    }
}
