//! The state of every seat of one performance, and the views that are built from it.

use std::collections::VecDeque;
use std::sync::Arc;

use onsale_domain::concert::Seat;
use onsale_domain::time::Timestamp;

use super::delta::Delta;
use super::view::{Chunk, SeatStatus, SeatView, ViewCache};
use crate::catalogue::Showing;
use crate::store::SeatRows;

/// Number of seats that are rebuilt and serialized together.
pub(super) const CHUNK: usize = 128;

/// Changed seats that are remembered. Beyond it the oldest are forgotten, and listeners that need them get all seats.
const TOUCHED_MAX: usize = 10_000;

/// The state of one seat.
#[derive(Clone, Copy, Debug)]
pub(super) enum Known {
    Free,
    Held(Timestamp),
    Sold,
    Blocked,
}

impl Known {
    pub(super) fn of(seat: Option<&Seat>) -> Self {
        match seat {
            None => Self::Free,
            Some(seat) if seat.sold => Self::Sold,
            Some(seat) => Self::Held(seat.held_until),
        }
    }

    /// The status that clients see: a seat whose hold ran out is available, even if the hold is not settled yet. If users wait for
    /// seats, it may be theirs, and stays held until the hold is settled.
    fn status(self, at: Timestamp, waited_for: bool) -> SeatStatus {
        match self {
            Self::Held(until) if at < until || waited_for => SeatStatus::Held,
            Self::Free | Self::Held(_) => SeatStatus::Available,
            Self::Sold => SeatStatus::Sold,
            Self::Blocked => SeatStatus::Blocked,
        }
    }
}

/// All seats of a performance as of one of its versions.
pub(super) struct Seats {
    /// The history of the database that the version belongs to.
    history: u64,
    version: u64,
    closed: bool,
    cancelled: bool,
    waited_for: bool,
    showing: Arc<Showing>,
    numbers: Arc<[u32]>,
    seats: Vec<Known>,
    chunks: Vec<Arc<Chunk>>,
    /// The versions that changed or extended seats lately, each with a seat, in order.
    touched: VecDeque<(u64, u32)>,
    /// What changed after this version is in `touched`.
    touched_after: u64,
}

impl Seats {
    pub(super) fn new(showing: &Arc<Showing>, history: u64, rows: &SeatRows) -> Self {
        let numbers: Arc<[u32]> = showing.seating.seats().map(|(number, _)| number).collect();
        let mut seats = Self {
            history,
            version: rows.version,
            closed: rows.closed,
            cancelled: rows.cancelled,
            waited_for: rows.waited_for,
            showing: showing.clone(),
            seats: vec![Known::Free; numbers.len()],
            chunks: Vec::new(),
            touched: VecDeque::new(),
            touched_after: rows.version,
            numbers,
        };
        for (number, seat) in &rows.seats {
            seats.set(*number, Known::of(Some(seat)));
        }
        for number in &rows.blocked {
            seats.set(*number, Known::Blocked);
        }
        seats
    }

    /// The version of the performance that this is as of.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    fn set(&mut self, number: u32, became: Known) {
        if let Some(known) = self.showing.seating.index_of(number).and_then(|index| self.seats.get_mut(index)) {
            *known = became;
        }
    }

    /// Applies a commit. Returns `false`, and changes nothing, if a commit before it is missing.
    pub(super) fn apply(&mut self, delta: &Delta) -> bool {
        // Loaded rows may already contain a commit that was noted during the load.
        if delta.after <= self.version {
            return true;
        }
        if delta.before != self.version {
            return false;
        }
        for (at, seconds) in &delta.extensions {
            for (number, seat) in self.numbers.iter().zip(&mut self.seats) {
                if let Known::Held(until) = seat
                    && *at < *until
                {
                    *until = until.plus_seconds(*seconds);
                    self.touched.push_back((delta.after, *number));
                }
            }
        }
        self.closed = delta.closed.unwrap_or(self.closed);
        // For good.
        self.cancelled |= delta.cancelled;
        self.waited_for = delta.waited_for.unwrap_or(self.waited_for);
        // After the extensions, which these contain.
        for (number, became) in &delta.seats {
            self.set(*number, *became);
            self.touched.push_back((delta.after, *number));
        }
        while self.touched.len() > TOUCHED_MAX {
            self.touched_after = self.touched.pop_front().map_or(delta.after, |(version, _)| version);
        }
        self.version = delta.after;
        true
    }

    /// Seats that were changed or extended after a version, some of them several times; `None` if that is not known any more.
    pub(super) fn touched_since(&self, version: u64) -> Option<Vec<u32>> {
        let first = self.touched.partition_point(|(touched, _)| *touched <= version);
        let seats = || self.touched.range(first..).map(|(_, seat)| *seat).collect();
        (version >= self.touched_after).then(seats)
    }

    /// The seats as of an instant. Chunks that did not change are shared with the view before.
    pub(super) fn view<C: ViewCache>(&mut self, stamp: u64, at: Timestamp) -> SeatView<C> {
        let mut valid_until = Timestamp::from_millis(i64::MAX);
        let mut remaining = 0;
        let mut lapsed = Vec::new();
        let mut shown = Vec::with_capacity(CHUNK);
        for (index, known) in self.seats.chunks(CHUNK).enumerate() {
            shown.clear();
            for (offset, seat) in known.iter().enumerate() {
                let status = seat.status(at, self.waited_for);
                match seat {
                    Known::Held(until) if at < *until => valid_until = valid_until.min(*until),
                    Known::Held(_) if status == SeatStatus::Available => {
                        lapsed.extend(self.numbers.get(index * CHUNK + offset));
                    }
                    Known::Held(_) | Known::Free | Known::Sold | Known::Blocked => {}
                }
                remaining += u32::from(status == SeatStatus::Available);
                shown.push(status);
            }
            match self.chunks.get(index) {
                Some(chunk) if chunk.statuses[..] == shown[..] => {}
                Some(_) => self.chunks[index] = Arc::new(Chunk::new(self.numbers_of(index), &shown)),
                None => self.chunks.push(Arc::new(Chunk::new(self.numbers_of(index), &shown))),
            }
        }
        let remaining = if self.cancelled { 0 } else { remaining };
        let view = SeatView::new(self.showing.clone(), stamp, valid_until, remaining, self.chunks.clone());
        view.closed(self.closed, self.cancelled).as_of(self.history, self.version, lapsed)
    }

    fn numbers_of(&self, chunk: usize) -> Arc<[u32]> {
        let from = chunk * CHUNK;
        self.numbers[from..(from + CHUNK).min(self.numbers.len())].into()
    }
}
