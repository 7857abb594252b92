//! Waiting lists of performances: users who wait for adjacent seats of a sold-out performance.
//!
//! A seat that becomes free is offered to the first user whose wish it fits, in the transaction that frees it. An offer is a
//! hold with a token of its own ([`Token::of_offer`]). Its reservation has the place 0, which no user of the room has, so it
//! changes no turn. What became of an offer follows from its reservation, and is not stored again in the entry.

mod join;
mod list;
mod serve;

use crate::concert::{Reservation, Status, Wish};
use crate::ids::{ConcertId, PerformanceId, ReservationId, UserId, WaitlistId};
use crate::time::Timestamp;
use crate::waiting_room::Token;

pub use join::{Join, Joined, Leave};
pub use list::{SeatList, WishCount};
pub use serve::{Front, OfferSeats, Offered, Waiter, choose_offers, serve};
pub(crate) use serve::{is_pending, record_offer_end};

/// Maximum number of users who wait for seats of one performance. A further one is refused.
pub const SEATS_WAITLISTED_MAX: u32 = 100_000;

/// How many offers a unit of work makes at most, and how many entries it ends at most. Further steps do the rest.
pub const OFFERED_TOGETHER_MAX: usize = 1_000;

/// How many entries of each wish a unit of work loads, unless it is a step of offers. Further steps offer the rest.
pub const FRONT_LOADED: usize = 64;

/// How long an offer lasts if the organiser sets no other number, in seconds.
pub const OFFER_SECONDS_DEFAULT: u32 = 600;

/// The place of an offer's reservation and of its token. Places of a room begin at 1.
pub const OFFER_PLACE: u64 = 0;

/// A user's entry in the waiting list of a performance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Id of the entry and of the event with which it joined.
    pub id: WaitlistId,
    /// The concert of the performance.
    pub concert: ConcertId,
    /// The performance of the list.
    pub performance: PerformanceId,
    /// The user who waits.
    pub user: UserId,
    /// How many seats, and which of them will do.
    pub wish: Wish,
    /// The version of the performance with which the user joined. Entries are served in ascending order.
    pub number: u64,
    /// When the user joined.
    pub joined_at: Timestamp,
    /// What became of it, as far as it is stored.
    pub state: State,
    /// The reservation that was offered.
    pub reservation: Option<ReservationId>,
}

/// The stored state of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The user waits.
    Waiting,
    /// Seats were offered. The reservation shows what became of them.
    Offered,
    /// The user left before an offer.
    Left,
    /// The performance started or was cancelled before an offer.
    Ended,
}

/// The state of an entry as clients see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryStatus {
    /// The user waits.
    Waiting,
    /// Seats are held for the user.
    Offered,
    /// The user paid for the offered seats.
    Served,
    /// The offer ran out.
    Lapsed,
    /// The user left, or gave the offered seats back.
    Left,
    /// The performance started or was cancelled.
    Ended,
}

impl Entry {
    /// The state at an instant. `reservation` is the offered one.
    pub fn status_at(&self, reservation: Option<&Reservation>, at: Timestamp, is_cancelled: bool) -> EntryStatus {
        match (self.state, reservation) {
            (State::Waiting, _) => EntryStatus::Waiting,
            (State::Left, _) => EntryStatus::Left,
            (State::Ended, _) => EntryStatus::Ended,
            (State::Offered, None) => EntryStatus::Lapsed,
            (State::Offered, Some(reservation)) => match reservation.status_at(at) {
                Status::Held => EntryStatus::Offered,
                Status::Paid | Status::Refunded => EntryStatus::Served,
                Status::Expired => EntryStatus::Lapsed,
                Status::Released if is_cancelled => EntryStatus::Ended,
                Status::Released => EntryStatus::Left,
            },
        }
    }
}

/// Why an entry ended, as its event has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryEnd {
    /// The user paid for the offered seats.
    Served,
    /// The offer ran out.
    Lapsed,
    /// The user left the list, or gave the offered seats back.
    Left,
    /// The performance started.
    Started,
    /// The performance was cancelled.
    Cancelled,
}

impl Token {
    /// The token of an offer. It pays or releases this reservation, and nothing else.
    pub fn of_offer(reservation: &Reservation) -> Self {
        Self {
            id: crate::ids::TokenId::new(reservation.id.uuid()),
            concert: reservation.concert,
            user: reservation.user.clone(),
            place: OFFER_PLACE,
            issued_at: reservation.held_at,
        }
    }

    /// The reservation of the token of an offer; `None` if it is the token of a place.
    pub fn offer(&self) -> Option<ReservationId> {
        (self.place == OFFER_PLACE).then(|| ReservationId::new(self.id.uuid()))
    }
}

impl Reservation {
    /// Whether it was offered to a user on the waiting list.
    pub fn is_offer(&self) -> bool {
        self.place == OFFER_PLACE
    }
}
