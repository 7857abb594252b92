//! What other processes did to a database that several share.
//!
//! A process that has its database to itself knows everything from its own commits. One of several asks, a few times a
//! second and together for all of its callers, what has changed since it last looked.

use async_trait::async_trait;
use onsale_domain::ids::{ConcertId, PerformanceId, ReservationId};
use onsale_domain::time::Timestamp;

use super::{RoomRecord, StoreError};

/// What a process knows of the waiting rooms, and what else it wants to know.
#[derive(Clone, Debug, Default)]
pub struct RoomsKnown {
    /// The rooms, each as of one of its versions. Where none is known, all unsettled holds are told too.
    pub versions: Vec<(ConcertId, u64)>,
    /// Places whose unsettled holds are asked for.
    pub holds_of: Vec<(ConcertId, u64)>,
    /// Whether the remaining seats of each performance that has not started long ago are queried.
    pub with_stock: bool,
    /// Rooms that are returned whole, also if they are retired.
    pub whole: Vec<ConcertId>,
    /// Leaves out rooms that are neither known nor named: to find them, all rooms are searched.
    pub only_known: bool,
}

/// What has changed in one room.
#[derive(Clone, Debug)]
pub struct RoomNews {
    /// The room as it is now, with the turns that began or changed and the places that were given up since.
    pub record: RoomRecord,
    /// Places whose turn was settled.
    pub settled: Vec<u64>,
}

/// What is left of a performance.
#[derive(Clone, Copy, Debug)]
pub struct PerformanceStock {
    /// Of which concert.
    pub concert: ConcertId,
    /// Which.
    pub performance: PerformanceId,
    /// When it starts.
    pub starts_at: Timestamp,
    /// Whether a seat is unsold.
    pub is_unsold: bool,
}

/// All rooms as of one moment, as far as they differ from what was known.
#[derive(Clone, Debug, Default)]
pub struct RoomsNews {
    /// The database's time.
    pub at: Timestamp,
    /// Rooms that changed or are new.
    pub rooms: Vec<RoomNews>,
    /// All turns that have ended and wait to be settled.
    pub ended: Vec<(ConcertId, u64)>,
    /// The unsettled holds that were asked for, each with the place that took it.
    pub holds: Vec<(ConcertId, u64, ReservationId, Timestamp)>,
    /// What is left, if that was asked for.
    pub stock: Vec<PerformanceStock>,
}

/// How seats stand after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeatsBecame {
    /// Held until then.
    Held(Timestamp),
    /// Free.
    Free,
    /// Sold.
    Sold,
}

/// One change of a performance.
#[derive(Clone, Debug)]
pub struct SeatsNews {
    /// The performance's version after it.
    pub version: u64,
    /// Which seats.
    pub seats: Vec<u32>,
    /// What they became.
    pub became: SeatsBecame,
}

/// The way to what others did.
#[async_trait]
pub trait News: Send + Sync {
    /// What has changed in the waiting rooms. A room that is not among the known ones is told whole.
    async fn rooms(&self, known: &RoomsKnown) -> Result<RoomsNews, StoreError>;

    /// The changes of a performance after one of its versions, in order.
    async fn seats(&self, performance: PerformanceId, after: u64) -> Result<Vec<SeatsNews>, StoreError>;

    /// How often another history was found than the one before: a standby took over that may not have heard
    /// everything. What was known until then may never have been, and versions are given again to other changes.
    fn histories(&self) -> u64;
}
