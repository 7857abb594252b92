//! Limits how often all turns of a room are visited. A room may have a million turns, so scans take a small part of the
//! time.

use std::time::{Duration, Instant};

use onsale_domain::time::Timestamp;
use parking_lot::Mutex;

/// After a scan, no other one starts for this many times as long as it took.
const RESTS_PER_SCAN: u32 = 15;

/// The list of turns whose holds are read may be this old. They are read long before the turns end.
const LISTED_EVERY_MILLIS: i64 = 200;

/// When the turns were scanned, and what a scan found.
#[derive(Debug)]
pub(super) struct Scans {
    /// [`RESTS_PER_SCAN`]; 0 in virtual time, in which a scan takes none.
    rests_per_scan: u32,
    /// No scan for a step starts before this instant. Held during the scan, so that there is one at a time.
    rests_until: Mutex<Option<Instant>>,
    /// Places whose holds are read, and when they were listed. Held during the scan.
    holds_to_read: Mutex<Option<(Timestamp, Vec<u64>)>>,
}

impl Default for Scans {
    fn default() -> Self {
        Self { rests_per_scan: RESTS_PER_SCAN, rests_until: Mutex::default(), holds_to_read: Mutex::default() }
    }
}

impl Scans {
    /// Scans whenever it is called.
    #[cfg(test)]
    pub(super) fn without_rest() -> Self {
        Self { rests_per_scan: 0, ..Self::default() }
    }

    /// Runs a scan and returns its result; `None` if it is too early after the last one.
    pub(super) fn scan<T>(&self, scan: impl FnOnce() -> T) -> Option<T> {
        let mut rests_until = self.rests_until.lock();
        let began = Instant::now();
        if rests_until.is_some_and(|until| began < until) {
            return None;
        }
        let found = scan();
        let took: Duration = began.elapsed();
        *rests_until = (self.rests_per_scan > 0).then(|| began + took * (1 + self.rests_per_scan));
        Some(found)
    }

    /// Places whose holds are read, as listed at most [`LISTED_EVERY_MILLIS`] ago.
    pub(super) fn holds_to_read(&self, at: Timestamp, list: impl FnOnce() -> Vec<u64>) -> Vec<u64> {
        let mut listed = self.holds_to_read.lock();
        let is_fresh = |since: &Timestamp| (0..LISTED_EVERY_MILLIS).contains(&since.millis_until(at));
        if let Some((_, places)) = listed.as_ref().filter(|(since, _)| is_fresh(since)) {
            return places.clone();
        }
        let places = list();
        *listed = Some((at, places.clone()));
        places
    }
}
