//! Whether a concert has anything left, kept so that a poll reads it with one comparison.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};

use onsale_domain::concert::Performance;
use onsale_domain::ids::PerformanceId;
use onsale_domain::time::Timestamp;
use parking_lot::Mutex;

/// No performance is known: nothing is for sale, and nothing is sold out either.
const NO_PERFORMANCE: i64 = i64::MAX;

/// The performances of one concert, as far as they decide whether it is sold out.
#[derive(Debug)]
pub(super) struct Availability {
    /// By performance: its start, and whether a seat is unsold. A held seat counts as unsold, as it may become free again.
    performances: Mutex<HashMap<PerformanceId, (Timestamp, bool)>>,
    /// From this instant on nothing is left, in milliseconds: the last start of a performance with unsold seats. Computed
    /// under the lock of `performances`, and read without it.
    sold_out_from: AtomicI64,
}

impl Default for Availability {
    fn default() -> Self {
        Self { performances: Mutex::default(), sold_out_from: AtomicI64::new(NO_PERFORMANCE) }
    }
}

impl Availability {
    pub(super) fn note(&self, performance: &Performance) {
        self.set(performance.id, performance.starts_at, performance.is_unsold());
    }

    pub(super) fn set(&self, performance: PerformanceId, starts_at: Timestamp, is_unsold: bool) {
        let mut all = self.performances.lock();
        all.insert(performance, (starts_at, is_unsold));
        let last = all.values().filter(|(_, is_unsold)| *is_unsold).map(|(starts_at, _)| starts_at.as_millis()).max();
        // Relaxed: the value stands alone, and a poll may see it a moment later. The lock keeps stores in order.
        self.sold_out_from.store(last.unwrap_or(i64::MIN), Ordering::Relaxed);
    }

    /// Whether there are performances and all of them have started.
    pub(super) fn has_started(&self, at: Timestamp) -> bool {
        let all = self.performances.lock();
        !all.is_empty() && all.values().all(|(starts_at, _)| *starts_at <= at)
    }

    /// The start of the last performance that is known; `None` if there is none.
    pub(super) fn last_start(&self) -> Option<Timestamp> {
        self.performances.lock().values().map(|(starts_at, _)| *starts_at).max()
    }

    pub(super) fn is_sold_out(&self, at: Timestamp) -> bool {
        self.sold_out_from.load(Ordering::Relaxed) <= at.as_millis()
    }
}
