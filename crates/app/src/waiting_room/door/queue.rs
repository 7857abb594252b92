//! One room's door: whoever waits there is let in together, in order of arrival, without a timer.

use std::sync::Arc;
use std::time::Duration;

use onsale_domain::ids::{Ids, Mint, TokenId, UserId};
use onsale_domain::waiting_room::Token;
use tokio::sync::{mpsc, oneshot};

use super::opening::Opener;
use super::{Entered, Entrant, Given, Mark, MemoryError, PlaceMemory, Rooms};
use crate::desk::{Failure, SystemEntropy};

/// The most people who are let in together.
const BATCH_MAX: usize = 512;

/// How long letting them in may take, a room that has to be opened first included.
const ENTERED_WITHIN: Duration = Duration::from_secs(4);

/// A place, as its token, and whether it was handed out just now.
type Reply = Result<(Token, bool), Failure>;

/// Somebody who waits at the door.
pub(super) struct Waiting {
    user: UserId,
    replacing: Option<u64>,
    reply: oneshot::Sender<Reply>,
}

impl Waiting {
    pub(super) fn new(user: UserId, replacing: Option<u64>) -> (Self, oneshot::Receiver<Reply>) {
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
    /// Up to this end of a block, and as of this many readings of all rooms, the database is known to have reserved
    /// what the memory hands out.
    confirmed: (u64, u64),
}

impl RoomQueue {
    pub(super) fn new(opener: Opener, memory: Arc<dyn PlaceMemory>, rooms: Arc<Rooms>) -> Self {
        Self { opener, memory, rooms, ids: Mint::new(SystemEntropy), confirmed: (0, 0) }
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
            let (epoch, known) = (self.opener.epoch(), self.known());
            match self.memory.enter(self.opener.concert, epoch, known, &entrants).await {
                Ok(Entered { given, mark, refused }) => {
                    self.opener.used(mark);
                    if self.is_beyond(mark).await {
                        // Before any entry is answered: their places would be beyond the end of the line.
                        self.opener.open().await?;
                        let _ = self.rooms.refresh().await;
                    }
                    self.answer(batch, given);
                    self.rooms.stir.notify_one();
                    if let Some(reason) = refused {
                        self.opener.write_soon();
                        tracing::warn!(concert.id = %self.opener.concert, reason, "no new user can enter");
                    } else if self.opener.is_short(mark) {
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

    /// The last place that is known to be handed out in the opener's epoch: by this process, or by the database.
    fn known(&self) -> u64 {
        let room = self.rooms.get(self.opener.concert);
        let room = room.map(|room| room.snapshot()).filter(|it| it.room.blocks.epoch == self.opener.epoch());
        room.map_or(0, |snapshot| snapshot.room.issued).max(self.opener.known())
    }

    /// Whether a block ends beyond what the database has reserved: the database was set back. Asks the database once
    /// for each block, and again after it read all rooms anew.
    async fn is_beyond(&mut self, mark: Mark) -> bool {
        let reads = self.rooms.reads();
        if mark.block_end <= self.confirmed.0 && self.confirmed.1 == reads {
            return false;
        }
        let reserved_to = || {
            let room = self.rooms.get(self.opener.concert);
            room.map_or(u64::MAX, |room| room.snapshot().room.blocks.reserved_to)
        };
        if reserved_to() < mark.block_end {
            // While the database is away entries go on within the block.
            let is_known = self.rooms.refresh().await.is_ok();
            if is_known && reserved_to() < mark.block_end {
                return true;
            }
        }
        self.confirmed = (mark.block_end, reads);
        false
    }

    /// Sends each user their place. Those for whom none was left stay.
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
                Given::Refused => {
                    let _ = waiting.reply.send(Err(Failure::Unavailable));
                    continue;
                }
            };
            let Waiting { user, reply, .. } = waiting;
            let _ = reply.send(Ok((held.into_token(self.opener.concert, user), is_new)));
        }
        *batch = left;
    }
}
