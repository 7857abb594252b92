//! What organisers change of a performance that is on sale: blocked seats, start, prices, further seats.

use onsale_domain::concert::{GradePrice, SEATS_AT_ONCE_MAX, Seating, Section};
use onsale_domain::waiting_room::Settings;

use crate::support::Stage;

/// Plays a script in which `ann` and `bob` are admitted to `gala`. Its performance `eve` begins in 100 hours and has seats 1 to 8
/// for 500 points. `ann` has paid 1 (`x`) and holds 2 (`y`) until second 300.
#[track_caller]
fn check(script: &str) {
    let mut stage = Stage::empty().concert("gala", Settings::default());
    stage = stage.performance("eve", 360_000, &[(1, 8, 500)]);
    stage.play(
        "
        0 ann charges 5000      => balance 5000
        ann enters              => new place 1, active until 600
        bob enters              => new place 2, active until 600
        ann holds 1 as x        => held 500 until 300
        ann pays x              => paid 500, balance 4500
        ann enters              => …
        ann holds 2 as y        => held 500 until 300
        log lists               => …
        ",
    );
    stage.play(script);
}

#[test]
fn a_blocked_seat_is_taken_without_an_end() {
    check(
        "
        eve blocks 5 4        => 5 4, blocked 2
        bob holds 4           => seat-taken 4
        bob holds 2 5         => seat-taken 2 5
        bob holds 2           => seat-taken 2, retry after 300
        bob holds 3           => held 500 until 300
        eve unblocks 4        => 4, blocked 1
        bob holds 4           => held 500 until 300
        log lists             => 5 4 blocked; unnamed held; 4 unblocked; unnamed held
        ",
    );
}

/// Read upwards: each line would be refused for the reasons of the lines above it, too.
#[test]
fn judges_a_block_in_the_contracts_order() {
    check(
        "
        eve blocks 2              => seat-taken 2, retry after 300
        eve unblocks 2            => seat-taken 2, retry after 300
        eve blocks 3 1 2          => seat-taken 1 2
        eve unblocks 3 1 2        => seat-taken 1 2
        eve blocks 1 2 9 -1       => seat-unknown 9 -1
        eve unblocks 1 0 9        => seat-unknown 0 9
        nowhere blocks 1 9        => performance-not-found
        nowhere unblocks 9        => performance-not-found
        log lists                 =>
        ",
    );
}

#[test]
fn what_is_blocked_already_and_what_is_free_already_stays_as_it_is() {
    check(
        "
        eve blocks 4 5     => 4 5, blocked 2
        eve blocks 5 6     => 6, blocked 3
        eve blocks 6 4     => -, blocked 3
        eve unblocks 6 7   => 6, blocked 2
        eve unblocks 6     => -, blocked 2
        log lists          => 4 5 blocked; 6 blocked; 6 unblocked
        ",
    );
}

/// The event of the lapsed hold comes first, with all of its seats. The unit may do more with the same seat.
#[test]
fn a_lapsed_hold_is_settled_and_counts_as_free() {
    check(
        "
        299.999 eve blocks 2   => seat-taken 2, retry after 1
        300 eve blocks 2       => 2, blocked 1
        log lists              => y expired; 2 blocked
        ann pays y             => hold-expired
        eve unblocks 2         => 2, blocked 0
        & bob holds 2 as z     => held 500 until 600
        & eve blocks 2         => seat-taken 2, retry after 300
        600 eve blocks 2       => 2, blocked 1
        & eve unblocks 2       => 2, blocked 0
        & eve blocks 2 3       => 2 3, blocked 2
        log lists              => 2 unblocked; z held; z expired; 2 blocked; 2 unblocked; 2 3 blocked
        ",
    );
}

/// An extension passes a block by.
#[test]
fn an_extension_changes_no_block() {
    check(
        "
        eve blocks 5    => 5, blocked 1
        eve extends 60  => 1 by 60 at 0
        bob holds 5     => seat-taken 5
        eve unblocks 5  => 5, blocked 0
        bob holds 5     => held 500 until 300
        ",
    );
}

#[test]
fn a_refunded_seat_can_be_blocked() {
    check(
        "
        eve blocks 1      => seat-taken 1
        staff refunds x   => 1 for 500, fee 0, balance 5000
        eve blocks 1      => 1, blocked 1
        ann holds 1       => seat-taken 1
        ",
    );
}

#[test]
fn a_hold_keeps_its_prices() {
    check(
        "
        eve prices R=700    => at 360000: 1-8 R=700
        eve prices R=700    => at 360000: 1-8 R=700
        ann pays y          => paid 500, balance 4000
        bob charges 5000    => balance 5000
        bob holds 3 as z    => held 700 until 300
        eve prices R=100    => at 360000: 1-8 R=100
        bob pays z          => paid 700, balance 4300
        staff refunds z     => 3 for 700, fee 0, balance 5000
        staff refunds x     => 1 for 500, fee 0, balance 4500
        eve prices S=1      => invalid-request 0
        nowhere prices R=1  => performance-not-found
        ",
    );
}

#[test]
fn a_start_moves_either_way_and_holds_stay() {
    check(
        "
        0 eve allows 1/10       => open
        eve moves 100           => at 100: 1-8 R=500
        100 bob holds 3         => performance-closed
        ann refunds x           => refund-closed
        ann pays y              => paid 500, balance 4000
        eve moves 7200          => at 7200: 1-8 R=500
        bob holds 3             => held 500 until 400
        ann refunds x           => 1 for 450, fee 50, balance 4450
        eve moves 7200          => at 7200: 1-8 R=500
        log lists               => performance open; performance open; ann used 500; y paid; performance open; unnamed held; ann got 450 back; x refunded 1
        ",
    );
}

#[test]
fn the_date_of_a_request_is_judged_by_the_start_at_the_decision() {
    check(
        "
        bob holds 3 in eve on 360000 360001 => held 500 until 300
        eve moves 360001                    => at 360001: 1-8 R=500
        & bob holds 4 in eve on 360000 360001 => unavailable
        bob holds 9 in eve on 360002 360003 => unavailable
        bob holds 4 in eve on 360001 360002 => held 500 until 300
        ",
    );
}

/// The dates in which a request was looked up are compared before anything else of the performance, also for a refusal, which a
/// key may keep.
#[test]
fn a_date_is_judged_by_all_performances_at_the_decision() {
    check(
        "
        bob holds 3 in eve seen 1/0     => held 500 until 300
        bob holds 4 in eve seen 0/0     => unavailable
        bob holds 4 in none seen 0/0    => unavailable
        bob holds 4 in several seen 2/0 => unavailable
        bob holds 4 in none seen 1/0    => performance-not-found
        bob holds 4 in several seen 1/0 => performance-ambiguous
        eve moves 360001                => at 360001: 1-8 R=500
        & bob holds 4 in eve seen 1/0   => unavailable
        & bob holds 9 in eve seen 1/0   => unavailable
        & bob holds 9 in eve seen 1/5   => seat-unknown 9
        gala closes                     => closed, -
        bob holds 4 in none seen 1/0    => unavailable
        bob holds 9 in eve seen 1/5     => sale-closed
        600 bob holds 9 in eve seen 1/0 => queue-token-expired
        ",
    );
}

#[test]
fn seats_are_added_and_neighbours_become_one_section() {
    check(
        "
        bob holds 9                     => seat-unknown 9
        eve adds 9 10 R=500             => at 360000: 1-10 R=500
        eve adds 20 20 R=500            => at 360000: 1-10 R=500, 20-20 R=500
        eve adds 11 11 15 19 S=300      => at 360000: 1-10 R=500, 11-11 S=300, 15-19 S=300, 20-20 R=500
        eve adds 12 16 19 30 R=1        => seat-exists 15 16 19 20
        eve adds 1 40 R=1               => seat-exists 1 2 3 4 5 6 7 8 9 10 11 15 16 17 18 19 20
        eve fills 997                   => section-limit
        eve prices S=500                => at 360000: 1-10 R=500, 11-11 S=500, 15-19 S=500, 20-20 R=500
        bob holds 9 11 as z             => held 1000 until 300
        nowhere adds 1 2 R=1            => performance-not-found
        ",
    );
    check("eve fills 999 => …\neve adds 9 9 R=500 => …\neve adds 11 11 R=1 => section-limit");
}

#[test]
fn at_most_twenty_seats_are_named() {
    let mut stage = Stage::gala(Settings::default());
    let all: Vec<String> = (1..=50).map(|seat| seat.to_string()).collect();
    let twenty = all[..20].join(" ");
    stage.play(&format!("eve adds 1 50 R=1 => seat-exists {twenty}"));
    stage.play(&format!("eve blocks {0} => {0}, blocked 50", all.join(" ")));
    stage.play(&format!("eve unblocks {0} => {0}, blocked 0", all.join(" ")));
    assert_eq!(SEATS_AT_ONCE_MAX, 1_000);
}

#[test]
fn a_seating_finds_its_seats_after_a_change() {
    let section = |from, to, grade: &str, price| Section { from, to, grade: grade.into(), price };
    let seating = Seating::new(vec![section(1, 4, "R", 5), section(5, 6, "S", 3), section(9, 9, "R", 5)]);
    let seating = seating.expect("a seating");
    let others = Seating::new(vec![section(7, 8, "R", 5)]).expect("a seating");
    let whole = seating.with(&others, 20).expect("no seat in common");
    assert_eq!(whole.sections(), [section(1, 4, "R", 5), section(5, 6, "S", 3), section(7, 9, "R", 5)]);
    let priced = whole.priced(&[GradePrice { grade: "S".into(), price: 5 }]).expect("a grade");
    assert_eq!((priced.capacity(), priced.index_of(9)), (9, Some(8)));
    assert_eq!(priced.sections().len(), 3, "another grade is another section");
    assert_eq!(whole.with(&seating, 3), Err(vec![1, 2, 3]));
    let unknown = GradePrice { grade: "T".into(), price: 1 };
    assert_eq!(whole.priced(&[GradePrice { grade: "R".into(), price: 1 }, unknown]), Err(1));
}
