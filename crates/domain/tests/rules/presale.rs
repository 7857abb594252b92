//! Presale codes: who enters and holds while a code is needed, and what uses one.

use onsale_domain::presale::{CreateCodes, NewCode};
use onsale_domain::waiting_room::Settings;

use crate::support::mixed::{AnyCommand, Done};
use crate::support::{START, Stage};

#[track_caller]
fn check(script: &str) {
    Stage::gala_with_a_line().play(script);
}

#[test]
fn until_the_presale_ends_a_user_needs_a_code_to_hold() {
    check(
        "
        0    ann holds 1 with FAN     => held 1000 until 300
        0    gala sells codes 100     => open codes 100, -
        0    gala codes FAN uses 2    => made FAN
        0    ann holds 2              => code-required until 100, in 100
        99.5 ann holds 2              => code-required until 100, in 1
        99.5 ann holds 2 with WRONG   => code-invalid
        99.5 ann holds 2 with fan     => code-invalid
        99.5 ann holds 2 with FAN     => held 1000 until 399.5
        100  ann holds 3              => held 1000 until 400
        100  bob holds 4 with WRONG   => held 1000 until 400
        ",
    );
}

/// Also for seats that the server chooses.
#[test]
fn the_best_seats_use_a_code_too() {
    check(
        "
        0   gala sells codes 100     => open codes 100, -
        0   gala codes FAN uses 1    => made FAN
        0   ann takes 2              => code-required until 100, in 100
        0   ann takes 2 with WRONG   => code-invalid
        0   ann takes 2 with FAN     => took 25 26 until 300
        0   bob takes 1 with FAN     => code-used-up
        0   bob holds 9 with FAN     => code-used-up
        100 bob takes 1              => took 24 until 400
        ",
    );
}

#[test]
fn until_the_presale_ends_a_new_user_needs_a_code_to_enter() {
    check(
        "
        0   gala sells codes 100      => open codes 100, -
        0   gala codes FAN uses 1     => made FAN
        0   cid enters                => same place 3, waiting 1
        0   cid enters with WRONG     => same place 3, waiting 1
        0   dan enters                => code-required until 100, in 100
        0   dan enters with WRONG     => code-invalid
        0   dan enters with FAN       => new place 4, waiting 2
        0   ann holds 1 with FAN      => held 1000 until 300
        0   eva enters with FAN       => code-used-up
        100 eva enters                => new place 5, waiting 3
        ",
    );
}

/// A code opens nothing before the sale opens, and a closed sale stays closed.
#[test]
fn a_code_does_not_open_a_sale() {
    check(
        "
        0  gala codes FAN uses 9            => made FAN
        0  gala sells from 50 codes 100     => open from 50 codes 100, -
        0  dan enters with FAN              => sale-not-open until 50, in 50
        0  ann holds 1 with FAN             => sale-not-open until 50, in 50
        50 gala closes                      => closed from 50 codes 100, -
        50 dan enters with FAN              => sale-closed
        50 ann holds 1 with FAN             => sale-closed
        50 gala opens                       => open from 50 codes 100, -
        50 dan enters with FAN              => new place 4, waiting 2
        50 ann holds 1 with FAN             => held 1000 until 350
        50 gala sells from none codes 100   => open codes 100, -
        50 bob holds 2                      => code-required until 100, in 50
        ",
    );
}

#[test]
fn a_presale_ends_after_the_sale_opens() {
    check(
        "
        gala sells from 100 codes 100         => invalid-request codesUntil
        gala sells from 100 to 100 codes 100  => invalid-request closesAt
        gala sells from 99 codes 100          => open from 99 codes 100, -
        gala sells from 100                   => invalid-request opensAt
        gala sells codes 99                   => invalid-request codesUntil
        gala sells codes none                 => open from 99, -
        ",
    );
}

#[test]
fn a_code_has_its_own_time() {
    check(
        "
        0      gala sells codes 100                       => open codes 100, -
        0      gala codes FAN uses 9 each 9 from 10 to 20 => made FAN
        9.999  ann holds 1 with FAN                       => code-invalid
        9.999  dan enters with FAN                        => code-invalid
        10     ann holds 1 with FAN                       => held 1000 until 310
        19.999 ann holds 2 with FAN                       => held 1000 until 319.999
        20     ann holds 3 with FAN                       => code-invalid
        ",
    );
}

/// Read upwards: each line would be refused for the reasons of all lines above it, too.
#[test]
fn judges_the_code_of_a_hold_after_the_hours_of_the_sale() {
    check(
        "
        0   gala codes FAN uses 1              => made FAN
        0   gala sells codes 100               => open codes 100, -
        0   bob holds 9 with FAN               => held 1000 until 300
        0   matinee closes                     => closed
        0   ann holds 99 in matinee with FAN   => code-used-up
        0   ann holds 99 in matinee with WRONG => code-invalid
        0   ann holds 99 in matinee            => code-required until 100, in 100
        0   gala sells from 50                 => open from 50 codes 100, -
        0   ann holds 99 in matinee            => sale-not-open until 50, in 50
        0   ann holds 99 in nowhere            => performance-not-found
        ",
    );
}

#[test]
fn a_refused_hold_uses_nothing() {
    check(
        "
        0 gala sells codes 100              => open codes 100, -
        0 gala codes FAN uses 1             => made FAN
        0 gala sells limit 2                => open codes 100 limit 2, -
        0 ann holds 99 with FAN             => seat-unknown 99
        0 ann holds 1 2 3 with FAN          => seat-limit
        0 gala codes OTHER                  => made OTHER
        0 bob holds 1 with OTHER            => held 1000 until 300
        0 ann holds 1 with FAN              => seat-taken 1, retry after 300
        0 ann holds 2 with FAN              => held 1000 until 300
        0 ann holds 3 with FAN              => code-used-up
        ",
    );
}

#[test]
fn what_ends_a_hold_gives_the_use_back() {
    check(
        "
        0   gala sells codes 2000       => open codes 2000, -
        0   gala codes FAN uses 1       => made FAN
        0   ann holds 1 with FAN as a   => held 1000 until 300
        0   bob holds 2 with FAN        => code-used-up
        0   ann releases a              => released
        0   bob holds 2 with FAN as b   => held 1000 until 300
        0   ann holds 1 with FAN        => code-used-up
        300 ann holds 1 with FAN as c   => held 1000 until 600
        300 ann pays c                  => paid 1000, balance 8000
        599 bob holds 3 with FAN        => code-used-up
        599 staff refunds c             => 1 for 1000, fee 0, balance 9000
        599 bob holds 3 with FAN as d   => held 1000 until 899
        599 eve drops                   => …
        599 eve settles                 => …
        599 bob holds 1 in matinee with FAN => held 500 until 899
        ",
    );
}

/// A payment keeps its use as long as one of its seats is left.
#[test]
fn a_use_is_a_hold_or_a_payment_whatever_number_of_seats_it_has() {
    check(
        "
        0 gala sells codes 2000           => open codes 2000, -
        0 gala codes FAN uses 1           => made FAN
        0 ann holds 1 2 3 with FAN as a   => held 3000 until 300
        0 ann pays a                      => paid 3000, balance 6000
        0 staff refunds a 1 2             => 1 2 for 2000, fee 0, balance 8000
        0 bob holds 1 with FAN            => code-used-up
        0 staff refunds a 3               => 3 for 1000, fee 0, balance 9000
        0 bob holds 1 with FAN            => held 1000 until 300
        ",
    );
}

#[test]
fn a_user_has_as_many_uses_as_the_code_allows_one_user() {
    check(
        "
        0   gala sells codes 2000        => open codes 2000, -
        0   gala codes FAN uses 9 each 2 => made FAN
        0   ann holds 1 with FAN         => held 1000 until 300
        0   ann holds 2 with FAN as b    => held 1000 until 300
        0   ann holds 3 with FAN         => code-used-up
        0   bob holds 3 with FAN         => held 1000 until 300
        0   ann releases b               => released
        0   ann holds 2 with FAN         => held 1000 until 300
        ",
    );
}

/// Of the holds of one unit of work the first one gets the last use.
#[test]
fn the_last_use_goes_to_one_hold_of_a_batch() {
    check(
        "
        0 gala sells codes 100         => open codes 100, -
        0 gala codes FAN uses 2 each 9 => made FAN
        0 ann holds 1 with FAN         => held 1000 until 300
        0 ann holds 2 with FAN         => held 1000 until 300
        & bob holds 3 with FAN         => code-used-up
        & ann holds 4 with FAN         => code-used-up
        ",
    );
}

/// Another transaction may have paid the hold just before its end and not committed yet. The lock of the performance makes it
/// certain.
#[test]
fn a_hold_that_has_just_lapsed_elsewhere_still_counts() {
    let mut stage = Stage::gala_with_a_line();
    stage.world.is_alone = false;
    stage.play(
        "
        0     gala sells codes 2000              => open codes 2000, -
        0     gala codes FAN uses 1              => made FAN
        0     ann holds 1 with FAN               => held 1000 until 300
        304.9 bob holds 1 in matinee with FAN    => code-used-up
        304.9 bob holds 1 with FAN as b          => held 1000 until 604.9
        304.9 bob releases b                     => released
        305   bob holds 1 in matinee with FAN    => held 500 until 605
        ",
    );
}

#[test]
fn an_extended_hold_keeps_its_use() {
    check(
        "
        0   gala sells codes 2000        => open codes 2000, -
        0   gala codes FAN uses 1        => made FAN
        0   ann holds 1 with FAN as a    => held 1000 until 300
        299 eve extends 60               => 1 by 60 at 299
        300 bob holds 2 with FAN         => code-used-up
        359 bob holds 2 with FAN         => code-used-up
        360 bob holds 2 with FAN         => held 1000 until 660
        ",
    );
}

#[test]
fn a_deleted_code_opens_nothing_and_what_was_held_with_it_stays() {
    check(
        "
        0 gala sells codes 2000        => open codes 2000, -
        0 gala codes FAN uses 1        => made FAN
        0 ann holds 1 with FAN as a    => held 1000 until 300
        0 gala voids FAN               => deleted FAN
        0 gala voids FAN               => code-not-found
        0 bob holds 2 with FAN         => code-invalid
        0 gala codes FAN uses 1        => made FAN
        0 bob holds 2 with FAN         => held 1000 until 300
        0 ann pays a                   => paid 1000, balance 8000
        0 nowhere codes FAN            => concert-not-found
        0 nowhere voids FAN            => code-not-found
        ",
    );
}

/// Twelve characters of an alphabet that leaves out those that look alike.
#[test]
fn a_code_that_is_made_here_cannot_be_guessed() {
    let mut stage = Stage::gala(Settings::default());
    let concert = *stage.world.tables.concerts.keys().next().expect("a concert");
    let code = NewCode { text: None, uses: 1, uses_per_user: 1, from: None, until: Some(START.plus_seconds(9)) };
    let create = CreateCodes { concert, codes: vec![code; 200] };
    let Ok(Done::CreateCodes(made)) = stage.world.one(AnyCommand::from(create)) else { panic!("codes are made") };
    let mut texts: Vec<&str> = made.iter().map(|code| &*code.text).collect();
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), 200, "no two are alike");
    let is_clear = |letter: char| (letter.is_ascii_uppercase() || letter.is_ascii_digit()) && !"01IO".contains(letter);
    assert!(texts.iter().all(|text| text.len() == 12 && text.chars().all(is_clear)), "{texts:?}");
    let mut used: Vec<char> = texts.iter().flat_map(|text| text.chars()).collect();
    used.sort_unstable();
    used.dedup();
    assert_eq!(used.len(), 32, "each character has the whole alphabet");
}
