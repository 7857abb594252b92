//! Giving a place up, in line or at the counter.

use super::check;

#[test]
fn leaving_the_counter_calls_the_next_at_once() {
    check(
        "
        0 ann enters => new place 1, active until 600
        0 bob enters => new place 2, waiting 1
        5 ann leaves => left
        ann is       => expired
        bob is       => active until 605
        ",
    );
}

#[test]
fn leaving_releases_the_seats_still_held() {
    check(
        "
        ann charges 1000           => balance 1000
        0   ann enters             => new place 1, active until 600
        0   ann holds 1 as lapsed  => held 1000 until 300
        1   ann holds 2 as bought  => held 1000 until 301
        2   ann holds 3 4 as live  => held 2000 until 302
        3   ann pays bought        => paid 1000, balance 0
        300 ann leaves             => left
        bob enters                 => new place 2, active until 900
        bob holds 3 4              => held 2000 until 600
        bob holds 2                => seat-taken 2
        log lists => ann charged 1000; lapsed held; bought held; live held; ann used 1000; bought paid; live released; unnamed held
        ",
    );
}

#[test]
fn leaving_twice_changes_nothing() {
    check(
        "
        ann enters => new place 1, active until 600
        bob enters => new place 2, waiting 1
        cid enters => new place 3, waiting 2
        bob leaves => left
        bob leaves => left
        gala shows => issued 3, served 1, given up 1, active 1
        ann leaves => left
        ann leaves => left
        bob leaves => left
        gala shows => issued 3, served 3, given up 0, active 1
        cid is     => active until 600
        ",
    );
}

/// An old token gives up nothing of what its user has now.
#[test]
fn an_old_token_gives_up_nothing() {
    check(
        "
        0   ann enters   => new place 1, active until 600
        0   gala sets paused yes => set
        600 ann enters   => new place 2, waiting 1
        600 ann#1 leaves => left
        600 ann is       => waiting 1
        600 gala sets paused no => set
        600 gala steps   => turns ann, waiting -
        600 ann holds 1  => held 1000 until 900
        600 ann#1 leaves => left
        600 ann is       => active until 1200
        600 bob enters   => new place 3, waiting 1
        log lists        => unnamed held
        ",
    );
}

#[test]
fn leaving_after_the_end_frees_nothing_twice() {
    check(
        "
        ann charges 1000 => balance 1000
        ann enters       => new place 1, active until 600
        ann holds 1 as x => held 1000 until 300
        ann pays x       => paid 1000, balance 0
        bob enters       => new place 2, waiting 1
        ann leaves       => left
        gala shows       => issued 2, served 1, given up 0, active 1
        gala steps       => turns bob, waiting -
        ann leaves       => left
        gala shows       => issued 2, served 2, given up 0, active 1
        ",
    );
}

#[test]
fn leaving_in_the_batch_that_admits_the_user_frees_the_turn() {
    check(
        "
        ann enters   => new place 1, active until 600
        bob enters   => new place 2, waiting 1
        cid enters   => new place 3, waiting 2

        ann leaves   => left
        & bob leaves => left
        & cid leaves => left
        & bob leaves => left

        gala shows   => issued 3, served 3, given up 0, active 0
        ",
    );
}
