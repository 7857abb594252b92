//! A seat map as clients see it: immutable, and shared by all requests that show it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use onsale_domain::time::Timestamp;

use super::seats::CHUNK;
use crate::catalogue::Showing;

/// The status of a seat as clients see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeatStatus {
    /// Any user may take it.
    Available,
    /// A user holds it and may still pay for it.
    Held,
    /// It is paid, and free again only after a refund.
    Sold,
    /// An organiser took it from sale.
    Blocked,
}

/// Which seats a client wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Which {
    /// Every seat of the performance.
    All,
    /// Only seats that any user may take.
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

/// What a front end keeps with a view, such as its serialized form. A new view starts with an empty value.
pub trait ViewCache: Default + Send + Sync + 'static {
    /// How long it took to make what is kept, in nanoseconds. It counts as part of the view's cost.
    fn cost_nanos(&self) -> u64;
}

/// Up to 128 neighbouring seats, with their serialized form once a caller has asked for it. Views share the chunks that
/// did not change between them.
#[derive(Debug)]
pub struct Chunk {
    numbers: Arc<[u32]>,
    pub(super) statuses: Box<[SeatStatus]>,
    texts: [OnceLock<Bytes>; 2],
}

impl Chunk {
    pub(super) fn new(numbers: Arc<[u32]>, statuses: &[SeatStatus]) -> Self {
        Self { numbers, statuses: statuses.into(), texts: Default::default() }
    }

    /// Seat numbers, each with its status.
    pub fn seats(&self, which: Which) -> impl Iterator<Item = (u32, SeatStatus)> {
        let all = self.numbers.iter().copied().zip(self.statuses.iter().copied());
        all.filter(move |(_, status)| which == Which::All || *status == SeatStatus::Available)
    }

    /// The serialized form, written by the first caller.
    pub fn text(&self, which: Which, write: impl FnOnce(&Self) -> Bytes) -> &Bytes {
        self.texts[which.index()].get_or_init(|| write(self))
    }
}

/// The seats of a performance as of one moment.
#[derive(Debug)]
pub struct SeatView<C> {
    /// The stamp of the slot when this view was built. Another stamp now means that seats have changed since.
    pub(super) stamp: u64,
    /// A number that no other view of this process has.
    pub serial: u64,
    pub(super) built: Instant,
    /// The end of the first hold shown here. From this instant on the view is wrong.
    pub(super) valid_until: Timestamp,
    /// How long the build took. Relaxed everywhere: a sum that orders nothing.
    cost_nanos: AtomicU64,
    /// The history of the database that the version belongs to: see [`crate::store::news::News::history`].
    pub history: u64,
    /// The version of the performance that the seats are as of. A lapse changes a seat without a new version.
    pub version: u64,
    /// Numbers of the seats whose hold lapsed and is not settled, in ascending order. They are shown as available.
    pub(super) lapsed: Box<[u32]>,
    /// Number of seats that any user may take.
    pub remaining: u32,
    /// Whether the holds of the performance are closed.
    pub is_closed: bool,
    /// Whether the performance is cancelled. Then no seat remains, whatever its status is.
    pub is_cancelled: bool,
    /// The performance, with the seats and prices of this view.
    pub showing: Arc<Showing>,
    /// All seats, in ascending order.
    pub chunks: Vec<Arc<Chunk>>,
    /// What the front end keeps with this view.
    pub cache: C,
}

impl<C: ViewCache> SeatView<C> {
    pub(super) fn new(
        showing: Arc<Showing>,
        stamp: u64,
        valid_until: Timestamp,
        remaining: u32,
        chunks: Vec<Arc<Chunk>>,
    ) -> Self {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let (built, cost_nanos, cache) = (Instant::now(), AtomicU64::new(0), C::default());
        Self {
            stamp,
            serial,
            built,
            valid_until,
            cost_nanos,
            history: 0,
            version: 0,
            lapsed: Box::default(),
            remaining,
            is_closed: false,
            is_cancelled: false,
            showing,
            chunks,
            cache,
        }
    }

    /// The same, of a performance whose holds are closed or not, and that is cancelled or not.
    pub(super) fn closed(self, is_closed: bool, is_cancelled: bool) -> Self {
        Self { is_closed, is_cancelled, ..self }
    }

    /// The same, as of a version, with the seats whose hold lapsed and is not settled.
    pub(super) fn as_of(self, history: u64, version: u64, lapsed: Vec<u32>) -> Self {
        Self { history, version, lapsed: lapsed.into(), ..self }
    }

    /// The status of a seat; `None` if the performance has no such seat.
    pub(super) fn status_of(&self, number: u32) -> Option<SeatStatus> {
        let index = self.showing.seating.index_of(number)?;
        self.chunks.get(index / CHUNK)?.statuses.get(index % CHUNK).copied()
    }

    /// How long it took to build and to serialize this view, in nanoseconds.
    pub(super) fn cost_nanos(&self) -> u64 {
        self.cost_nanos.load(Ordering::Relaxed) + self.cache.cost_nanos()
    }

    pub(super) fn add_cost(&self, spent: Duration) {
        self.cost_nanos.fetch_add(u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}
