//! Concerts: their performances and seats, and the holds on them.

mod adding;
mod best;
mod block;
mod change;
mod extend;
mod hall;
mod hold;
mod hold_any;
mod holds_counted;
mod layout;
mod sale;
mod seating;
mod target;

use std::sync::Arc;

use crate::event::Claim;
use crate::ids::{ConcertId, EventId, PerformanceId, ReservationId, UserId};
use crate::refund::Policy;
use crate::rows::{Keys, Rows};
use crate::seat_list::OFFER_SECONDS_DEFAULT;
use crate::time::Timestamp;
use crate::waiting_room::{self, Room};
use crate::{Command, Context, Refusal};

pub use block::{Block, Blocked, SEATS_AT_ONCE_MAX, Unblock};
pub use change::{AddSeats, AddedRange, Change, ChangePerformance, Notice};
pub use extend::{EXTENSION_SECONDS_MAX, Extend, Extended, Extension, HoldEnd, Rewrite};
pub use hall::{Hall, LAPSED_WITHIN_MILLIS, Taken};
pub use hold::{Ending, Expire, Held, Hold, Release, SEATS_NAMED_MAX};
pub(crate) use hold::{count_settled, end_hold, last_change, owned_reservation, put_hold, record, settle_lapsed};
pub use hold_any::{HoldAny, Wish};
pub(crate) use hold_any::{best_seats, can_settle, is_known};
pub use holds_counted::{ENDING_WITHIN_MILLIS, HoldsCounted, lapsed_up_to};
pub use layout::{
    LAID_SECTIONS_MAX, LaidRow, LaidSection, Layout, PlannedSection, PlannedSegment, SEGMENTS_MAX, UnsoundLayout,
};
pub use sale::{SEATS_PER_USER_DEFAULT, SEATS_PER_USER_MAX, Sale};
pub use seating::{
    GRADE_DEFAULT, GradePrice, PRICE_DEFAULT, PRICE_MAX, SEATS_DEFAULT, SEATS_MAX, SECTIONS_MAX, Seating, Section,
    Unsound,
};
pub use target::{Dates, Target};

/// A concert, as lists show it. Its dates come from its performances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concert {
    /// Id of the concert and of its waiting room.
    pub id: ConcertId,
    /// 1 to 200 characters.
    pub title: Arc<str>,
    /// 1 to 200 characters.
    pub venue: Arc<str>,
    /// Time of the creation.
    pub created_at: Timestamp,
    /// The text that buyers read, if there is one.
    pub notice: Option<Arc<Notice>>,
    /// When it is on sale.
    pub sale: Sale,
    /// Seats of one performance that one user may hold and have bought together, 1 to [`SEATS_PER_USER_MAX`].
    pub seats_per_user: u32,
    /// Number of changes so far.
    pub version: u64,
}

/// One showing of a concert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Performance {
    /// Id of the performance.
    pub id: PerformanceId,
    /// The concert that it belongs to.
    pub concert: ConcertId,
    /// Start. From this instant on no seat can be held.
    pub starts_at: Timestamp,
    /// Sections with grades and prices.
    pub seating: Seating,
    /// Number of paid seats that were not refunded.
    pub sold: u32,
    /// Number of seats in holds that are not settled. A seat of a hold past its end counts until that is settled.
    pub held: u32,
    /// Points paid for seats, less those that refunds gave back.
    pub revenue: i64,
    /// Points that refunds gave back, without the fees.
    pub refunded: i64,
    /// Number of seats that an organiser has blocked.
    pub blocked: u32,
    /// The version of the last change of its start, its seats or their prices; 0 if there was none.
    pub revision: u64,
    /// Number of holds that are not settled. A hold past its end counts until it is settled. `None` if a server that does
    /// not count them has changed the performance since: the next extension counts them again.
    pub holds: Option<u32>,
    /// Number of extensions of its holds so far.
    pub extensions: u64,
    /// Number of payments of which seats are left.
    pub open_payments: u32,
    /// Number of users on its waiting list who wait for an offer.
    pub waitlisted: u32,
    /// Number of seats in offers to such users that are not settled. They count in `held`, too.
    pub offered: u32,
    /// How long an offer lasts, in seconds.
    pub offer_seconds: u32,
    /// When it was cancelled; `None` if it was not. From then on no seat of it is held or paid.
    pub cancelled_at: Option<Timestamp>,
    /// Whether its holds are closed.
    pub closed: bool,
    /// When its concert is on sale. Kept here too, so that a hold reads no row of the concert.
    pub sale: Sale,
    /// The limit of seats for one user, as the concert has it.
    pub seats_per_user: u32,
    /// The rules by which buyers get points back.
    pub refund_policy: Policy,
    /// Number of changes so far. Each event of the performance carries the value after its change.
    pub version: u64,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// A seat that is held or sold. A free seat has no row, and a blocked one has no reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The reservation that holds or bought it.
    pub reservation: ReservationId,
    /// End of the hold. Without meaning once the seat is sold.
    pub held_until: Timestamp,
    /// Number of the last extension that `held_until` contains.
    pub extended: u64,
    /// Whether the seat is paid. Only a refund makes it free again.
    pub sold: bool,
}

impl Seat {
    /// Whether the hold has ended by `at`, so that any user may take the seat.
    pub fn is_lapsed(&self, at: Timestamp) -> bool {
        !self.sold && self.held_until <= at
    }

    /// The end of the hold, for further extensions.
    pub fn end(&self) -> HoldEnd {
        HoldEnd { until: self.held_until, extended: self.extended }
    }

    /// Replaces the end of the hold.
    pub fn end_at(&mut self, end: HoldEnd) {
        (self.held_until, self.extended) = (end.until, end.extended);
    }
}

impl Performance {
    /// Whether a seat is free or held, and may still be sold. While users wait for seats, held seats that come back go to them.
    pub fn is_unsold(&self) -> bool {
        let held = if self.waitlisted > 0 { self.held } else { 0 };
        let taken = self.sold.saturating_add(self.blocked).saturating_add(held);
        !self.closed && self.cancelled_at.is_none() && taken < self.seating.capacity()
    }
}

/// State of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The seats wait for payment.
    Held,
    /// The seats are sold.
    Paid,
    /// The hold ended without payment.
    Expired,
    /// The user gave the seats back, or the performance was cancelled.
    Released,
    /// The seats were paid, and all of them were refunded.
    Refunded,
}

/// Seats held together for one user. Never deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Id of the reservation and of its hold event.
    pub id: ReservationId,
    /// The concert of the performance.
    pub concert: ConcertId,
    /// The performance of the seats.
    pub performance: PerformanceId,
    /// The user who holds the seats.
    pub user: UserId,
    /// The waiting-room place whose token took the hold.
    pub place: u64,
    /// Seat numbers, in the order of the request.
    pub seats: Arc<[u32]>,
    /// Sum of the seats' prices, in points.
    pub amount: i64,
    /// Price of each seat at the time of the hold, in points, in the order of `seats`.
    pub prices: Arc<[i64]>,
    /// The refund policy of the performance at the time of the hold.
    pub refund_policy: Policy,
    /// Time of the hold.
    pub held_at: Timestamp,
    /// End of the hold. From this instant on it cannot be paid and its seats are free.
    pub held_until: Timestamp,
    /// Number of the last extension of the performance that `held_until` contains.
    pub extended: u64,
    /// The stored state: a hold past its end stays `Held` until it is settled. See [`Reservation::status_at`].
    pub status: Status,
    /// Seats that were refunded. All of them with the status `Refunded`; some with `Paid`, or none.
    pub refunded: Vec<u32>,
    /// Id of its release or expiry event, if it has one.
    pub end_event: Option<EventId>,
}

impl Reservation {
    /// Whether it holds or bought seats. A hold past its end counts until it is settled.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.status, Status::Held | Status::Paid)
    }

    /// Whether the user can still pay it at `at`.
    pub fn is_live(&self, at: Timestamp) -> bool {
        self.status == Status::Held && at < self.held_until
    }

    /// The state that clients see: a hold past its end is `Expired` even if it is not settled yet.
    pub fn status_at(&self, at: Timestamp) -> Status {
        match self.status {
            Status::Held if !self.is_live(at) => Status::Expired,
            status => status,
        }
    }

    /// The end of the hold, for further extensions.
    pub fn end(&self) -> HoldEnd {
        HoldEnd { until: self.held_until, extended: self.extended }
    }

    /// Replaces the end of the hold.
    pub fn end_at(&mut self, end: HoldEnd) {
        (self.held_until, self.extended) = (end.until, end.extended);
    }

    /// The data of the reservation's events.
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

/// Creates a concert with its waiting room.
#[derive(Clone, Debug)]
pub struct Create {
    /// 1 to 200 characters.
    pub title: Arc<str>,
    /// 1 to 200 characters.
    pub venue: Arc<str>,
    /// Admission settings of its waiting room, and when the concert is on sale.
    pub room: waiting_room::Settings,
    /// A fresh seed from the system's random source, if early places are drawn.
    pub seed: Option<waiting_room::Seed>,
    /// Seats of one performance for one user, 1 to [`SEATS_PER_USER_MAX`].
    pub seats_per_user: u32,
    /// The text that buyers read, if there is one.
    pub notice: Option<Arc<Notice>>,
}

/// Adds a performance to a concert.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The concert that gets the performance.
    pub concert: ConcertId,
    /// Start. May lie in the past: then no seat can be held.
    pub starts_at: Timestamp,
    /// Sections with grades and prices.
    pub seating: Seating,
    /// The layout of the same seats, if the hall has one.
    pub layout: Option<Arc<Layout>>,
    /// Whether its holds are closed from the start.
    pub closed: bool,
    /// The rules by which buyers get points back.
    pub refund_policy: Policy,
}

impl Command for Create {
    type Output = Concert;

    fn needs(&self, _: &mut Keys) {}

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Concert, Refusal> {
        if let Some(field) = self.room.sale.contradiction() {
            return Err(Refusal::SaleHours { field });
        }
        if let Some(field) = self.room.contradiction() {
            let field = match field {
                "order" => "queue.order",
                "drawAt" => "queue.drawAt",
                _ => "queue.earlyFrom",
            };
            return Err(Refusal::EarlyHours { field });
        }
        let id = ConcertId::new(cx.ids.next(cx.at));
        let concert = Concert {
            id,
            title: self.title.clone(),
            venue: self.venue.clone(),
            created_at: cx.at,
            notice: self.notice.clone(),
            sale: self.room.sale,
            seats_per_user: self.seats_per_user,
            version: 0,
        };
        rows.rooms.put(id, Room::new(self.room, cx.at));
        if let Some(seed) = self.seed.clone().filter(|_| self.room.draw_at.is_some()) {
            rows.draws.put(id, waiting_room::Draw::new(seed));
        }
        rows.concerts.put(id, concert.clone());
        Ok(concert)
    }
}

impl Command for Schedule {
    type Output = Performance;

    fn needs(&self, keys: &mut Keys) {
        // Each concert has a room: its row shows that the concert exists.
        keys.rooms.insert(self.concert);
        // The concert, with the limit of seats for one user.
        keys.concerts.insert(self.concert);
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Performance, Refusal> {
        let concert = rows.concerts.get(&self.concert).ok_or(Refusal::ConcertNotFound)?;
        let performance = Performance {
            id: PerformanceId::new(cx.ids.next(cx.at)),
            concert: self.concert,
            starts_at: self.starts_at,
            seating: self.seating.clone(),
            sold: 0,
            held: 0,
            revenue: 0,
            refunded: 0,
            blocked: 0,
            revision: 0,
            holds: Some(0),
            extensions: 0,
            open_payments: 0,
            waitlisted: 0,
            offered: 0,
            offer_seconds: OFFER_SECONDS_DEFAULT,
            cancelled_at: None,
            closed: self.closed,
            sale: concert.sale,
            seats_per_user: concert.seats_per_user,
            refund_policy: self.refund_policy.clone(),
            version: 0,
            updated_at: cx.at,
        };
        rows.performances.put(performance.id, performance.clone());
        if let Some(layout) = &self.layout {
            rows.layouts.put(performance.id, layout.clone());
        }
        // A later command of the unit of work may change all performances of the concert.
        rows.of_concerts.entry(self.concert).and_modify(|ids| ids.push(performance.id));
        // A later hold of the unit of work may name a date.
        rows.dates.entry(self.concert).and_modify(|dates| dates.performances += 1);
        Ok(performance)
    }
}
