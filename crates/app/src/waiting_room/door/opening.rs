//! Opens a room at a memory: reserves blocks in the database, and begins a new epoch if the memory is not the one that
//! was known, lost data, or if it and the database do not belong together any more because one of them went back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use onsale_domain::ids::ConcertId;
use onsale_domain::waiting_room::{BlockState, HandOut, Request};

use super::{Mark, MemoryError, PlaceMemory, State};
use crate::desk::{Desk, Failure};
use crate::waiting_room::LiveRoom;
use crate::waiting_room::beside::Beside;

/// The smallest block, and the largest.
const BLOCK_MIN: u64 = 1_000;
const BLOCK_MAX: u64 = 100_000;

/// A block should last about so long.
const BLOCK_LASTS: Duration = Duration::from_secs(4);

/// How often a room is read again while another instance opens it, and how often in all.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOKS: u32 = 25;

/// How often an opening is begun again.
const TRIES: u32 = 5;

/// If it is not sure how far places were handed out, a new block begins this far behind the last place that is known: the
/// largest block may have been in use. Numbers are plenty, and those passed over cost the line nothing.
const MARGIN: u64 = BLOCK_MAX;

/// Opens one room, again and again if need be.
pub(super) struct Opener {
    pub(super) concert: ConcertId,
    beside: Arc<Beside>,
    memory: Arc<dyn PlaceMemory>,
    desk: Arc<Desk>,
    epoch: u64,
    block: u64,
    reserved_at: Option<Instant>,
}

impl Opener {
    pub(super) fn new(concert: ConcertId, room: &LiveRoom, memory: Arc<dyn PlaceMemory>, desk: Arc<Desk>) -> Self {
        let epoch = room.snapshot().room.blocks.epoch;
        let beside = room.beside.clone();
        Self { concert, beside, memory, desk, epoch, block: BLOCK_MIN, reserved_at: None }
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The last place that this process knows to be handed out in the epoch.
    pub(super) fn known(&self) -> u64 {
        self.beside.issued_in(self.epoch)
    }

    /// Notes how far the block is used.
    pub(super) fn used(&self, mark: Mark) {
        self.beside.handed_out(self.epoch, mark.issued);
    }

    /// The memory is in trouble.
    pub(super) fn write_soon(&self) {
        self.beside.write_soon();
    }

    /// Whether a further block should be reserved before this one ends.
    pub(super) fn is_short(&self, mark: Mark) -> bool {
        mark.block_end.saturating_sub(mark.issued) < self.block / 2
    }

    /// Reserves a further block.
    pub(super) async fn reserve(&mut self) -> Result<(), Failure> {
        self.fit_block();
        let answer = self.ask(Request::Reserve { epoch: self.epoch, places: self.block }).await?;
        if !answer.is_new {
            return self.open().await;
        }
        match self.memory.extend(self.concert, self.epoch, answer.blocks.reserved_to).await {
            Ok(()) => Ok(()),
            Err(MemoryError::NotOpen) => self.open().await,
            Err(error @ MemoryError::Away(_)) => Err(away(&error)),
        }
    }

    /// A block lasts a few seconds, whatever the crowd.
    fn fit_block(&mut self) {
        let lasted = self.reserved_at.replace(Instant::now()).map(|at| at.elapsed());
        self.block = match lasted {
            Some(lasted) if lasted < BLOCK_LASTS / 2 => (self.block * 2).min(BLOCK_MAX),
            Some(lasted) if lasted > BLOCK_LASTS * 2 => (self.block / 2).max(BLOCK_MIN),
            _ => self.block,
        };
    }

    /// Finds the epoch in which the memory has the room open, or opens it in a new one.
    pub(super) async fn open(&mut self) -> Result<(), Failure> {
        for _ in 0..TRIES {
            // The memory before the database: its block must not end beyond what the database has reserved.
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

    /// If the epoch is not the one that was known, another instance is opening the room right now.
    async fn opened_by_another(&mut self, state: &State, epoch: u64) -> Result<bool, Failure> {
        if epoch == self.epoch || epoch == 0 {
            return Ok(false);
        }
        let mut state = *state;
        for _ in 0..LOOKS {
            let known = self.ask(Request::Reinstate(Vec::new())).await?;
            // A memory that is ahead of the database: no other instance will bring the two together.
            if known.blocks.memory != state.memory || known.blocks.epoch < state.last_epoch {
                return Ok(false);
            }
            if self.is_open(&state, &known).await? {
                return Ok(true);
            }
            tokio::time::sleep(LOOK_EVERY).await;
            state = self.state().await?;
        }
        Ok(false)
    }

    /// Whether memory and database belong together: same epoch and same life, and neither knows of places that the other
    /// one has forgotten.
    async fn is_open(&mut self, state: &State, known: &BlockState) -> Result<bool, Failure> {
        let BlockState { issued, blocks, .. } = known;
        let is_same = blocks.epoch > 0 && state.epoch == blocks.epoch && state.memory == blocks.memory;
        let reserved = state.mark.block_end.max(self.beside.shown_beyond());
        if !is_same || blocks.reserved_to < reserved {
            return Ok(false);
        }
        let handed_out = self.beside.issued_in(blocks.epoch).max(*issued);
        // Places may have been handed out, and written down, since the memory was read.
        if state.mark.issued < handed_out && self.state().await?.mark.issued < handed_out {
            return Ok(false);
        }
        self.epoch = blocks.epoch;
        Ok(true)
    }

    /// Begins a new epoch. Only the instance that began it opens the memory in it, and only once: an epoch's numbers are
    /// handed out from one beginning.
    async fn open_anew(&mut self, before: &BlockState) -> Result<bool, Failure> {
        // A memory that takes no writes must not use up epochs and blocks of the database.
        let prepared = self.memory.prepare(self.concert).await.map_err(|error| away(&error))?;
        let State { memory, mark, last_epoch, passed, .. } = prepared;
        let (epoch, at_database) = (before.blocks.epoch, before.blocks.reserved_to.max(before.issued));
        let known = self.beside.issued().max(mark.issued);
        let shown = known.max(self.beside.shown_beyond());
        let ends = shown.max(mark.block_end);
        // If the database was set back, or the memory has forgotten all and nothing shows whether the database was, more
        // places may have been handed out than are known.
        let is_unsure = at_database < ends || (last_epoch == 0 && epoch > 0);
        let reserved_to = if is_unsure { ends.max(at_database) + MARGIN } else { mark.block_end };
        let epoch_seen = last_epoch.max(self.beside.epoch());
        let (in_doubt, places) = ((passed.0 + 1, passed.1), self.block);
        let reopen = Request::Reopen { epoch, memory, epoch_seen, known, reserved_to, in_doubt, places };
        let BlockState { issued, blocks, is_new } = self.ask(reopen).await?;
        if !is_new {
            return Ok(false);
        }
        let opened = Mark { issued, block_end: blocks.reserved_to };
        match self.memory.open(self.concert, blocks.epoch, memory, opened).await {
            Ok(()) => {
                if at_database < ends {
                    tracing::warn!(concert.id = %self.concert, at_database, ends, "the database is older than the places \
                        that were handed out; the room goes on behind them");
                }
                tracing::info!(concert.id = %self.concert, epoch = blocks.epoch, issued, "opened the room");
                self.epoch = blocks.epoch;
                self.reserved_at = Some(Instant::now());
                self.used(opened);
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
    tracing::warn!(%error, "failed to open a room");
    Failure::Unavailable
}
