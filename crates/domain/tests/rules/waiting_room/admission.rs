//! Admission of the next in line: order, cap, rate, and given-up places.

use super::{check, room};
use crate::support::Stage;

#[test]
fn no_more_than_the_cap_are_admitted() {
    let mut stage = Stage::gala(room(2, 50));
    stage.play(
        "
        ann enters => new place 1, active until 600
        bob enters => new place 2, active until 600
        cid enters => new place 3, waiting 1
        dan enters => new place 4, waiting 2
        gala steps => turns ann bob, waiting cid dan
        ann leaves => left
        gala steps => turns bob cid, waiting dan
        ",
    );
}

#[test]
fn no_more_than_the_rate_are_admitted_within_a_second() {
    let mut stage = Stage::gala(room(50, 2));
    stage.play(
        "
        0     ann enters => new place 1, active until 600
        0.5   bob enters => new place 2, active until 600.5
        0.5   cid enters => new place 3, waiting 1
        0.5   dan enters => new place 4, waiting 2
        0.999 gala steps => turns ann bob, waiting cid dan
        1     gala steps => turns ann bob cid, waiting dan
        1.499 gala steps => turns ann bob cid, waiting dan
        1.5   gala steps => turns ann bob cid dan, waiting -
        ",
    );
}

/// One who arrives while others wait is called after them, though calling happens on arrival too.
#[test]
fn places_are_admitted_in_order() {
    let mut stage = Stage::gala(room(50, 1));
    stage.play(
        "
        0 ann enters => new place 1, active until 600
        0 bob enters => new place 2, waiting 1
        0 cid enters => new place 3, waiting 2
        1 dan enters => new place 4, waiting 2
        bob is       => active until 601
        2 eve enters => new place 5, waiting 2
        cid is       => active until 602
        ",
    );
}

#[test]
fn given_up_places_are_skipped() {
    check(
        "
        ann enters => new place 1, active until 600
        bob enters => new place 2, waiting 1
        cid enters => new place 3, waiting 2
        dan enters => new place 4, waiting 3
        eve enters => new place 5, waiting 4
        bob leaves => left
        dan leaves => left
        gala shows => issued 5, served 1, given up 2, active 1
        eve is     => waiting 2
        ann leaves => left
        gala shows => issued 5, served 3, given up 1, active 1
        cid is     => active until 600
        cid leaves => left
        gala shows => issued 5, served 5, given up 0, active 1
        eve is     => active until 600
        ",
    );
}

#[test]
fn a_line_of_given_up_places_alone_admits_no_user() {
    check(
        "
        ann enters => new place 1, active until 600
        bob enters => new place 2, waiting 1
        cid enters => new place 3, waiting 2
        cid leaves => left
        bob leaves => left
        ann leaves => left
        gala steps => turns -, waiting -
        dan enters => new place 4, active until 600
        gala shows => issued 4, served 4, given up 0, active 1
        ",
    );
}

#[test]
fn a_skipped_place_costs_no_admission() {
    let mut stage = Stage::gala(room(50, 1));
    stage.play(
        "
        0 ann enters => new place 1, active until 600
        0 bob enters => new place 2, waiting 1
        0 cid enters => new place 3, waiting 2
        0 bob leaves => left
        1 gala steps => turns ann cid, waiting -
        ",
    );
}

/// An end seen by its payment frees the counter in the room's next step, not before.
#[test]
fn an_end_frees_its_place_at_the_counter_only_by_a_step() {
    check(
        "
        ann charges 1000 => balance 1000
        ann enters       => new place 1, active until 600
        ann holds 1 as x => held 1000 until 300
        bob enters       => new place 2, waiting 1
        ann pays x       => paid 1000, balance 0
        gala shows       => issued 2, served 1, given up 0, active 1
        gala admits      => turns (ann), waiting bob
        cid enters       => new place 3, waiting 2
        gala steps       => turns bob, waiting cid
        gala shows       => issued 3, served 2, given up 0, active 1
        ",
    );
}

#[test]
fn a_user_who_is_admitted_later_has_the_whole_turn() {
    check(
        "
        0       ann enters => new place 1, active until 600
        0       bob enters => new place 2, waiting 1
        599.999 ann calls  => noted
        599.999 gala steps => turns ann, waiting bob
        600     gala steps => turns bob, waiting -
        bob is             => active until 1200
        ",
    );
}

#[test]
fn a_step_of_no_room_does_nothing() {
    check("nowhere steps => turns -, waiting -");
}
