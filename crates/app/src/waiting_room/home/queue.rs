//! The users that enter one room through this process: those that wait together get their places together, in order of
//! arrival, without a timer.

use std::sync::Arc;
use std::time::Duration;

use onsale_domain::ids::{Ids, Mint, TokenId, UserId};
use onsale_domain::waiting_room::Token;
use tokio::sync::{mpsc, oneshot};

use super::opening::Opener;
use super::{BlockUse, Entered, Entrant, Given, MemoryError, PlaceMemory};
use crate::desk::{Failure, SystemEntropy};
use crate::waiting_room::{LiveRoom, Rooms};

/// The most users in one script call.
const BATCH_MAX: usize = 512;

/// How long a batch may take, including the time to open the room. Beyond that its entries fail.
const ENTERED_WITHIN: Duration = Duration::from_secs(4);

/// A place, as its token, and whether it was handed out just now.
type Reply = Result<(Token, bool), Failure>;

/// A user that waits for a place.
pub(super) struct Waiting {
    /// The room as the entry found it.
    room: Arc<LiveRoom>,
    user: UserId,
    /// A place of the user that is over.
    replacing: Option<u64>,
    reply: oneshot::Sender<Reply>,
}

impl Waiting {
    pub(super) fn new(room: Arc<LiveRoom>, user: UserId, replacing: Option<u64>) -> (Self, oneshot::Receiver<Reply>) {
        let (reply, answer) = oneshot::channel();
        (Self { room, user, replacing, reply }, answer)
    }
}

/// Serves the queue of one room.
pub(super) struct RoomQueue {
    opener: Opener,
    memory: Arc<dyn PlaceMemory>,
    rooms: Arc<Rooms>,
    ids: Mint<SystemEntropy>,
    /// The database is known to have reserved the places of Redis up to this end of a block, as of this number of readings
    /// of all rooms.
    confirmed: (u64, u64),
}

impl RoomQueue {
    pub(super) fn new(opener: Opener, memory: Arc<dyn PlaceMemory>, rooms: Arc<Rooms>) -> Self {
        Self { opener, memory, rooms, ids: Mint::new(SystemEntropy), confirmed: (0, 0) }
    }

    /// Serves batches until the queue is closed.
    pub(super) async fn run(mut self, mut arriving: mpsc::Receiver<Waiting>) {
        while let Some(first) = arriving.recv().await {
            let mut batch = vec![first];
            while batch.len() < BATCH_MAX
                && let Ok(next) = arriving.try_recv()
            {
                batch.push(next);
            }
            let served = tokio::time::timeout(ENTERED_WITHIN, self.serve(&mut batch)).await;
            // Users without an answer may have places all the same: entering again returns them.
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

    /// Answers every user of a batch. Users without an answer are left in the batch if it fails.
    async fn serve(&mut self, batch: &mut Vec<Waiting>) -> Result<(), Failure> {
        loop {
            // A client that closed its connection has not entered.
            batch.retain(|waiting| !waiting.reply.is_closed());
            let Some(newest) = batch.last() else { return Ok(()) };
            let room = self.rooms.current(&newest.room).ok_or(Failure::Unavailable)?;
            let at = self.rooms.now();
            let entrants: Vec<Entrant> = batch
                .iter()
                .map(|Waiting { user, replacing, .. }| {
                    let token = TokenId::new(self.ids.next(at));
                    Entrant { user: user.clone(), token, at, replacing: *replacing }
                })
                .collect();
            let (epoch, known) = (self.opener.epoch(), self.known(&room));
            match self.memory.enter(self.opener.concert, epoch, known, &entrants).await {
                Ok(entered) => self.take(&room, batch, entered).await?,
                // Then the same users enter again, in the epoch that was opened.
                Err(MemoryError::NotOpen) => self.opener.open().await?,
                Err(error @ MemoryError::Away(_)) => {
                    self.opener.write_soon();
                    tracing::warn!(concert.id = %self.opener.concert, users = batch.len(), %error,
                        "failed to hand out places; these entries fail with 503");
                    return Err(Failure::Unavailable);
                }
            }
        }
    }

    /// Answers the users of a call, and reserves the next block if this one is short.
    async fn take(&mut self, room: &Arc<LiveRoom>, batch: &mut Vec<Waiting>, entered: Entered) -> Result<(), Failure> {
        let Entered { given, block_use, refused } = entered;
        self.opener.note_use(block_use);
        if self.is_beyond(room, block_use).await {
            // Before any entry is answered: their places would be beyond the end of the line.
            self.opener.open().await?;
            let _ = self.rooms.refresh().await;
        }
        self.answer(batch, given);
        self.rooms.wake_driver();
        if let Some(reason) = refused {
            self.opener.write_soon();
            tracing::warn!(concert.id = %self.opener.concert, reason,
                "Redis refuses new places; users without a place get 503");
        } else if self.opener.is_short(block_use) {
            self.opener.reserve().await?;
        }
        Ok(())
    }

    /// The last place that is known to be handed out in the opener's epoch: by this process, or by the database.
    fn known(&self, room: &LiveRoom) -> u64 {
        let row = &room.snapshot().room;
        let in_database = if row.blocks.epoch == self.opener.epoch() { row.issued } else { 0 };
        in_database.max(self.opener.known())
    }

    /// Whether a block ends beyond what the database has reserved: the database was set back. Reads the database once for
    /// each block, and again after all rooms were read anew.
    async fn is_beyond(&mut self, room: &Arc<LiveRoom>, block_use: BlockUse) -> bool {
        let readings = self.rooms.readings();
        if block_use.block_end <= self.confirmed.0 && self.confirmed.1 == readings {
            return false;
        }
        let is_reserved = |room: &LiveRoom| block_use.block_end <= room.snapshot().room.blocks.reserved_to;
        if !is_reserved(room) {
            // While the database is away entries go on within the block.
            let is_known = self.rooms.refresh().await.is_ok();
            if is_known && self.rooms.current(room).is_some_and(|room| !is_reserved(&room)) {
                return true;
            }
        }
        self.confirmed = (block_use.block_end, readings);
        false
    }

    /// Sends each user their place. Users for whom the block had none stay in the batch.
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
