//! Waiting lists of performances, as they are shown.

use async_trait::async_trait;
use onsale_domain::ids::{ConcertId, PerformanceId, UserId};
use onsale_domain::seat_list::Entry;
use onsale_domain::time::Timestamp;

use super::StoreError;

/// An entry with what its performance and its list say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedEntry {
    /// The entry.
    pub entry: Entry,
    /// The position of a user who waits, from 1; `None` if the user does not wait.
    pub position: Option<u32>,
    /// The start of the performance.
    pub starts_at: Timestamp,
    /// Whether the performance is cancelled.
    pub is_cancelled: bool,
}

/// Reads of waiting lists.
#[async_trait]
pub trait SeatLists: Send + Sync {
    /// Entries of a user, newest first: of one concert, or of all whose performance starts at an instant or later.
    async fn seat_waits_of(
        &self,
        user: &UserId,
        concert: Option<ConcertId>,
        since: Timestamp,
    ) -> Result<Vec<ListedEntry>, StoreError>;

    /// Performances with a list that may get offers at an instant, because seats are free, or whose entries are to be ended.
    async fn performances_to_serve(&self, at: Timestamp) -> Result<Vec<PerformanceId>, StoreError>;
}
