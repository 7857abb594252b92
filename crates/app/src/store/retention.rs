//! How a database retires and drops what is over.

use async_trait::async_trait;
use onsale_domain::ids::ConcertId;
use onsale_domain::time::Timestamp;

use super::StoreError;

/// Each call is one short transaction.
#[async_trait]
pub trait Retention: Send + Sync {
    /// Marks those of the rooms as retired that are still at the version given, in which no turn runs and no hold lives,
    /// and whose concerts have no performance that starts at an instant or later. Returns which of them are retired now.
    async fn retire(&self, rooms: &[(ConcertId, u64)], started_before: Timestamp)
    -> Result<Vec<ConcertId>, StoreError>;

    /// Drops at most this many of the oldest places of a few rooms: places that were handed out before an instant and were
    /// called, and whose turns are settled. Returns how many; 0 if no room has any left.
    async fn drop_places(&self, before: Timestamp, most: usize) -> Result<usize, StoreError>;

    /// Deletes at most this many of the oldest events that happened before an instant, if they were sent. With
    /// `even_unsent` also others, unless a relay ever took a part of the outbox: then they are still to be sent. Dead
    /// letters, events that were put back, and the last event of all stay.
    async fn forget_events(&self, before: Timestamp, even_unsent: bool, most: usize) -> Result<usize, StoreError>;
}
