//! Looking at every turn of a room: there may be very many, so it is done in a small share of the time.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use onsale_domain::time::Timestamp;

/// After a look at all turns, so many times as long as it took passes before the next.
const RESTS_PER_LOOK: u32 = 15;

/// How old the list of turns may be that are about to end. Their holds are asked for long before.
const LISTED_EVERY_MILLIS: i64 = 200;

/// When turns were looked at, and what was found.
#[derive(Debug)]
pub(super) struct Glances {
    /// See [`RESTS_PER_LOOK`]; 0 in virtual time, in which a look takes none.
    rests_per_look: u32,
    rests_until: Mutex<Option<Instant>>,
    ending: Mutex<Option<(Timestamp, Vec<u64>)>>,
}

impl Default for Glances {
    fn default() -> Self {
        Self { rests_per_look: RESTS_PER_LOOK, rests_until: Mutex::default(), ending: Mutex::default() }
    }
}

impl Glances {
    /// Looks whenever it is asked to.
    #[cfg(test)]
    pub(super) fn without_rest() -> Self {
        Self { rests_per_look: 0, ..Self::default() }
    }

    /// Looks, unless it is too soon after the last time.
    pub(super) fn look(&self, look: impl FnOnce()) {
        let mut rests_until = self.rests_until.lock().unwrap_or_else(PoisonError::into_inner);
        let began = Instant::now();
        if rests_until.is_some_and(|until| began < until) {
            return;
        }
        look();
        let took: Duration = began.elapsed();
        *rests_until = (self.rests_per_look > 0).then(|| began + took * (1 + self.rests_per_look));
    }

    /// Places whose turns are about to end, as listed a moment ago.
    pub(super) fn ending(&self, at: Timestamp, list: impl FnOnce() -> Vec<u64>) -> Vec<u64> {
        let mut ending = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = |since: &Timestamp| (0..LISTED_EVERY_MILLIS).contains(&since.millis_until(at));
        if let Some((_, places)) = ending.as_ref().filter(|(since, _)| is_fresh(since)) {
            return places.clone();
        }
        let places = list();
        *ending = Some((at, places.clone()));
        places
    }
}
