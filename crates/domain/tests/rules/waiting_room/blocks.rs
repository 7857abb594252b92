//! Places that Redis hands out: blocks and epochs, gaps, turns that are named later.

use crate::support::mixed::{AnyCommand, Done};
use onsale_domain::ids::{ConcertId, TokenId, UserId};
use onsale_domain::waiting_room::BlockState;
use onsale_domain::waiting_room::Entered;
use onsale_domain::waiting_room::{self, Memory, Request, Room, Settings, Step, Token};
use uuid::Uuid;

use super::room as settings;
use crate::support::{Stage, World};

/// A room whose places Redis hands out.
pub(super) struct RedisRoom {
    pub(super) world: World,
    pub(super) concert: ConcertId,
}

impl RedisRoom {
    /// Opened for the first memory, with a block of ten.
    pub(super) fn open(settings: Settings) -> Self {
        let stage = Stage::gala(settings);
        let concert = *stage.world.tables.concerts.keys().next().expect("a concert");
        let mut room = Self { world: stage.world, concert };
        assert_eq!(room.reopen(0, 1, 0), (1, 0, 10, true));
        room
    }

    pub(super) fn command(&mut self, command: impl Into<AnyCommand>) -> Done {
        self.world.one(command.into()).expect("a room")
    }

    /// Epoch, places known, places reserved, and whether the command changed that.
    fn ask(&mut self, request: Request) -> (u64, u64, u64, bool) {
        match self.command(waiting_room::HandOut { concert: self.concert, request }) {
            Done::HandOut(BlockState { issued, blocks, is_new }) => (blocks.epoch, issued, blocks.reserved_to, is_new),
            other => unreachable!("{other:?}"),
        }
    }

    fn reopen(&mut self, epoch: u64, memory: u8, known: u64) -> (u64, u64, u64, bool) {
        let memory = Memory([memory; 20]);
        self.ask(Request::Reopen { epoch, memory, epoch_seen: 0, known, reserved_to: 0, in_doubt: (0, 0), places: 10 })
    }

    pub(super) fn token(&self, place: u64, user: &str) -> Token {
        let id = TokenId::new(Uuid::from_u128(u128::from(place)));
        let user = UserId::parse(user).expect("a user id");
        Token { id, concert: self.concert, user, place, issued_at: self.world.now }
    }

    /// One step with the highest place handed out, the tokens that were shown, and the turns to check.
    pub(super) fn step(&mut self, issued: u64, tokens: &[(u64, &str)], due: &[u64]) {
        let shown_tokens = tokens.iter().map(|(place, user)| self.token(*place, user)).collect();
        let step = Step { issued, shown_tokens, due: due.to_vec(), ..Step::of(self.concert) };
        self.command(step);
    }

    fn row(&self) -> &Room {
        &self.world.tables.rooms[&self.concert]
    }

    /// Places with a turn.
    pub(super) fn inside(&self) -> Vec<u64> {
        self.world.tables.turns.keys().map(|(_, place)| *place).collect()
    }

    /// The first and the last place of each gap.
    fn gaps(&self) -> Vec<(u64, u64)> {
        self.row().blocks.gaps.iter().map(|gap| (gap.first, gap.last)).collect()
    }
}

#[test]
fn a_block_follows_a_block_within_an_epoch_alone() {
    let mut room = RedisRoom::open(settings(1, 50));
    assert_eq!(room.ask(Request::Reserve { epoch: 1, places: 5 }), (1, 0, 15, true));
    assert_eq!(room.ask(Request::Reserve { epoch: 0, places: 5 }), (1, 0, 15, false), "an epoch that is over");
    assert_eq!(room.ask(Request::Reserve { epoch: 2, places: 5 }), (1, 0, 15, false), "one that never was");
}

#[test]
fn what_was_handed_out_is_called_in_order_and_never_beyond_the_block() {
    let mut room = RedisRoom::open(settings(3, 50));
    room.step(2, &[], &[]);
    assert_eq!((room.inside(), room.row().issued), (vec![1, 2], 2));
    room.step(1, &[], &[]);
    assert_eq!(room.row().issued, 2, "never backwards");
    room.step(99, &[], &[]);
    assert_eq!((room.inside(), room.row().issued), (vec![1, 2, 3], 10), "no more than was reserved");
    assert_eq!(room.row().waiting(), 7);
}

#[test]
fn lost_data_leaves_a_gap_that_counts_as_given_up() {
    let mut room = RedisRoom::open(settings(1, 50));
    room.step(3, &[], &[]);
    assert_eq!(room.reopen(0, 2, 5), (1, 3, 10, false), "another instance was first");
    assert_eq!(room.reopen(1, 2, 5), (2, 10, 20, true));
    assert_eq!(room.gaps(), [(6, 10)]);
    assert_eq!(room.row().waiting(), 4, "two to five");
    // A place counts if its token was shown, or if an instance has handed it out.
    room.ask(Request::Reinstate(vec![(8, 8), (1, 6)]));
    assert_eq!((room.gaps(), room.row().waiting()), (vec![(7, 7), (9, 10)], 6));
    room.ask(Request::Reinstate(vec![(7, 10)]));
    assert_eq!((room.gaps(), room.row().waiting()), (vec![], 9));
}

#[test]
fn a_database_that_was_set_back_keeps_what_redis_handed_out() {
    let mut room = RedisRoom::open(settings(1, 50));
    room.step(3, &[], &[]);
    // The memory is in epoch 4 and has handed out places up to 25 of a block that ends at 30.
    let (epoch_seen, known, reserved_to, in_doubt) = (4, 25, 30, (2, 6));
    let memory = Memory([1; 20]);
    let reopen = Request::Reopen { epoch: 1, memory, epoch_seen, known, reserved_to, in_doubt, places: 10 };
    assert_eq!(room.ask(reopen), (5, 30, 40, true), "an epoch and a block behind all that was used");
    assert_eq!(room.gaps(), [(4, 6), (26, 30)], "2 and 3 are known to the database");
    assert_eq!(room.row().waiting(), 21, "2, 3, and 7 to 25 are in line");
}

#[test]
fn a_large_gap_stays_however_many_of_its_places_show_up() {
    let mut room = RedisRoom::open(settings(1, 50));
    let (memory, in_doubt) = (Memory([2; 20]), (0, 0));
    let reserved_to = 100_000;
    room.ask(Request::Reopen { epoch: 1, memory, epoch_seen: 1, known: 0, reserved_to, in_doubt, places: 10 });
    // Every second one of the first 2,400: more pieces than are kept.
    room.ask(Request::Reinstate((1..=1_200).map(|number| (2 * number, 2 * number)).collect()));
    assert_eq!(room.gaps().len(), waiting_room::Blocks::GAPS_MAX);
    assert_eq!(room.gaps().last(), Some(&(2_401, 100_000)));
    assert!(room.row().waiting() < 1_500, "{} wait", room.row().waiting());
}

#[test]
fn the_line_waits_a_little_before_it_passes_a_gap() {
    let mut room = RedisRoom::open(settings(50, 50));
    room.step(3, &[], &[]);
    room.reopen(1, 2, 3);
    room.step(12, &[], &[]);
    assert_eq!(room.inside(), [1, 2, 3], "four to ten may still show up");
    room.ask(Request::Reinstate(vec![(5, 5)]));
    room.world.now = room.world.now.plus_millis(2_999);
    room.step(12, &[], &[]);
    assert_eq!(room.inside(), [1, 2, 3]);
    room.world.now = room.world.now.plus_millis(1);
    room.step(12, &[], &[]);
    assert_eq!(room.inside(), [1, 2, 3, 5, 11, 12]);
    assert_eq!((room.gaps(), room.row().waiting()), (vec![], 0));
}

#[test]
fn a_turn_is_named_by_the_first_token_that_is_shown() {
    let mut room = RedisRoom::open(settings(2, 50));
    room.step(2, &[], &[]);
    assert!(room.world.tables.places.is_empty());
    room.step(2, &[(1, "ada"), (2, "bob")], &[]);
    room.step(2, &[(1, "ada")], &[]);
    let named: Vec<_> = room.world.tables.places.iter().map(|((_, place), row)| (*place, row.user.as_str())).collect();
    assert_eq!(named, [(1, "ada"), (2, "bob")]);
    assert!(room.world.tables.turns.values().all(|turn| turn.named));
}

#[test]
fn of_two_turns_of_one_user_the_one_that_runs_already_stays() {
    let mut room = RedisRoom::open(settings(2, 50));
    room.step(2, &[(1, "ada")], &[]);
    room.step(2, &[(1, "ada")], &[]);
    room.step(2, &[(2, "ada")], &[]);
    assert_eq!((room.inside(), room.row().active), (vec![1], 1));
}

#[test]
fn a_turn_whose_token_is_not_shown_lapses() {
    let mut room = RedisRoom::open(settings(1, 50));
    room.step(2, &[], &[]);
    room.world.now = room.world.now.plus_millis(60_499);
    room.step(2, &[], &[1]);
    assert_eq!(room.inside(), [1]);
    room.world.now = room.world.now.plus_millis(1);
    room.step(2, &[], &[1]);
    assert_eq!(room.inside(), [2]);
}

#[test]
fn a_place_without_a_row_can_be_given_up() {
    let mut room = RedisRoom::open(settings(1, 50));
    room.step(3, &[], &[]);
    for place in [2, 2, 1] {
        let token = room.token(place, &format!("user-{place}"));
        assert_eq!(room.command(onsale_domain::leaving::Leave(token)), Done::Leave(()));
    }
    assert_eq!((room.inside(), room.row().waiting()), (vec![3], 0));
}

#[test]
fn the_database_hands_out_behind_all_that_was_reserved() {
    let mut room = RedisRoom::open(settings(1, 50));
    room.step(2, &[], &[]);
    let user = UserId::parse("zoe").expect("a user id");
    let entered = room.command(waiting_room::Enter { concert: room.concert, user, pass: None, ended: None });
    let Done::Enter(Entered { token, is_new: true }) = entered else { unreachable!("{entered:?}") };
    assert_eq!((token.place, room.gaps(), room.row().waiting()), (11, vec![(3, 10)], 2));
    assert!(!room.ask(Request::Reserve { epoch: 1, places: 5 }).3, "numbers would no longer follow one another");
}
