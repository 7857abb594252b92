//! Lectures: first come, first served; one place per user; the lowest free seat.

use crate::support::Stage;

/// A lecture for two that starts at second 100, and one for thirty.
#[track_caller]
fn check(script: &str) {
    Stage::empty().lecture("rust", 2, 100).lecture("sql", 30, 100).play(script);
}

#[test]
fn applies_until_full() {
    check(
        "
        ann applies rust => seat 1
        bob applies rust => seat 2
        cid applies rust => lecture-full
        cid applies sql  => seat 1
        ann applies sql  => seat 2
        log lists        => ann applied; bob applied; cid applied; ann applied
        ",
    );
}

/// Each line but the first would be refused for every reason after its own, too.
#[test]
fn judges_in_the_contracts_order() {
    check(
        "
        0   ann applies rust   => seat 1
        0   bob applies rust   => seat 2
        100 cid applies poetry => lecture-not-found
        100 ann applies rust   => already-applied
        100 cid applies rust   => lecture-closed
        99  cid applies rust   => lecture-full
        ",
    );
}

#[test]
fn closes_at_the_very_start() {
    check(
        "
        99.999  ann applies rust => seat 1
        100     bob applies rust => lecture-closed
        100.001 bob applies rust => lecture-closed
        ",
    );
}

#[test]
fn a_place_given_back_is_free_again() {
    check(
        "
        ann applies rust  => seat 1
        bob applies rust  => seat 2
        ann cancels rust  => cancelled
        ann cancels rust  => application-not-found
        cid applies rust  => seat 1
        ann applies rust  => lecture-full
        bob cancels rust  => cancelled
        ann applies rust  => seat 2
        log lists         => ann applied; bob applied; ann cancelled; cid applied; bob cancelled; ann applied
        ",
    );
}

#[test]
fn only_what_one_has_can_be_given_back() {
    check(
        "
        ann cancels rust   => application-not-found
        ann cancels poetry => application-not-found
        bob applies rust   => seat 1
        ann cancels rust   => application-not-found
        bob cancels sql    => application-not-found
        100 bob cancels rust => cancelled
        ",
    );
}

#[test]
fn gives_the_lowest_free_seat() {
    check(
        "
        a applies sql => seat 1
        b applies sql => seat 2
        c applies sql => seat 3
        d applies sql => seat 4
        c cancels sql => cancelled
        a cancels sql => cancelled
        e applies sql => seat 1
        f applies sql => seat 3
        g applies sql => seat 5
        ",
    );
}

#[test]
fn a_batch_gives_the_lowest_seat_whether_stored_or_just_freed() {
    check(
        "
        a applies sql => seat 1
        b applies sql => seat 2
        c applies sql => seat 3
        d applies sql => seat 4
        c cancels sql => cancelled

        a cancels sql   => cancelled
        & e applies sql => seat 1
        & f applies sql => seat 3
        & e cancels sql => cancelled
        & g applies sql => seat 1
        & h applies sql => seat 5
        & h cancels sql => cancelled
        & d cancels sql => cancelled
        & a applies sql => seat 4

        i applies sql => seat 5
        j applies sql => seat 6
        ",
    );
}

/// Only as many freed seats are loaded as the batch may take; the refused ones take none.
#[test]
fn a_batch_with_refusals_still_finds_the_lowest() {
    check(
        "
        a applies sql => seat 1
        b applies sql => seat 2
        c applies sql => seat 3
        a cancels sql => cancelled
        b cancels sql => cancelled

        c applies sql   => already-applied
        & d applies sql => seat 1
        & d applies sql => already-applied
        & e applies sql => seat 2
        & f applies sql => seat 4
        ",
    );
}

#[test]
fn a_batch_gives_the_last_place_once() {
    check(
        "
        ann applies rust   => seat 1
        bob applies rust   => seat 2
        & cid applies rust => lecture-full
        & bob cancels rust => cancelled
        & cid applies rust => seat 2
        & bob applies rust => lecture-full
        & cid applies rust => already-applied
        ",
    );
}

/// The place and its line in the history carry the later time; the audit checks the order.
#[test]
fn a_clock_set_back_does_not_turn_history_around() {
    check(
        "
        50 ann applies rust => seat 1
        40 ann cancels rust => cancelled
        30 bob applies rust => seat 1
        ",
    );
}

/// A clock that was ahead for a moment closes no lecture.
#[test]
fn a_clock_that_was_ahead_closes_no_lecture() {
    check(
        "
        50  ann applies rust => seat 1
        150 ann cancels rust => cancelled
        40  bob applies rust => seat 1
        ",
    );
}

/// The lecture had started by its own last change: an application now would be dated after the start.
#[test]
fn a_clock_set_back_does_not_open_a_lecture_again() {
    check(
        "
        0   ann applies rust => seat 1
        100 ann cancels rust => cancelled
        99  bob applies rust => lecture-closed
        ",
    );
}
