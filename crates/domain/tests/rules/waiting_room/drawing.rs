//! A list that closes and is drawn: entries, places, beacons, and who is behind whom.

use onsale_domain::Refusal;
use onsale_domain::concert::Sale;
use onsale_domain::ids::{ConcertId, TokenId, UserId};
use onsale_domain::leaving::Leave;
use onsale_domain::waiting_room::{
    Configure, DrawKey, DrawPatch, Enter, Entered, ListHash, Mark, NoteList, Order, Patch, PlaceStanding, PutBack,
    PutBeacon, Room, Seed, Settings, Step, StoreDraw, Token,
};
use uuid::Uuid;

use super::room;
use crate::support::mixed::{AnyCommand, Done};
use crate::support::{START, Stage, World};

/// Enters from second 50 on, draws at 90, opens at 100, and then admits two at a time.
fn settings() -> Settings {
    let at = |second| Some(START.plus_seconds(second));
    let sale = Sale { opens_at: at(100), ..Sale::default() };
    Settings { sale, early_from: at(50), draw_at: at(90), ..room(2, 50) }
}

struct DrawRoom {
    world: World,
    concert: ConcertId,
}

impl DrawRoom {
    fn new() -> Self {
        let world = Stage::gala(settings()).world;
        let concert = *world.tables.concerts.keys().next().expect("a concert");
        Self { world, concert }
    }

    fn at(&mut self, second: i64) -> &mut Self {
        self.world.now = START.plus_millis(second * 1_000);
        self
    }

    fn one(&mut self, command: impl Into<AnyCommand>) -> Result<Done, Refusal> {
        self.world.one(command.into())
    }

    fn enter_after(&mut self, user: &str, ended: Option<u64>) -> Entered {
        let user = UserId::parse(user).expect("a user id");
        match self.one(Enter { concert: self.concert, user, pass: None, ended }) {
            Ok(Done::Enter(entered)) => entered,
            other => unreachable!("{other:?}"),
        }
    }

    fn enter(&mut self, user: &str) -> Token {
        self.enter_after(user, None).token
    }

    fn step(&mut self) {
        self.one(Step::of(self.concert)).expect("a step");
    }

    fn row(&self) -> Room {
        self.world.tables.rooms[&self.concert].clone()
    }

    fn seed(&self) -> Seed {
        self.world.tables.draws[&self.concert].seed.clone()
    }

    /// The entries of the closed list by token id: with the entry numbers, and whether they left since.
    fn entries(&self) -> Vec<(TokenId, u32, Token, bool)> {
        let list = self.row().list.expect("a closed list");
        let rows = self.world.tables.places.iter().filter(|((_, number), _)| list.is_entry(*number));
        let listed = rows.filter(|(_, place)| place.standing != PlaceStanding::GivenUp);
        let mut entries: Vec<_> = listed
            .map(|((concert, number), place)| {
                let token = Token {
                    id: place.token,
                    concert: *concert,
                    user: place.user.clone(),
                    place: *number,
                    issued_at: place.issued_at,
                };
                let left = place.standing == PlaceStanding::Replaced;
                (place.token, u32::try_from(*number).expect("a small number"), token, left)
            })
            .collect();
        entries.sort_by_key(|(token, ..)| *token);
        entries
    }

    /// What an instance computes of the list as it is stored now.
    fn computed(&self, value: Option<&str>) -> StoreDraw {
        let entries = self.entries();
        let tokens: Vec<TokenId> = entries.iter().map(|(token, ..)| *token).collect();
        let mut hash = ListHash::default();
        hash.add(&tokens);
        let entries_hash = hash.finish();
        let key = DrawKey::of(&self.seed(), self.concert, entries_hash, value.unwrap_or_default().as_bytes());
        let drawn: Vec<_> = key.order(&tokens).into_iter().map(|index| &entries[index as usize]).collect();
        let left = (1..).zip(&drawn).filter(|(_, (.., left))| *left).map(|(at, (_, _, token, _))| (at, token.clone()));
        StoreDraw {
            concert: self.concert,
            entries_hash,
            value: value.map(Into::into),
            left: left.collect(),
            order: drawn.iter().map(|(_, number, ..)| *number).collect(),
        }
    }

    fn draw(&mut self) {
        let store = self.computed(None);
        assert_eq!(self.one(store), Ok(Done::StoreDraw(true)));
    }

    /// The token of an entry with its drawn place, as an instance resolves it.
    fn drawn(&self, token: &Token) -> Token {
        let list = self.row().list.expect("a closed list");
        let order = &self.world.tables.orders[&self.concert];
        let drawn = (1..).zip(order.iter()).find(|(_, number)| u64::from(**number) == token.place).expect("an entry").0;
        Token { place: list.place_of(drawn), ..token.clone() }
    }

    fn inside(&self) -> Vec<u64> {
        self.world.tables.turns.keys().map(|(_, place)| *place).collect()
    }
}

#[test]
fn the_list_closes_once_and_later_users_stand_behind_it() {
    let mut room = DrawRoom::new();
    let [ann, bob, cid] = ["ann", "bob", "cid"].map(|user| room.at(60).enter(user));
    room.one(Leave(bob)).expect("left");
    assert_eq!(room.at(89).row().list, None);
    // The first decision at the instant closes the list: here an entry, which is not on it.
    let dan = room.at(90).enter("dan");
    let list = room.row().list.expect("a closed list");
    assert_eq!((list.closed_at, list.entries, list.issued), (START.plus_seconds(90), 2, 3));
    assert_eq!((dan.place, room.row().served, room.row().issued, room.row().waiting()), (6, 3, 6, 3));
    // A clock that is set back does not open it again.
    let eve = room.at(80).enter("eve");
    assert_eq!((eve.place, room.row().list), (7, Some(list)));
    // Entering again finds the entry, and the place behind the list.
    assert_eq!((room.at(91).enter("ann"), room.enter("cid"), room.enter("dan")), (ann, cid, dan));
}

#[test]
fn no_place_is_admitted_before_the_draw_and_the_opening() {
    let mut room = DrawRoom::new();
    let [ann, bob, cid] = ["ann", "bob", "cid"].map(|user| room.at(60).enter(user));
    room.at(90).step();
    room.at(120).step();
    assert_eq!((room.inside(), room.row().opened_at), (vec![], None), "the draw is not done");
    room.draw();
    let list = room.row().list.expect("a closed list");
    assert_eq!((room.inside(), room.row().opened_at), (vec![4, 5], Some(START.plus_seconds(120))));
    assert_eq!(list.drawn_at, Some(START.plus_seconds(120)));
    // Turns of drawn places have no user before their tokens are shown.
    let drawn = [ann, bob, cid].map(|token| room.drawn(&token));
    let first = drawn.iter().find(|token| token.place == 4).expect("the first").clone();
    room.one(Step { shown_tokens: vec![first.clone()], ..Step::of(room.concert) }).expect("a step");
    let places = &room.world.tables.places;
    assert_eq!(places[&(room.concert, 4)].standing, PlaceStanding::Current);
    let entries = places.values().filter(|place| place.user == first.user && place.standing == PlaceStanding::Replaced);
    assert_eq!(entries.count(), 1, "its entry is no current place any more");
    // It ends, and the next place of the draw is admitted.
    room.one(Leave(first)).expect("left");
    assert_eq!(room.inside(), [5, 6]);
}

#[test]
fn drawn_before_the_opening_the_room_still_waits_for_it() {
    let mut room = DrawRoom::new();
    room.at(60).enter("ann");
    room.at(90).step();
    room.at(91).draw();
    room.at(99).step();
    assert_eq!((room.inside(), room.row().opened_at), (vec![], None));
    room.at(100).step();
    assert_eq!(room.inside(), [2]);
}

#[test]
fn the_same_list_is_drawn_alike_and_stored_once() {
    let mut room = DrawRoom::new();
    for user in ["ann", "bob", "cid", "dan"] {
        room.at(60).enter(user);
    }
    room.at(90).step();
    let (one, other) = (room.computed(None), room.computed(None));
    assert_eq!(one.order, other.order);
    room.one(NoteList { concert: room.concert, entries: 4, hash: one.entries_hash }).expect("noted");
    let wrong = StoreDraw { order: one.order[1..].into(), ..one.clone() };
    assert_eq!(room.one(wrong), Ok(Done::StoreDraw(false)), "an entry is missing");
    let wrong = StoreDraw { value: Some("x".into()), ..one.clone() };
    assert_eq!(room.one(wrong), Ok(Done::StoreDraw(false)), "no beacon was named");
    assert_eq!(room.one(one), Ok(Done::StoreDraw(true)));
    assert_eq!(room.one(other), Ok(Done::StoreDraw(false)), "another instance was first");
}

#[test]
fn who_leaves_after_the_closing_stays_on_the_list_and_gives_the_place_up() {
    let mut room = DrawRoom::new();
    let [ann, bob] = ["ann", "bob"].map(|user| room.at(60).enter(user));
    room.at(90).step();
    let before = room.computed(None);
    room.one(Leave(ann.clone())).expect("left");
    assert_eq!(room.one(before), Ok(Done::StoreDraw(false)), "computed before the user left");
    // The user is free to enter again, at the end.
    let again = room.enter("ann");
    assert_eq!(again.place, 5);
    room.draw();
    assert_eq!(room.one(Leave(bob.clone())), Err(Refusal::Drawn), "its place is known now");
    let (gone, stays) = (room.drawn(&ann), room.drawn(&bob));
    room.at(100).step();
    assert_eq!(room.inside(), [stays.place, 5], "the place {} is given up", gone.place);
    assert_eq!(room.row().list.map(|list| (list.entries, list.left)), Some((2, 1)));
}

#[test]
fn a_drawn_place_in_line_can_be_given_up_and_its_user_enters_again() {
    let mut room = DrawRoom::new();
    let tokens = ["ann", "bob", "cid"].map(|user| room.at(60).enter(user));
    room.at(90).step();
    room.draw();
    let last = tokens.iter().map(|token| room.drawn(token)).find(|token| token.place == 6).expect("the last");
    room.one(Leave(last.clone())).expect("left");
    let again = room.enter(last.user.as_str());
    assert_eq!((again.place, room.row().given_up), (7, 1));
    room.at(100).step();
    assert_eq!(room.inside(), [4, 5]);
}

/// The turn of a drawn place whose token was never shown is over. Only the instance knows which entry that was.
#[test]
fn a_user_whose_drawn_place_is_over_enters_at_the_end() {
    let mut room = DrawRoom::new();
    let [ann, bob, cid] = ["ann", "bob", "cid"].map(|user| room.at(60).enter(user));
    room.at(90).step();
    room.draw();
    room.at(100).step();
    let over = Step { due: vec![4, 5], ..Step::of(room.concert) };
    room.at(300).one(over).expect("a step");
    assert_eq!(room.inside(), [6]);
    let absent = [ann, bob, cid].into_iter().find(|token| room.drawn(token).place == 4).expect("the first");
    let user = absent.user.as_str().to_owned();
    assert_eq!(room.enter_after(&user, None), Entered { token: absent.clone(), is_new: false });
    let entered = room.enter_after(&user, Some(absent.place));
    assert_eq!((entered.token.place, entered.is_new), (7, true));
}

#[test]
fn an_entry_that_a_failover_lost_is_put_back_until_the_closing() {
    let mut room = DrawRoom::new();
    let [ann, bob, _] = ["ann", "bob", "cid"].map(|user| room.at(60).enter(user));
    let lost = |user: &str, place| Token {
        id: TokenId::new(Uuid::from_u128(u128::from(place))),
        user: UserId::parse(user).expect("a user id"),
        place,
        ..ann.clone()
    };
    let put_back = |room: &mut DrawRoom, token: Token| room.one(PutBack(token));
    let back = |is_back| Ok(Done::PutBack(is_back));
    assert_eq!(put_back(&mut room, lost("zed", 6)), back(true));
    assert_eq!((room.row().issued, room.row().waiting()), (6, 4), "4 and 5 are in doubt");
    assert_eq!(put_back(&mut room, lost("zed", 6)), back(true), "once");
    assert_eq!(room.enter("zed").place, 6, "it is the place of its user");
    assert_eq!(room.enter("dan").place, 7);
    assert_eq!(put_back(&mut room, lost("yan", 5)), back(true));
    assert_eq!(put_back(&mut room, lost("xia", 2)), back(false), "the number of another entry");
    assert_eq!(put_back(&mut room, lost("bob", 4)), back(false), "its user has another entry");
    assert_eq!(put_back(&mut room, bob), back(true), "it was never lost");
    assert_eq!(put_back(&mut room, lost("xia", 0)), back(false));
    room.at(90).step();
    let list = room.row().list.expect("a closed list");
    assert_eq!((list.entries, list.issued, room.row().blocks.gaps.len()), (6, 7, 0));
    assert_eq!(put_back(&mut room, lost("xia", 4)), back(false), "the list is closed");
    room.draw();
    room.at(100).step();
    assert_eq!(room.inside(), [8, 9]);
}

/// A failover lost the entry of Zed, and its number was given to Ann.
#[test]
fn a_lost_token_does_not_take_the_place_that_was_drawn_for_another_user() {
    let mut room = DrawRoom::new();
    let [ann, bob] = ["ann", "bob"].map(|user| room.at(60).enter(user));
    room.at(90).step();
    room.draw();
    room.at(100).step();
    let own = room.drawn(&ann);
    for user in ["zed", "bob"] {
        // Zed has no entry. Bob has one, and another token of his was lost.
        let user = UserId::parse(user).expect("a user id");
        let lost = Token { id: TokenId::new(Uuid::from_u128(7)), user, ..own.clone() };
        room.one(Step { shown_tokens: vec![lost], ..Step::of(room.concert) }).expect("a step");
        assert!(!room.world.tables.places.contains_key(&(room.concert, own.place)), "the place has no user");
    }
    room.one(Step { shown_tokens: vec![own.clone()], ..Step::of(room.concert) }).expect("a step");
    assert_eq!(room.world.tables.places[&(room.concert, own.place)].user, ann.user);
    let other = room.drawn(&bob);
    room.one(Step { shown_tokens: vec![other.clone()], ..Step::of(room.concert) }).expect("a step");
    assert_eq!(room.world.tables.places[&(room.concert, other.place)].user, bob.user);
}

#[test]
fn a_named_beacon_is_waited_for_and_set_once() {
    let mut room = DrawRoom::new();
    let beacon = |name: Option<&str>, at| DrawPatch {
        beacon_name: Some(name.map(Into::into)),
        beacon_at: Some(Some(START.plus_seconds(at))),
        seed: None,
    };
    let set = |room: &DrawRoom, draw| Configure { concert: room.concert, patch: Patch::default(), draw };
    for (at, name, field) in
        [(99, Some("drand"), "beaconAt"), (101, Some("drand"), "beaconAt"), (100, None, "beaconName")]
    {
        let refused = room.one(set(&room, beacon(name, at)));
        assert_eq!(refused, Err(Refusal::EarlyHours { field }), "{at}");
    }
    assert!(room.one(set(&room, beacon(Some("drand"), 100))).is_ok());
    let put = |room: &DrawRoom, value: &str| PutBeacon { concert: room.concert, value: value.into() };
    assert_eq!(room.one(put(&room, "6")), Err(Refusal::DrawNotClosed));
    room.at(60).enter("ann");
    assert_eq!(room.one(set(&room, beacon(Some("other"), 100))), Err(Refusal::RoomInUse));
    room.at(90).step();
    let early = room.computed(None);
    assert_eq!(room.one(early), Ok(Done::StoreDraw(false)), "the value is missing");
    assert!(room.one(put(&room, "6")).is_ok() && room.one(put(&room, "6")).is_ok());
    assert_eq!(room.one(put(&room, "7")), Err(Refusal::BeaconSet));
    let store = room.computed(Some("6"));
    assert_eq!(room.one(store), Ok(Done::StoreDraw(true)));
    let mut unnamed = DrawRoom::new();
    unnamed.at(90).step();
    assert_eq!(unnamed.one(put(&unnamed, "6")), Err(Refusal::BeaconUnnamed));
}

#[test]
fn the_order_and_the_instant_of_a_draw_change_within_their_bounds() {
    let at = |second| Some(START.plus_seconds(second));
    let mut room = DrawRoom::new();
    let set = |room: &mut DrawRoom, order, draw_at| {
        let patch = Patch { order, draw_at, ..Patch::default() };
        let seed = Some(Seed::new([9; 32]));
        room.one(Configure { concert: room.concert, patch, draw: DrawPatch { seed, ..DrawPatch::default() } }).err()
    };
    let wrong = |field| Some(Refusal::EarlyHours { field });
    assert_eq!(set(&mut room, None, at(50)), wrong("drawAt"));
    assert_eq!(set(&mut room, None, at(101)), wrong("drawAt"));
    assert_eq!(set(&mut room, Some(Order::Arrival), at(80)), wrong("drawAt"));
    let before = room.seed();
    assert_eq!(set(&mut room, Some(Order::Arrival), None), None);
    assert_eq!(room.row().settings.draw_at, None);
    assert_eq!(set(&mut room, Some(Order::Draw), None), None);
    assert_eq!(
        room.row().settings.draw_at,
        at(75),
        "the middle of the early period, as a minute before the opening is sooner"
    );
    assert!(room.seed() != before, "each draw has its own seed");
    room.at(60).enter("ann");
    assert_eq!(set(&mut room, Some(Order::Arrival), None), Some(Refusal::RoomInUse));
    assert_eq!(set(&mut room, None, at(80)), Some(Refusal::RoomInUse), "it is less than five minutes away");
    let changes = room.world.tables.draws[&room.concert].changes.clone();
    let fields: Vec<&str> = changes.iter().map(|change| &*change.field).collect();
    assert_eq!(fields, ["order", "commitment", "drawAt", "order", "commitment", "drawAt"]);
    assert_eq!(changes[5].after, Some(Mark::At(START.plus_seconds(75))));
}
