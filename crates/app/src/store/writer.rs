//! How a lane writes: what a unit of work loads, what it decided, and the way to save it.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use onsale_domain::event::Event;
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::table::Table;
use onsale_domain::time::Timestamp;

use super::StoreError;
use super::locks::{self, HeldLocks, Lock};
use crate::idempotency::{KeptAnswer, KeptCount, KeyId, Owner};
use crate::trace::TraceContext;

/// What a store loads for a batch.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The rows that the commands need.
    pub keys: Keys,
    /// The idempotency keys of the requests.
    pub answers: BTreeSet<KeyId>,
    /// Owners whose kept answers the store counts.
    pub counted: BTreeSet<Owner>,
    /// The store counts up to this many answers of an owner.
    pub count_max: u32,
    /// Whether to wait for locks as long as one command may wait. Else the store gives up after a moment, so that one lock
    /// does not delay a whole batch.
    pub is_patient: bool,
}

impl Wanted {
    /// The locks that this work needs, and that another session may hold: those of its rows and of these tables.
    pub fn locks(&self, tables: impl IntoIterator<Item = locks::Table>) -> Vec<Lock> {
        let keys = &self.keys;
        let mut locks: Vec<Lock> = tables.into_iter().map(Lock::Table).collect();
        locks.extend(self.answers.iter().cloned().map(Lock::Answer));
        locks.extend(keys.staff.iter().copied().map(Lock::StaffKey));
        if let Some(changes) = &keys.staff_changes {
            locks.push(Lock::StaffDirectory);
            locks.extend(changes.deleted.iter().copied().map(Lock::StaffKeyEnd));
        }
        locks.extend(keys.staff_sessions.iter().copied().map(Lock::StaffSession));
        locks.extend(keys.accounts.iter().cloned().map(Lock::Account));
        locks.extend(keys.codes.keys().cloned().map(Lock::Code));
        // Most holds have no code, so their command does not name the tables.
        locks.extend((!keys.codes.is_empty()).then_some(Lock::Table(locks::Table::Codes)));
        locks.extend(keys.lectures.keys().copied().map(Lock::Lecture));
        locks.extend(keys.rooms.iter().copied().map(Lock::Room));
        locks.extend(keys.performances.iter().copied().map(Lock::Performance));
        locks.extend(keys.concerts.iter().copied().map(Lock::Concert));
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
            Lock::StaffKey(key) => drop(keys.staff.insert(*key)),
            Lock::StaffKeyEnd(key) => drop(keys.staff_changes.get_or_insert_default().deleted.insert(*key)),
            Lock::StaffDirectory => drop(keys.staff_changes.get_or_insert_default()),
            Lock::StaffSession(hash) => drop(keys.staff_sessions.insert(*hash)),
            Lock::Account(user) => drop(keys.accounts.insert(user.clone())),
            Lock::Code(key) => drop(keys.codes.entry(key.clone()).or_default()),
            Lock::Lecture(lecture) => drop(keys.lectures.entry(*lecture).or_default()),
            Lock::Room(concert) => drop(keys.rooms.insert(*concert)),
            Lock::Performance(performance) => drop(keys.performances.insert(*performance)),
            Lock::Concert(concert) => drop(keys.concerts.insert(*concert)),
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
    /// The loaded rows and their changes.
    pub rows: Rows,
    /// Answers kept under idempotency keys.
    pub answers: Table<KeyId, KeptAnswer>,
    /// How many answers each counted owner keeps. Read without a lock: other lanes may add answers at the same time.
    pub kept_counts: BTreeMap<Owner, KeptCount>,
    /// Events of traced requests: ascending indices of `rows.events`, each with its trace context.
    pub traces: Vec<(usize, TraceContext)>,
    /// If set, the store drops a few answers that were kept before this instant.
    pub forget_answers_before: Option<Timestamp>,
    /// Whether to write something even if nothing was decided. After a failed write this shows whether writes work again.
    pub prove_writable: bool,
}

impl Unit {
    /// The events to add, each with its trace context if its request is traced.
    pub fn events(&self) -> impl Iterator<Item = (&Event, Option<TraceContext>)> {
        let mut traces = self.traces.iter().peekable();
        self.rows.events.iter().enumerate().map(move |(index, event)| {
            let trace = traces.next_if(|(traced, _)| *traced == index);
            (event, trace.map(|(_, context)| *context))
        })
    }
}

/// The connection of one lane. One batch at a time uses it.
#[async_trait]
pub trait Writer: Send {
    /// Begins a unit of work: locks the parents in the order of [`Keys`], then loads everything else, then reads the clock.
    /// All units lock in the same order, so that two of them never wait for each other.
    async fn load(&mut self, wanted: &Wanted) -> Result<Unit, StoreError>;

    /// Writes what was changed and added, and commits durably. Ends the unit, also if it fails.
    async fn save(&mut self, unit: &Unit) -> Result<(), StoreError>;

    /// Rolls a unit back.
    async fn abandon(&mut self);

    /// The locks among those wanted that other sessions hold now. Waits for none of them, and leaves nothing locked. Called
    /// between units. Empty for a store with one writer.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if a lock blocked the query itself, else as [`Writer::load`].
    async fn held(&mut self, wanted: &Wanted) -> Result<HeldLocks, StoreError> {
        let _ = wanted;
        Ok(HeldLocks::new())
    }
}
