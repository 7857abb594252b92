//! The seam to a memory beside the database that hands out places in line.
//!
//! It is fast, shared by all instances, and may forget: what it must never do twice is bounded by blocks that the
//! database reserves, and by epochs that the database opens.

use async_trait::async_trait;
use onsale_domain::ids::{ConcertId, TokenId, UserId};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{Memory, Token};

/// Why a memory did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MemoryError {
    /// It cannot be reached, or does not answer; what was asked may have been done.
    #[error("the memory of places is away: {0}")]
    Away(String),
    /// The room is not open in the asker's epoch: the memory is another, has forgotten, or somebody opened it anew.
    #[error("the room is not open in this epoch")]
    NotOpen,
}

/// Somebody at the door.
#[derive(Clone, Debug)]
pub struct Entrant {
    /// Who.
    pub user: UserId,
    /// The name of the token, if a place is handed out now.
    pub token: TokenId,
    /// When, if it is.
    pub at: Timestamp,
    /// A place of theirs that is over: only if the memory still has it, another is handed out.
    pub replacing: Option<u64>,
}

/// A place of somebody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its number.
    pub place: u64,
    /// The name of its token.
    pub token: TokenId,
    /// When it was handed out.
    pub issued_at: Timestamp,
}

impl Held {
    /// The token that carries the place.
    pub fn into_token(self, concert: ConcertId, user: UserId) -> Token {
        let Self { place, token: id, issued_at } = self;
        Token { id, concert, user, place, issued_at }
    }
}

/// What came of an entrant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// A place was handed out just now.
    New(Held),
    /// They had one.
    Before(Held),
    /// The block is used up.
    Exhausted,
}

/// How far a block is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The last place handed out.
    pub issued: u64,
    /// The last of the block.
    pub block_end: u64,
}

/// A room as a memory has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The memory itself.
    pub memory: Memory,
    /// The epoch for which this very memory was opened; 0 where it was not.
    pub epoch: u64,
    /// How far the block is used, also where the room was opened for another memory that this one is a copy of.
    pub mark: Mark,
    /// Places after the first and up to the second may be missing among those that users are known to have.
    pub missing: (u64, u64),
}

/// A memory of places.
#[async_trait]
pub trait PlaceMemory: Send + Sync {
    /// Asks for a sign of life.
    async fn ping(&self) -> Result<(), MemoryError>;

    /// How a room stands.
    async fn state(&self, concert: ConcertId) -> Result<State, MemoryError>;

    /// Opens a room in an epoch that the database has opened for this very memory, and that was not opened before.
    async fn open(&self, concert: ConcertId, epoch: u64, memory: Memory, mark: Mark) -> Result<(), MemoryError>;

    /// Adds to the block of an epoch.
    async fn extend(&self, concert: ConcertId, epoch: u64, block_end: u64) -> Result<(), MemoryError>;

    /// A place for each entrant, in this order, in one atomic step.
    async fn enter(
        &self,
        concert: ConcertId,
        epoch: u64,
        entrants: &[Entrant],
    ) -> Result<(Vec<Given>, Mark), MemoryError>;

    /// Takes a user out, if the memory has this place for them.
    async fn forget(&self, concert: ConcertId, user: &UserId, place: u64) -> Result<(), MemoryError>;

    /// Puts users back whose tokens were shown, each with the place that the token may replace. Answers, for each, the
    /// place that the memory has by now.
    async fn restore(&self, concert: ConcertId, tokens: &[(Token, Option<u64>)]) -> Result<Vec<Held>, MemoryError>;
}
