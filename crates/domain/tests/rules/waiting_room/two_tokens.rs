//! Two tokens for one place: the token that has used the place keeps it, whichever of them a step names first.

use std::sync::Arc;

use onsale_domain::Refusal;
use onsale_domain::concert::{Held, Hold, Target};
use onsale_domain::ids::TokenId;
use onsale_domain::leaving::Leave;
use onsale_domain::payment::Pay;
use onsale_domain::waiting_room::{PlaceStanding, Step, Token};
use onsale_domain::wallet::Charge;
use uuid::Uuid;

use super::blocks::RedisRoom;
use super::room as settings;
use crate::support::Answer;
use crate::support::mixed::Done;

/// A room of two turns, whose places 1 and 2 are admitted.
fn admitted() -> RedisRoom {
    let mut room = RedisRoom::open(settings(2, 50));
    room.step(2, &[], &[]);
    room
}

/// A second token for the place of another one.
fn second_for(room: &RedisRoom, token: &Token, user: &str) -> Token {
    Token { id: TokenId::new(Uuid::from_u128(99)), ..room.token(token.place, user) }
}

fn hold(room: &mut RedisRoom, token: &Token, seat: i64) -> Answer {
    let performance = *room.world.tables.performances.keys().next().expect("a performance");
    let seats: Arc<[i64]> = [seat].into();
    let target = Target::Performance(performance);
    room.world.one(Hold { token: token.clone(), target, dates: None, seats, code: None }.into())
}

fn show(room: &mut RedisRoom, tokens: &[&Token]) {
    let shown_tokens = tokens.iter().copied().cloned().collect();
    room.command(Step { shown_tokens, ..Step::of(room.concert) });
}

fn expired() -> Answer {
    Err(Refusal::TokenExpired)
}

/// The user and the standing of a place's row.
fn row(room: &RedisRoom, place: u64) -> (String, PlaceStanding) {
    let row = &room.world.tables.places[&(room.concert, place)];
    (row.user.to_string(), row.standing)
}

#[test]
fn the_token_that_holds_first_keeps_the_place_if_the_other_is_shown_first() {
    let mut room = admitted();
    let owner = room.token(1, "owner");
    let second = second_for(&room, &owner, "second");
    assert!(hold(&mut room, &owner, 1).is_ok());
    assert_eq!(row(&room, 1), ("owner".to_owned(), PlaceStanding::Replaced), "the next step makes it current");
    show(&mut room, &[&second, &owner]);
    assert_eq!(row(&room, 1), ("owner".to_owned(), PlaceStanding::Current));
    assert_eq!(room.world.tables.disputes, std::slice::from_ref(&second));
    assert_eq!(hold(&mut room, &second, 2), expired());
    assert!(hold(&mut room, &owner, 2).is_ok());
}

#[test]
fn a_second_token_cannot_hold_once_the_first_has_held() {
    let mut room = admitted();
    let owner = room.token(1, "owner");
    let second = second_for(&room, &owner, "second");
    assert!(hold(&mut room, &second, 1).is_ok());
    assert_eq!(hold(&mut room, &owner, 2), expired());
    show(&mut room, &[&owner]);
    show(&mut room, &[&second]);
    assert_eq!(room.world.tables.disputes, std::slice::from_ref(&owner));
    assert_eq!(hold(&mut room, &owner, 2), expired());
    assert!(hold(&mut room, &second, 2).is_ok());
}

#[test]
fn a_token_that_a_step_named_first_keeps_the_place_if_neither_has_held() {
    let mut room = admitted();
    let owner = room.token(1, "owner");
    let second = second_for(&room, &owner, "second");
    show(&mut room, &[&second, &owner]);
    assert_eq!(hold(&mut room, &owner, 1), expired());
    assert!(hold(&mut room, &second, 1).is_ok());
    assert_eq!(room.world.tables.disputes, [owner]);
}

#[test]
fn a_refused_hold_binds_no_place() {
    let mut room = admitted();
    let owner = room.token(1, "owner");
    assert!(matches!(hold(&mut room, &owner, 99), Err(Refusal::SeatUnknown { .. })));
    assert!(room.world.tables.places.is_empty());
}

#[test]
fn a_user_who_holds_before_the_step_can_leave_and_the_turn_ends() {
    let mut room = admitted();
    let owner = room.token(1, "owner");
    assert!(hold(&mut room, &owner, 1).is_ok());
    assert_eq!(room.command(Leave(owner.clone())), Done::Leave(()));
    assert_eq!(room.inside(), [2]);
    assert!(room.world.tables.seats.is_empty(), "the seat is free again");
}

/// A server of the version before, on the same database during an upgrade, names the turn and leaves the row as it is.
#[test]
fn a_user_whose_turn_was_named_without_its_row_can_leave_and_the_turn_ends() {
    let mut room = admitted();
    let owner = room.token(1, "owner");
    assert!(hold(&mut room, &owner, 1).is_ok());
    let key = (owner.concert, 1);
    room.world.tables.turns.get_mut(&key).expect("a turn").named = true;
    assert_eq!(room.command(Leave(owner)), Done::Leave(()));
    assert_eq!(room.inside(), [2]);
    assert!(room.world.tables.seats.is_empty(), "the seat is free again");
}

#[test]
fn a_user_who_pays_before_the_step_ends_the_turn() {
    let mut room = admitted();
    let owner = room.token(1, "owner");
    let charge = Charge { user: owner.user.clone(), amount: 5_000 };
    room.world.one(charge.into()).expect("a charge");
    let Ok(Done::Hold(Held { reservation, .. })) = hold(&mut room, &owner, 1) else { unreachable!("a free seat") };
    let pay = Pay { token: owner.clone(), reservation: reservation.id };
    room.world.one(pay.into()).expect("a payment");
    room.step(2, &[], &[1]);
    assert_eq!(room.inside(), [2]);
}

#[test]
fn a_user_whose_turn_before_is_over_may_hold_with_the_new_place_before_the_step() {
    let mut room = RedisRoom::open(settings(1, 50));
    room.step(1, &[], &[]);
    room.step(1, &[(1, "ada")], &[]);
    assert_eq!(row(&room, 1), ("ada".to_owned(), PlaceStanding::Current));
    room.world.now = room.world.now.plus_seconds(700);
    room.step(2, &[], &[1]);
    let again = room.token(2, "ada");
    assert!(hold(&mut room, &again, 1).is_ok());
    show(&mut room, &[&again]);
    assert_eq!(row(&room, 1), ("ada".to_owned(), PlaceStanding::Replaced));
    assert_eq!(row(&room, 2), ("ada".to_owned(), PlaceStanding::Current));
    assert_eq!(room.inside(), [2]);
}

#[test]
fn a_turn_that_was_held_with_is_not_lost_by_silence_before_it_is_named() {
    let mut room = admitted();
    let owner = room.token(1, "owner");
    assert!(hold(&mut room, &owner, 1).is_ok());
    room.world.now = room.world.now.plus_seconds(61);
    room.step(2, &[], &[1, 2]);
    assert_eq!(room.inside(), [1], "place 2 was silent");
}
