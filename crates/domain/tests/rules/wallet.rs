//! Points: charging, using, and the bounds of both.

use crate::support::Stage;

#[track_caller]
fn check(script: &str) {
    Stage::empty().play(script);
}

#[test]
fn charges_and_uses() {
    check(
        "
        ann charges 1000 => balance 1000
        ann uses 300     => balance 700
        bob charges 5    => balance 5
        ann uses 700     => balance 0
        ann charges 1    => balance 1
        log lists        => ann charged 1000; ann used 300; bob charged 5; ann used 700; ann charged 1
        ",
    );
}

#[test]
fn one_movement_has_bounds() {
    check(
        "
        ann charges 0        => amount-out-of-range
        ann charges -1       => amount-out-of-range
        ann charges 10000001 => amount-out-of-range
        ann charges 1        => balance 1
        ann charges 10000000 => balance 10000001
        ann uses 0           => amount-out-of-range
        ann uses -5          => amount-out-of-range
        ann uses 10000001    => amount-out-of-range
        ann uses 10000000    => balance 1
        ann uses 1           => balance 0
        ",
    );
}

#[test]
fn the_extremes_of_an_amount_are_refused_and_not_wrapped() {
    for amount in [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX] {
        check(&format!("ann charges {amount} => amount-out-of-range"));
        check(&format!("ann uses {amount} => amount-out-of-range"));
    }
}

/// A use out of range is no matter of the balance, whatever it is.
#[test]
fn the_amount_is_judged_before_the_balance() {
    check(
        "
        ann uses 10000001 => amount-out-of-range
        ann uses 10000000 => insufficient-balance
        ",
    );
}

#[test]
fn a_wallet_never_goes_below_zero() {
    check(
        "
        ann uses 1       => insufficient-balance
        ann charges 10   => balance 10
        ann uses 11      => insufficient-balance
        ann uses 10      => balance 0
        ann uses 1       => insufficient-balance
        ",
    );
}

#[test]
fn a_wallet_has_a_limit() {
    let mut stage = Stage::empty();
    for charge in 1..=99 {
        stage.play(&format!("ann charges 10000000 => balance {}", charge * 10_000_000));
    }
    stage.play(
        "
        ann charges 9999999  => balance 999999999
        ann charges 2        => balance-limit
        ann charges 10000000 => balance-limit
        ann charges 1        => balance 1000000000
        ann charges 1        => balance-limit
        ann charges 10000001 => amount-out-of-range
        ann uses 1           => balance 999999999
        ",
    );
}

#[test]
fn a_batch_sees_its_own_movements() {
    check(
        "
        ann charges 100    => balance 100
        & ann uses 60      => balance 40
        & ann uses 60      => insufficient-balance
        & bob uses 1       => insufficient-balance
        & ann charges 20   => balance 60
        & ann uses 60      => balance 0
        log lists          => ann charged 100; ann used 60; ann charged 20; ann used 60
        ",
    );
}

/// A database's clock can be set back; a history never goes back (the audit checks its order).
#[test]
fn a_clock_set_back_does_not_turn_history_around() {
    check(
        "
        10 ann charges 100 => balance 100
        5  ann uses 30     => balance 70
        20 ann uses 70     => balance 0
        ",
    );
}
