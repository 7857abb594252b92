//! Places that Redis hands out, from blocks that the database reserves: no number is handed out twice, even if Redis loses
//! its data.

use std::fmt;

use super::room::change;
use crate::ids::ConcertId;
use crate::rows::{Keys, Rows};
use crate::time::Timestamp;
use crate::{Command, Context, Refusal};

/// The name of one life of the data in Redis: another one after each restart, and for each copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory(pub [u8; 20]);

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Places that may or may not have been handed out when Redis lost its data. They count as given up until their tokens are
/// shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The first place of the gap.
    pub first: u64,
    /// The last place of the gap.
    pub last: u64,
    /// Since when the places are in doubt.
    pub made_at: Timestamp,
}

impl Gap {
    /// The line does not pass a gap sooner, in milliseconds: clients near the front poll within this time.
    pub const KEPT_MILLIS: i64 = 3_000;

    /// Whether the line has to wait for tokens that may still be shown.
    pub fn is_fresh(&self, at: Timestamp) -> bool {
        self.made_at.millis_until(at) < Self::KEPT_MILLIS && !self.made_at.is_ahead_of(at)
    }

    /// The number of its places after one place and up to another.
    pub fn places_in(&self, after: u64, to: u64) -> u64 {
        (self.last.min(to) + 1).saturating_sub(self.first.max(after + 1))
    }
}

/// How far Redis hands out the places of a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blocks {
    /// Counts the openings; 0 if the database hands out places.
    pub epoch: u64,
    /// The life of the data in Redis for which the epoch was opened.
    pub memory: Memory,
    /// The last place that was ever reserved for Redis.
    pub reserved_to: u64,
    /// Places in doubt after `served`, in order and apart.
    pub gaps: Vec<Gap>,
}

impl Blocks {
    /// The most gaps. Beyond that the smallest are dropped: their places count as handed out, and each absentee among them
    /// costs the line one turn.
    pub const GAPS_MAX: usize = 1_024;

    /// The number of places in doubt after one place and up to another.
    pub fn doubtful(&self, after: u64, to: u64) -> u64 {
        self.gaps.iter().map(|gap| gap.places_in(after, to)).sum()
    }

    pub(super) fn doubt(&mut self, first: u64, last: u64, made_at: Timestamp) {
        if first <= last {
            self.gaps.push(Gap { first, last, made_at });
        }
    }

    /// Makes places count again.
    pub(super) fn clear(&mut self, first: u64, last: u64) {
        let outside = |gap: Gap| {
            let before = Gap { last: gap.last.min(first.saturating_sub(1)), ..gap };
            let after = Gap { first: gap.first.max(last.saturating_add(1)), ..gap };
            [before, after].into_iter().filter(|part| part.first <= part.last)
        };
        self.gaps = self.gaps.iter().copied().flat_map(outside).collect();
        if self.gaps.len() > Self::GAPS_MAX {
            let size = |gap: &Gap| gap.last - gap.first;
            let mut sizes: Vec<u64> = self.gaps.iter().map(size).collect();
            sizes.sort_unstable();
            let mut surplus = sizes.len() - Self::GAPS_MAX;
            let dropped_to = sizes[surplus - 1];
            self.gaps.retain(|gap| {
                let stays = surplus == 0 || dropped_to < size(gap);
                surplus -= usize::from(!stays);
                stays
            });
        }
    }

    /// Drops gaps that the line has passed.
    pub(super) fn pass(&mut self, served: u64) {
        self.gaps.retain(|gap| served < gap.last);
    }
}

/// Accounts for places that Redis hands out instead of the database.
#[derive(Clone, Debug)]
pub struct HandOut {
    /// The concert of the room.
    pub concert: ConcertId,
    /// What to change in its blocks.
    pub request: Request,
}

/// The state from which Redis hands out a room's places, set by this command or by another instance earlier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockState {
    /// The last place that is known to be handed out or skipped.
    pub issued: u64,
    /// Epoch, blocks and gaps.
    pub blocks: Blocks,
    /// Whether this command changed them.
    pub is_new: bool,
}

/// A change of the blocks of a room.
#[derive(Clone, Debug)]
pub enum Request {
    /// Reserves a further block, in the epoch that the instance knows.
    Reserve {
        /// The epoch that the instance knows. If it is over, nothing is reserved.
        epoch: u64,
        /// The number of places.
        places: u64,
    },
    /// Begins a new epoch, because Redis lost its data or was replaced.
    Reopen {
        /// The epoch that the instance knows. If it is over, another instance was first, and nothing changes.
        epoch: u64,
        /// The present life of the data in Redis.
        memory: Memory,
        /// The last epoch that Redis has seen; beyond the database's own if the database was set back.
        epoch_seen: u64,
        /// The last place that is known to have been handed out.
        known: u64,
        /// The last place that was ever reserved, as far as Redis knows; beyond the database's own if the database
        /// was set back.
        reserved_to: u64,
        /// The first and the last place of a range up to `known` of which Redis does not know whether they were handed out;
        /// none if the last is 0. Places that the database knows to be handed out are not in doubt.
        in_doubt: (u64, u64),
        /// The number of places to reserve.
        places: u64,
    },
    /// Makes places in doubt count again: their tokens were shown, or the instance has handed them out. Ranges, each by its
    /// first and last place.
    Reinstate(Vec<(u64, u64)>),
}

impl Command for HandOut {
    type Output = BlockState;

    fn needs(&self, keys: &mut Keys) {
        keys.rooms.insert(self.concert);
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<BlockState, Refusal> {
        let Self { concert, request } = self;
        let concert = *concert;
        let room = rows.rooms.get(&concert).ok_or(Refusal::ConcertNotFound)?;
        let (epoch_now, version) = (room.blocks.epoch, room.version);
        match request {
            // The numbers of an epoch follow one another. Once the database has handed out a place itself, the epoch is over.
            Request::Reserve { epoch, places } if *epoch == epoch_now && room.issued <= room.blocks.reserved_to => {
                change(rows, concert, cx.at, |room| room.blocks.reserved_to += places);
            }
            Request::Reopen { epoch, memory, epoch_seen, known, reserved_to, in_doubt, places }
                if *epoch == epoch_now =>
            {
                change(rows, concert, cx.at, |room| {
                    // A database that was set back does not know its last blocks and epochs. Their numbers are used up.
                    let (issued, known) = (room.issued, room.issued.max(*known));
                    room.blocks.doubt(in_doubt.0.max(issued + 1), in_doubt.1.min(known), cx.at);
                    let reserved_to = known.max(room.blocks.reserved_to).max(*reserved_to);
                    room.blocks.doubt(known + 1, reserved_to, cx.at);
                    room.issued = reserved_to;
                    room.blocks.epoch = room.blocks.epoch.max(*epoch_seen) + 1;
                    room.blocks.memory = *memory;
                    room.blocks.reserved_to = reserved_to + places;
                });
            }
            Request::Reserve { .. } | Request::Reopen { .. } => {}
            Request::Reinstate(ranges) => {
                let in_doubt = |(first, last): &(u64, u64)| room.blocks.doubtful(first.saturating_sub(1), *last) > 0;
                if ranges.iter().any(in_doubt) {
                    change(rows, concert, cx.at, |room| {
                        ranges.iter().for_each(|(first, last)| room.blocks.clear(*first, *last));
                    });
                }
            }
        }
        let room = rows.rooms.get(&concert).ok_or(Refusal::ConcertNotFound)?;
        Ok(BlockState { issued: room.issued, blocks: room.blocks.clone(), is_new: room.version != version })
    }
}
