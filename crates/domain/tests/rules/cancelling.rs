//! Cancelling a performance: one decision stops its sale for good, and steps give everything back.

use onsale_domain::cancellation::{Cancellation, LEASE_SECONDS, Progress, RETRY_SECONDS};
use onsale_domain::waiting_room::Settings;

use crate::support::Stage;

/// Plays a script in which `ann`, `bob` and `cid` are admitted to `gala` with `eve` and `matinee`, which begin in 100 hours. Of
/// `eve`, `ann` has paid 1 2 (`x`) and `bob` 3 (`y`), for 1,000 points each, and `cid` holds 5 6 (`z`).
fn opened() -> Stage {
    let room = Settings { max_active: 5, ..Settings::default() };
    let mut stage = Stage::empty().concert("gala", room).performance("eve", 360_000, &[(1, 9, 1_000)]);
    stage = stage.performance("matinee", 360_000, &[(1, 9, 500)]);
    stage.play(
        "
        0 eve allows 72/20   => open
        ann charges 5000     => balance 5000
        bob charges 5000     => balance 5000
        cid charges 5000     => balance 5000
        ann enters           => new place 1, active until 600
        bob enters           => new place 2, active until 600
        cid enters           => new place 3, active until 600
        dan enters           => new place 4, active until 600
        ann holds 1 2 as x   => held 2000 until 300
        bob holds 3 as y     => held 1000 until 300
        cid holds 5 6 as z   => held 2000 until 300
        ann pays x           => paid 2000, balance 3000
        bob pays y           => paid 1000, balance 4000
        log lists            => …
        ",
    );
    stage
}

#[track_caller]
fn check(script: &str) {
    opened().play(script);
}

#[test]
fn steps_end_holds_and_give_everything_back() {
    check(
        "
        10 eve drops   => cancelled, running, 0 of 2 refunded, 0 failed, 0 points
        eve settles 2  => settled
        eve reports    => running, 1 of 2 refunded, 0 failed, 2000 points
        eve settles 2  => settled
        eve settles 2  => settled, rests
        eve reports    => done, 2 of 2 refunded, 0 failed, 3000 points
        eve settles    => elsewhere
        eve retries    => elsewhere
        ann charges 1  => balance 5001
        cid charges 1  => balance 5001
        log lists      => performance cancelled; ann got 2000 back; x refunded 1 2; z ended; bob got 1000 back; \
                          y refunded 3; ann charged 1; cid charged 1
        cid is         => active until 600
        ",
    );
}

/// The hold was released before the cancellation, whatever the clock showed then.
#[test]
fn a_clock_set_back_does_not_date_a_cancellation_before_what_came_earlier() {
    check(
        "
        400 dan holds 7 as w => held 1000 until 700
        400 dan releases w   => released
        401 dan holds 8      => held 1000 until 701
        0 eve drops          => cancelled, running, 0 of 2 refunded, 0 failed, 0 points
        0 dan pays w         => hold-expired
        ",
    );
}

/// Read upwards: each line would be refused for the reasons of the lines above it, too.
#[test]
fn judges_a_hold_in_the_contracts_order() {
    check(
        "
        0 eve drops             => cancelled, running, 0 of 2 refunded, 0 failed, 0 points
        0 dan holds 3           => performance-cancelled
        0 dan holds 1 2 4 5 6   => performance-cancelled
        0 dan holds 99          => performance-cancelled
        0 gala closes           => closed, -
        0 dan holds 99          => sale-closed
        0 dan holds 9 in none   => performance-not-found
        ",
    );
    check(
        "
        0 eve closes            => closed
        0 dan holds 4           => performance-closed
        0 eve drops             => cancelled, running, 0 of 2 refunded, 0 failed, 0 points
        0 dan holds 4           => performance-cancelled
        0 dan holds 4 in matinee => held 500 until 300
        ",
    );
}

/// Read upwards: each line would be refused for the reasons of the lines above it, too.
#[test]
fn judges_a_payment_in_the_contracts_order() {
    check(
        "
        0       cid uses 4000     => balance 1000
        0       cid pays z        => insufficient-balance
        0       dan holds 7 as w  => held 1000 until 300
        0       dan releases w    => released
        1       eve drops         => cancelled, running, 0 of 2 refunded, 0 failed, 0 points
        1       cid pays z        => performance-cancelled
        1       dan pays w        => hold-expired
        299.999 cid pays z        => performance-cancelled
        300     cid pays z        => hold-expired
        300     cid pays nothing  => reservation-not-found
        ",
    );
}

/// The answer to a payment does not depend on how far the steps have come.
#[test]
fn a_hold_that_the_cancellation_ended_is_not_called_lapsed() {
    check(
        "
        1   eve drops     => cancelled, running, 0 of 2 refunded, 0 failed, 0 points
        1   cid pays z    => performance-cancelled
        2   eve settles   => settled, rests
        2   cid pays z    => performance-cancelled
        400 cid pays z    => performance-cancelled
        400 cid releases z => released
        ",
    );
    check(
        "
        1   eve drops      => cancelled, running, 0 of 2 refunded, 0 failed, 0 points
        2   cid releases z => released
        3   cid pays z     => performance-cancelled
        ",
    );
}

#[test]
fn a_hold_that_had_run_out_has_expired() {
    check(
        "
        1       eve drops   => cancelled, running, 0 of 2 refunded, 0 failed, 0 points
        300     eve settles => settled, rests
        log lists           => performance cancelled; z expired; ann got 2000 back; x refunded 1 2; bob got 1000 back; y refunded 3
        cid pays z          => hold-expired
        ",
    );
}

#[test]
fn a_cancelled_performance_is_never_changed_again() {
    check(
        "
        1      eve drops      => cancelled, running, 0 of 2 refunded, 0 failed, 0 points
        1      eve drops      => running, 0 of 2 refunded, 0 failed, 0 points
        1      eve closes     => performance-cancelled
        1      eve allows 0/0 => performance-cancelled
        1      eve extends 60 => performance-cancelled
        1      nothing drops  => performance-not-found
        1      gala extends 60 => 0 by 60 at 1
        1      dan holds 1 in matinee as m => held 500 until 301
        1      gala extends 60 => 1 by 60 at 1
        360001 eve drops      => running, 0 of 2 refunded, 0 failed, 0 points
        log lists             => performance cancelled; m held; 1 extended by 60
        ",
    );
}

/// Also after the start, and a second call after the steps reports what they did.
#[test]
fn a_performance_is_cancelled_after_its_start_too() {
    check(
        "
        360001 eve drops   => cancelled, running, 0 of 2 refunded, 0 failed, 0 points
        360001 eve settles => settled, rests
        360009 eve drops   => done, 2 of 2 refunded, 0 failed, 3000 points
        ",
    );
}

/// A buyer and a member of the staff get everything back: no fee, no policy, no start.
#[test]
fn any_refund_is_in_full() {
    check(
        "
        1      staff refunds x 1 fee 100 => 1 for 900, fee 100, balance 3900
        1      eve drops                 => cancelled, running, 0 of 2 refunded, 0 failed, 0 points
        360001 staff refunds x 2 fee 1001 => fee-out-of-range
        360001 staff refunds x 2 fee 900 => 2 for 1000, fee 0, balance 4900
        360001 ann refunds x             => already-refunded
        360001 bob refunds y             => 3 for 1000, fee 0, balance 5000
        360001 eve reports               => running, 2 of 2 refunded, 0 failed, 2000 points
        360001 eve settles               => settled, rests
        360001 eve reports               => done, 2 of 2 refunded, 0 failed, 2000 points
        ",
    );
}

/// A wallet that cannot take the points keeps its payment open. It is tried again after a minute.
#[test]
fn a_refund_that_the_wallet_cannot_take_is_tried_again() {
    check(
        "
        0      ann adjusts 999997000 => balance 1000000000
        1      eve drops             => cancelled, running, 0 of 2 refunded, 0 failed, 0 points
        1      eve settles 2         => settled
        1      eve reports           => running, 0 of 2 refunded, 1 failed, 0 points
        1      eve settles           => settled, rests
        1      eve reports           => waiting, 1 of 2 refunded, 1 failed, 1000 points
        60.999 eve retries           => elsewhere
        61     eve retries           => settled, rests
        61     eve reports           => waiting, 1 of 2 refunded, 1 failed, 1000 points
        61     ann uses 1999         => balance 999998001
        121    eve retries           => settled, rests
        121    ann uses 1            => balance 999998000
        181    eve retries           => settled, rests
        181    eve reports           => done, 2 of 2 refunded, 0 failed, 3000 points
        241    eve retries           => elsewhere
        log lists                    => …
        ",
    );
}

/// The seats of a payment may be those of several steps. It is listed once, and tried by the first of them.
#[test]
fn a_failed_refund_is_listed_once() {
    check(
        "
        0 ann adjusts 999997000 => balance 1000000000
        1 eve drops             => cancelled, running, 0 of 2 refunded, 0 failed, 0 points
        1 eve settles 1         => settled
        1 eve reports           => running, 0 of 2 refunded, 1 failed, 0 points
        1 eve settles 1         => settled
        1 eve reports           => running, 0 of 2 refunded, 1 failed, 0 points
        1 eve settles           => settled, rests
        1 eve reports           => waiting, 1 of 2 refunded, 1 failed, 1000 points
        ",
    );
}

/// A request may be faster than the next try, and one seat at a time.
#[test]
fn a_failed_refund_may_succeed_by_a_request() {
    check(
        "
        0   ann adjusts 999997000 => balance 1000000000
        1   eve drops             => cancelled, running, 0 of 2 refunded, 0 failed, 0 points
        1   eve settles           => settled, rests
        2   ann refunds x 1       => balance-limit
        2   ann uses 2000         => balance 999998000
        2   ann refunds x 1       => 1 for 1000, fee 0, balance 999999000
        2   eve reports           => waiting, 1 of 2 refunded, 1 failed, 2000 points
        2   ann refunds x         => 2 for 1000, fee 0, balance 1000000000
        2   eve reports           => done, 2 of 2 refunded, 0 failed, 3000 points
        61  eve retries           => settled, rests
        121 eve retries           => elsewhere
        ",
    );
}

/// Two processes never settle the same seats, and one replaces another that crashed.
#[test]
fn one_process_takes_the_steps_until_its_lease_ends() {
    assert_eq!((LEASE_SECONDS, RETRY_SECONDS), (5, 60));
    check(
        "
        1     eve drops                => cancelled, running, 0 of 2 refunded, 0 failed, 0 points
        1     eve settles 2 by 1       => settled
        1     eve settles 2 by 2       => elsewhere
        5.999 eve settles 1 by 2       => elsewhere
        6     eve settles 1 by 2       => settled
        6     eve settles 1 by 1       => elsewhere
        6     eve settles after 2 by 2 => elsewhere
        11    eve settles after 2 by 1 => elsewhere
        11    eve settles by 1         => settled, rests
        11    eve reports              => done, 2 of 2 refunded, 0 failed, 3000 points
        ",
    );
}

/// Commands of one unit of work see each other: what came before the cancellation counts, and nothing after it.
#[test]
fn a_batch_is_decided_in_its_order() {
    check(
        "
        1 cid pays z      => paid 2000, balance 3000
        & eve drops       => cancelled, running, 0 of 3 refunded, 0 failed, 0 points
        & dan holds 7     => performance-cancelled

        2 bob refunds y   => 3 for 1000, fee 0, balance 5000
        & eve settles     => settled, rests
        & eve drops       => done, 3 of 3 refunded, 0 failed, 5000 points
        & ann refunds x   => already-refunded
        cid pays z        => queue-token-expired
        ",
    );
}

#[test]
fn an_extended_hold_ends_with_the_cancellation() {
    check(
        "
        200     eve extends 600 => 1 by 600 at 200
        600     eve drops       => cancelled, running, 0 of 2 refunded, 0 failed, 0 points
        600     eve settles     => settled, rests
        600     cid is          => expired
        log lists               => 1 extended by 600; performance cancelled; z ended; ann got 2000 back; \
                                   x refunded 1 2; bob got 1000 back; y refunded 3
        ",
    );
}

/// An empty performance is done with its first step.
#[test]
fn a_performance_without_buyers_is_done_at_once() {
    check(
        "
        1 matinee drops   => cancelled, running, 0 of 0 refunded, 0 failed, 0 points
        1 matinee settles => settled, rests
        1 matinee reports => done, 0 of 0 refunded, 0 failed, 0 points
        1 cid pays z      => paid 2000, balance 3000
        ",
    );
}

/// A step for a performance that is on, and steps of other performances' rows, change nothing.
#[test]
fn a_step_touches_only_its_own_performance() {
    let mut stage = opened();
    stage.play("eve settles => elsewhere");
    stage.play("matinee drops => …");
    let eve = stage.world.tables.performances.keys().next().copied();
    let matinee = stage.world.tables.cancellations.keys().next().copied();
    let (eve, matinee) = eve.zip(matinee).expect("two performances");
    let mut step = crate::support::step_of(&stage.world.tables, eve, 1, (0, 9));
    step.performance = matinee;
    step.payments.clear();
    assert!(!step.holds.is_empty(), "the hold of the other performance is named");
    stage.world.one(step.into()).expect("a step is never refused");
    assert_eq!(stage.world.tables.performances[&eve].holds, Some(1));
    let Cancellation { progress: Progress { is_done, .. }, .. } = &stage.world.tables.cancellations[&matinee];
    assert!(is_done, "the step was taken");
}
