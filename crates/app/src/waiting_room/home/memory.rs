//! The port to the place memory: the data of rooms in Redis.
//!
//! It is shared by all instances, and may lose data or go back to older data. It hands no place out twice, because the
//! database reserves its blocks and opens its epochs.

use async_trait::async_trait;
use onsale_domain::ids::{ConcertId, TokenId, UserId};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{Memory, Token};

use crate::conditions::Reason;

/// Why a call to the memory failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MemoryError {
    /// It cannot be reached or does not answer. The call may have taken effect.
    #[error("Redis does not answer: {0}")]
    Away(String),
    /// The room is not open in the caller's epoch: the memory is another one, lost data or went back to older data, or
    /// another instance opened the room anew.
    #[error("the room is not open in this epoch")]
    NotOpen,
}

/// What can be wrong with the memory. Each is a condition on the board.
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
    /// Another instance hands out places from another primary.
    Split,
}

impl Trouble {
    /// Every trouble, in the order of the board.
    pub const ALL: [Self; 12] = [
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
        Self::Split,
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
            Self::Split => "split",
        }
    }

    /// Whether no user can get a new place because of it.
    pub fn stops_entries(self) -> bool {
        !matches!(self, Self::NearlyFull | Self::Eviction | Self::Split)
    }
}

/// A user that enters.
#[derive(Clone, Debug)]
pub struct Entrant {
    /// The user who gets the place.
    pub user: UserId,
    /// The id of the token, if a place is handed out now.
    pub token: TokenId,
    /// When the place is handed out, if it is.
    pub at: Timestamp,
    /// A place of the user that is over. Another one is handed out only if the memory still has this one.
    pub replacing: Option<u64>,
}

/// The place that a user has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The place, from 1.
    pub place: u64,
    /// The id of its token.
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

/// The result for one entrant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// A place was handed out just now.
    New(Held),
    /// The user had this place before.
    Before(Held),
    /// The block is used up.
    Exhausted,
    /// The memory takes no new places now.
    Refused,
}

/// The results for all entrants of a call.
#[derive(Clone, Debug)]
pub struct Entered {
    /// One result for each entrant, in their order.
    pub given: Vec<Given>,
    /// How far the block is used now.
    pub block_use: BlockUse,
    /// Why the memory takes no new places, if it refused some.
    pub refused: Option<String>,
}

/// How far a block is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockUse {
    /// The last place handed out.
    pub issued: u64,
    /// The last place of the block.
    pub block_end: u64,
}

/// A room as the memory has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The name of this life of the memory.
    pub memory: Memory,
    /// The epoch for which this life of the memory was opened; 0 if it was not.
    pub epoch: u64,
    /// The last epoch for which any life of this data was opened.
    pub last_epoch: u64,
    /// How far the block is used, also if the room was opened for another memory that this one is a copy of.
    pub block_use: BlockUse,
    /// Places after the first and up to the second may be missing among those that users are known to have.
    pub missing: (u64, u64),
    /// Places after the first and up to the second were passed over when the room was opened: perhaps never handed out.
    pub passed: (u64, u64),
}

/// The place memory of all rooms.
#[async_trait]
pub trait PlaceMemory: Send + Sync {
    /// Checks everything that entries need, without a room: each trouble once, with its reason for an operator. Takes
    /// at most a few seconds.
    async fn examine(&self) -> Vec<(Trouble, Reason)>;

    /// The state of a room. Reads only.
    async fn state(&self, concert: ConcertId) -> Result<State, MemoryError>;

    /// The state of a room that is about to be opened. Fails if the memory takes no writes.
    async fn prepare(&self, concert: ConcertId) -> Result<State, MemoryError>;

    /// Opens a room in an epoch that the database has opened for this very memory, and that was not opened before.
    async fn open(
        &self,
        concert: ConcertId,
        epoch: u64,
        memory: Memory,
        block_use: BlockUse,
    ) -> Result<(), MemoryError>;

    /// Moves the end of the block of an epoch, and fails with [`MemoryError::NotOpen`] in another epoch.
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

    /// The place that the memory has for a user. Hands none out.
    async fn find(&self, concert: ConcertId, user: &UserId) -> Result<Option<Held>, MemoryError>;

    /// Removes a user, if the memory has this place for the user.
    async fn forget(&self, concert: ConcertId, user: &UserId, place: u64) -> Result<(), MemoryError>;

    /// Puts users back whose tokens were shown, each with the place that the token may replace. Returns the place that the
    /// memory has for each user afterwards.
    async fn restore(&self, concert: ConcertId, tokens: &[(Token, Option<u64>)]) -> Result<Vec<Held>, MemoryError>;

    /// Deletes everything of a room that is over, unless it was opened anew since this epoch or places were handed out
    /// after this one. Returns whether there was anything to delete.
    async fn retire(&self, concert: ConcertId, epoch: u64, issued: u64) -> Result<bool, MemoryError>;
}
