//! Clients that announced to leave: instances tell each other, so that a client that comes back at another instance keeps its place.

use async_trait::async_trait;
use onsale_domain::ids::TokenId;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Token;

use super::StoreError;

/// A token whose client left. Its place or turn is given up at an instant, unless a call with the token comes before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// The token of the place or turn.
    pub token: Token,
    /// When the client announced it, by the database's clock.
    pub asked_at: Timestamp,
    /// From this instant on the place or turn is given up.
    pub leaves_at: Timestamp,
}

/// The table in which instances announce clients that left.
#[async_trait]
pub trait LeaveBoard: Send + Sync {
    /// Announces a client that left. A later announcement of the same token replaces an earlier one.
    async fn announce(&self, leaving: &Leaving) -> Result<(), StoreError>;

    /// Deletes announcements of clients that came back.
    async fn withdraw(&self, tokens: &[TokenId]) -> Result<(), StoreError>;

    /// Every announcement, at most 10,000, the first to leave first.
    async fn announced(&self) -> Result<Vec<Leaving>, StoreError>;

    /// Takes the announcements of clients that leave at this instant or before, at most 100. Each is taken once, by one instance.
    async fn take_due(&self, at: Timestamp) -> Result<Vec<Leaving>, StoreError>;
}
