//! Holding seats: all or none, at most four, to a second's thousandth; releasing and lapsing.

use crate::support::mixed::AnyCommand;
use onsale_domain::Refusal;
use onsale_domain::concert::Schedule;
use onsale_domain::ids::ConcertId;
use onsale_domain::refund::Policy;
use onsale_domain::waiting_room::Settings;

use crate::support::{START, Stage};

/// The concert `gala` with `eve` (seats 1 to 50, 1,000 each) and `matinee` (1, 2 for 500; 5, 6 for 700; starts at
/// second 200), and the concert `rock` with `gig`. A hold lasts 300 seconds, a turn 600.
fn stage() -> Stage {
    let room = Settings::default();
    let rock = Stage::empty().concert("rock", room).performance("gig", 86_400, &[(1, 50, 1_000)]);
    let gala = rock.concert("gala", room).performance("eve", 86_400, &[(1, 50, 1_000)]);
    gala.performance("matinee", 200, &[(1, 2, 500), (5, 6, 700)])
}

/// Plays a script in which `ann`, `bob` and `cid` are admitted to `gala`.
#[track_caller]
fn check(script: &str) {
    let mut stage = stage();
    stage.play(
        "
        0 ann enters => new place 1, active until 600
        0 bob enters => new place 2, active until 600
        0 cid enters => new place 3, active until 600
        ",
    );
    stage.play(script);
}

#[test]
fn a_performance_is_scheduled_in_a_concert_that_exists() {
    let mut world = stage().world;
    let seating = world.tables.performances.values().next().unwrap().seating.clone();
    let nowhere = ConcertId::new(uuid::Uuid::nil());
    let (layout, refund_policy) = (None, Policy::default());
    let schedule = Schedule { concert: nowhere, starts_at: START, seating, layout, closed: false, refund_policy };
    assert_eq!(world.one(AnyCommand::from(schedule)), Err(Refusal::ConcertNotFound));
}

#[test]
fn holds_seats_until_the_hold_lapses() {
    check(
        "
        1.5 ann holds 7 8 as x              => held 2000 until 301.5
        1.5 bob holds 1 6 5 in matinee as y => held 1900 until 301.5
        log lists                           => x held; y held
        ",
    );
}

/// Read upwards: each line would be refused for the reasons of all lines above it, too.
#[test]
fn judges_a_hold_in_the_contracts_order() {
    check(
        "
        0   bob holds 1 in matinee     => held 500 until 300
        0   ann holds 2 5 6 in matinee => held 1900 until 300
        199 ann holds 1 in matinee     => seat-taken 1, retry after 101
        199 ann holds 1 2 in matinee   => seat-limit
        199 ann holds 1 2 9 in matinee => seat-unknown 9
        200 ann holds 1 2 9 in matinee => performance-closed
        200 ann holds 1 2 9 in nowhere => performance-not-found
        600 ann holds 1 2 9 in nowhere => queue-token-expired
        ",
    );
}

#[test]
fn names_one_performance_of_the_tokens_concert() {
    check(
        "
        ann holds 1 in gig     => performance-not-found
        ann holds 1 in nowhere => performance-not-found
        ann holds 1 in none    => performance-not-found
        ann holds 1 in several => performance-ambiguous
        ann enters rock        => new place 1, active until 600
        ann holds 1 in eve     => performance-not-found
        ann holds 1 in gig     => held 1000 until 300
        ann#1 holds 1 in eve   => held 1000 until 300
        600 ann holds 1 in several => queue-token-expired
        600 ann holds 1 in none    => queue-token-expired
        ",
    );
}

#[test]
fn a_performance_closes_at_its_very_start() {
    check(
        "
        199.999 ann holds 1 in matinee => held 500 until 499.999
        200     ann holds 2 in matinee => performance-closed
        200.001 ann holds 2 in matinee => performance-closed
        ",
    );
}

#[test]
fn names_few_unknown_seats_however_many_there_are() {
    let asked: Vec<String> = (51..=1_050).map(|seat| seat.to_string()).collect();
    let named = &asked[..20];
    check(&format!("ann holds {} => seat-unknown {}", asked.join(" "), named.join(" ")));
}

#[test]
fn knows_its_seats() {
    check(
        "
        ann holds 0           => seat-unknown 0
        ann holds -5 7 -1 0   => seat-unknown -5 -1 0
        ann holds -9223372036854775808 => seat-unknown -9223372036854775808
        ann holds 9223372036854775807  => seat-unknown 9223372036854775807
        ann holds 51          => seat-unknown 51
        ann holds 50 51 1 52  => seat-unknown 51 52
        ann holds 3 in matinee   => seat-unknown 3
        ann holds 4 7 in matinee => seat-unknown 4 7
        ann holds 1 2 3 4 99  => seat-unknown 99
        ann holds 4294967295  => seat-unknown 4294967295
        ann holds 1 50        => held 2000 until 300
        ",
    );
}

#[test]
fn one_user_has_at_most_four_seats_of_a_performance() {
    check(
        "
        ann holds 1 2 3 4 5            => seat-limit
        ann holds 1 2 3 4              => held 4000 until 300
        ann holds 5                    => seat-limit
        ann holds 1 2 5 6 in matinee   => held 2400 until 300
        bob holds 5 6 7                => held 3000 until 300
        bob holds 8 9                  => seat-limit
        bob holds 8                    => held 1000 until 300
        bob holds 9                    => seat-limit
        ",
    );
}

/// Five at once are refused without reading any seat.
#[test]
fn five_seats_are_too_many_even_where_they_are_taken() {
    check(
        "
        bob holds 1         => held 1000 until 300
        ann holds 1 2 3 4 5 => seat-limit
        ",
    );
}

#[test]
fn the_limit_counts_what_is_held_now_or_bought_ever() {
    check(
        "
        ann charges 5000        => balance 5000
        0   ann holds 1 2 as x  => held 2000 until 300
        0   ann holds 3 4 as y  => held 2000 until 300
        1   ann releases y      => released
        1   ann holds 5 as z    => held 1000 until 301
        2   ann pays x          => paid 2000, balance 3000
        2   ann holds 6 7       => seat-limit
        2   ann holds 6         => held 1000 until 302
        300.999 ann holds 7     => seat-limit
        301 ann holds 7 8       => seat-limit
        301 ann holds 7         => held 1000 until 601
        301 ann holds 8         => seat-limit
        log lists               => ann charged 5000; x held; y held; y released; z held; ann used 2000; x paid; unnamed held; unnamed held
        ",
    );
}

/// The limit is the user's, not the token's.
#[test]
fn a_new_token_brings_no_new_seats() {
    check(
        "
        ann charges 3000     => balance 3000
        ann holds 1 2 3 as x => held 3000 until 300
        ann pays x           => paid 3000, balance 0
        ann enters           => new place 4, active until 600
        ann holds 4 5        => seat-limit
        ann holds 4          => held 1000 until 300
        ",
    );
}

#[test]
fn all_seats_or_none() {
    check(
        "
        ann holds 3 as x  => held 1000 until 300
        bob holds 2 3 4   => seat-taken 3, retry after 300
        cid holds 2 4     => held 2000 until 300
        bob holds 4 3 2 5 => seat-taken 4 3 2, retry after 300
        log lists         => x held; unnamed held
        ",
    );
}

#[test]
fn a_taken_seat_returns_when_the_last_of_its_holds_may_lapse() {
    check(
        "
        0       ann holds 1 as x => held 1000 until 300
        10      bob holds 2 as y => held 1000 until 310
        10.001  cid holds 1      => seat-taken 1, retry after 290
        10.001  cid holds 2 1    => seat-taken 2 1, retry after 300
        299.999 cid holds 1      => seat-taken 1, retry after 1
        bob charges 1000         => balance 1000
        bob pays y               => paid 1000, balance 0
        299.999 cid holds 2      => seat-taken 2
        299.999 cid holds 1 2    => seat-taken 1 2
        299.999 cid holds 2 1    => seat-taken 2 1
        ",
    );
}

#[test]
fn ones_own_seats_are_taken_too() {
    check(
        "
        ann holds 1 as x => held 1000 until 300
        ann holds 1      => seat-taken 1, retry after 300
        ann holds 1 2    => seat-taken 1, retry after 300
        ",
    );
}

/// No sweeper has run; the seat is free at the instant itself.
#[test]
fn a_lapsed_seat_can_be_taken_at_once() {
    check(
        "
        0       ann holds 1 as x => held 1000 until 300
        299.999 bob holds 1      => seat-taken 1, retry after 1
        300     bob holds 1 as y => held 1000 until 600
        log lists                => x held; x expired; y held
        ",
    );
}

#[test]
fn a_lapsed_hold_frees_all_its_seats() {
    check(
        "
        0   ann holds 1 2 3 as x => held 3000 until 300
        0   bob holds 4 as y     => held 1000 until 300
        300 cid holds 2 4 as z   => held 2000 until 600
        300 bob holds 1 3 as w   => held 2000 until 600
        log lists                => x held; y held; x expired; y expired; z held; w held
        300 ann releases x       => released
        300 sweeper expires x y  => expired 0
        log lists                =>
        ",
    );
}

#[test]
fn the_end_of_a_lapsed_hold_with_two_seats_is_one_event() {
    check(
        "
        0   ann holds 1 2 as x => held 2000 until 300
        300 ann holds 2 1 as y => held 2000 until 600
        log lists              => x held; x expired; y held
        ",
    );
}

#[test]
fn released_seats_are_free_again() {
    check(
        "
        ann holds 1 2 as x => held 2000 until 300
        ann releases x     => released
        bob holds 1 as y   => held 1000 until 300
        ann releases x     => released
        bob is             => active until 600
        log lists          => x held; x released; y held
        cid holds 1        => seat-taken 1, retry after 300
        cid holds 2        => held 1000 until 300
        ",
    );
}

#[test]
fn releasing_is_judged_in_order() {
    check(
        "
        ann charges 1000           => balance 1000
        ann holds 1 as x           => held 1000 until 300
        ann holds 2 as y           => held 1000 until 300
        bob releases x             => reservation-not-found
        ann releases nothing       => reservation-not-found
        ann pays x                 => paid 1000, balance 0
        ann releases x             => already-paid
        bob releases x             => reservation-not-found
        ann enters rock            => new place 1, active until 600
        ann releases y             => reservation-not-found
        ann#1 releases y           => released
        600 ann#1 releases x       => queue-token-expired
        600 ann#1 releases nothing => queue-token-expired
        600 bob releases x         => queue-token-expired
        ",
    );
}

/// Releasing an expired hold is no error, and its event is `expired`, not `released`.
#[test]
fn releasing_a_lapsed_hold_settles_it_as_expired() {
    check(
        "
        0       ann holds 1 as x => held 1000 until 300
        0       ann holds 2 as y => held 1000 until 300
        299.999 ann releases y   => released
        300     ann releases x   => released
        log lists                => x held; y held; y released; x expired
        ",
    );
}

#[test]
fn the_sweeper_settles_what_ran_out_and_leaves_the_rest() {
    check(
        "
        ann charges 1000                => balance 1000
        0   ann holds 1 as paid         => held 1000 until 300
        0   bob holds 2 as released     => held 1000 until 300
        0   cid holds 3 4 as lapsed     => held 2000 until 300
        ann pays paid                   => paid 1000, balance 0
        bob releases released           => released
        1   bob holds 5 as live         => held 1000 until 301
        299.999 sweeper expires paid released lapsed live nothing => expired 0
        300 sweeper expires paid released lapsed live nothing     => expired 1
        300 sweeper expires lapsed      => expired 0
        301 sweeper expires live lapsed live => expired 1
        301 bob holds 3                 => held 1000 until 601
        log lists => ann charged 1000; paid held; released held; lapsed held; ann used 1000; paid paid; released released; live held; lapsed expired; live expired; unnamed held
        ",
    );
}

/// A seat that lapsed by the performance's own last change is free; the story never goes back.
#[test]
fn a_clock_set_back_does_not_bring_a_lapsed_hold_back() {
    check(
        "
        0   ann holds 1 as x => held 1000 until 300
        300 bob holds 2 as y => held 1000 until 600
        299 cid holds 1 as z => held 1000 until 600
        log lists            => x held; y held; x expired; z held
        ",
    );
}

/// What a clock that was ahead wrote does not count once it is set back, except for the order of the history.
#[test]
fn a_clock_that_was_ahead_lengthens_no_hold() {
    check(
        "
        bob charges 5000     => balance 5000
        400 ann holds 1 as x => held 1000 until 700
        0   bob holds 2 as y => held 1000 until 300
        1   cid holds 1      => seat-taken 1, retry after 699
        1   bob pays y       => paid 1000, balance 4000
        2   cid holds 3 as z => held 1000 until 302
        log lists            => bob charged 5000; x held; y held; bob used 1000; y paid; z held
        ",
    );
}

#[test]
fn a_clock_set_back_does_not_open_a_performance_again() {
    check(
        "
        0   ann holds 1 in matinee as x  => held 500 until 300
        0   bob holds 2 in matinee       => held 500 until 300
        201 ann releases x               => released
        199 cid holds 5 in matinee       => performance-closed
        ",
    );
}
