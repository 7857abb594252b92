//! The seam to a memory beside the database that hands out places in line.
//!
//! It is fast, shared by all instances, and may forget or go back in time. Blocks that the database reserves and epochs
//! that the database opens bound what it could do twice.

use async_trait::async_trait;
use onsale_domain::ids::{ConcertId, TokenId, UserId};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{Memory, Token};

/// Why a memory did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MemoryError {
    /// It cannot be reached or does not answer. The call may have taken effect.
    #[error("the memory of places is away: {0}")]
    Away(String),
    /// The room is not open in the caller's epoch: the memory is another one, lost data or went back to older data, or
    /// another instance opened the room anew.
    #[error("the room is not open in this epoch")]
    NotOpen,
}

/// What can be wrong with a memory. Each is a condition on the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It cannot be reached, or does not answer in time.
    Away,
    /// It refuses the user name or the password.
    Login,
    /// The user may not run a command that is needed.
    Rights,
    /// It reads its data after a start.
    Loading,
    /// It is a replica.
    ReadOnly,
    /// It has no memory left for new places.
    Full,
    /// It soon has no memory left for new places.
    NearlyFull,
    /// It takes no writes because it cannot save.
    Persistence,
    /// It takes no writes because it has too few replicas.
    Replicas,
    /// Some slots of a cluster have no server.
    Slots,
    /// It may drop places when its memory is full.
    Eviction,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Away,
        Self::Login,
        Self::Rights,
        Self::Loading,
        Self::ReadOnly,
        Self::Full,
        Self::NearlyFull,
        Self::Persistence,
        Self::Replicas,
        Self::Slots,
        Self::Eviction,
    ];

    /// The name of the condition on the board.
    pub fn condition(self) -> &'static str {
        match self {
            Self::Away => "away",
            Self::Login => "login",
            Self::Rights => "rights",
            Self::Loading => "loading",
            Self::ReadOnly => "read-only",
            Self::Full => "full",
            Self::NearlyFull => "nearly-full",
            Self::Persistence => "persistence",
            Self::Replicas => "replicas",
            Self::Slots => "slots",
            Self::Eviction => "eviction",
        }
    }

    /// Whether no user can get a new place because of it.
    pub fn closes_the_door(self) -> bool {
        !matches!(self, Self::NearlyFull | Self::Eviction)
    }
}

/// A user who enters.
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

/// A user's place.
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
    /// The user had one.
    Before(Held),
    /// The block is used up.
    Exhausted,
    /// The memory takes no new places now.
    Refused,
}

/// What came of all entrants of a call.
#[derive(Clone, Debug)]
pub struct Entered {
    /// One for each entrant, in their order.
    pub given: Vec<Given>,
    /// How far the block is used now.
    pub mark: Mark,
    /// Why the memory takes no new places, if it refused some.
    pub refused: Option<String>,
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
    /// The epoch for which this very life of the memory was opened; 0 if it was not.
    pub epoch: u64,
    /// The last epoch for which any life of this data was opened.
    pub last_epoch: u64,
    /// How far the block is used, also if the room was opened for another memory that this one is a copy of.
    pub mark: Mark,
    /// Places after the first and up to the second may be missing among those that users are known to have.
    pub missing: (u64, u64),
    /// Places after the first and up to the second were passed over when the room was opened: perhaps never handed out.
    pub passed: (u64, u64),
}

/// A memory of places.
#[async_trait]
pub trait PlaceMemory: Send + Sync {
    /// Checks everything that entries need, without a room: each trouble once, with its reason for an operator. Takes
    /// at most a few seconds.
    async fn examine(&self) -> Vec<(Trouble, String)>;

    /// How a room stands.
    async fn state(&self, concert: ConcertId) -> Result<State, MemoryError>;

    /// The same, for a room that is about to be opened: fails if the memory takes no writes.
    async fn prepare(&self, concert: ConcertId) -> Result<State, MemoryError>;

    /// Opens a room in an epoch that the database has opened for this very memory, and that was not opened before.
    async fn open(&self, concert: ConcertId, epoch: u64, memory: Memory, mark: Mark) -> Result<(), MemoryError>;

    /// Adds to the block of an epoch.
    async fn extend(&self, concert: ConcertId, epoch: u64, block_end: u64) -> Result<(), MemoryError>;

    /// A place for each entrant, in this order, in one atomic step. The caller knows that places up to `known` were
    /// handed out in this epoch. If the memory knows of fewer, it went back to older data: `NotOpen`.
    async fn enter(
        &self,
        concert: ConcertId,
        epoch: u64,
        known: u64,
        entrants: &[Entrant],
    ) -> Result<Entered, MemoryError>;

    /// Takes a user out, if the memory has this place for them.
    async fn forget(&self, concert: ConcertId, user: &UserId, place: u64) -> Result<(), MemoryError>;

    /// Puts users back whose tokens were shown, each with the place that the token may replace. Returns, for each, the
    /// place that the memory has by now.
    async fn restore(&self, concert: ConcertId, tokens: &[(Token, Option<u64>)]) -> Result<Vec<Held>, MemoryError>;

    /// Deletes everything of a room that is over, unless it was opened anew since this epoch or places were handed out
    /// after this one. Returns whether there was anything to delete.
    async fn retire(&self, concert: ConcertId, epoch: u64, issued: u64) -> Result<bool, MemoryError>;
}
