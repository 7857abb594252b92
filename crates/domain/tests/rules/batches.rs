//! Commands decided together: each sees what those before it did, and none sees more than its keys loaded.

use onsale_domain::waiting_room::Settings;

use crate::support::Stage;

/// Plays a script before the concert `gala` with this many turns at once, `ann` and `bob` being admitted first.
#[track_caller]
fn check(max_active: u32, script: &str) {
    let mut stage = Stage::gala(Settings { max_active, ..Settings::default() });
    stage.play(
        "
        0 ann enters      => new place 1, active until 600
        0 bob enters      => new place 2, active until 600
        ann charges 10000 => balance 10000
        ",
    );
    stage.play(script);
}

#[test]
fn the_first_of_two_gets_the_seat() {
    check(
        2,
        "
        ann holds 1 2 as x => held 2000 until 300
        & bob holds 2 3    => seat-taken 2, retry after 300
        & bob holds 3 as y => held 1000 until 300
        & ann holds 3      => seat-taken 3, retry after 300
        log lists          => ann charged 10000; x held; y held
        ",
    );
}

#[test]
fn the_limit_counts_what_the_same_batch_holds() {
    check(
        2,
        "
        ann holds 1 2 3 => held 3000 until 300
        & ann holds 4 5 => seat-limit
        & ann holds 4   => held 1000 until 300
        & ann holds 5   => seat-limit
        ",
    );
}

#[test]
fn a_lapsed_seat_is_settled_once_by_the_first_command_that_needs_it() {
    check(
        2,
        "
        0   ann holds 1 2 3 as x => held 3000 until 300

        300 bob holds 2 as y     => held 1000 until 600
        & sweeper expires x      => expired 0
        & ann holds 1 as z       => held 1000 until 600
        & ann pays x             => hold-expired
        & ann releases x         => released
        & bob holds 3 as w       => held 1000 until 600

        log lists => ann charged 10000; x held; x expired; y held; z held; w held
        ",
    );
    check(
        2,
        "
        0   ann holds 1 2 as x => held 2000 until 300

        300 sweeper expires x  => expired 1
        & bob holds 2 as y     => held 1000 until 600
        & ann releases x       => released

        log lists => ann charged 10000; x held; x expired; y held
        ",
    );
}

#[test]
fn a_seat_given_back_goes_to_the_next_command() {
    check(
        2,
        "
        ann holds 1 2 as x => held 2000 until 300

        bob holds 1        => seat-taken 1, retry after 300
        & ann releases x   => released
        & bob holds 1 as y => held 1000 until 300
        & ann pays x       => hold-expired
        & ann leaves       => left
        & bob holds 2 as z => held 1000 until 300

        log lists => ann charged 10000; x held; x released; y held; z held
        ",
    );
}

#[test]
fn leaving_releases_what_the_same_batch_held() {
    check(
        2,
        "
        ann holds 1 as x => held 1000 until 300

        ann holds 2 as y => held 1000 until 300
        & ann leaves     => left
        & ann holds 3    => queue-token-expired
        & ann pays x     => queue-token-expired
        & bob holds 1 2  => held 2000 until 300

        log lists => ann charged 10000; x held; y held; x released; y released; unnamed held
        ",
    );
}

#[test]
fn leaving_and_entering_again_goes_to_the_end() {
    check(
        2,
        "
        cid enters   => new place 3, waiting 1
        dan enters   => new place 4, waiting 2

        cid leaves   => left
        & cid enters => new place 5, waiting 1
        & cid enters => same place 5, waiting 1
        & ann leaves => left
        & ann enters => new place 6, waiting 2
        & ann enters => same place 6, waiting 2

        gala shows   => issued 6, served 4, given up 0, active 2
        ",
    );
}

#[test]
fn paying_and_entering_again_goes_to_the_end() {
    check(
        2,
        "
        ann holds 1 as x => held 1000 until 300

        ann pays x       => paid 1000, balance 9000
        & ann enters     => new place 3, active until 600
        & gala steps     => turns bob ann, waiting -
        & ann enters     => same place 3, active until 600
        ",
    );
}

/// The turn begins and is used within one batch; it did not exist when the rows were loaded.
#[test]
fn a_user_admitted_in_a_batch_may_enter_again_in_it() {
    let calling = ["gala sets max 3 => set\n& gala admits => turns ann bob cid, waiting -", "ann leaves => left"];
    for calls in calling {
        check(
            2,
            &format!(
                "
                cid enters   => new place 3, waiting 1

                {calls}
                & cid enters => same place 3, active until 600
                "
            ),
        );
    }
}

/// One who arrives when the second is over calls those before him; they may be in the same batch.
#[test]
fn a_user_admitted_by_anothers_entry_may_enter_again_in_the_same_batch() {
    let mut stage = Stage::gala(Settings { admit_per_second: 1, ..Settings::default() });
    stage.play(
        "
        0 ann enters   => new place 1, active until 600
        0 bob enters   => new place 2, waiting 1

        1 cid enters   => new place 3, waiting 1
        & bob enters   => same place 2, active until 601
        ",
    );
}

#[test]
fn a_user_admitted_in_a_batch_may_use_the_turn_in_it() {
    check(
        2,
        "
        cid enters       => new place 3, waiting 1
        dan enters       => new place 4, waiting 2

        ann leaves       => left
        & cid holds 1    => held 1000 until 300
        & cid holds 2    => held 1000 until 300
        & cid leaves     => left
        & dan holds 1    => held 1000 until 300
        & dan holds 2 3  => held 2000 until 300
        & cid holds 4    => queue-token-expired
        ",
    );
}

#[test]
fn a_turn_that_a_step_ended_is_over_for_what_follows() {
    check(
        2,
        "
        0    ann calls    => noted
        0    gala steps   => turns ann bob, waiting -
        0    cid enters   => new place 3, waiting 1

        60.5 gala steps   => turns ann cid, waiting bob
        & bob holds 1     => queue-token-expired
        & cid holds 1     => held 1000 until 360.5
        & bob leaves      => left
        & bob enters      => new place 4, waiting 1
        & gala steps      => turns ann cid, waiting bob
        ",
    );
}

#[test]
fn points_moved_in_a_batch_count_for_a_payment_in_it() {
    let mut stage = Stage::gala(Settings::default());
    stage.play(
        "
        ann enters        => new place 1, active until 600
        ann holds 1 as x  => held 1000 until 300

        ann pays x        => insufficient-balance
        & ann charges 999 => balance 999
        & ann pays x      => insufficient-balance
        & ann charges 1   => balance 1000
        & ann pays x      => paid 1000, balance 0
        & ann uses 1      => insufficient-balance

        log lists         => x held; ann charged 999; ann charged 1; ann used 1000; x paid
        ",
    );
}

#[test]
fn a_change_of_the_room_counts_for_what_follows() {
    check(
        2,
        "
        cid enters              => new place 3, waiting 1

        gala sets paused yes    => set
        & ann leaves            => left
        & dan enters            => new place 4, active until 600
        & gala sets paused no max 4 => set
        & eve enters            => new place 5, active until 600

        gala shows              => issued 5, served 5, given up 0, active 4
        ",
    );
}

/// What one command of a batch is refused is no matter of the others, of whatever kind they are.
#[test]
fn a_refusal_does_not_affect_other_commands_of_the_batch() {
    let mut stage = Stage::gala(Settings::default()).lecture("rust", 1, 100);
    stage.play(
        "
        ann enters         => new place 1, active until 600

        ann holds 51       => seat-unknown 51
        & ann charges 0    => amount-out-of-range
        & ann applies rust => seat 1
        & bob applies rust => lecture-full
        & bob enters nowhere => concert-not-found
        & ann charges 5    => balance 5
        & ann pays nothing => reservation-not-found
        & bob uses 5       => insufficient-balance
        & ann holds 1 as x => held 1000 until 300
        & bob cancels rust => application-not-found

        log lists          => ann applied; ann charged 5; x held
        ",
    );
}

/// The report of the first use was lost. Whether a hold that was given back still shows it or not: the turn
/// lasts or lapses all the same, in one unit of work or in two.
#[test]
fn a_turn_has_the_same_outcome_in_a_batch_and_alone() {
    let room = |and: &str| {
        let mut stage = Stage::gala(Settings::default());
        stage.play(&format!(
            "
            0    ann enters       => new place 1, active until 600
            0    ann holds 1 as x => held 1000 until 300

            60.5 ann releases x   => released
            {and} gala steps      => …
            "
        ));
        stage.world.tables.rooms
    };
    assert_eq!(room("&"), room(""));
}
