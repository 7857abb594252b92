//! A seat map as shown: never changed, shared by everyone who looks, serialized once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use onsale_domain::time::Timestamp;

use crate::written::Written;

/// What is shown of a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Anyone may take it.
    Available,
    /// Somebody may still pay for it.
    Held,
    /// It is gone.
    Sold,
}

/// Which seats a caller wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Which {
    /// All of them.
    All,
    /// Those that anyone may take.
    Available,
}

impl Which {
    fn index(self) -> usize {
        match self {
            Self::All => 0,
            Self::Available => 1,
        }
    }
}

/// Some neighbouring seats, with their serialized form once somebody has asked for it.
#[derive(Debug)]
pub struct Chunk {
    numbers: Arc<[u32]>,
    pub(super) marks: Box<[Mark]>,
    texts: [OnceLock<Bytes>; 2],
}

impl Chunk {
    pub(super) fn new(numbers: Arc<[u32]>, marks: &[Mark]) -> Self {
        Self { numbers, marks: marks.into(), texts: Default::default() }
    }

    /// Seat numbers with what is shown of each.
    pub fn seats(&self, which: Which) -> impl Iterator<Item = (u32, Mark)> {
        let all = self.numbers.iter().copied().zip(self.marks.iter().copied());
        all.filter(move |(_, mark)| which == Which::All || *mark == Mark::Available)
    }

    /// The serialized form, written by the first who asks.
    pub fn text(&self, which: Which, write: impl FnOnce(&Self) -> Bytes) -> &Bytes {
        self.texts[which.index()].get_or_init(|| write(self))
    }
}

/// The seats of a performance as of a moment.
#[derive(Debug)]
pub struct SeatView {
    pub(super) stamp: u64,
    /// No other view has it.
    pub serial: u64,
    pub(super) built: Instant,
    /// From this instant on a hold shown here has run out.
    pub(super) valid_until: Timestamp,
    cost_nanos: AtomicU64,
    /// How many seats anyone may take.
    pub remaining: u32,
    /// All seats.
    pub chunks: Vec<Arc<Chunk>>,
    texts: [OnceLock<Written>; 2],
}

impl SeatView {
    pub(super) fn new(stamp: u64, valid_until: Timestamp, remaining: u32, chunks: Vec<Arc<Chunk>>) -> Self {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let (built, cost_nanos) = (Instant::now(), AtomicU64::new(0));
        Self { stamp, serial, built, valid_until, cost_nanos, remaining, chunks, texts: Default::default() }
    }

    /// The serialized form of the whole, written by the first who asks; what that costs counts as the view's cost.
    pub fn text(&self, which: Which, write: impl FnOnce(&Self) -> Bytes) -> &Written {
        self.texts[which.index()].get_or_init(|| Written::new(|| write(self)))
    }

    pub(super) fn cost_nanos(&self) -> u64 {
        let texts = self.texts.iter().filter_map(OnceLock::get).map(Written::cost_nanos);
        self.cost_nanos.load(Ordering::Relaxed) + texts.sum::<u64>()
    }

    pub(super) fn add_cost(&self, spent: Duration) {
        self.cost_nanos.fetch_add(u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}
