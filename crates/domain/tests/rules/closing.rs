//! Closing a sale or a performance, and the notice.

use crate::support::Stage;

#[track_caller]
fn check(script: &str) {
    Stage::gala_with_a_line().play(script);
}

#[test]
fn a_closed_sale_takes_no_entry_and_no_hold() {
    check(
        "
        gala closes             => closed, -
        dan enters              => sale-closed
        ann holds 1             => sale-closed
        ann holds 1 in matinee  => sale-closed
        gala opens              => open, -
        dan enters              => new place 4, waiting 2
        ann holds 1             => held 1000 until 300
        ",
    );
}

#[test]
fn who_has_a_place_keeps_it() {
    check(
        "
        gala closes  => closed, -
        cid enters   => same place 3, waiting 1
        cid is       => waiting 1
        ann enters   => same place 1, active until 600
        bob leaves   => left
        gala steps   => turns ann, waiting cid
        bob enters   => sale-closed
        cid leaves   => left
        cid enters   => sale-closed
        gala opens   => open, -
        gala steps   => turns ann, waiting -
        cid enters   => new place 4, active until 600
        ",
    );
}

#[test]
fn who_holds_may_pay_or_release() {
    check(
        "
        0    ann holds 1 as x => held 1000 until 300
        0    bob holds 2 as y => held 1000 until 300
        1    gala closes      => closed, -
        299  eve extends 60   => 2 by 60 at 299
        300  ann pays x       => paid 1000, balance 8000
        300  bob releases y   => released
        300  gala steps       => turns bob, waiting cid
        600  gala steps       => turns -, waiting cid
        600  cid is           => waiting 1
        601  gala opens       => open, -
        601  gala admits      => turns cid, waiting -
        ",
    );
}

#[test]
fn a_closed_performance_takes_no_hold() {
    check(
        "
        0   ann holds 1 as x        => held 1000 until 300
        1   eve closes              => closed
        1   ann holds 2             => performance-closed
        1   ann holds 99            => performance-closed
        1   ann holds 1 in matinee  => held 500 until 301
        1   dan enters              => new place 4, waiting 2
        2   ann pays x              => paid 1000, balance 8000
        2   ann#1 holds 2           => performance-closed
        3   eve opens               => open
        3   bob holds 2             => held 1000 until 303
        log lists => ann charged 9000; x held; performance closed; unnamed held; ann used 1000; x paid; performance open; unnamed held
        ",
    );
}

/// Read upwards: each line would be refused for the reasons of all lines above it, too.
#[test]
fn judges_a_hold_in_the_contracts_order() {
    check(
        "
        0   bob holds 1 in matinee   => held 500 until 300
        0   ann holds 1 9 in matinee => seat-taken 1, retry after 300
        0   ann holds 1 99 in matinee => seat-unknown 99
        0   matinee closes           => closed
        0   ann holds 1 99 in matinee => performance-closed
        0   gala closes              => closed, -
        0   ann holds 1 99 in matinee => sale-closed
        0   ann holds 1 99 in several => performance-ambiguous
        0   ann holds 1 99 in nowhere => performance-not-found
        600 ann holds 1 99 in nowhere => queue-token-expired
        ",
    );
}

#[test]
fn a_change_that_changes_nothing_has_no_event() {
    check(
        "
        gala opens        => open, -
        gala announces nothing => open, -
        eve opens         => open
        gala announces hello   => open, hello
        gala announces hello   => open, hello
        gala closes       => closed, hello
        gala closes       => closed, hello
        gala announces bye     => closed, bye
        gala announces nothing => closed, -
        log lists         => ann charged 9000; concert open; concert closed; concert closed; concert closed
        nowhere closes    => performance-not-found
        nowhere announces hi  => concert-not-found
        ",
    );
}

#[test]
fn closing_and_holding_share_a_unit_of_work() {
    check(
        "
        0 ann holds 1 => held 1000 until 300
        & gala closes => closed, -
        & bob holds 2 => sale-closed
        & dan enters  => sale-closed
        & gala opens  => open, -
        & bob holds 2 => held 1000 until 300
        ",
    );
}
