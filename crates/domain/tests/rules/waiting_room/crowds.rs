//! Many at once: bursts at the rate, and bounds on what one step does.

use crate::support::mixed::{AnyCommand, Done};
use onsale_domain::ids::{ConcertId, UserId};
use onsale_domain::waiting_room::Entered;
use onsale_domain::waiting_room::{self, ADMIT_AT_ONCE_MAX, GivenUp, Patch, Settings, Step, Token};

use super::room;
use crate::support::{Stage, Standing, World};

/// A room, and people who entered it in one batch.
struct Crowd {
    world: World,
    concert: ConcertId,
    tokens: Vec<Token>,
}

impl Crowd {
    fn enter(settings: Settings, people: usize) -> Self {
        let stage = Stage::gala(settings);
        let concert = *stage.world.tables.concerts.keys().next().expect("a concert");
        let mut crowd = Self { world: stage.world, concert, tokens: Vec::new() };
        let user = |number: usize| UserId::parse(&format!("user-{number}")).expect("a user id");
        let enter = |number| waiting_room::Enter { concert, user: user(number), pass: None, ended: None };
        let batch: Vec<AnyCommand> = (0..people).map(|number| AnyCommand::from(enter(number))).collect();
        for answer in crowd.world.run(&batch) {
            let Ok(Done::Enter(Entered { token, is_new: true })) = answer else { unreachable!("{answer:?}") };
            crowd.tokens.push(token);
        }
        crowd
    }

    /// A step that settles nothing.
    fn step(&mut self) -> (u64, u64) {
        let (seen, claimed, due) = (Vec::new(), Vec::new(), Vec::new());
        self.command(Step { seen, claimed, due, ..Step::of(self.concert) });
        self.counters()
    }

    fn command(&mut self, command: impl Into<AnyCommand>) {
        self.world.one(command.into()).expect("a room");
    }

    fn set(&mut self, patch: Patch) {
        self.command(waiting_room::Configure {
            concert: self.concert,
            patch,
            draw: waiting_room::DrawPatch::default(),
        });
    }

    fn leave(&mut self, places: std::ops::RangeInclusive<usize>) {
        let leaving = places.map(|place| onsale_domain::leaving::Leave(self.tokens[place - 1].clone()));
        let batch: Vec<AnyCommand> = leaving.map(AnyCommand::from).collect();
        assert!(self.world.run(&batch).iter().all(|answer| answer == &Ok(Done::Leave(()))));
    }

    /// How far the line has been called, and how many turns there are.
    fn counters(&self) -> (u64, u64) {
        let room = &self.world.tables.rooms[&self.concert];
        (room.served, u64::from(room.active))
    }
}

#[test]
fn a_crowd_is_admitted_at_the_rate_and_in_order() {
    let mut crowd = Crowd::enter(room(120, 50), 200);
    assert_eq!(crowd.counters(), (50, 50), "a second's worth at once");
    for (millis, called) in [(10, 50), (980, 50), (10, 100), (1, 100), (998, 100), (1, 120), (5_000, 120)] {
        crowd.world.pass(millis);
        assert_eq!(crowd.step(), (called, called), "{millis} ms later");
    }
    let order: Vec<u64> = crowd.world.admissions.iter().map(|admission| admission.place).collect();
    assert!(order.into_iter().eq(1..=120), "in the order of arrival");

    for (index, token) in crowd.tokens.iter().enumerate() {
        let place = index as u64 + 1;
        let standing = crowd.world.tables.standing(token, crowd.world.now);
        match place {
            1..=120 => assert!(matches!(standing, Standing::Active(_)), "place {place}"),
            _ => assert_eq!(standing, Standing::Waiting(place - 120), "place {place}"),
        }
    }
}

/// A step is one unit of work, and has a bound like all else; what is left comes with the next, at once.
#[test]
fn one_step_admits_a_bounded_number() {
    let at_once = u64::from(ADMIT_AT_ONCE_MAX);
    let people = ADMIT_AT_ONCE_MAX as usize * 5 / 2;
    let mut crowd = Crowd::enter(Settings { paused: true, ..room(1_000_000, 1_000_000) }, people);
    crowd.set(Patch { paused: Some(false), ..Patch::default() });
    let all = people as u64;
    for called in [at_once, 2 * at_once, all, all] {
        assert_eq!(crowd.step(), (called, called));
    }
}

/// More places given up in a row than are loaded at a time: the first step passes them, the next one calls.
#[test]
fn a_long_row_of_given_up_places_is_passed_step_by_step() {
    let loaded = GivenUp::LOADED_MAX;
    let mut crowd = Crowd::enter(Settings { paused: true, ..room(1, 50) }, loaded + 12);
    crowd.leave(1..=loaded + 10);
    let last = crowd.tokens[loaded + 11].clone();
    assert_eq!(crowd.world.tables.standing(&last, crowd.world.now), Standing::Waiting(2));
    crowd.set(Patch { paused: Some(false), ..Patch::default() });

    assert_eq!(crowd.step(), (loaded as u64, 0), "passed as far as was loaded");
    let room = &crowd.world.tables.rooms[&crowd.concert];
    assert_eq!(room.window.parts().len(), 0, "who is passed costs nothing of the rate");
    assert_eq!(crowd.world.tables.standing(&last, crowd.world.now), Standing::Waiting(2));
    assert_eq!(crowd.step(), (loaded as u64 + 11, 1), "then the first who waits is called");
    assert_eq!(crowd.world.tables.standing(&last, crowd.world.now), Standing::Waiting(1));
}

/// A place given up in the same batch, beyond those that are loaded, must not be called later.
#[test]
fn a_place_given_up_beyond_what_is_loaded_is_skipped_too() {
    let loaded = GivenUp::LOADED_MAX;
    let mut crowd = Crowd::enter(Settings { paused: true, ..room(1, 50) }, loaded + 3);
    crowd.leave(1..=loaded);
    crowd.set(Patch { paused: Some(false), ..Patch::default() });
    let step = || Step::of(crowd.concert);
    let batch = [
        onsale_domain::leaving::Leave(crowd.tokens[loaded].clone()).into(),
        onsale_domain::leaving::Leave(crowd.tokens[loaded + 1].clone()).into(),
        step().into(),
        step().into(),
    ];
    crowd.world.run(&batch);
    assert_eq!(crowd.step(), (loaded as u64 + 3, 1), "the one who stayed is called");
}
