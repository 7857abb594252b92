//! What another session of the database may hold, and which command needs it.
//!
//! An administrator's open transaction, a migration or a backup can lock a row or a table for minutes. A lane that knows
//! what is locked sets only those commands aside that need it (`desk/siding.rs`).

use std::collections::HashMap;

use onsale_domain::ids::{ConcertId, LectureId, PerformanceId, ReservationId, UserId};

use crate::idempotency::KeyId;
use crate::store::Wanted;

/// A table of the sale that a command may read or write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each is named like its table")]
pub enum Table {
    Accounts,
    Applications,
    Concerts,
    Events,
    FreedSeats,
    KeptAnswers,
    LectureHistory,
    Lectures,
    Ledger,
    Payments,
    Performances,
    Places,
    Reservations,
    Rooms,
    Seats,
    TurnEnds,
    Turns,
}

impl Table {
    /// All tables, each by its names in the database.
    pub const ALL: &[(Self, &str)] = &[
        (Self::Accounts, "accounts"),
        (Self::Applications, "applications"),
        (Self::Concerts, "concerts"),
        (Self::Events, "events"),
        (Self::Events, "event_positions"),
        (Self::FreedSeats, "freed_seats"),
        (Self::KeptAnswers, "kept_answers"),
        (Self::LectureHistory, "lecture_history"),
        (Self::Lectures, "lectures"),
        (Self::Ledger, "ledger"),
        (Self::Payments, "payments"),
        (Self::Performances, "performances"),
        (Self::Places, "places"),
        (Self::Reservations, "reservations"),
        (Self::Rooms, "rooms"),
        (Self::Seats, "seats"),
        (Self::TurnEnds, "turn_ends"),
        (Self::Turns, "turns"),
    ];

    /// The table of this name, if a command may need it.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(table, _)| *table)
    }
}

/// Something that one session can hold and another waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Lock {
    /// The row of an answer that is kept under an idempotency key.
    Answer(KeyId),
    /// The row of a wallet.
    Account(UserId),
    /// The row of a lecture.
    Lecture(LectureId),
    /// The row of a waiting room.
    Room(ConcertId),
    /// The row of a performance.
    Performance(PerformanceId),
    /// The row of a reservation, or that of its performance.
    Reservation(ReservationId),
    /// The row of a performance of which this user holds seats.
    Holding(ConcertId, UserId),
    /// The row of a seat.
    Seat(PerformanceId, u32),
    /// The row of a place in line, or that of its turn.
    Place(ConcertId, u64),
    /// A whole table.
    Table(Table),
}

/// What other sessions hold, each with the number of its holder: another number means that the lock changed hands.
pub type Held = HashMap<Lock, u64>;

/// What a command needs that another session may hold.
pub fn needed(wanted: &Wanted, tables: impl IntoIterator<Item = Table>) -> Vec<Lock> {
    let keys = &wanted.keys;
    let mut locks: Vec<Lock> = tables.into_iter().map(Lock::Table).collect();
    locks.extend(wanted.answers.iter().cloned().map(Lock::Answer));
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

impl Wanted {
    /// Adds what a lock is about, so that a store looks for it again.
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
            // All tables are looked for each time.
            Lock::Table(_) => {}
        }
    }
}
