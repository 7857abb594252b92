//! Performances, their seats and reservations, and the extensions of holds, each with what should agree with it.

use std::sync::Arc;

use onsale_domain::cancellation::Cancellation;
use onsale_domain::concert::{Layout, Performance, Reservation, Sale, Seat};
use onsale_domain::ids::PerformanceId;
use onsale_domain::time::Timestamp;

use super::EventRow;

/// An extension of the holds of a performance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtensionRow {
    /// Its number among those of the performance, from 1.
    pub number: u64,
    /// The version of the performance with the extension.
    pub version: u64,
    /// The instant at which the holds were live.
    pub at: Timestamp,
    /// How much longer they last.
    pub seconds: u32,
}

/// An extension with everything that should agree with it.
#[derive(Clone, Debug)]
pub struct ExtendedRow {
    /// The performance whose holds it extended.
    pub performance: PerformanceId,
    /// The extension as stored.
    pub extension: ExtensionRow,
    /// How many holds were live.
    pub holds: u64,
    /// Why, as the administrator wrote it.
    pub reason: String,
    /// The event of the id that it names.
    pub event: Option<EventRow>,
}

/// A reservation with everything that should agree with it.
#[derive(Clone, Debug)]
pub struct ReservationRow {
    /// The reservation as it is read: with the extensions that its row does not contain yet.
    pub reservation: Reservation,
    /// All extensions of its performance, in order.
    pub extensions: Vec<ExtensionRow>,
    /// The seats whose rows name this reservation, by number.
    pub seats: Vec<(u32, Seat)>,
    /// How many payments name it.
    pub payments: u64,
    /// The event of the same id.
    pub held_event: Option<EventRow>,
    /// The event that its end names.
    pub end_event: Option<EventRow>,
}

/// A seat that is held or sold, with its owner.
#[derive(Clone, Debug)]
pub struct SeatRow {
    /// The performance of the seat.
    pub performance: PerformanceId,
    /// Seat number within the performance.
    pub number: u32,
    /// The row of the seat.
    pub seat: Seat,
    /// The reservation that the row names, if it exists.
    pub owner: Option<Reservation>,
}

/// A performance and the counts of its rows.
#[derive(Clone, Debug)]
pub struct PerformanceRow {
    /// The performance with its own counters.
    pub performance: Performance,
    /// How many of its seats are sold.
    pub sold_seats: u64,
    /// How many of its seats are blocked.
    pub blocked_seats: u64,
    /// How many rows of its seats are of a blocked seat that is held or sold, or of neither.
    pub mixed_seats: u64,
    /// The column of its capacity, which live figures read.
    pub stored_capacity: u64,
    /// How many reservations own sold seats.
    pub open_payments: u64,
    /// How many of its reservations are held and not settled.
    pub holds: u64,
    /// How many extensions its holds have had, and the highest number of one.
    pub extensions: (u64, u64),
    /// How many of its seats are held, lapsed holds included until they are settled.
    pub held_seats: u64,
    /// The sum of its payments, in points.
    pub paid: i64,
    /// The sum that its refunds gave back, in points, without the fees.
    pub given_back: i64,
    /// How many of its payments that a step of its cancellation could not refund have seats left.
    pub failed_open: u64,
    /// How many of its payments were refunded in full with a step of its cancellation, and how many at all. Both are 0 if it is
    /// not cancelled.
    pub refunded_payments: (u64, u64),
    /// Its cancellation, with the event of the id that this names.
    pub cancelled: Option<(Cancellation, Option<EventRow>)>,
    /// When its concert is on sale, and the limit of seats for one user; `None` if there is no such concert.
    pub sale: Option<(Sale, u32)>,
    /// The event of its last change by an administrator.
    pub changed: Option<EventRow>,
    /// Its layout, if it has one.
    pub layout: Option<Arc<Layout>>,
}
