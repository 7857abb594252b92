//! A store in memory, and a stage to play scripts on it.

mod agree;
mod audit;
mod cancelled;
pub(crate) mod codes;
pub(crate) mod entropy;
mod load;
pub(crate) mod mixed;
mod offer_words;
mod outcomes;
mod save;
mod stage;
mod tables;
mod words;

use std::collections::BTreeMap;

use crate::support::mixed::{AnyCommand, Done};
use onsale_domain::ids::{ConcertId, Mint};
use onsale_domain::rows::Keys;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{PlaceStanding, Room};
use onsale_domain::{Context, Refusal, seat_list};

pub(crate) use cancelled::{retry_of, step_of};
pub(crate) use entropy::Seeded;
pub(crate) use stage::Stage;
pub(crate) use tables::{Standing, Tables};

/// When every test begins; scripts count seconds from here.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// What a command was answered.
pub(crate) type Answer = Result<Done, Refusal>;

/// One who was called, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Admission {
    pub(crate) concert: ConcertId,
    pub(crate) place: u64,
    pub(crate) at: Timestamp,
}

/// The store, its clock, and what it has seen.
pub(crate) struct World {
    pub(crate) tables: Tables,
    pub(crate) now: Timestamp,
    pub(crate) hold_seconds: u32,
    /// Whether no other transaction runs next to a unit of work, so that it reads exact rows without a lock.
    pub(crate) is_alone: bool,
    /// All admissions, in order.
    pub(crate) admissions: Vec<Admission>,
    ids: Mint<Seeded>,
}

impl World {
    pub(crate) fn new() -> Self {
        let ids = Mint::new(Seeded(7));
        let (tables, admissions) = (Tables::default(), Vec::new());
        Self { tables, now: START, hold_seconds: 300, is_alone: true, admissions, ids }
    }

    /// One unit of work: locks, loads, decides in order, saves.
    pub(crate) fn run(&mut self, batch: &[AnyCommand]) -> Vec<Answer> {
        let mut keys = Keys::default();
        batch.iter().for_each(|command| command.needs(&mut keys));
        let locks = save::Locks::of(&keys, &self.tables);
        let mut rows = load::load(&self.tables, &keys, self.now);
        rows.is_alone = self.is_alone;
        let mut cx = Context { at: self.now, ids: &mut self.ids, hold_seconds: self.hold_seconds };
        let mut answers: Vec<Answer> = Vec::with_capacity(batch.len());
        for command in batch {
            // As the desk does: what the waiting lists get, no command sees.
            seat_list::serve(&mut rows, &mut cx);
            answers.push(command.decide(&mut rows, &mut cx));
            seat_list::serve(&mut rows, &mut cx);
        }
        let refused = answers.iter().all(Result::is_err) && rows.seat_lists.is_empty();
        assert!(!refused || save::is_unchanged(&rows), "a refusal changed something: {batch:?}");

        let rooms = self.tables.rooms.clone();
        save::save(&mut self.tables, rows, &locks);
        self.note_rooms(&rooms);
        audit::audit(&self.tables, self.now);
        if let [Ok(done)] = &answers[..] {
            agree::agree(&self.tables, done);
        }
        answers
    }

    /// A unit of work with one command.
    pub(crate) fn one(&mut self, command: AnyCommand) -> Answer {
        self.run(&[command]).remove(0)
    }

    /// Time goes by; negative where the clock is set back.
    pub(crate) fn pass(&mut self, millis: i64) {
        self.now = self.now.plus_millis(millis);
    }

    /// Whether a place that the line has passed was called: it was not given up.
    fn was_called(&self, concert: ConcertId, place: u64) -> bool {
        let row = self.tables.places.get(&(concert, place));
        row.is_some_and(|place| place.standing != PlaceStanding::GivenUp)
    }

    /// Notes who was called in the rooms that changed.
    fn note_rooms(&mut self, before: &BTreeMap<ConcertId, Room>) {
        for (concert, before) in before {
            let room = &self.tables.rooms[concert];
            let changed_at = if room == before { before.updated_at } else { before.updated_at.max(self.now) };
            assert_eq!(room.updated_at, changed_at, "a room knows when it changed");
            // The closing of a list passes its entries, and calls none.
            let called = (before.served + 1..=room.served).filter(|place| !room.is_entry(*place));
            let called = called.filter(|place| {
                self.tables.turns.contains_key(&(*concert, *place)) || self.was_called(*concert, *place)
            });
            let at = self.now;
            let called: Vec<u64> = called.collect();
            self.admissions.extend(called.into_iter().map(|place| Admission { concert: *concert, place, at }));
        }
    }
}
