//! How long a turn lasts: silence, signs of life, first use, holds and payment.

use super::{check, room};
use crate::support::Stage;

#[test]
fn an_absentee_loses_the_turn_to_the_next() {
    check(
        "
        0      ann enters => new place 1, active until 600
        0      bob enters => new place 2, waiting 1
        60     gala steps => turns ann, waiting bob
        60.499 gala steps => turns ann, waiting bob
        60.5   gala steps => turns bob, waiting -
        ann is            => expired
        bob is            => active until 660.5
        ann enters        => new place 3, waiting 1
        ",
    );
}

#[test]
fn a_sign_of_life_postpones_the_lapse() {
    check(
        "
        0       ann enters => new place 1, active until 600
        0       bob enters => new place 2, waiting 1
        30      ann polls  => noted
        30.2    gala steps => turns ann, waiting bob
        60.5    gala steps => turns ann, waiting bob
        90.499  ann polls  => noted
        90.499  gala steps => turns ann, waiting bob
        90.5    gala steps => turns ann, waiting bob
        150.998 gala steps => turns ann, waiting bob
        150.999 gala steps => turns bob, waiting -
        ",
    );
}

/// A late report of an old sign does not take back a newer one.
#[test]
fn the_last_sign_of_life_counts_in_whatever_order_they_come() {
    check(
        "
        0     ann enters  => new place 1, active until 600
        50    ann polls   => noted
        50    gala steps  => turns ann, waiting -
        20    ann polls   => noted
        51    gala steps  => turns ann, waiting -
        110.499 gala steps => turns ann, waiting -
        110.5 gala steps  => turns -, waiting -
        ",
    );
}

/// Signs of life reach the room with its steps. A sign that arrives with the step that would end the turn counts.
#[test]
fn a_step_applies_signs_before_it_ends_turns() {
    check(
        "
        0    ann enters => new place 1, active until 600
        60   ann polls  => noted
        60.5 gala steps => turns ann, waiting -
        120.4 ann calls => noted
        120.5 gala steps => turns ann, waiting -
        500  gala steps => turns ann, waiting -
        ",
    );
}

/// A sign of a token without a current turn changes nothing.
#[test]
fn signs_without_a_turn_are_ignored() {
    check(
        "
        0    ann enters  => new place 1, active until 600
        0    bob enters  => new place 2, waiting 1
        1    bob polls   => noted
        1    bob calls   => noted
        1    gala steps  => turns ann, waiting bob
        60   ann leaves  => left
        60   ann polls   => noted
        60   ann calls   => noted
        60   gala steps  => turns bob, waiting -
        120.5 gala steps => turns -, waiting -
        ",
    );
}

#[test]
fn a_used_turn_never_lapses_by_silence() {
    check(
        "
        0       ann enters => new place 1, active until 600
        0       bob enters => new place 2, waiting 1
        10      ann calls  => noted
        10      gala steps => turns ann, waiting bob
        599.999 gala steps => turns ann, waiting bob
        599.999 ann is     => active until 600
        600     ann is     => expired
        600     gala steps => turns bob, waiting -
        ",
    );
}

/// The report of the first use may be lost with its process; the hold itself shows it.
#[test]
fn a_hold_shows_that_the_turn_was_used() {
    check(
        "
        0    ann enters       => new place 1, active until 600
        10   ann holds 1 as x => held 1000 until 310
        60.5 gala steps       => turns ann, waiting -
        61   ann releases x   => released
        300  gala steps       => turns ann, waiting -
        ann is                => active until 600
        ",
    );
}

/// A purchase in an earlier turn of the same user does not count as use of this turn.
#[test]
fn an_earlier_purchase_does_not_show_that_this_turn_was_used() {
    check(
        "
        ann charges 1000         => balance 1000
        0      ann enters        => new place 1, active until 600
        0      ann holds 1 as x  => held 1000 until 300
        0      ann pays x        => paid 1000, balance 0
        0      gala steps        => turns -, waiting -
        0      ann enters        => new place 2, active until 600
        60.499 gala steps        => turns ann, waiting -
        60.5   gala steps        => turns -, waiting -
        ",
    );
}

#[test]
fn after_its_own_time_a_turn_takes_no_hold() {
    check(
        "
        0       ann enters  => new place 1, active until 600
        599.999 ann holds 1 => held 1000 until 899.999
        600     ann holds 2 => queue-token-expired
        ",
    );
}

#[test]
fn a_live_hold_keeps_the_turn_to_pay_or_release() {
    check(
        "
        ann charges 9000         => balance 9000
        0       ann enters       => new place 1, active until 600
        0       bob enters       => new place 2, waiting 1
        590     ann holds 1 as x => held 1000 until 890
        599     ann holds 2 as y => held 1000 until 899
        599     ann holds 3 as z => held 1000 until 899
        700     ann is           => active until 899
        700     gala steps       => turns ann, waiting bob
        700     ann holds 4      => queue-token-expired
        889.999 ann pays x       => paid 1000, balance 8000
        898     ann releases y   => released
        898     ann is           => active until 899
        898.999 ann pays z       => paid 1000, balance 7000
        898.999 ann is           => expired
        898.999 gala steps       => turns bob, waiting -
        ",
    );
}

#[test]
fn a_turn_that_only_a_hold_kept_ends_when_the_hold_lapses() {
    check(
        "
        0       ann enters       => new place 1, active until 600
        0       bob enters       => new place 2, waiting 1
        590     ann holds 1 as x => held 1000 until 890
        889.999 gala steps       => turns ann, waiting bob
        890     ann is           => expired
        890     ann releases x   => queue-token-expired
        890     ann pays x       => queue-token-expired
        890     gala steps       => turns bob, waiting -
        ",
    );
}

/// While it ran, a lapsed hold could still be given back though another kept the turn.
#[test]
fn releasing_the_last_hold_after_the_turns_own_time_ends_it() {
    check(
        "
        0   ann enters       => new place 1, active until 600
        0   bob enters       => new place 2, waiting 1
        590 ann holds 1 as x => held 1000 until 890
        590 ann holds 2 as y => held 1000 until 890
        600 ann releases x   => released
        600 ann is           => active until 890
        600 ann releases y   => released
        600 ann is           => expired
        600 gala admits      => turns (ann), waiting bob
        600 gala steps       => turns bob, waiting -
        ",
    );
}

#[test]
fn releasing_within_the_turns_own_time_does_not_end_it() {
    check(
        "
        0       ann enters       => new place 1, active until 600
        599     ann holds 1 as x => held 1000 until 899
        599.999 ann releases x   => released
        599.999 ann is           => active until 600
        599.999 ann holds 1      => held 1000 until 899.999
        ",
    );
}

#[test]
fn holding_again_and_again_prolongs_nothing() {
    check(
        "
        0       ann enters       => new place 1, active until 600
        300     ann holds 1 as x => held 1000 until 600
        599.999 ann holds 2 as y => held 1000 until 899.999
        600     ann holds 1      => queue-token-expired
        899.998 ann holds 2      => queue-token-expired
        899.999 ann is           => expired
        ",
    );
}

/// Steps are taken by any instance, and may repeat what another has settled.
#[test]
fn a_turn_ends_once() {
    let mut stage = Stage::gala(room(2, 50));
    stage.play(
        "
        0    ann enters   => new place 1, active until 600
        0    bob enters   => new place 2, active until 600
        0    bob calls    => noted
        0    gala steps   => turns ann bob, waiting -
        60.5 gala steps   => turns bob, waiting -
        & gala steps      => turns bob, waiting -
        ann leaves        => left
        gala shows        => issued 2, served 2, given up 0, active 1
        ",
    );
}

/// A database may lose an answered place, and then give the number to another user.
#[test]
fn a_lost_token_does_not_pass_for_the_place_that_another_has() {
    let mut stage = Stage::gala(room(1, 50));
    stage.play("bob charges 5000 => balance 5000");
    let heard = stage.world.tables.clone();
    stage.play(
        "
        1 ann enters => new place 1, active until 601
        1 cid enters => new place 2, waiting 1
        ",
    );
    stage.world.tables = heard;
    stage.play(
        "
        2 bob enters          => new place 1, active until 602
        2 dan enters          => new place 2, waiting 1
        3 ann holds 1         => queue-token-expired
        3 ann leaves          => left
        3 cid leaves          => left
        gala shows            => issued 2, served 1, given up 0, active 1
        bob is                => active until 602
        4 bob holds 1 as seat => held 1000 until 304
        5 ann pays seat       => queue-token-expired
        6 bob pays seat       => paid 1000, balance 4000
        7 gala steps          => turns dan, waiting -
        ann enters            => new place 3, waiting 1
        ",
    );
}
