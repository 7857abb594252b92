//! What organisers may change of a performance that is on sale.

use onsale_domain::concert::{self, GradePrice, Seating, Section};
use onsale_domain::ids::PerformanceId;
use proptest::prelude::*;
use proptest::sample::subsequence;

use super::op::{Op, pick};
use crate::support::Tables;
use crate::support::mixed::AnyCommand;

/// What an organiser changes of a performance that is on sale.
pub(super) fn offer_command(op: &Op, tables: &Tables) -> Option<AnyCommand> {
    let performances: Vec<PerformanceId> = tables.performances.keys().copied().collect();
    let performance = |which: &usize| *pick(&performances, *which);
    let change = |which| concert::ChangePerformance::of(performance(which));
    Some(match op {
        Op::Block(which, seats) => {
            let (performance, seats) = (performance(which), seats.clone().into());
            concert::Block { performance, seats, reason: "a camera".into() }.into()
        }
        Op::Unblock(which, seats) => {
            let (performance, seats) = (performance(which), seats.clone().into());
            concert::Unblock { performance, seats, reason: "no camera".into() }.into()
        }
        Op::Move(which, seconds) => {
            let starts_at = Some(crate::support::START.plus_seconds(*seconds));
            concert::ChangePerformance { starts_at, ..change(which) }.into()
        }
        Op::Price(which, grade, price) => {
            let prices = vec![GradePrice { grade: (*grade).into(), price: *price }];
            concert::ChangePerformance { prices, ..change(which) }.into()
        }
        Op::AddSeats(which, from, to) => {
            let section = Section { from: *from, to: *to, grade: "S".into(), price: 300 };
            let seats = Seating::new(vec![section]).ok()?;
            concert::AddSeats { performance: performance(which), seats, places: Vec::new() }.into()
        }
        _ => return None,
    })
}

/// A change of a performance that is on sale.
pub(super) fn offer() -> impl Strategy<Value = Op> {
    let which = || 0..3_usize;
    let seats = || subsequence((0..=10_i64).collect::<Vec<_>>(), 1..=3).prop_shuffle();
    let start = prop_oneof![1 => 0..12_u32, 2 => Just(86_400_u32)];
    prop_oneof![
        3 => (which(), seats()).prop_map(|(which, seats)| Op::Block(which, seats)),
        3 => (which(), seats()).prop_map(|(which, seats)| Op::Unblock(which, seats)),
        1 => (which(), start).prop_map(|(which, seconds)| Op::Move(which, seconds)),
        1 => (which(), prop_oneof![Just("R"), Just("S")], 0..900_i64)
            .prop_map(|(which, grade, price)| Op::Price(which, grade, price)),
        1 => (which(), 7..13_u32, 0..3_u32).prop_map(|(which, from, more)| Op::AddSeats(which, from, from + more)),
    ]
}
