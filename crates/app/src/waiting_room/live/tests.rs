//! Snapshots after commits, restarts and places from Redis.

use std::time::Duration;

use onsale_domain::concert::Sale;
use onsale_domain::ids::{ConcertId, TokenId, UserId};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{Room, Settings, Token};
use uuid::Uuid;

use super::{LiveRoom, OutdatedAfter};
use crate::store::{Announced, RoomRecord};
use crate::waiting_room::change::Change;
use crate::waiting_room::standing::Instants;
use crate::waiting_room::{EstimateMetrics, Purpose, Standing};

pub(super) const AT: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn settings(admit_per_second: u32) -> Settings {
    Settings { max_active: 1, admit_per_second, ..Settings::default() }
}

/// A room whose one turn is taken.
pub(super) fn room(admit_per_second: u32, issued: u64) -> Room {
    Room { active: 1, issued, ..Room::new(settings(admit_per_second), AT) }
}

pub(super) fn live(room: Room) -> LiveRoom {
    let concert = ConcertId::new(Uuid::nil());
    let record = RoomRecord {
        concert,
        room,
        given_up: Vec::new(),
        turns: Vec::new(),
        holds: Vec::new(),
        announced: Announced::default(),
    };
    LiveRoom::new(record, 2_000, EstimateMetrics::default(), AT)
}

fn poll_after_seconds(live: &LiveRoom, position: u64) -> u64 {
    live.snapshot().poll_after_seconds(position, 128)
}

#[test]
fn places_of_redis_are_answered_by_the_settings_in_force() {
    let mut before = room(1, 0);
    (before.blocks.epoch, before.blocks.reserved_to) = (1, 1_000);
    let live = live(before.clone());
    assert!(poll_after_seconds(&live, 100) >= 10, "100 s at the earliest");
    let changed = Room { settings: settings(1_000), version: before.version + 1, ..before };
    live.commit(Change { room: Some(changed), ..Change::default() }, AT.plus_millis(10));
    live.handed_out.note(1, 500);
    assert_eq!(poll_after_seconds(&live, 100), 1, "could be called at once");
}

#[test]
fn places_of_redis_count_for_the_length_of_the_line() {
    let mut room = room(1, 0);
    (room.blocks.epoch, room.blocks.reserved_to) = (1, 1_000_000);
    let live = live(room);
    live.handed_out.note(1, 1_000_000);
    live.update_outlook(AT.plus_seconds(1));
    let seconds = poll_after_seconds(&live, 1_000);
    assert!(seconds > 300, "a million in line and 2,000 polls a second: {seconds} s");
}

#[test]
fn a_reload_keeps_what_was_promised_by_the_settings_before() {
    let (known, mut read) = (live(room(1, 500)), live(room(1_000, 500)));
    let at = AT.plus_seconds(5);
    read.continue_from(&known, at);
    assert_eq!(poll_after_seconds(&read, 100), 1, "could be called at once");
    let latest = read.published.latest_promise(100, at.plus_seconds(1));
    assert!(at.plus_seconds(10) < latest, "{latest:?}");
}

pub(super) fn token(place: u64) -> Token {
    let user = UserId::parse("ann").expect("a user id");
    Token { id: TokenId::new(Uuid::nil()), concert: ConcertId::new(Uuid::nil()), user, place, issued_at: AT }
}

/// Other instances change the room too, and the last refresh was at `as_of`.
pub(super) fn shared(as_of: Timestamp, now: Timestamp) -> Instants {
    Instants { now, as_of, may_be_outdated: true }
}

#[test]
fn a_call_near_the_front_is_refused_only_after_a_refresh() {
    let live = live(room(50, 1_000_000));
    let now = AT.plus_seconds(10);
    let instants = shared(now.plus_millis(-5), now);
    let pause = |place, purpose| live.placement(&token(place), purpose, instants).err();
    for purpose in [Purpose::Pass, Purpose::Use] {
        assert_eq!(pause(10_000, purpose), Some(OutdatedAfter(Duration::from_millis(15))));
        assert_eq!(pause(10_001, purpose), None, "no instance can have admitted it");
    }
    assert_eq!(pause(1, Purpose::Poll), None, "a poll may be as old as the last refresh");
    let alone = Instants { may_be_outdated: false, ..instants };
    let refused = live.placement(&token(1), Purpose::Use, alone).map(|placement| placement.standing);
    assert!(matches!(refused, Ok(Standing::Waiting { position: 1, .. })), "{refused:?}");
}

#[test]
fn a_standing_is_as_of_the_last_refresh_or_of_a_later_change() {
    let row = room(50, 10);
    let live = live(row.clone());
    let as_of = |refreshed: Timestamp| {
        let placement = live.placement(&token(5), Purpose::Poll, shared(refreshed, AT.plus_seconds(9)));
        placement.map(|placement| placement.as_of)
    };
    assert_eq!(as_of(AT.plus_seconds(3)), Ok(AT.plus_seconds(3)));
    let changed_at = AT.plus_millis(3_500);
    let changed = Room { version: row.version + 1, updated_at: changed_at, ..row };
    live.commit(Change { room: Some(changed), ..Change::default() }, changed_at);
    assert_eq!(as_of(AT.plus_seconds(3)), Ok(changed_at));
}

#[test]
fn an_early_place_waits_for_an_opening_that_a_step_stores() {
    let sale = Sale { opens_at: Some(AT.plus_seconds(10)), ..Sale::default() };
    for paused in [false, true] {
        let settings = Settings { sale, early_from: Some(AT), paused, ..settings(50) };
        let row = Room { issued: 3, ..Room::new(settings, AT) };
        let live = live(row.clone());
        let standing = |at| {
            let instants = Instants { now: at, as_of: at, may_be_outdated: false };
            live.placement(&token(2), Purpose::Poll, instants).map(|placement| placement.standing)
        };
        let before = AT.plus_millis(9_999);
        assert!(matches!(standing(before), Ok(Standing::Early { position: Some(2), .. })), "{:?}", standing(before));
        assert!(live.next_step(before).is_none());
        let at = AT.plus_seconds(10);
        assert!(live.next_step(at).is_some(), "also during a pause");
        let opened = Room { opened_at: Some(at), version: row.version + 1, updated_at: at, ..row };
        live.commit(Change { room: Some(opened), ..Change::default() }, at);
        // The clock was set back meanwhile.
        assert!(matches!(standing(before), Ok(Standing::Waiting { position: 2, .. })), "{:?}", standing(before));
        assert_eq!(live.next_step(before).is_none(), paused, "the next place is admitted");
    }
}
