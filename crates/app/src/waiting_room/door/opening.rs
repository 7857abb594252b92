//! Opens a room at a memory: reserves blocks in the database, and begins a new epoch where the memory is not the one
//! that was known, or has forgotten.

use std::sync::Arc;
use std::time::{Duration, Instant};

use onsale_domain::ids::ConcertId;
use onsale_domain::waiting_room::{Blocks, Command, Request};
use onsale_domain::{Command as AnyCommand, Done};

use super::{Mark, MemoryError, PlaceMemory, State};
use crate::desk::{Desk, Failure};
use crate::waiting_room::LiveRoom;
use crate::waiting_room::beside::Beside;

/// The smallest block, and the largest.
const BLOCK_MIN: u64 = 1_000;
const BLOCK_MAX: u64 = 100_000;

/// A block should last about so long.
const BLOCK_LASTS: Duration = Duration::from_secs(4);

/// How often a room is looked at that somebody else is opening, and how often in all.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOKS: u32 = 25;

/// How often an opening is begun again.
const TRIES: u32 = 5;

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

/// What the database says of a room's blocks.
struct Answer {
    issued: u64,
    blocks: Blocks,
    is_new: bool,
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

    /// Takes in how far the block is used.
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
            let state = self.state().await?;
            let known = self.ask(Request::Reinstate(Vec::new())).await?;
            if self.is_open(&state, &known.blocks) || self.opened_by_another(&state, known.blocks.epoch).await? {
                return Ok(());
            }
            if self.open_anew(known.blocks.epoch).await? {
                return Ok(());
            }
        }
        tracing::warn!(concert = %self.concert, "a room could not be opened");
        Err(Failure::Unavailable)
    }

    /// Where the epoch is another than the one that was known, somebody else is opening the room in this moment.
    async fn opened_by_another(&mut self, state: &State, epoch: u64) -> Result<bool, Failure> {
        if epoch == self.epoch || epoch == 0 {
            return Ok(false);
        }
        let mut state = *state;
        for _ in 0..LOOKS {
            let known = self.ask(Request::Reinstate(Vec::new())).await?;
            if known.blocks.memory != state.memory {
                return Ok(false);
            }
            if self.is_open(&state, &known.blocks) {
                return Ok(true);
            }
            tokio::time::sleep(LOOK_EVERY).await;
            state = self.state().await?;
        }
        Ok(false)
    }

    fn is_open(&mut self, state: &State, blocks: &Blocks) -> bool {
        let is_open = blocks.epoch > 0 && state.epoch == blocks.epoch && state.memory == blocks.memory;
        if is_open {
            self.epoch = blocks.epoch;
        }
        is_open
    }

    /// Begins a new epoch. Only whoever began it opens the memory in it, and only once: an epoch's numbers are handed
    /// out from one beginning.
    async fn open_anew(&mut self, epoch: u64) -> Result<bool, Failure> {
        let State { memory, mark, .. } = self.state().await?;
        let known = self.beside.issued().max(mark.issued);
        let reopen = Request::Reopen { epoch, memory, known, places: self.block };
        let Answer { issued, blocks, is_new } = self.ask(reopen).await?;
        if !is_new {
            return Ok(false);
        }
        let mark = Mark { issued, block_end: blocks.reserved_to };
        match self.memory.open(self.concert, blocks.epoch, memory, mark).await {
            Ok(()) => {
                tracing::info!(concert = %self.concert, epoch = blocks.epoch, issued, "a room was opened");
                self.epoch = blocks.epoch;
                self.reserved_at = Some(Instant::now());
                self.used(mark);
                Ok(true)
            }
            Err(MemoryError::NotOpen) => Ok(false),
            Err(error @ MemoryError::Away(_)) => Err(away(&error)),
        }
    }

    async fn state(&self) -> Result<State, Failure> {
        self.memory.state(self.concert).await.map_err(|error| away(&error))
    }

    async fn ask(&self, request: Request) -> Result<Answer, Failure> {
        let command = Command::HandOut { concert: self.concert, request };
        match self.desk.submit_patiently(AnyCommand::WaitingRoom(command)).await? {
            Ok(Done::RoomOpened { issued, blocks, is_new }) => Ok(Answer { issued, blocks, is_new }),
            _ => Err(Failure::Unavailable),
        }
    }
}

fn away(error: &MemoryError) -> Failure {
    tracing::warn!(%error, "a room cannot be opened");
    Failure::Unavailable
}
