//! The hours of a sale, and the limit of seats for one user.

use onsale_domain::concert::Sale;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Settings;

use crate::support::Stage;

#[track_caller]
fn check(script: &str) {
    Stage::gala_with_a_line().play(script);
}

#[test]
fn before_the_opening_no_user_enters_and_no_seat_is_held() {
    check(
        "
        0    gala sells from 100  => open from 100, -
        0    dan enters           => sale-not-open until 100, in 100
        99.5 dan enters           => sale-not-open until 100, in 1
        99.5 ann holds 1          => sale-not-open until 100, in 1
        100  dan enters           => new place 4, waiting 2
        100  ann holds 1          => held 1000 until 400
        ",
    );
}

#[test]
fn from_the_end_on_no_user_enters_and_no_seat_is_held() {
    check(
        "
        0      gala sells to 100 => open to 100, -
        99.999 ann holds 1 as x  => held 1000 until 399.999
        100    ann holds 2       => sale-closed
        100    dan enters        => sale-closed
        100    ann pays x        => paid 1000, balance 8000
        100    gala steps        => turns bob, waiting cid
        100    cid is            => waiting 1
        100    gala sells to none => open, -
        100    gala steps        => turns bob cid, waiting -
        100    bob holds 2       => held 1000 until 400
        ",
    );
}

/// Places in line and running turns stay, whatever the hours are.
#[test]
fn an_opening_that_moves_later_keeps_everyones_place() {
    check(
        "
        0   ann holds 1 as x      => held 1000 until 300
        1   gala sells from 200   => open from 200, -
        1   cid enters            => same place 3, waiting 1
        1   ann enters            => same place 1, active until 600
        2   bob leaves            => left
        2   gala steps            => turns ann, waiting cid
        2   ann pays x            => paid 1000, balance 8000
        2   gala steps            => turns -, waiting cid
        3   gala sells from 50    => open from 50, -
        49  gala steps            => turns -, waiting cid
        50  gala steps            => turns cid, waiting -
        ",
    );
}

#[test]
fn a_close_comes_before_an_opening() {
    check(
        "
        gala sells from 100 => open from 100, -
        gala closes         => closed from 100, -
        dan enters          => sale-closed
        ann holds 1         => sale-closed
        gala opens          => open from 100, -
        dan enters          => sale-not-open until 100, in 100
        gala sells from none => open, -
        dan enters          => new place 4, waiting 2
        ",
    );
}

#[test]
fn a_sale_closes_after_it_opens() {
    check(
        "
        gala sells from 100 to 100 => invalid-request closesAt
        gala sells from 100 to 101 => open from 100 to 101, -
        gala sells from 101        => invalid-request opensAt
        gala sells to 100          => invalid-request closesAt
        gala sells from none to 1  => open to 1, -
        gala sells from none to 1  => open to 1, -
        nowhere sells from 1       => concert-not-found
        log lists                  => ann charged 9000; concert open from 100 to 101; concert open to 1
        ",
    );
}

#[test]
fn a_user_has_as_many_seats_as_the_limit_of_the_concert() {
    check(
        "
        ann holds 1 2 3 4 5        => seat-limit
        gala sells limit 6         => open limit 6, -
        ann holds 1 2 3 4 5        => held 5000 until 300
        ann holds 6 7              => seat-limit
        gala sells limit 2         => open limit 2, -
        ann holds 6                => seat-limit
        bob holds 6 7 in matinee   => held 1000 until 300
        bob holds 8 in matinee     => seat-limit
        gala sells limit 1 as ball => open limit 1, -
        cid is                     => waiting 1
        ",
    );
}

/// Read upwards: each line would be refused for the reasons of all lines above it, too.
#[test]
fn judges_a_hold_in_the_contracts_order() {
    check(
        "
        0   matinee closes               => closed
        0   ann holds 99 in matinee      => performance-closed
        0   gala sells from 50           => open from 50, -
        0   ann holds 99 in matinee      => sale-not-open until 50, in 50
        0   gala sells from none to 0    => open to 0, -
        0   ann holds 99 in matinee      => sale-closed
        0   ann holds 99 in several      => performance-ambiguous
        0   ann holds 99 in nowhere      => performance-not-found
        600 ann holds 99 in nowhere      => queue-token-expired
        ",
    );
}

/// A performance that is added later gets the hours and the limit of its concert.
#[test]
fn a_new_performance_has_the_hours_of_its_concert() {
    let gala = Stage::gala(Settings::default());
    let mut stage = gala;
    stage.play("0 ann enters => new place 1, active until 600\n0 gala sells from 9 limit 1 => open from 9 limit 1, -");
    let mut stage = stage.performance("late", 900, &[(1, 9, 500)]);
    stage.play(
        "
        0 ann holds 1 in late   => sale-not-open until 9, in 9
        9 ann holds 1 2 in late => seat-limit
        9 ann holds 1 in late   => held 500 until 309
        ",
    );
}

#[test]
fn hours_are_judged_at_their_bounds() {
    let at = Timestamp::from_millis;
    let sale = |opens: Option<i64>, closes: Option<i64>| Sale {
        closed: false,
        opens_at: opens.map(at),
        closes_at: closes.map(at),
        codes_until: None,
    };
    for (sale, open) in [
        (sale(None, None), [true, true, true]),
        (sale(Some(10), None), [false, true, true]),
        (sale(None, Some(10)), [true, false, false]),
        (sale(Some(10), Some(11)), [false, true, false]),
        (Sale { closed: true, ..sale(None, None) }, [false; 3]),
    ] {
        assert_eq!([9, 10, 11].map(|now| sale.is_open(at(now))), open, "{sale:?}");
    }
    assert_eq!(sale(Some(10), None).opens_later(at(9)), Some(at(10)));
    assert_eq!(sale(Some(10), None).opens_later(at(10)), None);
    assert_eq!(
        Sale { closed: true, ..sale(Some(10), None) }.opens_later(at(9)),
        None,
        "it does not open while it is closed"
    );
    assert_eq!(sale(Some(10), Some(11)).contradiction(), None);
    assert_eq!(sale(Some(10), Some(10)).contradiction(), Some("closesAt"));
    let presale = Sale { codes_until: Some(at(10)), ..sale(Some(9), None) };
    assert_eq!((presale.presale(at(9)), presale.presale(at(10))), (Some(at(10)), None));
    assert_eq!(presale.contradiction(), None);
    assert_eq!(Sale { opens_at: Some(at(10)), ..presale }.contradiction(), Some("codesUntil"));
}
