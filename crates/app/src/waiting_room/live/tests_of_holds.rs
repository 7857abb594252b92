//! Turns that holds keep running: taken, settled and extended by this process and by other instances.

use std::time::Duration;

use onsale_domain::concert::{Extension, Reservation, Status};
use onsale_domain::ids::{ConcertId, EventId, PerformanceId, ReservationId};
use onsale_domain::refund::Policy;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{Room, Turn};
use uuid::Uuid;

use super::tests::{AT, live, room, shared, token};
use super::{LiveRoom, OutdatedAfter};
use crate::store::HoldRecord;
use crate::waiting_room::change::{Change, SeenRows};
use crate::waiting_room::standing::Instants;
use crate::waiting_room::{Purpose, Standing};

/// The end of the turn's own time.
const OWN_END: Timestamp = Timestamp::from_millis(AT.as_millis() + 600_000);

/// A room with turns of the places up to this one.
fn with_turns(places: u64) -> LiveRoom {
    let row = Room { served: places, ..room(50, places) };
    let live = live(row.clone()).in_virtual_time();
    let turn = Turn { admitted_at: AT, active_until: OWN_END, seen_at: AT, claimed: true, named: true };
    let turns = (1..=places).map(|place| (place, Some(turn.clone()))).collect();
    live.commit(Change { turns, room: Some(row), ..Change::default() }, AT);
    live
}

fn hold(until: Timestamp, extended: u64) -> HoldRecord {
    let (reservation, performance) = (ReservationId::new(Uuid::nil()), PerformanceId::new(Uuid::nil()));
    HoldRecord { place: 1, reservation, performance, until, extended }
}

fn extension(number: u64, at: Timestamp, performance: u128) -> Extension {
    Extension {
        concert: ConcertId::new(Uuid::nil()),
        performance: PerformanceId::new(Uuid::from_u128(performance)),
        number,
        version: number,
        event: EventId::new(Uuid::nil()),
        at,
        seconds: 60,
        holds: 1,
        reason: "late".into(),
    }
}

/// The standing of a turn that was used.
fn active_until(until: Timestamp) -> Standing {
    Standing::Active { until, claim_before: None }
}

/// The standing of the first place in a process that has its database to itself.
fn standing_at(live: &LiveRoom, now: Timestamp) -> Standing {
    let instants = Instants { now, as_of: now, may_be_outdated: false };
    live.placement(&token(1), Purpose::Poll, instants).expect("the room has one process").standing
}

fn due(live: &LiveRoom, at: Timestamp) -> Vec<u64> {
    live.next_step(at).map_or(Vec::new(), |step| step.due)
}

#[test]
fn a_turn_after_its_own_time_is_over_only_if_a_refresh_has_seen_its_holds() {
    let live = with_turns(1);
    let standing = |instants| live.placement(&token(1), Purpose::Poll, instants).map(|placement| placement.standing);
    let active = |until| Ok(active_until(until));
    assert_eq!(standing(shared(AT, AT)), active(OWN_END));
    // Another instance may commit a hold a moment after it was decided.
    let at = OWN_END.plus_millis(199);
    assert_eq!(standing(shared(at, at)), active(OWN_END));
    let at = OWN_END.plus_millis(201);
    assert_eq!(standing(shared(OWN_END.plus_millis(199), at)), Err(OutdatedAfter(Duration::ZERO)));
    assert_eq!(standing(shared(OWN_END.plus_millis(200), at)), Ok(Standing::Expired));
    let held_until = at.plus_seconds(9);
    assert!(live.read_holds(&[1], vec![hold(held_until, 0)], at), "the end has moved");
    assert_eq!(standing(shared(at, at)), active(held_until));
    // Another instance may have extended the hold before its end.
    let later = held_until.plus_millis(205);
    assert_eq!(standing(shared(held_until.plus_millis(199), later)), Err(OutdatedAfter(Duration::ZERO)));
    assert_eq!(standing(shared(held_until.plus_millis(200), later)), Ok(Standing::Expired));
    // What is read later than the extension was noted may be older.
    live.read_holds(&[1], vec![hold(held_until.plus_seconds(60), 1)], later);
    assert!(!live.read_holds(&[1], vec![hold(held_until, 0)], later));
    assert_eq!(standing(shared(later, later)), active(held_until.plus_seconds(60)));
}

/// An extension is decided before the end of the last hold and commits after it.
#[test]
fn a_turn_is_shown_until_its_room_settles_it_or_a_moment_after_its_end() {
    let live = with_turns(1);
    let active = active_until(OWN_END);
    assert_eq!((standing_at(&live, OWN_END), standing_at(&live, OWN_END.plus_millis(199))), (active, active));
    assert_eq!(standing_at(&live, OWN_END.plus_millis(200)), Standing::Expired);
    assert_eq!(due(&live, OWN_END), [1], "the next step settles it, which is exact");
    live.commit(Change { ended: vec![1], ..Change::default() }, OWN_END);
    assert_eq!(standing_at(&live, OWN_END), Standing::Expired);
    let live = with_turns(1);
    live.commit(Change { turns: vec![(1, None)], ..Change::default() }, OWN_END);
    assert_eq!(standing_at(&live, OWN_END), Standing::Expired);
}

#[test]
fn an_extension_applies_once_to_the_holds_that_were_live() {
    let live = with_turns(1);
    let (at, end) = (OWN_END.plus_seconds(5), OWN_END.plus_seconds(10));
    live.read_holds(&[1], vec![hold(end, 0)], at);
    let extend = |one: Extension| {
        live.apply_seen(&SeenRows { extensions: vec![one], ..SeenRows::default() });
        standing_at(&live, at)
    };
    assert_eq!(extend(extension(1, at, 1)), active_until(end), "of another performance");
    assert_eq!(extend(extension(2, at, 0)), active_until(end), "it lacks one before, and is read again");
    assert_eq!(extend(extension(1, end.plus_millis(-1), 0)), active_until(end.plus_seconds(60)));
    assert_eq!(extend(extension(1, end.plus_millis(-1), 0)), active_until(end.plus_seconds(60)), "again");
    assert_eq!(extend(extension(2, end.plus_seconds(60), 0)), active_until(end.plus_seconds(60)), "lapsed");
    assert_eq!(extend(extension(3, at, 0)), active_until(end.plus_seconds(120)), "it contains two");
}

/// A hold that another instance settled must not keep the turn for a day, because no instance would settle the turn.
#[test]
fn a_hold_that_was_settled_elsewhere_is_dropped_after_the_turns_own_time() {
    let live = with_turns(1);
    live.read_holds(&[1], vec![hold(OWN_END.plus_seconds(86_400), 1)], AT);
    // Before its own time is over, the user may have taken a hold after the answer was read.
    live.read_holds(&[1], Vec::new(), OWN_END);
    let at = OWN_END.plus_millis(4_999);
    live.read_holds(&[1], Vec::new(), at);
    assert_eq!((due(&live, at), standing_at(&live, at)), (vec![], active_until(OWN_END.plus_seconds(86_400))));
    let at = OWN_END.plus_millis(5_000);
    assert!(live.read_holds(&[1], Vec::new(), at));
    assert_eq!((due(&live, at), standing_at(&live, at)), (vec![1], Standing::Expired));
}

#[test]
fn a_turn_that_a_hold_keeps_running_for_long_is_read_every_few_seconds() {
    let live = with_turns(1);
    let read = |at: Timestamp, until: Timestamp| {
        let places = live.holds_to_read(at);
        let found = if places.is_empty() { Vec::new() } else { vec![hold(until, 1)] };
        live.read_holds(&places, found, at);
        places.len()
    };
    let count = |from: Timestamp, seconds: i64, until: Timestamp| -> usize {
        (0..seconds * 4).map(|quarter| read(from.plus_millis(250 * quarter), until)).sum()
    };
    let until = OWN_END.plus_seconds(3_600);
    assert_eq!(count(AT, 598, until), 0, "no hold matters before the turn ends");
    assert_eq!(count(OWN_END.plus_seconds(2), 3_590, until), 3_590 / 5, "every 5 s");
    assert_eq!(count(until.plus_millis(-2_000), 2, until), 8, "at every refresh, as its end is near");
    assert_eq!(count(until.plus_millis(250), 20, until), 4, "once the end is certain, now and then");
}

/// A refresh stays short, however many turns there are.
#[test]
fn after_an_extension_some_turns_are_read_with_each_refresh() {
    let live = with_turns(2_500);
    assert!(live.holds_to_read(AT).is_empty());
    live.read_holds_again();
    let mut read = Vec::new();
    for refresh in 1..=3 {
        let at = AT.plus_millis(200 * refresh);
        let places = live.holds_to_read(at);
        live.read_holds(&places, Vec::new(), at);
        read.push(places.len());
    }
    assert_eq!(read, [1_000, 1_000, 500]);
    assert!(live.holds_to_read(AT.plus_seconds(1)).is_empty(), "each once");
}

/// The payment could not know whether another hold of the user is being extended: the next step does.
#[test]
fn a_payment_in_doubt_is_reported_unless_a_hold_is_live() {
    let live = with_turns(1);
    let paid = |at: Timestamp| live.next_step(at).map_or(Vec::new(), |step| step.paid);
    assert!(paid(AT).is_empty());
    live.commit(Change { paid: vec![1], ..Change::default() }, AT);
    assert_eq!(paid(AT), [1]);
    live.read_holds(&[1], vec![hold(AT.plus_seconds(70), 1)], AT);
    assert_eq!((paid(AT.plus_seconds(69)), paid(AT.plus_seconds(70))), (vec![], vec![1]));
    live.commit(Change { ended: vec![1], ..Change::default() }, AT);
    assert!(paid(AT.plus_seconds(71)).is_empty(), "it has ended");
}

/// A hold of this process that ended is dropped at once.
#[test]
fn a_settled_hold_of_this_process_keeps_no_turn() {
    let live = with_turns(1);
    live.read_holds(&[1], vec![hold(OWN_END.plus_seconds(60), 0)], AT);
    let HoldRecord { reservation: id, performance, until: held_until, .. } = hold(OWN_END.plus_seconds(60), 0);
    let released = Reservation {
        id,
        concert: ConcertId::new(Uuid::nil()),
        performance,
        user: token(1).user,
        place: 1,
        seats: [1].into(),
        amount: 1,
        held_at: AT,
        held_until,
        extended: 0,
        prices: [1].into(),
        refund_policy: Policy::default(),
        status: Status::Released,
        refunded: Vec::new(),
        end_event: None,
    };
    live.apply_seen(&SeenRows { reservations: vec![released], ..SeenRows::default() });
    assert_eq!(due(&live, OWN_END), [1]);
}
