//! The home of the rooms: the system that hands out places. It is the database, or Redis for large crowds.

mod database;
mod freshness;
mod memory;
mod opening;
mod queue;
mod redis;
mod repair;
mod watch;

use std::sync::Arc;

use async_trait::async_trait;
use onsale_domain::ids::{ConcertId, UserId};
use onsale_domain::waiting_room::{Enter, Pass, Token};

use super::LiveRoom;
use crate::desk::{Failure, Outcome};

pub use database::DatabaseHome;
pub use memory::{BlockUse, Entered, Entrant, Given, Held, MemoryError, PlaceMemory, State, Trouble};
pub use redis::RedisHome;
pub use repair::Repairer;
pub use watch::Watch;

/// The system that hands out the places of all rooms.
#[async_trait]
pub trait Home: Send + Sync {
    /// Returns a place in line: a new one, or the one that the user has. `pass` is the result of the check of the presale code of
    /// the request; `None` without a code.
    ///
    /// # Errors
    /// - [`Failure::Overloaded`] if too many users enter at once. No place was handed out.
    /// - [`Failure::Unavailable`] if the database or Redis does not answer. Entering again returns the place if one was
    ///   handed out.
    async fn enter(&self, room: &Arc<LiveRoom>, user: UserId, pass: Pass) -> Result<Outcome<Enter>, Failure>;

    /// The place that a user has in a room, if this home knows it and the database may not. Hands none out.
    ///
    /// # Errors
    /// [`Failure::Unavailable`] if Redis does not answer.
    async fn find(&self, concert: ConcertId, user: &UserId) -> Result<Option<Token>, Failure> {
        let _ = (concert, user);
        Ok(None)
    }

    /// Forgets a place that was given up, so that its user gets a new one at the next entry. If that fails, the next entry
    /// finds that the place is over.
    async fn forget(&self, token: &Token);
}
