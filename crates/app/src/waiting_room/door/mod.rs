//! Where people enter a room: at the database, or at a memory beside it that is made for crowds.

mod memory;
mod opening;
mod queue;
mod repair;
mod watch;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use onsale_domain::Refusal;
use onsale_domain::ids::{ConcertId, UserId};
use onsale_domain::waiting_room::{self as rules, Enter, Step, Token};
use tokio::sync::mpsc;

use super::Rooms;
use crate::conditions::Conditions;
use crate::desk::{Desk, Failure, Outcome};
use crate::store::StoreError;

pub use memory::{Entered, Entrant, Given, Held, Mark, MemoryError, PlaceMemory, State, Trouble};
pub use repair::Repairer;
pub use watch::Watch;

use opening::Opener;
use queue::{RoomQueue, Waiting};

/// The most people who wait at one room's door. A full door refuses at once.
const WAITING_MAX: usize = 16_384;

/// How long an entrant waits to be called, where there is free capacity.
const CALLED_WITHIN: Duration = Duration::from_millis(200);

/// How often a place is asked for whose turn is over and which others may have replaced.
const TRIES: usize = 4;

/// The way into all rooms.
pub struct Door {
    desk: Arc<Desk>,
    rooms: Arc<Rooms>,
    /// Where the database does not hand out places itself.
    memory: Option<Arc<dyn PlaceMemory>>,
    queues: RwLock<HashMap<ConcertId, mpsc::Sender<Waiting>>>,
}

impl Door {
    /// A door at the database, or at a memory beside it.
    pub fn new(desk: Arc<Desk>, rooms: Arc<Rooms>, memory: Option<Arc<dyn PlaceMemory>>) -> Self {
        if memory.is_some() {
            rooms.are_beside();
        }
        Self { desk, rooms, memory, queues: RwLock::default() }
    }

    /// A place in line: a new one, or the one that the user has.
    ///
    /// # Errors
    /// Where nobody can be let in now.
    pub async fn enter(&self, concert: ConcertId, user: UserId) -> Result<Outcome<Enter>, Failure> {
        let away = |_: StoreError| Failure::Unavailable;
        if self.rooms.find(concert).await.map_err(away)?.is_none() {
            return Ok(Err(Refusal::ConcertNotFound));
        }
        if self.memory.is_none() {
            return self.desk.submit(Enter { concert, user }).await;
        }
        let mut replacing = None;
        for _ in 0..TRIES {
            let (token, is_new) = self.ask(concert, user.clone(), replacing).await?;
            if is_new {
                // Where that does not work out now, the room's driver calls whoever can be called.
                let _ = tokio::time::timeout(CALLED_WITHIN, self.call_at_once(&token)).await;
            }
            if is_new || self.rooms.stands(&token).await.map_err(away)? {
                return Ok(Ok(rules::Entered { token, is_new }));
            }
            replacing = Some(token.place);
        }
        Err(Failure::Unavailable)
    }

    /// Whoever enters a room with free capacity is called before they are answered. Who comes to stand near the front is
    /// told where as of now: elsewhere somebody may just have been called, or have left.
    async fn call_at_once(&self, token: &Token) -> Result<(), Failure> {
        if self.rooms.get(token.concert).is_some_and(|room| room.is_near_front(token.place)) {
            self.rooms.refresh().await.map_err(|_| Failure::Unavailable)?;
        }
        let Some(room) = self.rooms.get(token.concert) else { return Ok(()) };
        let Some(issued) = room.can_be_called(token.place, self.rooms.reader.now()) else { return Ok(()) };
        let step = Step { issued, ..Step::of(token.concert) };
        let _ = self.desk.submit_patiently(step).await?;
        self.rooms.refresh().await.map_err(|_| Failure::Unavailable)
    }

    /// Forgets a place that was given up, so that entering again makes a new one at once. Where that fails, the place
    /// is found to be over when its user enters again.
    pub async fn left(&self, token: &Token) {
        if let Some(memory) = &self.memory
            && let Err(error) = memory.forget(token.concert, &token.user, token.place).await
        {
            tracing::debug!(%error, "a place that was given up is still known");
        }
    }

    /// The work that keeps a memory in step with the database; `None` where there is none.
    pub fn repairer(&self) -> Option<Repairer> {
        let memory = self.memory.clone()?;
        Some(Repairer::new(memory, self.desk.clone(), self.rooms.clone()))
    }

    /// The task that checks the memory and writes what is wrong with it on the board; `None` if there is no memory.
    pub fn watch(&self, conditions: &Arc<Conditions>) -> Option<Watch> {
        Some(Watch::new(self.memory.clone()?, conditions.clone()))
    }

    async fn ask(&self, concert: ConcertId, user: UserId, replacing: Option<u64>) -> Result<(Token, bool), Failure> {
        let (waiting, answer) = Waiting::new(user, replacing);
        let queue = self.queue(concert)?;
        queue.try_send(waiting).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Failure::Overloaded,
            mpsc::error::TrySendError::Closed(_) => Failure::Unavailable,
        })?;
        answer.await.unwrap_or(Err(Failure::Unavailable))
    }

    /// The queue at a room's door, which is there from the first entrant on.
    fn queue(&self, concert: ConcertId) -> Result<mpsc::Sender<Waiting>, Failure> {
        let known = self.queues.read().unwrap_or_else(PoisonError::into_inner).get(&concert).cloned();
        if let Some(queue) = known.filter(|queue| !queue.is_closed()) {
            return Ok(queue);
        }
        let room = self.rooms.get(concert).ok_or(Failure::Unavailable)?;
        let memory = self.memory.clone().ok_or(Failure::Internal)?;
        let mut queues = self.queues.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.get(&concert).filter(|queue| !queue.is_closed()) {
            return Ok(queue.clone());
        }
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let opener = Opener::new(concert, &room, memory.clone(), self.desk.clone());
        tokio::spawn(RoomQueue::new(opener, memory, self.rooms.clone()).run(receiver));
        queues.insert(concert, sender.clone());
        Ok(sender)
    }
}
