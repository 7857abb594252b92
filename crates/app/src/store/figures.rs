//! Figures of a running sale: performances as the database counts them, and what instances publish of themselves.

use async_trait::async_trait;
use onsale_domain::ids::{ConcertId, PerformanceId};
use onsale_domain::time::Timestamp;
use uuid::Uuid;

use super::StoreError;

/// A performance with its counters. Each change keeps them, so that no query counts rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerformanceFigures {
    /// Id of the performance.
    pub id: PerformanceId,
    /// The concert of the performance.
    pub concert: ConcertId,
    /// Start of the performance.
    pub starts_at: Timestamp,
    /// Number of all seats.
    pub capacity: u32,
    /// Seats that are paid and not refunded.
    pub sold: u32,
    /// Seats in holds. A seat of a hold past its end counts until that is settled.
    pub held: u32,
    /// Seats that an organiser has blocked.
    pub blocked: u32,
    /// Points paid for seats, less those that refunds gave back.
    pub revenue: i64,
    /// Points that refunds gave back, without the fees.
    pub refunded: i64,
    /// Whether it was cancelled: no seat of it can be held any more.
    pub is_cancelled: bool,
}

impl PerformanceFigures {
    /// Seats that are neither held, sold nor blocked; a user may hold them unless it was cancelled. A seat of a hold that lapsed and
    /// is not settled does not count.
    pub fn available(&self) -> u32 {
        self.capacity.saturating_sub(self.sold).saturating_sub(self.held).saturating_sub(self.blocked)
    }
}

/// What an instance has published of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The instance: another one for each start of a process.
    pub instance: Uuid,
    /// When it was published, by the database's clock.
    pub seen_at: Timestamp,
    /// When live figures were last viewed at this instance.
    pub viewed_at: Timestamp,
    /// Its figures, as it wrote them.
    pub figures: String,
}

/// The table in which instances publish their figures to each other.
#[async_trait]
pub trait FigureBoard: Send + Sync {
    /// Replaces what an instance has published, and deletes what was published before `old`.
    async fn publish(&self, published: &Published, old: Timestamp) -> Result<(), StoreError>;

    /// What instances have published since an instant.
    async fn published(&self, since: Timestamp) -> Result<Vec<Published>, StoreError>;
}
