//! The seam to the database: load what decisions need, save what they decided, and read.
//!
//! One implementation per database. No rule stands behind this seam: a store knows rows, not reasons.

mod error;
pub mod locks;
pub mod news;
mod reader;
mod retention;
mod writer;

use std::sync::Arc;

use async_trait::async_trait;
use prometheus_client::registry::Registry;

use crate::conditions::Conditions;

pub use error::StoreError;
pub use news::News;
pub use reader::{AppliedLecture, LectureFilter, Listed, Page, Reader, RoomRecord, SeatRows};
pub use retention::Retention;
pub use writer::{Unit, Wanted, Writer};

/// A database that holds a sale.
#[async_trait]
pub trait Store: Send + Sync {
    /// A way in for one lane.
    async fn writer(&self) -> Result<Box<dyn Writer>, StoreError>;

    /// The way in for everyone who only reads.
    fn reader(&self) -> Arc<dyn Reader>;

    /// The way to retire and drop what is over.
    fn retention(&self) -> Arc<dyn Retention>;

    /// How to learn what other processes do to this database; `None` where there can be none.
    fn news(&self) -> Option<Arc<dyn News>>;

    /// Shows what the store measures of itself, if anything.
    fn register(&self, registry: &mut Registry) {
        let _ = registry;
    }

    /// Sets the board on which the store states what is wrong with it. If another process makes a file of the store grow without
    /// end, writes are refused before its disk has less than `disk_reserve_mib` MiB free; 0: never.
    fn report_to(&self, conditions: &Arc<Conditions>, disk_reserve_mib: u32) {
        let _ = (conditions, disk_reserve_mib);
    }

    /// How long the oldest snapshot is open that another session keeps in this database, in seconds: a backup, an audit, a
    /// transaction that was left open. While it is, no old version of a row is cleared away. `None` if the database has
    /// no such sessions.
    async fn oldest_snapshot(&self) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }

    /// A value that is made once and the same for all instances: the one that was there, else the one offered.
    async fn secret(&self, name: &str, offered: &[u8]) -> Result<Vec<u8>, StoreError>;

    /// Leaves the database tidy. Nothing is written after this.
    async fn close(&self);
}
