//! The state of every seat of one performance, and the views that are built from it.

use std::sync::Arc;

use onsale_domain::concert::Seat;
use onsale_domain::time::Timestamp;

use super::delta::Delta;
use super::view::{Chunk, SeatStatus, SeatView, ViewCache};
use crate::catalogue::Showing;
use crate::store::SeatRows;

/// Number of seats that are rebuilt and serialized together.
const CHUNK: usize = 128;

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
    version: u64,
    closed: bool,
    cancelled: bool,
    waited_for: bool,
    showing: Arc<Showing>,
    numbers: Arc<[u32]>,
    seats: Vec<Known>,
    chunks: Vec<Arc<Chunk>>,
}

impl Seats {
    pub(super) fn new(showing: &Arc<Showing>, rows: &SeatRows) -> Self {
        let numbers: Arc<[u32]> = showing.seating.seats().map(|(number, _)| number).collect();
        let mut seats = Self {
            version: rows.version,
            closed: rows.closed,
            cancelled: rows.cancelled,
            waited_for: rows.waited_for,
            showing: showing.clone(),
            seats: vec![Known::Free; numbers.len()],
            chunks: Vec::new(),
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
            for seat in &mut self.seats {
                if let Known::Held(until) = seat
                    && *at < *until
                {
                    *until = until.plus_seconds(*seconds);
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
        }
        self.version = delta.after;
        true
    }

    /// The seats as of an instant. Chunks that did not change are shared with the view before.
    pub(super) fn view<C: ViewCache>(&mut self, stamp: u64, at: Timestamp) -> SeatView<C> {
        let mut valid_until = Timestamp::from_millis(i64::MAX);
        let mut remaining = 0;
        let mut shown = Vec::with_capacity(CHUNK);
        for (index, known) in self.seats.chunks(CHUNK).enumerate() {
            shown.clear();
            for seat in known {
                let status = seat.status(at, self.waited_for);
                match seat {
                    Known::Held(until) if at < *until => valid_until = valid_until.min(*until),
                    _ => remaining += u32::from(status == SeatStatus::Available),
                }
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
        view.closed(self.closed, self.cancelled)
    }

    fn numbers_of(&self, chunk: usize) -> Arc<[u32]> {
        let from = chunk * CHUNK;
        self.numbers[from..(from + CHUNK).min(self.numbers.len())].into()
    }
}
