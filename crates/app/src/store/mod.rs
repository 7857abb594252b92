//! The port to the database: load what decisions need, save what they decided, and read.
//!
//! Each database has one implementation. A store knows rows and no rules.

mod draws;
mod error;
mod export;
mod figures;
mod leaving;
mod lectures;
pub mod locks;
pub mod news;
mod reader;
mod retention;
mod seat_lists;
mod sessions;
mod staff;
mod tickets;
mod writer;

use std::sync::Arc;

use async_trait::async_trait;
use onsale_domain::time::Timestamp;
use prometheus_client::registry::Registry;

use crate::conditions::Conditions;

pub use draws::{Draws, EntryRow};
pub use error::StoreError;
pub use export::{Applicant, Attendee, EXPORT_WITHIN, EXPORTED_TOGETHER, ExportRow, ExportRows, Exports};
pub use figures::{FigureBoard, PerformanceFigures, Published};
pub use leaving::{LeaveBoard, Leaving};
pub use lectures::{AppliedLecture, LectureFilter, WaitingUser};
pub use news::News;
pub use reader::{
    Announced, GivenBack, HoldRecord, Listed, Page, Reader, RefundsOf, RoomRecord, SeatRecord, SeatRows, SeatTaken,
    UnsettledSeat,
};
pub use retention::Retention;
pub use seat_lists::{ListedEntry, SeatLists};
pub use sessions::EndedSessions;
pub use staff::{ListedKey, LogFilter, LogRow};
pub use tickets::{Conflict, ConflictKind, Manifest, ShownTicket, SigningKey, TicketStatus, Tickets, TicketsOf};
pub use writer::{Unit, Wanted, Writer};

/// A database with the data of a sale.
#[async_trait]
pub trait Store: Send + Sync {
    /// Opens the connection of one lane.
    async fn writer(&self) -> Result<Box<dyn Writer>, StoreError>;

    /// The connections for everything that only reads.
    fn reader(&self) -> Arc<dyn Reader>;

    /// Reads whole lists for exports.
    fn exports(&self) -> Arc<dyn Exports>;

    /// The table in which instances publish their figures; `None` if this database has one process.
    fn board(&self) -> Option<Arc<dyn FigureBoard>> {
        None
    }

    /// The table in which instances announce clients that left; `None` if this database has one process.
    fn leave_board(&self) -> Option<Arc<dyn LeaveBoard>> {
        None
    }

    /// Retires and drops what is over.
    fn retention(&self) -> Arc<dyn Retention>;

    /// The changes of other instances; `None` if this database has one process.
    fn news(&self) -> Option<Arc<dyn News>>;

    /// Registers the store's own metrics, if it has any.
    fn register(&self, registry: &mut Registry) {
        let _ = registry;
    }

    /// Sets the board on which the store raises its conditions. If another process keeps a file of the store growing, the
    /// store refuses writes before the disk has less than `disk_reserve_mib` MiB free. With 0 it never does.
    fn report_to(&self, conditions: &Arc<Conditions>, disk_reserve_mib: u32) {
        let _ = (conditions, disk_reserve_mib);
    }

    /// The age in seconds of the oldest snapshot that another session keeps open: a backup, an audit, or a forgotten
    /// transaction. As long as it is open, the database keeps every old version of a row. `None` if there is none.
    async fn oldest_snapshot(&self) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }

    /// A value that all instances share. Stores `offered` if there is no value with this name yet. Returns the stored one.
    async fn secret(&self, name: &str, offered: &[u8]) -> Result<Vec<u8>, StoreError>;

    /// Notes the keys that sign and verify tickets, by their public halves: the first signs from `at` on, unless it does already.
    async fn note_ticket_keys(&self, keys: &[[u8; 32]], at: Timestamp) -> Result<(), StoreError>;

    /// Closes all connections and tidies up. Nothing is written after this.
    async fn close(&self);
}
