//! Concerts: their performances and seats, and the holds on them.

mod hold;
mod seating;

use std::sync::Arc;

use crate::event::Claim;
use crate::ids::{ConcertId, EventId, PerformanceId, ReservationId, UserId};
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;
use crate::waiting_room::{self, Room, Token};
use crate::{Context, Done, Refusal};

pub use hold::{Ending, HoldRequest, SEATS_NAMED_MAX, SEATS_PER_USER_MAX, Target};
pub(crate) use hold::{end_hold, last_change, live_holds, owned_reservation, tell};
pub use seating::{GRADE_DEFAULT, PRICE_DEFAULT, PRICE_MAX, SEATS_DEFAULT, SEATS_MAX, Seating, Section, Unsound};

/// A concert, as listed. Its dates are those of its performances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concert {
    /// Its name, and its waiting room's.
    pub id: ConcertId,
    /// 1 to 200 characters.
    pub title: Arc<str>,
    /// 1 to 200 characters.
    pub venue: Arc<str>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// One showing of a concert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Performance {
    /// Its name.
    pub id: PerformanceId,
    /// Of which concert.
    pub concert: ConcertId,
    /// From this instant on no seat can be held.
    pub starts_at: Timestamp,
    /// Its seats.
    pub seating: Seating,
    /// Seats paid for.
    pub sold: u32,
    /// Counts the changes; each event of the performance carries one.
    pub version: u64,
    /// When the last change was made.
    pub updated_at: Timestamp,
}

/// A seat that is held or sold. A seat that never was, or is free again, has no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// By which reservation.
    pub reservation: ReservationId,
    /// Until when it is held; of no meaning once it is sold.
    pub held_until: Timestamp,
    /// Paid for, and never free again.
    pub sold: bool,
}

impl Seat {
    /// Whether the hold on this seat has run out, so that anyone may take it.
    pub fn is_lapsed(&self, at: Timestamp) -> bool {
        !self.sold && self.held_until <= at
    }
}

/// What became of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Its seats wait for payment.
    Held,
    /// Its seats are sold.
    Paid,
    /// It ran out.
    Expired,
    /// It was given back.
    Released,
}

/// Seats held together for one user. Kept for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Also the id of the event that tells of the hold.
    pub id: ReservationId,
    /// Of which concert.
    pub concert: ConcertId,
    /// Of which performance.
    pub performance: PerformanceId,
    /// For whom.
    pub user: UserId,
    /// The place in the waiting room whose token took the hold.
    pub place: u64,
    /// Seat numbers, as asked for.
    pub seats: Arc<[u32]>,
    /// The sum of the seats' prices, in points.
    pub amount: i64,
    /// When it was taken.
    pub held_at: Timestamp,
    /// From this instant on it can neither be paid nor keep its seats.
    pub held_until: Timestamp,
    /// As stored: a hold that ran out stays `Held` until it is settled. See [`Reservation::status_at`].
    pub status: Status,
    /// The event that tells of its release or expiry.
    pub end_event: Option<EventId>,
}

impl Reservation {
    /// Whether it holds seats, or has bought them. A hold that ran out does until it is settled.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.status, Status::Held | Status::Paid)
    }

    /// Whether the seats are this user's to pay.
    pub fn is_live(&self, at: Timestamp) -> bool {
        self.status == Status::Held && at < self.held_until
    }

    /// The status that callers see: a hold that ran out is expired, settled or not.
    pub fn status_at(&self, at: Timestamp) -> Status {
        match self.status {
            Status::Held if !self.is_live(at) => Status::Expired,
            status => status,
        }
    }

    /// What events say of the reservation.
    pub(crate) fn claim(&self) -> Claim {
        Claim {
            reservation: self.id,
            performance: self.performance,
            user: self.user.clone(),
            seats: self.seats.clone(),
            amount: self.amount,
        }
    }
}

/// What a caller may ask.
#[derive(Clone, Debug)]
pub enum Command {
    /// Make a concert with its waiting room.
    Open {
        /// 1 to 200 characters.
        title: Arc<str>,
        /// 1 to 200 characters.
        venue: Arc<str>,
        /// How its waiting room admits.
        room: waiting_room::Settings,
    },
    /// Add a performance.
    Schedule {
        /// To which concert.
        concert: ConcertId,
        /// May lie in the past: then no seat can be held.
        starts_at: Timestamp,
        /// Its seats.
        seating: Seating,
    },
    /// Hold seats: all or none.
    Hold(HoldRequest),
    /// Give held seats back.
    Release {
        /// Whose.
        token: Token,
        /// Which hold.
        reservation: ReservationId,
    },
    /// Settle holds of one performance that ran out.
    Expire {
        /// Which; those that did not run out are left alone.
        reservations: Vec<ReservationId>,
    },
}

impl Command {
    pub(crate) fn needs(&self, keys: &mut Keys) {
        match self {
            Self::Open { .. } => {}
            Self::Schedule { concert, .. } => {
                keys.rooms.insert(*concert);
            }
            Self::Hold(request) => request.needs(keys),
            Self::Release { token, reservation } => {
                token.needs(keys);
                keys.reservations.insert(*reservation);
            }
            Self::Expire { reservations } => keys.reservations.extend(reservations),
        }
    }

    pub(crate) fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Done, Refusal> {
        match self {
            Self::Open { title, venue, room } => Ok(open(title, venue, *room, (rows, cx))),
            Self::Schedule { concert, starts_at, seating } => schedule(*concert, *starts_at, seating, (rows, cx)),
            Self::Hold(request) => hold::hold(request, rows, cx),
            Self::Release { token, reservation } => hold::release(token, *reservation, rows, cx),
            Self::Expire { reservations } => Ok(hold::expire(reservations, rows, cx)),
        }
    }
}

fn open(
    title: &Arc<str>,
    venue: &Arc<str>,
    settings: waiting_room::Settings,
    (rows, cx): (&mut Rows, &mut Context<'_>),
) -> Done {
    let id = ConcertId::new(cx.ids.next(cx.at));
    let concert = Concert { id, title: title.clone(), venue: venue.clone(), created_at: cx.at };
    rows.rooms.put(id, Room::new(settings, cx.at));
    rows.new_concerts.push(concert.clone());
    Done::ConcertOpened(concert)
}

fn schedule(
    concert: ConcertId,
    starts_at: Timestamp,
    seating: &Seating,
    (rows, cx): (&mut Rows, &mut Context<'_>),
) -> Result<Done, Refusal> {
    rows.rooms.get(&concert).ok_or(Refusal::ConcertNotFound)?;
    let performance = Performance {
        id: PerformanceId::new(cx.ids.next(cx.at)),
        concert,
        starts_at,
        seating: seating.clone(),
        sold: 0,
        version: 0,
        updated_at: cx.at,
    };
    rows.performances.put(performance.id, performance.clone());
    Ok(Done::PerformanceScheduled(performance))
}
