//! Opens a room in Redis: reserves blocks in the database, and begins a new epoch if Redis lost data, was replaced, or no
//! longer fits the database because one of the two went back to older data.

use std::sync::Arc;
use std::time::{Duration, Instant};

use onsale_domain::ids::ConcertId;
use onsale_domain::waiting_room::{BlockState, HandOut, Request};

use super::{BlockUse, MemoryError, PlaceMemory, State};
use crate::desk::{Desk, Failure};
use crate::waiting_room::LiveRoom;
use crate::waiting_room::handed_out::HandedOut;
use crate::waiting_room::rivals::Rivals;

/// The smallest and the largest block, in places.
const BLOCK_MIN: u64 = 1_000;
const BLOCK_MAX: u64 = 100_000;

/// The size of a block is adapted so that it lasts about this long.
const BLOCK_LASTS: Duration = Duration::from_secs(4);

/// While another instance opens a room, it is read again this often, and this many times: half a second in all.
const READ_EVERY: Duration = Duration::from_millis(20);
const READS: u32 = 25;

/// How often an opening starts again because another instance was first. Then the entries that wait for it fail.
const ATTEMPTS_MAX: u32 = 5;

/// If it is unknown how far places were handed out, a new block begins this far behind the last known place, because the
/// largest block may have been in use. Places that are skipped cost the line nothing.
const MARGIN: u64 = BLOCK_MAX;

/// Opens one room, as often as needed.
pub(super) struct Opener {
    pub(super) concert: ConcertId,
    handed_out: Arc<HandedOut>,
    memory: Arc<dyn PlaceMemory>,
    desk: Arc<Desk>,
    rivals: Arc<Rivals>,
    /// The epoch in which this process knows the room to be open.
    epoch: u64,
    /// The size of the next block, in places.
    block: u64,
    /// When the last block was reserved.
    reserved_at: Option<Instant>,
}

impl Opener {
    pub(super) fn new(room: &LiveRoom, memory: Arc<dyn PlaceMemory>, desk: Arc<Desk>, rivals: Arc<Rivals>) -> Self {
        let epoch = room.snapshot().room.blocks.epoch;
        let (concert, handed_out) = (room.concert(), room.handed_out.clone());
        Self { concert, handed_out, memory, desk, rivals, epoch, block: BLOCK_MIN, reserved_at: None }
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The last place that this process knows to be handed out in the epoch.
    pub(super) fn known(&self) -> u64 {
        self.handed_out.issued_in(self.epoch)
    }

    /// Notes how far the block is used.
    pub(super) fn note_use(&self, block_use: BlockUse) {
        self.handed_out.note(self.epoch, block_use.issued);
    }

    /// Redis is in trouble: the next step writes how far places were handed out.
    pub(super) fn write_soon(&self) {
        self.handed_out.write_soon();
    }

    /// Whether a further block should be reserved before this one ends.
    pub(super) fn is_short(&self, block_use: BlockUse) -> bool {
        block_use.block_end.saturating_sub(block_use.issued) < self.block / 2
    }

    /// Reserves a further block.
    pub(super) async fn reserve(&mut self) -> Result<(), Failure> {
        self.fit_block();
        let answer = self.ask(Request::Reserve { epoch: self.epoch, places: self.block }).await?;
        if !answer.is_new {
            return self.open().await;
        }
        // Only now: Redis never has more places than the database has reserved, at no moment.
        match self.memory.extend(self.concert, self.epoch, answer.blocks.reserved_to).await {
            Ok(()) => Ok(()),
            Err(MemoryError::NotOpen) => self.open().await,
            Err(error @ MemoryError::Away(_)) => Err(away(&error)),
        }
    }

    /// Adapts the size of blocks to the rate of entries.
    fn fit_block(&mut self) {
        let lasted = self.reserved_at.replace(Instant::now()).map(|at| at.elapsed());
        self.block = match lasted {
            Some(lasted) if lasted < BLOCK_LASTS / 2 => (self.block * 2).min(BLOCK_MAX),
            Some(lasted) if lasted > BLOCK_LASTS * 2 => (self.block / 2).max(BLOCK_MIN),
            _ => self.block,
        };
    }

    /// Finds the epoch in which the room is open in Redis, or opens it in a new one.
    ///
    /// # Errors
    /// [`Failure::Unavailable`] if Redis or the database does not answer, or other instances are first again and again.
    pub(super) async fn open(&mut self) -> Result<(), Failure> {
        for _ in 0..ATTEMPTS_MAX {
            // Redis is read before the database. Swapped, a block that was reserved in between would seem to end beyond what
            // the database has reserved.
            let state = self.state().await?;
            let known = self.ask(Request::Reinstate(Vec::new())).await?;
            if self.is_open(&state, &known).await? || self.opened_by_another(&state, known.blocks.epoch).await? {
                return Ok(());
            }
            if self.open_anew(&known).await? {
                return Ok(());
            }
        }
        tracing::warn!(concert.id = %self.concert, "failed to open the room; retrying at the next entry");
        Err(Failure::Unavailable)
    }

    /// If the epoch is not the one that was known, another instance is opening the room now: waits until it has.
    async fn opened_by_another(&mut self, state: &State, epoch: u64) -> Result<bool, Failure> {
        if epoch == self.epoch || epoch == 0 {
            return Ok(false);
        }
        let mut state = *state;
        for _ in 0..READS {
            let known = self.ask(Request::Reinstate(Vec::new())).await?;
            // Redis is ahead of the database: no other instance will bring the two together.
            if known.blocks.memory != state.memory || known.blocks.epoch < state.last_epoch {
                return Ok(false);
            }
            if self.is_open(&state, &known).await? {
                return Ok(true);
            }
            tokio::time::sleep(READ_EVERY).await;
            state = self.state().await?;
        }
        Ok(false)
    }

    /// Whether Redis and the database fit: same epoch, same life of the data, and neither knows of places that the other
    /// one has lost.
    async fn is_open(&mut self, state: &State, known: &BlockState) -> Result<bool, Failure> {
        let BlockState { issued, blocks, .. } = known;
        let is_same = blocks.epoch > 0 && state.epoch == blocks.epoch && state.memory == blocks.memory;
        let reserved = state.block_use.block_end.max(self.handed_out.shown_beyond());
        if !is_same || blocks.reserved_to < reserved {
            return Ok(false);
        }
        let handed_out = self.handed_out.issued_in(blocks.epoch).max(*issued);
        // Places may have been handed out and written to the database since Redis was read.
        if state.block_use.issued < handed_out && self.state().await?.block_use.issued < handed_out {
            return Ok(false);
        }
        self.epoch = blocks.epoch;
        Ok(true)
    }

    /// Begins a new epoch. Only the instance that began it opens the room in Redis, and only once, because the numbers of an
    /// epoch are handed out from one beginning.
    async fn open_anew(&mut self, before: &BlockState) -> Result<bool, Failure> {
        // First, so that a Redis that takes no writes does not use up epochs and blocks of the database.
        let prepared = self.memory.prepare(self.concert).await.map_err(|error| away(&error))?;
        let State { memory, block_use, last_epoch, passed, .. } = prepared;
        // This Redis is still in the life for which the room was opened. So it did not fail, and another one took over all
        // the same.
        let is_contested = (1..before.blocks.epoch).contains(&prepared.epoch) && before.blocks.memory != memory;
        let (epoch, at_database) = (before.blocks.epoch, before.blocks.reserved_to.max(before.issued));
        let known = self.handed_out.issued().max(block_use.issued);
        let shown = known.max(self.handed_out.shown_beyond());
        let ends = shown.max(block_use.block_end);
        // More places may have been handed out than are known if the database was set back, or if Redis lost everything and
        // nothing shows whether the database was set back too.
        let is_unsure = at_database < ends || (last_epoch == 0 && epoch > 0);
        let reserved_to = if is_unsure { ends.max(at_database) + MARGIN } else { block_use.block_end };
        let epoch_seen = last_epoch.max(self.handed_out.epoch());
        let (in_doubt, places) = ((passed.0 + 1, passed.1), self.block);
        let reopen = Request::Reopen { epoch, memory, epoch_seen, known, reserved_to, in_doubt, places };
        let BlockState { issued, blocks, is_new } = self.ask(reopen).await?;
        if !is_new {
            return Ok(false);
        }
        if is_contested {
            self.rivals.note(self.concert);
        }
        let opened = BlockUse { issued, block_end: blocks.reserved_to };
        // The epoch belongs to this process alone, so no other one opens Redis in it. If this process dies here, the
        // next one that finds the two apart begins another epoch.
        match self.memory.open(self.concert, blocks.epoch, memory, opened).await {
            Ok(()) => {
                if at_database < ends {
                    tracing::warn!(concert.id = %self.concert, at_database, ends, "the database is older than the places \
                        that were handed out; the room goes on behind them");
                }
                tracing::info!(concert.id = %self.concert, epoch = blocks.epoch, issued, "opened the room");
                self.epoch = blocks.epoch;
                self.reserved_at = Some(Instant::now());
                self.note_use(opened);
                Ok(true)
            }
            Err(MemoryError::NotOpen) => Ok(false),
            Err(error @ MemoryError::Away(_)) => Err(away(&error)),
        }
    }

    async fn state(&self) -> Result<State, Failure> {
        self.memory.state(self.concert).await.map_err(|error| away(&error))
    }

    async fn ask(&self, request: Request) -> Result<BlockState, Failure> {
        let outcome = self.desk.submit_patiently(HandOut { concert: self.concert, request }).await?;
        outcome.map_err(|_| Failure::Unavailable)
    }
}

fn away(error: &MemoryError) -> Failure {
    tracing::warn!(%error, "failed to open a room in Redis; its entries fail with 503");
    Failure::Unavailable
}
