//! Early entry: places before the opening, in order of arrival, and an opening that no clock takes back.

use onsale_domain::concert::{self, Sale};
use onsale_domain::waiting_room::{Room, Settings};
use onsale_domain::{Refusal, time::Timestamp};

use super::room;
use crate::support::mixed::AnyCommand;
use crate::support::{START, Stage, World};

/// Enters from second 50 on, opens at second 100, and then admits two at a time.
fn early() -> Settings {
    let sale = Sale { opens_at: Some(START.plus_seconds(100)), ..Sale::default() };
    Settings { sale, early_from: Some(START.plus_seconds(50)), ..room(2, 50) }
}

#[track_caller]
fn check(script: &str) {
    Stage::gala(early()).play(script);
}

#[test]
fn early_places_are_admitted_in_order_at_the_opening() {
    check(
        "
        0      ann enters => sale-not-open until 100, early from 50, in 50
        49.001 ann enters => sale-not-open until 100, early from 50, in 1
        50     ann enters => new place 1, waiting 1
        60     bob enters => new place 2, waiting 2
        70     cid enters => new place 3, waiting 3
        80     ann enters => same place 1, waiting 1
        99.999 gala steps => turns -, waiting ann bob cid
        99.999 dan enters => new place 4, waiting 4
        100    gala steps => turns ann bob, waiting cid dan
        100    eve enters => new place 5, waiting 3
        100    ann holds 1 => held 1000 until 400
        ",
    );
}

#[test]
fn the_first_entry_after_the_opening_notes_it_too() {
    check(
        "
        60  ann enters => new place 1, waiting 1
        100 bob enters => new place 2, active until 700
        100 ann is     => active until 700
        100 gala sells from 200 => sale-opened
        ",
    );
}

#[test]
fn a_user_who_leaves_early_enters_again_at_the_end() {
    check(
        "
        60  ann enters => new place 1, waiting 1
        60  bob enters => new place 2, waiting 2
        61  ann leaves => left
        61  bob is     => waiting 1
        62  ann enters => new place 3, waiting 2
        100 gala steps => turns bob ann, waiting -
        ",
    );
}

/// A standby takes over whose clock is behind.
#[test]
fn a_clock_that_is_set_back_does_not_close_the_room() {
    check(
        "
        60  ann enters => new place 1, waiting 1
        60  bob enters => new place 2, waiting 2
        60  cid enters => new place 3, waiting 3
        100 gala steps => turns ann bob, waiting cid
        99  ann leaves => left
        99  cid is     => active until 700
        99  dan enters => new place 4, waiting 1
        99  bob holds 1 => held 1000 until 399
        99  cid holds 2 => held 1000 until 399
        ",
    );
}

#[test]
fn an_opening_during_a_pause_or_a_close_admits_no_user() {
    check(
        "
        60  ann enters            => new place 1, waiting 1
        60  gala sets paused yes  => set
        100 gala steps            => turns -, waiting ann
        110 gala sets paused no   => set
        110 gala closes           => closed from 100, -
        110 gala steps            => turns -, waiting ann
        110 gala sells from 200   => sale-opened
        120 gala opens            => open from 100, -
        120 gala steps            => turns ann, waiting -
        ",
    );
}

#[test]
fn early_entry_moves_until_it_has_begun() {
    check(
        "
        0  gala sets early 100  => invalid-request earlyFrom
        0  gala sets early 40   => set
        39 ann enters           => sale-not-open until 100, early from 40, in 1
        39 gala sets early 60   => set
        50 ann enters           => sale-not-open until 100, early from 60, in 10
        50 gala sets early none => set
        50 ann enters           => sale-not-open until 100, in 50
        50 gala sets early 20   => set
        50 ann enters           => new place 1, waiting 1
        50 gala sets early 60   => room-in-use
        50 gala sets early none => room-in-use
        50 gala sets early 20   => set
        50 gala sets max 3      => set
        50 ann enters           => same place 1, waiting 1
        nowhere sets early 1    => concert-not-found
        ",
    );
}

#[test]
fn the_opening_moves_only_later_once_users_entered() {
    check(
        "
        0   gala sells from none => invalid-request opensAt
        0   gala sells from 50   => invalid-request opensAt
        0   gala sells from 51   => open from 51, -
        0   gala sells from 90   => open from 90, -
        60  gala sells from 80   => open from 80, -
        60  ann enters           => new place 1, waiting 1
        60  gala sells from 79   => room-in-use
        60  gala sells from none => invalid-request opensAt
        60  gala sells from 120  => open from 120, -
        100 gala steps           => turns -, waiting ann
        120 gala sells from 130  => sale-opened
        120 gala sells to 500    => open from 120 to 500, -
        120 gala steps           => turns ann, waiting -
        ",
    );
}

/// Without a place that was handed out, another opening is an opening like the first.
#[test]
fn an_opening_that_no_user_waited_for_moves_at_will() {
    check(
        "
        100 gala steps           => turns -, waiting -
        101 gala sells from 200  => open from 200, -
        150 ann enters           => new place 1, waiting 1
        150 gala steps           => turns -, waiting ann
        200 gala steps           => turns ann, waiting -
        ",
    );
}

#[test]
fn early_entry_needs_an_opening_after_it() {
    let create = |settings: Settings| {
        let (title, venue, seats_per_user) = ("ball".into(), "hall".into(), 4);
        let create = concert::Create { title, venue, room: settings, seed: None, notice: None, seats_per_user };
        World::new().one(AnyCommand::from(create)).err()
    };
    let (from, opens_at) = (early().early_from, early().sale.opens_at);
    let hours = |opens_at| Settings { sale: Sale { opens_at, ..Sale::default() }, ..early() };
    let wrong = Some(Refusal::EarlyHours { field: "queue.earlyFrom" });
    assert_eq!(create(hours(None)), wrong);
    assert_eq!(create(hours(from)), wrong);
    assert_eq!(create(hours(opens_at)), None);
}

#[test]
fn places_of_redis_count_as_places_that_were_handed_out() {
    let at = START.plus_seconds(60);
    let mut room = Room::new(early(), START);
    let sooner = Sale { opens_at: Some(START.plus_seconds(80)), ..Sale::default() };
    assert_eq!(room.judge_sale(&sooner, at), Ok(()));
    room.blocks.reserved_to = 1_000;
    assert_eq!(room.judge_sale(&sooner, at), Err(Refusal::RoomInUse));
}

#[test]
fn seconds_until_the_opening_end_with_it() {
    let mut room = Room::new(early(), START);
    let at = |seconds: i64| Timestamp::from_millis(START.as_millis() + seconds * 1_000);
    assert_eq!([0, 99, 100].map(|seconds| room.opens_in(at(seconds))), [100, 1, 0]);
    assert_eq!([99, 100].map(|seconds| room.opens_now(at(seconds))), [false, true]);
    room.opened_at = Some(at(100));
    assert_eq!((room.opens_in(at(99)), room.opens_now(at(100)), room.is_early()), (0, false, false));
    assert!(room.admits(at(99)));
}
