//! The database's clock, estimated without a query.

use std::time::{Duration, Instant};

use onsale_domain::time::Timestamp;
use parking_lot::Mutex;

/// Two clocks drift apart by a thousandth at most: a reading becomes less certain by a millisecond each second.
const DRIFT: u32 = 1_000;

/// Readings are in whole milliseconds.
const ROUNDING: Duration = Duration::from_millis(2);

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
    /// Maximum error at that instant: half of the duration of the query.
    uncertainty: Duration,
}

impl Clock {
    /// A clock that is set by a first reading: the database's time, and when this process asked for it.
    pub(super) fn new(at: Timestamp, asked: Instant) -> Self {
        Self { reading: Mutex::new(Reading::new(at, asked)) }
    }

    /// Takes another reading if it is more certain than the current one has become, or contradicts it.
    pub(super) fn observe(&self, at: Timestamp, asked: Instant) {
        let new = Reading::new(at, asked);
        let mut reading = self.reading.lock();
        if new.replaces(&reading, Instant::now()) {
            *reading = new;
        }
    }

    /// The database's time now.
    pub(super) fn now(&self) -> Timestamp {
        self.reading.lock().time(Instant::now())
    }
}

impl Reading {
    /// A reading that was requested at `asked` and has arrived now. The server took it somewhere in between.
    fn new(at: Timestamp, asked: Instant) -> Self {
        let uncertainty = asked.elapsed() / 2;
        Self { at, when: asked + uncertainty, uncertainty }
    }

    /// Whether this is the better reading, now.
    fn replaces(&self, old: &Self, now: Instant) -> bool {
        let (error, old_error) = (self.error(now), old.error(now));
        // If the two readings cannot both be right, the server's clock was set, and the old reading is worthless.
        let apart = Duration::from_millis(old.time(now).millis_until(self.time(now)).unsigned_abs());
        self.uncertainty <= UNCERTAINTY_MAX && (error <= old_error || apart > error + old_error + ROUNDING)
    }

    /// Maximum error at an instant: that of the query, and the drift since then.
    fn error(&self, now: Instant) -> Duration {
        self.uncertainty + now.saturating_duration_since(self.when) / DRIFT
    }

    /// The database's time now according to this reading.
    fn time(&self, now: Instant) -> Timestamp {
        let passed = now.saturating_duration_since(self.when);
        self.at.plus_millis(i64::try_from(passed.as_millis()).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reading of this time, `millis` milliseconds after the first one, with this error.
    fn reading(first: Instant, millis: u64, at: i64, uncertainty: u64) -> Reading {
        let when = first + Duration::from_millis(millis);
        Reading { at: Timestamp::from_millis(at), when, uncertainty: Duration::from_millis(uncertainty) }
    }

    #[test]
    fn a_slow_query_replaces_a_quick_one_only_once_that_has_become_less_certain() {
        let first = Instant::now();
        let quick = reading(first, 0, 0, 1);
        for (after, uncertainty, is_taken) in [
            (50, 1, true),
            (50, 2, false),
            (20_000, 20, true),
            (20_000, 200, false),
            (200_000, 200, true),
            (900_000, 501, false),
        ] {
            let at = i64::try_from(after).unwrap_or_default();
            let slow = reading(first, after, at, uncertainty);
            assert_eq!(slow.replaces(&quick, slow.when), is_taken, "{uncertainty} ms after {after} ms");
        }
    }

    #[test]
    fn a_reading_that_contradicts_the_last_one_replaces_it() {
        let first = Instant::now();
        let old = reading(first, 0, 0, 1);
        for (moved, is_set) in
            [(-3_600_000, true), (-205, true), (-150, false), (150, false), (205, true), (3_600_000, true)]
        {
            let new = reading(first, 1_000, 1_000 + moved, 200);
            assert_eq!(new.replaces(&old, new.when), is_set, "set by {moved} ms");
        }
    }
}
