//! The database's time, as far as a process knows it without asking.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use onsale_domain::time::Timestamp;

/// How long the best reading counts: clocks drift.
const BEST_FOR: Duration = Duration::from_secs(10);

/// A reading that may be off by more than this is dropped: it would look like a clock that jumped.
const UNCERTAINTY_MAX: Duration = Duration::from_millis(500);

/// This process's own steady clock, set by the database's.
pub(super) struct Clock {
    reading: Mutex<Reading>,
}

#[derive(Clone, Copy)]
struct Reading {
    /// The database's time at `when`.
    at: Timestamp,
    when: Instant,
    /// By how much it may be off: half of the time that the question took.
    uncertainty: Duration,
}

impl Clock {
    /// A clock set by a first reading.
    pub(super) fn new(at: Timestamp, asked: Instant) -> Self {
        Self { reading: Mutex::new(Reading::new(at, asked)) }
    }

    /// Takes in another reading, where it is better than the one before, or that is old.
    pub(super) fn observe(&self, at: Timestamp, asked: Instant) {
        let new = Reading::new(at, asked);
        if new.uncertainty > UNCERTAINTY_MAX {
            return;
        }
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        // The server's clock was set: what was known before is worth nothing.
        let is_set = new.at.is_ahead_of(reading.now()) || reading.now().is_ahead_of(new.now());
        if is_set || new.uncertainty <= reading.uncertainty || reading.when.elapsed() > BEST_FOR {
            *reading = new;
        }
    }

    /// The database's time now.
    pub(super) fn now(&self) -> Timestamp {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner).now()
    }
}

impl Reading {
    /// A reading that was asked for then and came now. It was taken somewhere in between.
    fn new(at: Timestamp, asked: Instant) -> Self {
        let uncertainty = asked.elapsed() / 2;
        Self { at, when: asked + uncertainty, uncertainty }
    }

    /// The database's time now, going by this reading.
    fn now(&self) -> Timestamp {
        self.at.plus_millis(i64::try_from(self.when.elapsed().as_millis()).unwrap_or(0))
    }
}
