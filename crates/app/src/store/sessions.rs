//! How the ends of users' sessions are read.

use async_trait::async_trait;
use onsale_domain::session::EndedSession;

use super::StoreError;

/// Reads of ended sessions next to the writers.
#[async_trait]
pub trait EndedSessions: Send + Sync {
    /// Ended sessions whose number is at least `from`, in ascending order of numbers, at most `limit`. Numbers ascend in the order
    /// of commits, so a reader that has seen a number has seen all smaller ones. The row of the greatest number is never deleted.
    async fn ended_sessions(&self, from: u64, limit: usize) -> Result<Vec<(u64, EndedSession)>, StoreError>;
}
