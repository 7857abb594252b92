//! How a lane writes: what a unit of work loads, what it decided, and the way to save it.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use onsale_domain::event::Event;
use onsale_domain::ids::UserId;
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::table::Table;
use onsale_domain::time::Timestamp;

use super::StoreError;
use super::locks::{self, HeldLocks, Lock};
use crate::idempotency::{KeptAnswer, KeptCount, KeyId};
use crate::trace::TraceContext;

/// What a batch asks a store to load.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The rows that the commands need.
    pub keys: Keys,
    /// The idempotency keys under which they came.
    pub answers: BTreeSet<KeyId>,
    /// Users whose kept answers are counted.
    pub counted: BTreeSet<UserId>,
    /// Up to how many they are counted.
    pub count_max: u32,
    /// Wait for locks as long as one command may wait, instead of the moment that a batch of many may cost.
    pub is_patient: bool,
}

impl Wanted {
    /// The locks that this work needs, and that another session may hold: those of its rows and of these tables.
    pub fn locks(&self, tables: impl IntoIterator<Item = locks::Table>) -> Vec<Lock> {
        let keys = &self.keys;
        let mut locks: Vec<Lock> = tables.into_iter().map(Lock::Table).collect();
        locks.extend(self.answers.iter().cloned().map(Lock::Answer));
        locks.extend(keys.accounts.iter().cloned().map(Lock::Account));
        locks.extend(keys.lectures.keys().copied().map(Lock::Lecture));
        locks.extend(keys.rooms.iter().copied().map(Lock::Room));
        locks.extend(keys.performances.iter().copied().map(Lock::Performance));
        locks.extend(keys.reservations.iter().copied().map(Lock::Reservation));
        locks.extend(keys.holdings.iter().map(|(concert, user)| Lock::Holding(*concert, user.clone())));
        locks.extend(keys.seats.iter().map(|(performance, seat)| Lock::Seat(*performance, *seat)));
        locks.extend(keys.places.iter().chain(&keys.turns).map(|(concert, place)| Lock::Place(*concert, *place)));
        locks
    }

    /// Adds the row of a lock, so that [`Writer::held`] looks for its holder again.
    pub(crate) fn want(&mut self, lock: &Lock) {
        let keys = &mut self.keys;
        match lock {
            Lock::Answer(id) => drop(self.answers.insert(id.clone())),
            Lock::Account(user) => drop(keys.accounts.insert(user.clone())),
            Lock::Lecture(lecture) => drop(keys.lectures.entry(*lecture).or_default()),
            Lock::Room(concert) => drop(keys.rooms.insert(*concert)),
            Lock::Performance(performance) => drop(keys.performances.insert(*performance)),
            Lock::Reservation(reservation) => drop(keys.reservations.insert(*reservation)),
            Lock::Holding(concert, user) => drop(keys.holdings.insert((*concert, user.clone()))),
            Lock::Seat(performance, seat) => drop(keys.seats.insert((*performance, *seat))),
            Lock::Place(concert, place) => drop(keys.places.insert((*concert, *place))),
            // `Writer::held` returns the locks of all tables each time.
            Lock::Table(_) => {}
        }
    }
}

/// One unit of work: what was loaded, and then what was decided.
#[derive(Debug, Default)]
pub struct Unit {
    /// The database's time, read after the rows were locked.
    pub at: Timestamp,
    /// The rows.
    pub rows: Rows,
    /// Answers kept under idempotency keys.
    pub answers: Table<KeyId, KeptAnswer>,
    /// How many answers each counted user keeps. Read without a lock: others may add to them at the same time.
    pub kept_counts: BTreeMap<UserId, KeptCount>,
    /// Which events come from a request that is traced: their indices in `rows.events`, rising, each with its context.
    pub traces: Vec<(usize, TraceContext)>,
    /// Drop a few answers that were kept before this instant.
    pub forget_answers_before: Option<Timestamp>,
    /// Write something even if nothing was decided: a write failed before, and this shows whether the next will.
    pub prove_writable: bool,
}

impl Unit {
    /// The events, each with its trace.
    pub fn events(&self) -> impl Iterator<Item = (&Event, Option<TraceContext>)> {
        let mut traces = self.traces.iter().peekable();
        self.rows.events.iter().enumerate().map(move |(index, event)| {
            let trace = traces.next_if(|(traced, _)| *traced == index);
            (event, trace.map(|(_, context)| *context))
        })
    }
}

/// One lane's way into the database. Used by one batch at a time.
#[async_trait]
pub trait Writer: Send {
    /// Begins a unit of work: locks the parents in their one order, then loads everything else, then reads the clock.
    async fn load(&mut self, wanted: &Wanted) -> Result<Unit, StoreError>;

    /// Writes what was changed and added, and commits durably. Ends the unit, whatever comes of it.
    async fn save(&mut self, unit: &Unit) -> Result<(), StoreError>;

    /// Ends a unit of which nothing shall remain.
    async fn abandon(&mut self);

    /// Which rows and tables of those wanted other sessions hold now. Waits for none of them, and leaves nothing locked.
    /// Called between units. A store with one writer has none.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if a lock kept it from finding out, else as [`Writer::load`].
    async fn held(&mut self, wanted: &Wanted) -> Result<HeldLocks, StoreError> {
        let _ = wanted;
        Ok(HeldLocks::new())
    }
}
