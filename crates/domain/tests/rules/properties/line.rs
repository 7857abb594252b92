//! Positions by subtraction equal the positions in a list of all users.

use std::collections::BTreeSet;

use onsale_domain::waiting_room::Line;
use proptest::prelude::*;

use super::cases;

/// The same line as a list: who waits, in order.
struct List {
    issued: u64,
    served: u64,
    gone: BTreeSet<u64>,
}

impl List {
    fn waiting(&self) -> Vec<u64> {
        (self.served + 1..=self.issued).filter(|place| !self.gone.contains(place)).collect()
    }

    fn assert_same(&self, line: &Line) {
        let waiting = self.waiting();
        assert_eq!(line.waiting(), waiting.len() as u64);
        for place in 0..=self.issued + 2 {
            let ahead = waiting.iter().position(|other| *other == place);
            assert_eq!(line.position(place), ahead.map(|ahead| ahead as u64 + 1), "place {place} of {line:?}");
        }
    }
}

#[derive(Clone, Debug)]
enum Change {
    Advance { issued: u64, served: u64 },
    GiveUp(u64),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        1 => (0..60_u64, 0..60_u64).prop_map(|(issued, served)| Change::Advance { issued, served }),
        3 => (0..60_u64).prop_map(Change::GiveUp),
    ]
}

/// Counters, and places given up among those handed out.
fn start() -> impl Strategy<Value = (u64, u64, Vec<u64>)> {
    (0..40_u64).prop_flat_map(|issued| (Just(issued), 0..=issued, prop::collection::vec(0..=issued, 0..30)))
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn a_position_equals_the_position_in_a_list_of_all_users(
        (issued, served, gone) in start(),
        changes in prop::collection::vec(change(), 0..20),
    ) {
        let mut list = List { issued, served, gone: gone.iter().copied().collect() };
        let mut line = Line::new(issued, served, gone);
        list.assert_same(&line);
        for change in changes {
            match change {
                Change::Advance { issued, served } => {
                    list.issued = list.issued.max(issued);
                    // No user is admitted before being in line.
                    let served = served.min(list.issued);
                    list.served = list.served.max(served);
                    line.advance(issued, served);
                }
                Change::GiveUp(place) => {
                    let place = place.min(list.issued);
                    list.gone.insert(place);
                    line.give_up(place);
                }
            }
            list.assert_same(&line);
        }
    }
}
