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

/// Each line but the first two would be refused for every reason after its own, too.
#[test]
fn judges_applications_for_a_changed_lecture_in_the_contracts_order() {
    check(
        "
        0   ann applies rust            => seat 1
        0   bob applies rust            => seat 2
        0   staff changes rust opens 60 closed yes => version 3, 2 of 2
        0   cid applies poetry          => lecture-not-found
        0   ann applies rust            => already-applied
        0   cid applies rust            => lecture-closed
        0   staff changes rust closed no => version 4, 2 of 2
        0   cid applies rust            => lecture-not-open, retry after 60
        59.001 cid applies rust         => lecture-not-open, retry after 1
        60  cid applies rust            => lecture-full
        60  staff changes rust opens any capacity 3 => version 5, 2 of 3
        60  cid applies rust            => seat 3
        ",
    );
}

#[test]
fn a_client_waits_an_hour_at_most_before_it_asks_again() {
    Stage::empty().lecture("later", 1, 90_000).play(
        "
        staff changes later opens 80000 => version 1, 0 of 1
        ann applies later               => lecture-not-open, retry after 3600
        ",
    );
}

#[test]
fn a_lower_capacity_takes_no_number_away_and_the_lowest_is_given_first() {
    Stage::empty().lecture("go", 6, 100).play(
        "
        a applies go => seat 1
        b applies go => seat 2
        c applies go => seat 3
        d applies go => seat 4
        e applies go => seat 5
        staff changes go capacity 4 => capacity-below-enrolled
        a cancels go => cancelled
        b cancels go => cancelled
        staff changes go capacity 2 => capacity-below-enrolled
        staff changes go capacity 3 => version 8, 3 of 3
        f applies go => lecture-full
        e cancels go => cancelled
        f applies go => seat 1
        a applies go => lecture-full
        staff changes go capacity 4 => version 11, 3 of 4
        a applies go => seat 2
        c cancels go => cancelled
        d cancels go => cancelled
        b applies go => seat 3
        e applies go => seat 4
        staff changes go capacity 6 => version 17, 4 of 6
        c applies go => seat 5
        d applies go => seat 6
        ",
    );
}

#[test]
fn a_batch_may_raise_a_capacity_and_use_it() {
    check(
        "
        a applies rust               => seat 1
        & staff changes rust capacity 3 => version 2, 1 of 3
        & b applies rust             => seat 2
        & c applies rust             => seat 3
        & d applies rust             => lecture-full
        & b cancels rust             => cancelled
        & c cancels rust             => cancelled
        & staff changes rust capacity 1 => version 7, 1 of 1
        & d applies rust             => lecture-full
        d applies rust               => lecture-full
        log lists => a applied; lecture changed; b applied; c applied; b cancelled; c cancelled; lecture changed
        ",
    );
}

#[test]
fn a_change_that_changes_nothing_is_no_version_and_no_event() {
    check(
        "
        staff changes rust capacity 2 closed no opens any => version 0, 0 of 2
        staff changes rust title rust                     => version 0, 0 of 2
        staff changes rust title crab                     => version 1, 0 of 2
        staff changes rust title crab                     => version 1, 0 of 2
        staff changes poetry title crab                   => lecture-not-found
        log lists                                         => lecture changed
        ",
    );
}

#[test]
fn a_start_may_be_moved_either_way() {
    check(
        "
        100 ann applies rust => lecture-closed
        100 staff changes rust start 200 => version 1, 0 of 2
        100 ann applies rust => seat 1
        150 staff changes rust start 120 => version 3, 1 of 2
        150 bob applies rust => lecture-closed
        150 ann cancels rust => cancelled
        ",
    );
}

#[test]
fn a_cancelled_lecture_stays_closed_and_loses_its_applications() {
    check(
        "
        a applies sql => seat 1
        b applies sql => seat 2
        c applies sql => seat 3
        b cancels sql => cancelled
        staff empties sql => 0 cancelled, 2 left
        staff ends sql => ended, 2 of 2 left
        staff ends sql => ended before, 2 of 2 left
        a applies sql => already-applied
        b applies sql => lecture-closed
        staff changes sql closed no => lecture-closed
        staff changes sql capacity 1 => lecture-closed
        a cancels sql => cancelled
        staff empties sql => 1 cancelled, 0 left
        staff empties sql => 0 cancelled, 0 left
        staff ends sql => ended before, 0 of 2 left
        a applies sql => lecture-closed
        staff ends poetry => lecture-not-found
        staff empties poetry => lecture-not-found
        log lists => a applied; b applied; c applied; b cancelled; lecture ended; a cancelled; c cancelled
        ",
    );
}

#[test]
fn two_steps_in_one_batch_cancel_each_application_once() {
    check(
        "
        a applies sql => seat 1
        b applies sql => seat 2
        c applies sql => seat 3
        staff ends sql => ended, 3 of 3 left
        b cancels sql => cancelled
        & staff empties sql => 2 cancelled, 0 left
        & staff empties sql => 0 cancelled, 0 left
        & c cancels sql => application-not-found
        ",
    );
}

#[test]
fn staff_remove_an_application_like_its_user() {
    check(
        "
        a applies sql         => seat 1
        b applies sql         => seat 2
        staff removes sql a   => removed seat 1
        staff removes sql a   => application-not-found
        staff removes poetry b => application-not-found
        c applies sql         => seat 1
        log lists             => a applied; b applied; a cancelled; c applied
        ",
    );
}
