//! Paying: the seats are sold, the points are taken and the token ends, in one decision or not at all.

use onsale_domain::waiting_room::Settings;

use crate::support::Stage;

/// Plays a script in which `ann` and `bob` are admitted to `gala`: a hold lasts 300 seconds, a turn 600.
#[track_caller]
fn check(script: &str) {
    let mut stage = Stage::gala(Settings::default());
    stage.play(
        "
        0 ann enters => new place 1, active until 600
        0 bob enters => new place 2, active until 600
        ",
    );
    stage.play(script);
}

#[test]
fn sells_the_seats_and_ends_the_token() {
    check(
        "
        ann charges 5000   => balance 5000
        ann holds 1 2 as x => held 2000 until 300
        10 ann pays x      => paid 2000, balance 3000
        ann is             => expired
        bob holds 2        => seat-taken 2
        400 bob holds 1    => seat-taken 1
        log lists          => ann charged 5000; x held; ann used 2000; x paid
        ",
    );
}

/// Read upwards: each line would be refused for the reasons of the lines above it, too.
#[test]
fn judges_a_payment_in_the_contracts_order() {
    check(
        "
        0   ann charges 1000        => balance 1000
        0   ann holds 1 as paid     => held 1000 until 300
        0   ann holds 2 as lapsed   => held 1000 until 300
        0   bob holds 4 as bobs     => held 1000 until 300
        1   ann holds 3 as live     => held 1000 until 301
        1   ann pays paid           => paid 1000, balance 0
        300 ann pays live           => insufficient-balance
        300 ann pays lapsed         => hold-expired
        300 ann pays paid           => already-paid
        300 ann pays bobs           => reservation-not-found
        300 ann pays nothing        => reservation-not-found
        600 ann pays live           => queue-token-expired
        600 ann pays paid           => queue-token-expired
        600 ann pays bobs           => queue-token-expired
        600 ann pays nothing        => queue-token-expired
        ",
    );
}

#[test]
fn a_user_cannot_pay_another_users_hold_nor_use_the_token_of_another_concert() {
    let room = Settings::default();
    let gala = Stage::gala(room).concert("rock", room).performance("gig", 86_400, &[(1, 50, 1_000)]);
    let mut stage = gala;
    stage.play(
        "
        ann charges 5000       => balance 5000
        bob charges 5000       => balance 5000
        ann enters gala        => new place 1, active until 600
        ann holds 1 in eve as x => held 1000 until 300
        bob enters gala        => new place 2, active until 600
        bob pays x             => reservation-not-found
        ann enters rock        => new place 1, active until 600
        ann pays x             => reservation-not-found
        ann#1 pays x           => paid 1000, balance 4000
        bob pays x             => reservation-not-found
        ann#2 pays x           => reservation-not-found
        ",
    );
}

#[test]
fn without_points_the_seats_stay_held() {
    check(
        "
        ann charges 1999   => balance 1999
        ann holds 1 2 as x => held 2000 until 300
        ann pays x         => insufficient-balance
        bob holds 1        => seat-taken 1, retry after 300
        ann is             => active until 600
        ann charges 1      => balance 2000
        ann pays x         => paid 2000, balance 0
        ",
    );
}

#[test]
fn a_hold_can_be_paid_to_its_last_millisecond() {
    check(
        "
        ann charges 5000     => balance 5000
        bob charges 5000     => balance 5000
        0       ann holds 1 as x => held 1000 until 300
        0       bob holds 2 as y => held 1000 until 300
        299.999 ann pays x       => paid 1000, balance 4000
        300     bob pays y       => hold-expired
        300.001 bob pays y       => hold-expired
        log lists => ann charged 5000; bob charged 5000; x held; y held; ann used 1000; x paid
        ",
    );
}

#[test]
fn a_released_or_settled_hold_cannot_be_paid() {
    check(
        "
        ann charges 5000      => balance 5000
        ann holds 1 as x      => held 1000 until 300
        ann releases x        => released
        ann pays x            => hold-expired
        ann holds 2 as y      => held 1000 until 300
        300 sweeper expires y => expired 1
        300 ann pays y        => hold-expired
        ",
    );
}

#[test]
fn a_lapsed_hold_is_not_paid_though_others_took_its_seats_or_did_not() {
    check(
        "
        ann charges 5000       => balance 5000
        0   ann holds 1 2 as x => held 2000 until 300
        300 bob holds 2 as y   => held 1000 until 600
        300 ann pays x         => hold-expired
        300 ann holds 1 as z   => held 1000 until 600
        300 ann pays z         => paid 1000, balance 4000
        ",
    );
}

#[test]
fn is_paid_once() {
    check(
        "
        ann charges 5000 => balance 5000
        ann holds 1 as x => held 1000 until 300
        ann holds 2 as y => held 1000 until 300
        ann pays x       => paid 1000, balance 4000
        ann pays x       => already-paid
        ann pays y       => paid 1000, balance 3000
        ann pays y       => queue-token-expired
        ",
    );
}

/// The contract bounds one use to 10,000,000; a payment takes what the seats cost.
#[test]
fn a_payment_may_exceed_the_bound_of_one_use() {
    let seats = [(1, 4, 100_000_000)];
    let mut stage = Stage::empty().concert("gala", Settings::default()).performance("eve", 86_400, &seats);
    for charge in 1..=40 {
        stage.play(&format!("ann charges 10000000 => balance {}", charge * 10_000_000));
    }
    stage.play(
        "
        ann charges 1          => balance 400000001
        ann enters             => new place 1, active until 600
        ann holds 1 2 3 4 as x => held 400000000 until 300
        ann pays x             => paid 400000000, balance 1
        ",
    );
}

/// A seat may cost nothing; its payment is a line of the history like any other.
#[test]
fn a_free_seat_is_paid_with_an_empty_wallet() {
    let mut stage = Stage::empty().concert("gala", Settings::default()).performance("eve", 86_400, &[(1, 4, 0)]);
    stage.play(
        "
        ann enters       => new place 1, active until 600
        ann holds 1 as x => held 0 until 300
        ann pays x       => paid 0, balance 0
        log lists        => x held; ann used 0; x paid
        ",
    );
}

#[test]
fn a_payment_ends_the_token_unless_other_seats_of_the_concert_are_held() {
    let mut stage = Stage::gala(Settings::default()).performance("late", 90_000, &[(1, 50, 1_000)]);
    stage.play(
        "
        ann charges 9000         => balance 9000
        0   ann enters           => new place 1, active until 600
        0   ann holds 1 as x     => held 1000 until 300
        10  ann holds 2 as y     => held 1000 until 310
        20  ann holds 1 in late as z => held 1000 until 320
        30  ann pays x           => paid 1000, balance 8000
        ann is                   => active until 600
        310 ann pays z           => paid 1000, balance 7000
        ann is                   => expired
        310 ann pays y           => queue-token-expired
        ",
    );
}

#[test]
fn seats_of_another_concert_do_not_keep_the_token() {
    let room = Settings::default();
    let mut stage = Stage::gala(room).concert("rock", room).performance("gig", 86_400, &[(1, 50, 1_000)]);
    stage.play(
        "
        ann charges 9000          => balance 9000
        ann enters gala           => new place 1, active until 600
        ann enters rock           => new place 1, active until 600
        ann#1 holds 1 in eve as x => held 1000 until 300
        ann#2 holds 1 in gig as y => held 1000 until 300
        ann#1 pays x              => paid 1000, balance 8000
        ann#1 is                  => expired
        ann#2 is                  => active until 600
        ann#2 pays y              => paid 1000, balance 7000
        ann#2 is                  => expired
        ",
    );
}

#[test]
fn a_batch_pays_from_what_is_left() {
    check(
        "
        ann charges 2500 => balance 2500
        ann holds 1 as x => held 1000 until 300
        ann holds 2 as y => held 1000 until 300
        ann holds 3 as z => held 1000 until 300

        ann uses 600     => balance 1900
        & ann pays x     => paid 1000, balance 900
        & ann pays y     => insufficient-balance
        & ann charges 99 => balance 999
        & ann pays y     => insufficient-balance
        & ann charges 1  => balance 1000
        & ann pays y     => paid 1000, balance 0
        & ann pays y     => already-paid
        & ann releases y => already-paid
        & ann releases z => released
        & ann pays z     => hold-expired
        & ann uses 1     => insufficient-balance
        ",
    );
}

#[test]
fn a_batch_ends_the_token_for_what_follows() {
    check(
        "
        ann charges 2500 => balance 2500
        ann holds 1 as x => held 1000 until 300

        ann pays x       => paid 1000, balance 1500
        & ann pays x     => queue-token-expired
        & ann releases x => queue-token-expired
        & ann holds 2    => queue-token-expired
        & bob holds 1    => seat-taken 1
        ",
    );
}

/// By the performance's last change the hold has lapsed: another could have taken the seat at that time.
#[test]
fn a_clock_set_back_does_not_let_a_lapsed_hold_be_paid() {
    check(
        "
        ann charges 5000     => balance 5000
        0   ann holds 1 as x => held 1000 until 300
        300 bob holds 2      => held 1000 until 600
        299 ann pays x       => hold-expired
        ",
    );
}
