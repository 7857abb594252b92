//! Places handed out by the database: an entry is a command like any other.

use std::sync::Arc;

use async_trait::async_trait;
use onsale_domain::ids::UserId;
use onsale_domain::waiting_room::{Enter, Entered, Pass, Token};

use super::Home;
use crate::desk::{Desk, Failure, Outcome};
use crate::waiting_room::{LiveRoom, Rooms};

/// The home of rooms whose places are rows of the database from the start.
pub struct DatabaseHome {
    desk: Arc<Desk>,
    rooms: Arc<Rooms>,
}

impl DatabaseHome {
    /// The home that decides entries by this desk, in these rooms.
    pub fn new(desk: Arc<Desk>, rooms: Arc<Rooms>) -> Self {
        Self { desk, rooms }
    }
}

#[async_trait]
impl Home for DatabaseHome {
    async fn enter(&self, room: &Arc<LiveRoom>, user: UserId, pass: Pass) -> Result<Outcome<Enter>, Failure> {
        let ended = match self.rooms.entry_in(room, &user).await.map_err(|_| Failure::Unavailable)? {
            Some((token, true)) => return Ok(Ok(Entered { token, is_new: false })),
            Some((token, false)) => Some(token.place),
            None => None,
        };
        self.desk.submit(Enter { concert: room.concert(), user, pass, ended }).await
    }

    /// The decision to leave has given the place up: there is nothing else to forget.
    async fn forget(&self, _: &Token) {}
}
