//! The state of every seat of one performance, and the views made from it.

use std::sync::Arc;

use onsale_domain::concert::{Seat, Seating};
use onsale_domain::time::Timestamp;

use super::Delta;
use super::view::{Chunk, Mark, SeatView};
use crate::catalogue::Showing;
use crate::store::SeatRows;

/// Seats that are shown, and rebuilt, together.
const CHUNK: usize = 128;

/// What is known of one seat.
#[derive(Clone, Copy, Debug)]
pub(super) enum Known {
    Free,
    Held(Timestamp),
    Sold,
}

impl Known {
    pub(super) fn of(seat: Option<&Seat>) -> Self {
        match seat {
            None => Self::Free,
            Some(seat) if seat.sold => Self::Sold,
            Some(seat) => Self::Held(seat.held_until),
        }
    }

    /// What is shown: a hold that ran out is free, settled or not.
    fn mark(self, at: Timestamp) -> Mark {
        match self {
            Self::Held(until) if at < until => Mark::Held,
            Self::Free | Self::Held(_) => Mark::Available,
            Self::Sold => Mark::Sold,
        }
    }
}

/// All seats of a performance as of one version.
pub(super) struct Marks {
    version: u64,
    seating: Seating,
    numbers: Arc<[u32]>,
    seats: Vec<Known>,
    chunks: Vec<Arc<Chunk>>,
}

impl Marks {
    pub(super) fn new(showing: &Showing, rows: &SeatRows) -> Self {
        let numbers: Arc<[u32]> = showing.seating.seats().map(|(number, _)| number).collect();
        let mut marks = Self {
            version: rows.version,
            seating: showing.seating.clone(),
            seats: vec![Known::Free; numbers.len()],
            chunks: Vec::new(),
            numbers,
        };
        rows.seats.iter().for_each(|(number, seat)| marks.set(*number, Known::of(Some(seat))));
        marks
    }

    /// As of which version of the performance.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    fn set(&mut self, number: u32, became: Known) {
        if let Some(known) = self.seating.index_of(number).and_then(|index| self.seats.get_mut(index)) {
            *known = became;
        }
    }

    /// Takes in a commit; `false` where one before it is missing.
    pub(super) fn apply(&mut self, delta: &Delta) -> bool {
        if delta.after <= self.version {
            return true;
        }
        if delta.before != self.version {
            return false;
        }
        delta.seats.iter().for_each(|(number, became)| self.set(*number, *became));
        self.version = delta.after;
        true
    }

    /// Shows the seats as of an instant. Parts that look as they did are shared with the view before.
    pub(super) fn view(&mut self, stamp: u64, at: Timestamp) -> SeatView {
        let mut valid_until = Timestamp::from_millis(i64::MAX);
        let mut remaining = 0;
        let mut shown = Vec::with_capacity(CHUNK);
        for (index, known) in self.seats.chunks(CHUNK).enumerate() {
            shown.clear();
            for seat in known {
                let mark = seat.mark(at);
                match seat {
                    Known::Held(until) if mark == Mark::Held => valid_until = valid_until.min(*until),
                    _ => remaining += u32::from(mark == Mark::Available),
                }
                shown.push(mark);
            }
            match self.chunks.get(index) {
                Some(chunk) if chunk.marks[..] == shown[..] => {}
                Some(_) => self.chunks[index] = Arc::new(Chunk::new(self.numbers_of(index), &shown)),
                None => self.chunks.push(Arc::new(Chunk::new(self.numbers_of(index), &shown))),
            }
        }
        SeatView::new(stamp, valid_until, remaining, self.chunks.clone())
    }

    fn numbers_of(&self, chunk: usize) -> Arc<[u32]> {
        let from = chunk * CHUNK;
        self.numbers[from..(from + CHUNK).min(self.numbers.len())].into()
    }
}
