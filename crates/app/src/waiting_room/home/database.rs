//! Places handed out by the database: an entry is a command like any other.

use std::sync::Arc;

use async_trait::async_trait;
use onsale_domain::ids::UserId;
use onsale_domain::waiting_room::{Enter, Pass, Token};

use super::Home;
use crate::desk::{Desk, Failure, Outcome};
use crate::waiting_room::LiveRoom;

/// The home of rooms whose places are rows of the database from the start.
pub struct DatabaseHome {
    desk: Arc<Desk>,
}

impl DatabaseHome {
    /// The home that needs the desk alone.
    pub fn new(desk: Arc<Desk>) -> Self {
        Self { desk }
    }
}

#[async_trait]
impl Home for DatabaseHome {
    async fn enter(&self, room: &Arc<LiveRoom>, user: UserId, pass: Pass) -> Result<Outcome<Enter>, Failure> {
        self.desk.submit(Enter { concert: room.concert(), user, pass }).await
    }

    /// The decision to leave has given the place up: there is nothing else to forget.
    async fn forget(&self, _: &Token) {}
}
