//! Extending holds: every hold that is live at the decision's instant lasts longer, and no other.

use onsale_domain::concert::{Expire, Extend, HoldEnd, HoldsCounted, Performance, Rewrite, lapsed_up_to};
use onsale_domain::ids::Mint;
use onsale_domain::rows::Rows;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Settings;
use onsale_domain::{Command, Context};

use crate::support::{Seeded, Stage};

/// The concert `gala` with `eve` and `matinee`, and the concert `rock` with `gig`. A hold lasts 300 seconds, a turn 600.
/// `ann`, `bob` and `cid` are admitted to `gala` at second 0, and `ann` has points.
fn opened() -> Stage {
    let room = Settings { max_active: 3, ..Settings::default() };
    let rock = Stage::empty().concert("rock", room).performance("gig", 86_400, &[(1, 50, 1_000)]);
    let gala = rock.concert("gala", room).performance("eve", 86_400, &[(1, 50, 1_000)]);
    let mut stage = gala.performance("matinee", 86_400, &[(1, 50, 500)]);
    stage.play(
        "
        0 ann charges 9000 => balance 9000
        0 ann enters => new place 1, active until 600
        0 bob enters => new place 2, active until 600
        0 cid enters => new place 3, active until 600
        ann calls => noted
        bob calls => noted
        gala admits => turns ann bob cid, waiting -
        ",
    );
    stage
}

#[track_caller]
fn check(script: &str) {
    opened().play(script);
}

/// As [`check`], with other transactions next to each unit of work: a row that it has not locked may be older than a commit
/// that is under way.
#[track_caller]
fn check_shared(script: &str) {
    let mut stage = opened();
    stage.world.is_alone = false;
    stage.play(script);
}

#[test]
fn a_live_hold_lasts_that_much_longer() {
    check(
        "
        0       ann holds 1 2 as x    => held 2000 until 300
        100     bob holds 3 as y      => held 1000 until 400
        200     eve extends 60        => 2 by 60 at 200
        359.999 bob holds 1           => seat-taken 1, retry after 1
        359.999 ann pays x            => paid 2000, balance 7000
        459.999 sweeper expires y     => expired 0
        460     sweeper expires y     => expired 1
        log lists                     => ann charged 9000; x held; y held; 2 extended by 60; ann used 2000; x paid; y expired
        ",
    );
}

#[test]
fn the_instant_of_the_decision_decides() {
    check(
        "
        0       ann holds 1 as x => held 1000 until 300
        0.001   bob holds 2 as y => held 1000 until 300.001
        300     eve extends 60   => 1 by 60 at 300
        300     ann pays x       => hold-expired
        300     cid holds 1      => held 1000 until 600
        360     bob releases y   => released
        ",
    );
}

#[test]
fn a_hold_that_has_lapsed_is_not_revived_settled_or_not() {
    check(
        "
        0   ann holds 1 as x  => held 1000 until 300
        0   bob holds 2 as y  => held 1000 until 300
        300 sweeper expires y => expired 1
        300 eve extends 86400 => 0 by 86400 at 300
        300 sweeper expires x => expired 1
        300 cid holds 1 2     => held 2000 until 600
        ",
    );
}

#[test]
fn a_hold_of_before_and_one_of_after_an_extension_count_each_once() {
    check(
        "
        0   ann holds 1 as x   => held 1000 until 300
        10  eve extends 100    => 1 by 100 at 10
        20  bob holds 2 as y   => held 1000 until 320
        30  eve extends 1      => 2 by 1 at 30
        31  eve rewrites x     => rewritten 1
        32  eve rewrites x y   => rewritten 1
        40  eve extends 1      => 2 by 1 at 40
        41  eve rewrites x y   => rewritten 2
        41  eve rewrites x y   => rewritten 0
        321.999 cid holds 2    => seat-taken 2, retry after 1
        322 cid holds 2        => held 1000 until 622
        401.999 cid holds 1    => seat-taken 1, retry after 1
        402 sweeper expires x  => expired 1
        ",
    );
}

#[test]
fn only_the_holds_of_the_performance_last_longer() {
    check(
        "
        0   ann holds 1 as x            => held 1000 until 300
        0   bob holds 1 in matinee as y => held 500 until 300
        10  eve extends 60              => 1 by 60 at 10
        300 bob pays y                  => hold-expired
        359 ann pays x                  => paid 1000, balance 8000
        ",
    );
}

#[test]
fn a_concert_extends_the_holds_of_all_its_performances() {
    check(
        "
        0   ann holds 1 as x            => held 1000 until 300
        0   bob holds 1 in matinee as y => held 500 until 300
        0   ann enters rock             => new place 1, active until 600
        0   ann holds 1 in gig as z     => held 1000 until 300
        10  gala extends 60             => 2 by 60 at 10
        300 ann pays z                  => hold-expired
        359 ann#1 pays x                => paid 1000, balance 8000
        359 bob releases y              => released
        log lists => ann charged 9000; x held; y held; z held; 1 extended by 60; 1 extended by 60; ann used 1000; x paid; y released
        ",
    );
}

#[test]
fn a_concert_or_performance_that_does_not_exist_is_refused() {
    check(
        "
        nowhere extends 60 => performance-not-found
        gig extends 60     => performance-not-found
        ",
    );
}

#[test]
fn nothing_held_is_nothing_changed() {
    check(
        "
        eve extends 60  => 0 by 60 at 0
        gala extends 60 => 0 by 60 at 0
        log lists       => ann charged 9000
        ",
    );
}

#[test]
fn the_turn_lasts_as_long_as_the_hold() {
    check(
        "
        599     ann holds 1 as x => held 1000 until 899
        599     bob holds 2 as y => held 1000 until 899
        600     dan enters       => new place 4, waiting 1
        700     eve extends 1000 => 2 by 1000 at 700
        899     ann is           => active until 1899
        899     gala steps       => turns ann bob dan, waiting -
        1898.999 ann pays x      => paid 1000, balance 8000
        1898.999 ann is          => expired
        1898.999 bob enters      => same place 2, active until 1899
        1899    bob is           => expired
        1899    gala steps       => turns -, waiting -
        ",
    );
}

/// The commands of one unit of work are decided on one set of rows.
#[test]
fn an_extension_and_holds_share_a_unit_of_work() {
    check(
        "
        0   ann holds 1 as x   => held 1000 until 300
        250 bob holds 2 as y   => held 1000 until 550
        &   eve extends 50     => 2 by 50 at 250
        &   cid holds 3 as z   => held 1000 until 550
        &   ann holds 2        => seat-taken 2, retry after 350
        &   ann pays x         => paid 1000, balance 8000
        &   eve extends 50     => 2 by 50 at 250
        599.999 cid releases z => released
        649.999 bob releases y => released
        ",
    );
}

/// A seat keeps its own copy of the end, and both are brought up to date.
#[test]
fn a_hold_may_have_several_seats_and_end_before_its_rows_are_rewritten() {
    check(
        "
        0   ann holds 1 2 3 4 as x => held 4000 until 300
        1   eve extends 10         => 1 by 10 at 1
        2   bob holds 4 5          => seat-taken 4, retry after 308
        3   ann releases x         => released
        3   eve rewrites x         => rewritten 0
        4   bob holds 4 5 as y     => held 2000 until 304
        5   eve rewrites x y       => rewritten 0
        304 sweeper expires y      => expired 1
        ",
    );
}

/// The clock of the database goes back a moment: a hold that was judged live stays live.
#[test]
fn a_clock_that_is_set_back_a_moment_extends_as_of_the_last_change() {
    check(
        "
        10   ann holds 1 as x => held 1000 until 310
        9.5  eve extends 60   => 1 by 60 at 10
        369  ann pays x       => paid 1000, balance 8000
        ",
    );
}

/// A payment reads the user's holds in other performances without a lock. One that has just lapsed may be extended by a
/// transaction that has not committed yet, so the room decides whether the turn is over.
#[test]
fn a_payment_leaves_the_end_to_the_room_while_another_hold_may_be_extended() {
    let played = "
        0     ann holds 1 as x            => held 1000 until 300
        10    ann holds 1 in matinee as y => held 500 until 310
        20    eve extends 100             => 1 by 100 at 20
        310.5 ann pays x                  => paid 1000, balance 8000
        ";
    check(&[played, "310.5 ann is => expired"].concat());
    let in_doubt = [
        played,
        "310.5 ann is => active until 600
        ",
    ]
    .concat();
    check_shared(
        &[
            &in_doubt,
            "310.6 gala ends ann => turns bob cid, waiting -
        310.6 ann is      => expired",
        ]
        .concat(),
    );
    // The extension was decided before the end and committed after the payment.
    check_shared(
        &[
            &in_doubt,
            "309.9 matinee extends 60 => 1 by 60 at 309.9
        310.6 gala ends ann      => turns ann bob cid, waiting -
        310.6 ann is             => active until 600
        369   ann pays y         => paid 500, balance 7500
        369   ann is             => expired",
        ]
        .concat(),
    );
}

#[test]
fn a_payment_ends_the_turn_if_the_other_hold_lapsed_a_while_ago() {
    check_shared(
        "
        0   ann holds 1 as x            => held 1000 until 300
        10  ann holds 1 in matinee as y => held 500 until 310
        20  eve extends 100             => 1 by 100 at 20
        315 ann pays x                  => paid 1000, balance 8000
        315 ann is                      => expired
        ",
    );
    // The lock of its own performance covers all holds of it.
    check_shared(
        "
        0   ann holds 1 as x => held 1000 until 300
        10  ann holds 2 as y => held 1000 until 310
        305 ann pays y       => paid 1000, balance 8000
        305 ann is           => expired
        ",
    );
}

#[test]
fn a_release_after_the_turns_own_time_leaves_the_end_to_the_room_too() {
    let played = "
        590   ann holds 1 in matinee as y => held 500 until 890
        599   ann holds 1 as x            => held 1000 until 899
        890.5 ann releases x              => released
        ";
    check(&[played, "890.5 gala admits => turns (ann) bob cid, waiting -"].concat());
    check_shared(
        &[
            played,
            "890.5 gala admits => turns ann bob cid, waiting -
        890.5 gala steps => turns -, waiting -",
        ]
        .concat(),
    );
}

/// A server of an older version does not count holds: the next extension counts them.
#[test]
fn holds_that_are_not_counted_are_counted_by_the_next_extension() {
    let mut stage = opened();
    stage.play(
        "
        0   ann holds 1 as x  => held 1000 until 300
        0   bob holds 2 as y  => held 1000 until 300
        50  cid holds 3       => held 1000 until 350
        ",
    );
    stage.world.tables.performances.values_mut().for_each(|performance| performance.holds = None);
    stage.play(
        "
        60  ann holds 4 as z  => held 1000 until 360
        60  bob releases y    => released
        &   cid holds 5       => held 1000 until 360
        &   eve extends 60    => 4 by 60 at 60
        410 ann pays z        => paid 1000, balance 8000
        411 eve extends 60    => 1 by 60 at 411
        ",
    );
    assert!(stage.world.tables.performances.values().any(|performance| performance.holds == Some(3)), "counted again");
}

/// A count that is wrong stops no settlement: the audit reports it.
#[test]
fn a_wrong_count_of_holds_stops_no_settlement() {
    let mut stage = opened();
    stage.play("0 ann holds 1 as x => held 1000 until 300");
    let tables = &stage.world.tables;
    let hold = tables.reservations.values().next().expect("a hold");
    let mut rows = Rows::default();
    let performance = Performance { holds: Some(0), ..tables.performances[&hold.performance].clone() };
    rows.performances.load(hold.performance, Some(performance));
    rows.reservations.load(hold.id, Some(hold.clone()));
    let seat = (hold.performance, 1);
    rows.seats.load(seat, tables.seats.get(&seat).cloned());
    let mut ids = Mint::new(Seeded(8));
    let mut cx = Context { at: hold.held_until, ids: &mut ids, hold_seconds: 300 };
    assert_eq!(Expire { reservations: vec![hold.id] }.decide(&mut rows, &mut cx), Ok(1));
    assert_eq!(rows.performances.get(&hold.performance).and_then(|performance| performance.holds), Some(0));
}

/// Which holds a unit of work happens to have loaded changes nothing in what is stored.
#[test]
fn an_extension_saves_no_row_of_a_hold() {
    let mut stage = opened();
    stage.play("0 ann holds 1 as x => held 1000 until 300");
    let tables = &stage.world.tables;
    let hold = tables.reservations.values().next().expect("a hold");
    let mut rows = Rows::default();
    rows.performances.load(hold.performance, tables.performances.get(&hold.performance).cloned());
    rows.rooms.load(hold.concert, tables.rooms.get(&hold.concert).cloned());
    rows.reservations.load(hold.id, Some(hold.clone()));
    let seat = (hold.performance, 1);
    rows.seats.load(seat, tables.seats.get(&seat).cloned());
    let ending = vec![(hold.id, hold.held_until)];
    rows.counted.insert(hold.performance, HoldsCounted { at: hold.held_at, held: None, lapsed: 0, ending });
    let mut ids = Mint::new(Seeded(8));
    let mut cx = Context { at: hold.held_at, ids: &mut ids, hold_seconds: 300 };
    let extend =
        Extend { concert: hold.concert, performance: Some(hold.performance), seconds: 60, reason: "late".into() };
    assert_eq!(extend.decide(&mut rows, &mut cx).map(|extended| extended.holds), Ok(1));
    let later = hold.held_until.plus_seconds(60);
    assert_eq!(rows.reservations.get(&hold.id).map(|own| own.held_until), Some(later), "later commands see it");
    assert_eq!(rows.seats.get(&seat).map(|own| own.held_until), Some(later));
    assert_eq!((rows.reservations.changed().count(), rows.seats.changed().count()), (0, 0), "and nothing is written");
    // Unless a later command of the unit of work writes it.
    let rewrite = Rewrite { performance: hold.performance, reservations: vec![hold.id], done_to: None };
    assert_eq!(rewrite.decide(&mut rows, &mut cx), Ok(1));
    assert_eq!((rows.reservations.changed().count(), rows.seats.changed().count()), (1, 1));
}

#[test]
fn the_bounds_of_lapsed_rows_are_those_of_their_ends() {
    let at = |second: i64| Timestamp::from_millis(second * 1_000);
    let extensions = [(at(10), 5), (at(12), 100), (at(14), 1)];
    for now in 0..130 {
        let bounds = lapsed_up_to(&extensions, at(now));
        assert_eq!(bounds.len(), 4);
        for (extended, bound) in (0_u64..).zip(&bounds) {
            for until in 0..130 {
                let end = HoldEnd { until: at(until), extended };
                let later = extensions.iter().skip(usize::try_from(extended).expect("a number")).copied();
                assert_eq!(end.until <= *bound, end.after(later).until <= at(now), "{end:?} at {now}");
            }
        }
    }
}
