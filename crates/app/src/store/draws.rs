//! How the record of a draw, its list and its order are read.

use async_trait::async_trait;
use onsale_domain::ids::{ConcertId, UserId};
use onsale_domain::waiting_room::{Draw, List, Token};

use super::{Page, StoreError};

/// An entry of the list of a draw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryRow {
    /// The token of the entry, with the entry number as its place.
    pub token: Token,
    /// Whether the row counts no more: the user left after the closing, or was admitted since.
    pub is_replaced: bool,
}

/// Reads of draws next to the writers.
#[async_trait]
pub trait Draws: Send + Sync {
    /// The record of a draw, with its seed; `None` if the order of the concert was never drawn.
    async fn draw(&self, concert: ConcertId) -> Result<Option<Draw>, StoreError>;

    /// The entries of a closed list that follow an entry number, in ascending order of numbers.
    async fn draw_entries(&self, concert: ConcertId, list: List, page: Page<u64>) -> Result<Vec<EntryRow>, StoreError>;

    /// The entry numbers in drawn order; `None` before the draw.
    async fn drawn_order(&self, concert: ConcertId) -> Result<Option<Vec<u32>>, StoreError>;

    /// The entry of a user in a closed list, with the entry number as its place; `None` if the user has none, or has another place
    /// since.
    async fn draw_entry_of(&self, concert: ConcertId, user: &UserId, list: List) -> Result<Option<Token>, StoreError>;
}
