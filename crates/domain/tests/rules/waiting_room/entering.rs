//! Taking a place, and finding it again.

use super::check;

#[test]
fn an_empty_room_admits_at_once() {
    check("ann enters => new place 1, active until 600");
}

#[test]
fn places_are_handed_out_in_order_of_arrival() {
    check(
        "
        ann enters => new place 1, active until 600
        bob enters => new place 2, waiting 1
        cid enters => new place 3, waiting 2
        gala shows => issued 3, served 1, given up 0, active 1
        ",
    );
}

#[test]
fn a_user_who_enters_again_has_the_same_place() {
    check(
        "
        0       ann enters => new place 1, active until 600
        1       bob enters => new place 2, waiting 1
        2       bob enters => same place 2, waiting 1
        599.999 ann enters => same place 1, active until 600
        599.999 bob enters => same place 2, waiting 1
        gala shows         => issued 2, served 1, given up 0, active 1
        ",
    );
}

#[test]
fn there_must_be_a_concert() {
    check("ann enters nowhere => concert-not-found");
}

#[test]
fn each_concert_has_its_own_room() {
    let mut stage = crate::support::Stage::gala(super::room(1, 50)).concert("rock", super::room(1, 50));
    stage.play(
        "
        ann enters gala => new place 1, active until 600
        bob enters gala => new place 2, waiting 1
        bob enters rock => new place 1, active until 600
        ann enters rock => new place 2, waiting 1
        ann#1 leaves    => left
        bob#1 is        => active until 600
        ann#2 is        => waiting 1
        rock shows      => issued 2, served 1, given up 0, active 1
        ",
    );
}

#[test]
fn after_the_turn_one_enters_at_the_end() {
    check(
        "
        0   ann enters          => new place 1, active until 600
        0   bob enters          => new place 2, waiting 1
        600 gala sets paused yes => set
        600 ann is              => expired
        600 ann enters          => new place 3, waiting 2
        600 gala sets paused no => set
        gala steps              => turns bob, waiting ann
        ann#1 is                => expired
        ann enters     => same place 3, waiting 1
        ",
    );
}

#[test]
fn after_leaving_the_line_one_enters_at_the_end() {
    check(
        "
        ann enters => new place 1, active until 600
        bob enters => new place 2, waiting 1
        cid enters => new place 3, waiting 2
        bob leaves => left
        cid is     => waiting 1
        bob enters => new place 4, waiting 2
        bob#1 is   => expired
        ",
    );
}

#[test]
fn after_leaving_the_counter_one_enters_at_the_end() {
    check(
        "
        ann enters => new place 1, active until 600
        bob enters => new place 2, waiting 1
        ann leaves => left
        bob is     => active until 600
        ann enters => new place 3, waiting 1
        ",
    );
}

#[test]
fn after_paying_one_enters_at_the_end() {
    check(
        "
        ann charges 1000 => balance 1000
        ann enters       => new place 1, active until 600
        bob enters       => new place 2, waiting 1
        ann holds 1 as x => held 1000 until 300
        ann pays x       => paid 1000, balance 0
        gala steps       => turns bob, waiting -
        ann enters       => new place 3, waiting 1
        ann enters       => same place 3, waiting 1
        ann#1 is         => expired
        ",
    );
}

/// A live hold keeps the turn: entering again finds it, and brings no new place.
#[test]
fn with_a_live_hold_one_enters_the_same_place() {
    check(
        "
        0       ann enters       => new place 1, active until 600
        599.999 ann holds 1 as x => held 1000 until 899.999
        899.998 ann enters       => same place 1, active until 899.999
        899.998 gala sets paused yes => set
        899.999 ann enters       => new place 2, waiting 1
        ",
    );
}

/// Whether the old turn is settled by then or not: what the new one holds is no matter of the old.
#[test]
fn a_new_turns_hold_does_not_bring_the_old_turn_back() {
    let mut stage = crate::support::Stage::gala(super::room(2, 50));
    stage.play(
        "
        0   ann enters         => new place 1, active until 600
        1   ann holds 1 as old => held 1000 until 301
        2   ann releases old   => released
        600 ann enters         => new place 2, active until 1200
        600 ann holds 1 as new => held 1000 until 900
        600 ann#1 is           => expired
        600 ann#1 releases old => queue-token-expired
        600 gala steps         => turns ann, waiting -
        600 gala shows         => issued 2, served 2, given up 0, active 1
        600 ann is             => active until 1200
        ",
    );
}
