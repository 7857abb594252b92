//! The database's clock, estimated without a query.

use std::time::{Duration, Instant};

use onsale_domain::time::Timestamp;
use parking_lot::Mutex;

/// A reading is replaced after this time even by a less certain one, because clocks drift.
const BEST_FOR: Duration = Duration::from_secs(10);

/// A reading with a higher uncertainty is dropped: it would look like a clock that jumped.
const UNCERTAINTY_MAX: Duration = Duration::from_millis(500);

/// This process's monotonic clock, set by the database's clock.
pub(super) struct Clock {
    /// The best reading. Held for a copy or a comparison: every answer reads the time.
    reading: Mutex<Reading>,
}

#[derive(Clone, Copy)]
struct Reading {
    /// The database's time at the instant `when`.
    at: Timestamp,
    when: Instant,
    /// Maximum error: half of the duration of the query.
    uncertainty: Duration,
}

impl Clock {
    /// A clock that is set by a first reading: the database's time, and when this process asked for it.
    pub(super) fn new(at: Timestamp, asked: Instant) -> Self {
        Self { reading: Mutex::new(Reading::new(at, asked)) }
    }

    /// Takes another reading if it is more certain than the current one, or if that is older than 10 s.
    pub(super) fn observe(&self, at: Timestamp, asked: Instant) {
        let new = Reading::new(at, asked);
        if new.uncertainty > UNCERTAINTY_MAX {
            return;
        }
        let mut reading = self.reading.lock();
        // The two readings cannot both be right: the server's clock was set, and the old reading is worthless.
        let is_set = new.at.is_ahead_of(reading.now()) || reading.now().is_ahead_of(new.now());
        if is_set || new.uncertainty <= reading.uncertainty || reading.when.elapsed() > BEST_FOR {
            *reading = new;
        }
    }

    /// The database's time now.
    pub(super) fn now(&self) -> Timestamp {
        self.reading.lock().now()
    }
}

impl Reading {
    /// A reading that was requested at `asked` and has arrived now. The server took it somewhere in between.
    fn new(at: Timestamp, asked: Instant) -> Self {
        let uncertainty = asked.elapsed() / 2;
        Self { at, when: asked + uncertainty, uncertainty }
    }

    /// The database's time now according to this reading.
    fn now(&self) -> Timestamp {
        self.at.plus_millis(i64::try_from(self.when.elapsed().as_millis()).unwrap_or(0))
    }
}
