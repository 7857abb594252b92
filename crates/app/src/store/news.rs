//! The changes of other instances that share a database.
//!
//! A process that has its database to itself knows everything from its own commits. With several instances, each queries a
//! few times a second, once for all of its clients, what the others changed since its last query.

use std::collections::HashMap;

use async_trait::async_trait;
use onsale_domain::ids::{ConcertId, PerformanceId};
use onsale_domain::time::Timestamp;

use super::{HoldRecord, RoomRecord, StoreError};

/// What a process knows of the waiting rooms, and what else it queries.
#[derive(Clone, Debug, Default)]
pub struct RoomsKnown {
    /// The known rooms, each with its version. If it is empty, the answer contains all unsettled holds, too.
    pub versions: Vec<(ConcertId, u64)>,
    /// Places whose unsettled holds the answer contains.
    pub holds_of: Vec<(ConcertId, u64)>,
    /// Whether the answer contains which performances have unsold seats. Performances that started over two days ago are left
    /// out, unless they were revised in the last two days, or added then long after their start.
    pub with_availability: bool,
    /// Rooms that are returned whole, also if they are retired.
    pub whole: Vec<ConcertId>,
    /// Leaves out rooms that are neither known nor named: to find them, all rooms are searched.
    pub only_known: bool,
}

/// The changes of one room.
#[derive(Clone, Debug)]
pub struct RoomNews {
    /// The room as it is now, with the turns that began or changed since the known version, and the places given up since.
    pub record: RoomRecord,
    /// Places whose turn was settled since.
    pub settled: Vec<u64>,
}

/// Whether a performance has unsold seats.
#[derive(Clone, Copy, Debug)]
pub struct PerformanceAvailability {
    /// The concert of the performance.
    pub concert: ConcertId,
    /// Id of the performance.
    pub id: PerformanceId,
    /// Start of the performance.
    pub starts_at: Timestamp,
    /// The version of the last change of its start, its seats or their prices; 0 if there was none.
    pub revision: u64,
    /// Whether a seat is unsold and may still be sold.
    pub is_unsold: bool,
}

/// The rooms that differ from what a process knows, all as of one moment.
#[derive(Clone, Debug, Default)]
pub struct RoomsNews {
    /// The database's time of the query.
    pub at: Timestamp,
    /// Rooms that changed or are new.
    pub rooms: Vec<RoomNews>,
    /// All turns that have ended and are not settled yet.
    pub ended: Vec<(ConcertId, u64)>,
    /// The unsettled holds of the places that the query named, each complete; all holds if it knew no room.
    pub holds: Vec<(ConcertId, HoldRecord)>,
    /// Whether each performance has unsold seats, if the query wanted it.
    pub availability: Vec<PerformanceAvailability>,
}

/// The state of seats after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeatsBecame {
    /// Held until this instant.
    Held(Timestamp),
    /// Free for any user.
    Free,
    /// Sold, and never free again.
    Sold,
    /// Taken from sale by an organiser.
    Blocked,
    /// Held for this many seconds longer, if they were held beyond this instant. The change names no seats: it is about all.
    Extended(Timestamp, u32),
    /// As they were. The performance is cancelled for good.
    Cancelled,
    /// As they were, and so is everything else that a map shows: a ticket became void, or was scanned at the door.
    Untouched,
    /// As they were. A user joined the waiting list of the performance.
    WaitedFor,
    /// As they were. The holds of the performance are closed or opened.
    Unchanged {
        /// Whether the holds are closed from now on.
        closed: bool,
    },
}

/// One change of a performance.
#[derive(Clone, Debug)]
pub struct SeatsNews {
    /// The performance's version after it.
    pub version: u64,
    /// Numbers of the seats that changed.
    pub seats: Vec<u32>,
    /// Their state after the change.
    pub became: SeatsBecame,
}

/// Queries the changes of other instances.
#[async_trait]
pub trait News: Send + Sync {
    /// The changes of the waiting rooms. A room that is not among the known ones is returned whole.
    async fn rooms(&self, known: &RoomsKnown) -> Result<RoomsNews, StoreError>;

    /// The changes of performances, each after one of its versions, in order. A performance without changes is absent.
    async fn seats(&self, known: &[(PerformanceId, u64)])
    -> Result<HashMap<PerformanceId, Vec<SeatsNews>>, StoreError>;

    /// How many times the process connected to another server than before: the server was restarted, a standby took over, or
    /// the database was restored. The newest commits that the process knew may be lost, and the same version numbers may now
    /// belong to other changes.
    fn server_changes(&self) -> u64;

    /// Identifies the history within which version numbers are comparable. The same at all instances that are connected to the
    /// same server; another one after each of [`Self::server_changes`].
    fn history(&self) -> u64;
}
