//! One room's door: whoever waits there is let in together, in order of arrival, without a timer.

use std::sync::Arc;
use std::time::Duration;

use onsale_domain::ids::{Ids, Mint, TokenId, UserId};
use onsale_domain::waiting_room::Token;
use tokio::sync::{mpsc, oneshot};

use super::opening::Opener;
use super::{Entrant, Given, MemoryError, PlaceMemory, Rooms};
use crate::desk::{Failure, SystemEntropy};

/// The most people who are let in together.
const BATCH_MAX: usize = 512;

/// How long letting them in may take, a room that has to be opened first included.
const ENTERED_WITHIN: Duration = Duration::from_secs(4);

/// A place, as its token, and whether it was handed out just now.
type Entered = Result<(Token, bool), Failure>;

/// Somebody who waits at the door.
pub(super) struct Waiting {
    user: UserId,
    replacing: Option<u64>,
    reply: oneshot::Sender<Entered>,
}

impl Waiting {
    pub(super) fn new(user: UserId, replacing: Option<u64>) -> (Self, oneshot::Receiver<Entered>) {
        let (reply, answer) = oneshot::channel();
        (Self { user, replacing, reply }, answer)
    }
}

/// The queue at one room's door, and whoever lets people in.
pub(super) struct RoomQueue {
    opener: Opener,
    memory: Arc<dyn PlaceMemory>,
    rooms: Arc<Rooms>,
    ids: Mint<SystemEntropy>,
}

impl RoomQueue {
    pub(super) fn new(opener: Opener, memory: Arc<dyn PlaceMemory>, rooms: Arc<Rooms>) -> Self {
        Self { opener, memory, rooms, ids: Mint::new(SystemEntropy) }
    }

    /// Lets people in until nobody can come any more.
    pub(super) async fn run(mut self, mut arriving: mpsc::Receiver<Waiting>) {
        while let Some(first) = arriving.recv().await {
            let mut batch = vec![first];
            while batch.len() < BATCH_MAX
                && let Ok(next) = arriving.try_recv()
            {
                batch.push(next);
            }
            let served = tokio::time::timeout(ENTERED_WITHIN, self.let_in(&mut batch)).await;
            let failure = match served {
                Ok(Ok(())) => continue,
                Ok(Err(failure)) => failure,
                Err(_) => Failure::Unavailable,
            };
            for waiting in batch {
                let _ = waiting.reply.send(Err(failure));
            }
        }
    }

    /// Answers everybody in a batch; those who are left when it fails are still in it.
    async fn let_in(&mut self, batch: &mut Vec<Waiting>) -> Result<(), Failure> {
        while !batch.is_empty() {
            batch.retain(|waiting| !waiting.reply.is_closed());
            let at = self.rooms.reader.now();
            let entrants: Vec<Entrant> = batch
                .iter()
                .map(|Waiting { user, replacing, .. }| {
                    let token = TokenId::new(self.ids.next(at));
                    Entrant { user: user.clone(), token, at, replacing: *replacing }
                })
                .collect();
            match self.memory.enter(self.opener.concert, self.opener.epoch(), &entrants).await {
                Ok((given, mark)) => {
                    self.opener.used(mark);
                    self.answer(batch, given);
                    self.rooms.stir.notify_one();
                    if self.opener.is_short(mark) {
                        self.opener.reserve().await?;
                    }
                }
                Err(MemoryError::NotOpen) => self.opener.open().await?,
                Err(error @ MemoryError::Away(_)) => {
                    self.opener.write_soon();
                    tracing::warn!(concert = %self.opener.concert, %error, "nobody can enter");
                    return Err(Failure::Unavailable);
                }
            }
        }
        Ok(())
    }

    /// Tells everybody their place. Those for whom none was left stay.
    fn answer(&self, batch: &mut Vec<Waiting>, given: Vec<Given>) {
        let mut left = Vec::new();
        for (waiting, given) in batch.drain(..).zip(given) {
            let (held, is_new) = match given {
                Given::New(held) => (held, true),
                Given::Before(held) => (held, false),
                Given::Exhausted => {
                    left.push(waiting);
                    continue;
                }
            };
            let Waiting { user, reply, .. } = waiting;
            let _ = reply.send(Ok((held.into_token(self.opener.concert, user), is_new)));
        }
        *batch = left;
    }
}
