//! Lists for staff that may be long: the attendees of a performance, and the applicants of a lecture.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use onsale_domain::ids::{PaymentId, UserId};
use onsale_domain::staff::Export;
use onsale_domain::time::Timestamp;
use tokio::sync::mpsc::Sender;

use super::StoreError;

/// The longest transaction of an export. Beyond it the export fails with `StoreError::Unavailable`. With the time to connect it
/// stays below 30 s: a database keeps every old version of a row for as long as a snapshot is open.
pub const EXPORT_WITHIN: Duration = Duration::from_secs(25);

/// Rows that an export passes on at once.
pub const EXPORTED_TOGETHER: usize = 500;

/// A seat that is sold, with its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attendee {
    /// Number of the seat.
    pub seat: u32,
    /// Grade of its section.
    pub grade: Arc<str>,
    /// The user who bought it.
    pub user: UserId,
    /// The payment, of which this seat is not refunded.
    pub payment: PaymentId,
    /// Time of the payment.
    pub paid_at: Timestamp,
    /// Time of the check-in at the door; `None` before it.
    pub checked_in_at: Option<Timestamp>,
}

/// A place in a lecture, with its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applicant {
    /// Number of the place.
    pub seat_number: u32,
    /// The user who has it.
    pub user: UserId,
    /// Time of the application.
    pub applied_at: Timestamp,
}

/// A row of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportRow {
    /// A row of the attendees of a performance, by seat.
    Attendee(Attendee),
    /// A row of the applicants of a lecture, by place.
    Applicant(Applicant),
}

/// Takes the rows of an export, at most [`EXPORTED_TOGETHER`] at once. The reading waits while the channel is full, and ends if
/// the receiver is dropped.
pub type ExportRows = Sender<Vec<ExportRow>>;

/// Reads whole lists, each over a connection of its own.
#[async_trait]
pub trait Exports: Send + Sync {
    /// Passes all rows of a list on, in order and as of one instant. None if there is no such performance or lecture. The
    /// transaction ends within [`EXPORT_WITHIN`], however slowly the rows are taken.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails, if the time is over, or if the receiver is dropped. Some rows may have been passed
    /// on before.
    async fn export(&self, list: Export, rows: ExportRows) -> Result<(), StoreError>;
}
