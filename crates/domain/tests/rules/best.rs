//! Best available: which seats the server chooses, and what it refuses. Each choice is compared with a search of all groups.

use onsale_domain::Refusal;
use onsale_domain::concert::{Block, Held, HoldAny, PlannedSection, PlannedSegment, Target, Wish};
use onsale_domain::waiting_room::Settings;
use proptest::prelude::*;
use proptest::sample::subsequence;

use crate::support::mixed::Done;
use crate::support::{START, Stage};

/// `eve` has seats 1 to 20 (R, 100) and 31 to 40 (VIP, 300), and begins at second 1,000. A hold lasts 300 seconds.
fn stage() -> Stage {
    let gala = Stage::empty().concert("gala", Settings::default());
    let mut stage = gala.performance("eve", 1_000, &[(1, 20, 100)]);
    stage.play(
        "
        eve adds 31 40 VIP=300 => …
        gala sets turn 5000 => …
        0 ann enters => …
        0 bob enters => …
        0 cid enters => …
        log lists => …
        ",
    );
    stage
}

#[track_caller]
fn check(script: &str) {
    stage().play(script);
}

#[test]
fn takes_the_middle_and_leaves_no_single_seat() {
    check(
        "
        ann takes 2        => took 10 11 until 300
        ann takes 1        => took 9 until 300
        bob takes 2        => took 12 13 until 300
        bob takes 2        => took 7 8 until 300
        cid takes 4 of VIP => took 34 35 36 37 until 300
        ",
    );
}

/// Seats 1 and 2 are free, 3 is taken, 4 to 6 are free, 7 to 20 are taken.
#[test]
fn a_single_seat_that_is_left_over_ranks_lower_and_is_never_a_reason_to_refuse() {
    check(
        "
        eve blocks 3 7 8 9 10 11 12 13 14 15 16 17 18 19 20 => …
        ann takes 2 of R  => took 1 2 until 300
        bob takes 2 of R  => took 5 6 until 300
        cid takes 1 of R  => took 4 until 300
        cid takes 1 of R  => seats-not-available, retry after 300
        ",
    );
}

#[test]
fn ranges_are_not_adjacent_even_if_their_numbers_are() {
    check(
        "
        eve adds 41 41 S=1 => …
        eve blocks 31 32 33 34 35 36 37 38 39 => …
        eve blocks 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 => …
        ann takes 2       => seats-not-available
        ann takes 1       => took 20 until 300
        ann takes 1       => took 40 until 300
        ann takes 1 of S  => took 41 until 300
        ",
    );
}

/// Read upwards: each line would be refused for the reasons of the lines above it, too.
#[test]
fn judges_a_choice_in_the_contracts_order() {
    check(
        "
        eve blocks 31 32 33 34 35 36 37 38 39 40 => …
        ann takes 4 of R => took 9 10 11 12 until 300
        bob takes 1 of VIP => seats-not-available
        ann takes 1 of VIP => seat-limit
        ann takes 1 of S => section-unknown
        ann takes 1 section A => section-unknown
        1000 ann takes 1 of S => performance-closed
        1000 ann takes 1 of S in nowhere => performance-not-found
        1000 ann takes 1 of S in none    => performance-not-found
        1000 ann takes 1 of S in several => performance-ambiguous
        1000 ann takes 1 of S in eve on 0 1000 => unavailable
        5000 ann takes 1 of S in several => queue-token-expired
        ",
    );
}

/// The lapsed hold is settled before the new one, with all of its seats.
#[test]
fn a_lapsed_seat_is_free_whether_or_not_its_hold_is_settled() {
    check(
        "
        eve blocks 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 => …
        0 ann holds 19 20 as x     => held 200 until 300
        100 bob takes 2 of R       => seats-not-available, retry after 200
        299.999 bob takes 1 of R   => seats-not-available, retry after 1
        log lists                  => 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 blocked; x held
        300 bob takes 1 of R as y  => took 19 until 600
        & ann takes 1 of R as z    => took 20 until 600
        & cid takes 1 of R         => seats-not-available, retry after 300
        log lists                  => x expired; y held; z held
        ",
    );
}

/// Commands of one unit of work see what the earlier ones changed.
#[test]
fn a_unit_of_work_knows_its_own_changes() {
    check(
        "
        eve blocks 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 => …
        ann charges 1000        => balance 1000
        ann holds 19 20 as x    => held 200 until 300
        ann releases x          => released
        & bob takes 2 of R as y => took 19 20 until 300
        & cid takes 1 of R      => seats-not-available, retry after 300
        & eve unblocks 7        => 7, blocked 17
        & cid takes 1 of R      => took 7 until 300
        & eve adds 50 51 R=100  => …
        & ann takes 2 of R as z => took 50 51 until 300
        & eve blocks 8 31       => 31, blocked 18
        & cid takes 3 of VIP    => took 34 35 36 until 300
        ann pays z              => paid 200, balance 800
        ann enters              => …
        staff refunds z 50      => 50 for 100, fee 0, balance 900
        & ann takes 1 of R      => took 50 until 300
        ",
    );
}

/// A hold that an earlier command of the unit extended keeps its seat longer.
#[test]
fn a_unit_of_work_knows_its_own_extensions() {
    check(
        "
        eve blocks 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 => …
        0 ann holds 20 as x       => held 100 until 300
        100 bob takes 1 of R      => seats-not-available, retry after 200
        & eve extends 60          => 1 by 60 at 100
        & bob takes 1 of R        => seats-not-available, retry after 260
        359.999 bob takes 1 of R  => seats-not-available, retry after 1
        360 bob takes 1 of R as y => took 20 until 660
        ",
    );
}

#[test]
fn a_batch_of_many_is_decided_one_after_the_other() {
    let mut stage = Stage::empty().concert("gala", Settings::default()).performance("eve", 1_000, &[(1, 9, 100)]);
    stage.play("gala sets max 20 rate 20 => set");
    for name in ["a", "b", "c", "d", "e"] {
        stage.play(&format!("{name} enters => …"));
    }
    stage.play(
        "
        a takes 2   => took 4 5 until 300
        & b takes 2 => took 6 7 until 300
        & c takes 3 => took 1 2 3 until 300
        & d takes 2 => took 8 9 until 300
        & e takes 1 => seats-not-available, retry after 300
        ",
    );
}

fn segment(row: &str, from: u32, to: u32) -> PlannedSegment {
    PlannedSegment { row: row.into(), from, to }
}

fn section(name: &str, grade: &str, accessible: bool, rows: &[PlannedSegment]) -> PlannedSection {
    PlannedSection { name: name.into(), grade: grade.into(), price: 100, accessible, rows: rows.to_vec() }
}

/// `B` comes before `A` as it is listed first. Row 1 of `A` has an aisle after its second seat.
#[test]
fn sections_and_rows_rank_as_they_are_listed() {
    let plan = [
        section("wheel", "R", true, &[segment("W", 90, 93)]),
        section("B", "R", false, &[segment("2", 50, 53), segment("1", 40, 45)]),
        section("A", "S", false, &[segment("1", 1, 2), segment("1", 11, 16)]),
    ];
    let mut stage = Stage::empty().concert("gala", Settings::default()).laid_out("eve", 1_000, &plan);
    stage.play(
        "
        gala sets max 20 rate 20 => set
        ann enters => …
        bob enters => …
        cid enters => …
        dan enters => …
        fay enters => …
        ann takes 2                => took 50 51 until 300
        ann takes 2                => took 52 53 until 300
        bob takes 3 section A      => took 11 12 13 until 300
        bob takes 1 of S           => took 14 until 300
        cid takes 4                => took 40 41 42 43 until 300
        dan takes 3 of R           => seats-not-available, retry after 300
        dan takes 2 section wheel  => took 90 91 until 300
        dan takes 1 of VIP         => section-unknown
        dan takes 1 section C      => section-unknown
        dan takes 1 of S section B => section-unknown
        dan takes 2 of R           => took 44 45 until 300
        fay takes 1 of R           => seats-not-available, retry after 300
        fay takes 1                => took 2 until 300
        ",
    );
}

/// A hall: sections with rows, rows with segments, in an order of its own.
fn halls() -> impl Strategy<Value = Vec<PlannedSection>> {
    let lengths = prop::collection::vec(prop::collection::vec(prop::collection::vec(1..=9_u32, 1..=3), 1..=3), 1..=3);
    (lengths, any::<[bool; 3]>(), any::<[bool; 3]>(), any::<bool>()).prop_map(
        |(lengths, vip, accessible, backwards)| {
            let mut next = 1;
            let sections = lengths.iter().enumerate().map(|(index, rows)| {
                let mut laid = Vec::new();
                for (number, segments) in rows.iter().enumerate() {
                    for seats in segments {
                        laid.push(segment(&number.to_string(), next, next + seats - 1));
                        // A gap of the numbers after some segments.
                        next += seats + seats % 2;
                    }
                }
                section(&index.to_string(), if vip[index] { "VIP" } else { "R" }, accessible[index], &laid)
            });
            let mut sections: Vec<_> = sections.collect();
            if backwards {
                sections.reverse();
            }
            sections
        },
    )
}

/// The best group among all groups there are, by the words of the contract.
fn search(plan: &[PlannedSection], wish: &Wish, is_free: impl Fn(u32) -> bool) -> Option<Vec<u32>> {
    let named = |own: &&PlannedSection| {
        wish.section.as_ref().map_or(!own.accessible, |name| *name == own.name)
            && wish.grade.as_ref().is_none_or(|grade| *grade == own.grade)
    };
    for section in plan.iter().filter(named) {
        let mut names: Vec<_> = section.rows.iter().map(|segment| segment.row.clone()).collect();
        names.dedup();
        for name in names {
            let segments: Vec<_> = section.rows.iter().filter(|segment| segment.row == name).collect();
            let row: Vec<u32> = segments.iter().flat_map(|segment| segment.from..=segment.to).collect();
            let mut groups = Vec::new();
            for own in segments {
                let seats: Vec<u32> = (own.from..=own.to).collect();
                for group in seats.windows(wish.count as usize).filter(|group| group.iter().all(|seat| is_free(*seat)))
                {
                    let is_left = |seat: u32| is_free(seat) && seats.contains(&seat) && !group.contains(&seat);
                    let (below, above) = (group[0] - 1, group[group.len() - 1] + 1);
                    let single_below = is_left(below) && !is_left(below.saturating_sub(1));
                    let single_above = is_left(above) && !is_left(above + 1);
                    let index = row.iter().position(|seat| *seat == group[0]).unwrap_or_default();
                    let middle = (2 * index + group.len()).abs_diff(row.len());
                    groups.push((single_below || single_above, middle, group.to_vec()));
                }
            }
            if let Some((.., group)) = groups.into_iter().min() {
                return Some(group);
            }
        }
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Refuses no wish while seats that fit are free, and takes the best.
    #[test]
    fn takes_the_best_of_all_groups(
        plan in halls(),
        blocked in subsequence((1..=120_i64).collect::<Vec<_>>(), 0..=110),
        counts in prop::collection::vec((1..=4_u32, 0..4_usize, 0..3_usize), 1..=6),
    ) {
        let mut stage = Stage::empty().concert("gala", Settings::default()).laid_out("eve", 1_000, &plan);
        stage.play("gala sells limit 20 => …\nann enters => …");
        let (id, performance) = stage.world.tables.performances.iter().next().map(|(id, row)| (*id, row.clone())).unwrap();
        let seats: Vec<i64> = blocked.into_iter().filter(|seat| performance.seating.index_of(*seat as u32).is_some()).collect();
        if !seats.is_empty() {
            let block = Block { performance: id, seats: seats.into(), reason: "a camera".into() };
            prop_assert!(stage.world.one(block.into()).is_ok());
        }
        let token = stage.token("ann");
        for (count, section, grade) in counts {
            let section = plan.get(section).map(|section| section.name.clone());
            let grade = [None, Some("R"), Some("VIP")][grade].map(Into::into);
            let wish = Wish { count, section, grade };
            let tables = stage.world.tables.clone();
            let is_free = |seat: u32| {
                performance.seating.index_of(seat).is_some()
                    && !tables.seats.contains_key(&(id, seat))
                    && !tables.blocks.contains_key(&(id, seat))
            };
            let is_known = plan.iter().any(|own| {
                wish.section.as_ref().is_none_or(|name| *name == own.name)
                    && wish.grade.as_ref().is_none_or(|grade| *grade == own.grade)
            });
            let hold = HoldAny { token: token.clone(), target: Target::Performance(id), dates: None, wish: wish.clone(), code: None };
            match (stage.world.one(hold.into()), search(&plan, &wish, is_free)) {
                (Ok(Done::HoldAny(Held { reservation, .. })), Some(best)) => prop_assert_eq!(&reservation.seats[..], &best[..]),
                (Err(Refusal::SectionUnknown), None) => prop_assert!(!is_known),
                (Err(Refusal::SeatsNotAvailable { .. }), None) => prop_assert!(is_known),
                (Err(Refusal::SeatLimit), _) => return Ok(()),
                other => prop_assert!(false, "{wish:?}: {other:?} at {START:?}"),
            }
        }
    }
}
