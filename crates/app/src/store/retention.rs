//! How a database retires and drops what is over.

use async_trait::async_trait;
use onsale_domain::ids::ConcertId;
use onsale_domain::time::Timestamp;

use super::StoreError;

/// Each call is one short transaction.
#[async_trait]
pub trait Retention: Send + Sync {
    /// Retires each of the rooms that is still at the given version, has no running turn and no live hold, and whose concert
    /// has no performance that starts at `started_before` or later. Returns the rooms that are retired now.
    async fn retire(&self, rooms: &[(ConcertId, u64)], started_before: Timestamp)
    -> Result<Vec<ConcertId>, StoreError>;

    /// Drops at most `most` of the oldest places of a few rooms: places that were handed out before `before` and admitted,
    /// and whose turns are settled. Returns how many; 0 if no room has any left.
    async fn drop_places(&self, before: Timestamp, most: usize) -> Result<usize, StoreError>;

    /// Deletes at most `most` of the oldest events from before `before`, if they were sent. With `even_unsent` also unsent
    /// events, unless a relay ever took a part of the outbox: then they will still be sent. Dead letters, events that were
    /// put back, and the last event of the log stay. Returns how many it deleted.
    async fn forget_events(&self, before: Timestamp, even_unsent: bool, most: usize) -> Result<usize, StoreError>;
}
