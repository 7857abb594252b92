//! Whether a concert has anything left, kept so that a poll can say so for the price of one comparison.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use onsale_domain::concert::Performance;
use onsale_domain::ids::PerformanceId;
use onsale_domain::time::Timestamp;

/// No performance is known: nothing is for sale, and nothing is sold out either.
const NOTHING: i64 = i64::MAX;

/// The performances of one concert, as far as the question goes whether they are sold out.
#[derive(Debug)]
pub(super) struct Stock {
    /// By performance: when it starts, and whether a seat is unsold (a held one may come back).
    performances: Mutex<HashMap<PerformanceId, (Timestamp, bool)>>,
    /// From this instant on there is nothing left: the last start of a performance with unsold seats.
    gone_from: AtomicI64,
}

impl Default for Stock {
    fn default() -> Self {
        Self { performances: Mutex::default(), gone_from: AtomicI64::new(NOTHING) }
    }
}

impl Stock {
    pub(super) fn note(&self, performance: &Performance) {
        let unsold = performance.sold < performance.seating.capacity();
        self.set(performance.id, performance.starts_at, unsold);
    }

    pub(super) fn set(&self, performance: PerformanceId, starts_at: Timestamp, unsold: bool) {
        let mut all = self.performances.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(performance, (starts_at, unsold));
        let last = all.values().filter(|(_, unsold)| *unsold).map(|(starts_at, _)| starts_at.as_millis()).max();
        self.gone_from.store(last.unwrap_or(i64::MIN), Ordering::Relaxed);
    }

    /// Whether there are performances, and all of them have started.
    pub(super) fn has_started(&self, at: Timestamp) -> bool {
        let all = self.performances.lock().unwrap_or_else(PoisonError::into_inner);
        !all.is_empty() && all.values().all(|(starts_at, _)| *starts_at <= at)
    }

    /// The start of the last performance that is known; `None` if there is none.
    pub(super) fn last_start(&self) -> Option<Timestamp> {
        let all = self.performances.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().map(|(starts_at, _)| *starts_at).max()
    }

    pub(super) fn is_sold_out(&self, at: Timestamp) -> bool {
        self.gone_from.load(Ordering::Relaxed) <= at.as_millis()
    }
}
