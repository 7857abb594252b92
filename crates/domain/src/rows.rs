//! What decisions see: the keys they need, the rows behind them, and what they add.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::concert::{Concert, Performance, Reservation, Seat};
use crate::event::Event;
use crate::freed_seats::FreedSeats;
use crate::ids::{ConcertId, LectureId, PerformanceId, ReservationId, UserId};
use crate::lecture::{Application, HistoryLine, Lecture};
use crate::payment::Payment;
use crate::table::Table;
use crate::time::Timestamp;
use crate::waiting_room::{GivenUp, Place, Room, Turn};
use crate::wallet::{Account, Entry};

/// The rows that a batch of commands must see. Sorted, as locks are taken in this order.
///
/// Parents (accounts, lectures, rooms, performances, in this order) are locked, and each covers its children.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// Wallets. An account also covers the ends of its user's tokens.
    pub accounts: BTreeSet<UserId>,
    /// Lectures, each with how many of its lowest freed seat numbers may be taken.
    pub lectures: BTreeMap<LectureId, usize>,
    /// Whether a person has a place in a lecture.
    pub applications: BTreeSet<(LectureId, UserId)>,
    /// Waiting rooms, each with the places given up next after `served`.
    pub rooms: BTreeSet<ConcertId>,
    /// People at the door: their current place, its turn and end, and their open reservations if there is a turn.
    pub entrants: BTreeSet<(ConcertId, UserId)>,
    /// Places by number.
    pub places: BTreeSet<(ConcertId, u64)>,
    /// Turns by place, each with its end and its place, read together.
    pub turns: BTreeSet<(ConcertId, u64)>,
    /// Places by number, with the open reservations of their users.
    pub turn_holders: BTreeSet<(ConcertId, u64)>,
    /// People whose open reservations (held or paid) in a concert count.
    pub holders: BTreeSet<(ConcertId, UserId)>,
    /// People whose held reservations may end: with their performances and seats.
    pub holdings: BTreeSet<(ConcertId, UserId)>,
    /// Reservations, each with its performance and its seats.
    pub reservations: BTreeSet<ReservationId>,
    /// Performances.
    pub performances: BTreeSet<PerformanceId>,
    /// Seats, each with the reservation that holds it (not sold) and all seats of that reservation.
    pub seats: BTreeSet<(PerformanceId, u32)>,
}

/// The loaded rows of one unit of work, and what was added to them.
#[derive(Debug, Default)]
pub struct Rows {
    /// By user.
    pub accounts: Table<UserId, Account>,
    /// By id.
    pub lectures: Table<LectureId, Lecture>,
    /// By lecture and user.
    pub applications: Table<(LectureId, UserId), Application>,
    /// Of the lectures loaded.
    pub freed_seats: FreedSeats,
    /// By concert.
    pub rooms: Table<ConcertId, Room>,
    /// Of the rooms loaded.
    pub given_up: HashMap<ConcertId, GivenUp>,
    /// By concert and place.
    pub places: Table<(ConcertId, u64), Place>,
    /// The number of a user's current place. Not saved: follows from `places`.
    pub current_places: Table<(ConcertId, UserId), u64>,
    /// By concert and place.
    pub turns: Table<(ConcertId, u64), Turn>,
    /// Turns that have ended and wait for their room to settle them.
    pub ends: Table<(ConcertId, u64), Timestamp>,
    /// By id.
    pub performances: Table<PerformanceId, Performance>,
    /// By performance and number.
    pub seats: Table<(PerformanceId, u32), Seat>,
    /// By id.
    pub reservations: Table<ReservationId, Reservation>,
    /// The reservations of a user in a concert that were held or paid when they were loaded, and those made since.
    /// Not saved: follows from `reservations`.
    pub open_reservations: HashMap<(ConcertId, UserId), Vec<ReservationId>>,
    /// Ledger entries added.
    pub ledger: Vec<Entry>,
    /// Lines of lecture histories added.
    pub lecture_history: Vec<HistoryLine>,
    /// Concerts added.
    pub new_concerts: Vec<Concert>,
    /// Payments added.
    pub payments: Vec<Payment>,
    /// Events added, in order.
    pub events: Vec<Event>,
}

impl Rows {
    /// The reservations of a user in a concert that are held or paid.
    ///
    /// # Panics
    /// Where they were not loaded: no rule may decide on what it has not seen.
    pub(crate) fn open_reservations_of(&self, concert: ConcertId, user: &UserId) -> impl Iterator<Item = &Reservation> {
        let ids = self.open_reservations.get(&(concert, user.clone()));
        assert!(ids.is_some(), "the reservations of {user} in {concert} were not loaded");
        let loaded = ids.into_iter().flatten().filter_map(|id| self.reservations.get(id));
        loaded.filter(|reservation| reservation.is_open())
    }
}
