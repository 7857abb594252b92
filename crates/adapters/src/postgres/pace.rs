//! Which queries are slow now. They go over a separate connection, so that no other query waits behind
//! them.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A question that takes longer is slow.
pub(super) const SLOW: Duration = Duration::from_millis(300);

/// How long a kind of question is taken to be slow after one of it was, unless one is quick before that.
const SLOW_FOR: Duration = Duration::from_secs(5);

/// Maximum number of slow queries at a time. One more fails at once.
const SLOW_MAX: usize = 8;

/// Kinds of queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ping,
    Snapshot,
    Account,
    Ledger,
    Lectures,
    Applications,
    LectureHistory,
    Concerts,
    Performances,
    Listed,
    PerformanceCount,
    Seats,
    Reservation,
    ReservationsOf,
    Payment,
    PaymentsOf,
    LapsedHolds,
    OldAnswers,
    Events,
}

const KINDS: usize = Kind::Events as usize + 1;

/// What is known of the pace of questions.
#[derive(Debug)]
pub(super) struct Pace {
    began: Instant,
    /// Until when a kind is slow, in milliseconds since `began`.
    slow_until: [AtomicU64; KINDS],
    /// Number of slow queries under way.
    slow: AtomicUsize,
}

/// A slow query under way.
#[derive(Debug)]
pub(super) struct SlowPlace<'a>(&'a Pace);

impl Drop for SlowPlace<'_> {
    fn drop(&mut self) {
        self.0.slow.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Default for Pace {
    fn default() -> Self {
        let slow_until = std::array::from_fn(|_| AtomicU64::new(0));
        Self { began: Instant::now(), slow_until, slow: AtomicUsize::new(0) }
    }
}

impl Pace {
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether questions of a kind are slow now.
    pub(super) fn is_slow(&self, kind: Kind) -> bool {
        let until = self.slow_until[kind as usize].load(Ordering::Relaxed);
        until > 0 && until > self.now()
    }

    /// Takes in how long a question took.
    pub(super) fn note(&self, kind: Kind, took: Duration) {
        let until = if took < SLOW { 0 } else { self.now() + u64::try_from(SLOW_FOR.as_millis()).unwrap_or(0) };
        let slow_until = &self.slow_until[kind as usize];
        // Written only on a change, as all threads read it.
        if until > 0 || slow_until.load(Ordering::Relaxed) > 0 {
            slow_until.store(until, Ordering::Relaxed);
        }
    }

    /// A place among the slow questions; `None` if there are as many as there may be.
    pub(super) fn slow_place(&self) -> Option<SlowPlace<'_>> {
        let place = SlowPlace(self);
        // Counted first; the place gives it back if it is one too many.
        (self.slow.fetch_add(1, Ordering::AcqRel) < SLOW_MAX).then_some(place)
    }

    /// Whether no slow query is under way, and no kind is slow.
    pub(super) fn is_quiet(&self) -> bool {
        self.slow.load(Ordering::Acquire) == 0
            && (0..KINDS).all(|kind| self.slow_until[kind].load(Ordering::Relaxed) <= self.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_slow_until_one_of_it_is_quick() {
        let pace = Pace::default();
        pace.note(Kind::Seats, SLOW);
        assert!(pace.is_slow(Kind::Seats) && !pace.is_slow(Kind::Account) && !pace.is_quiet());
        pace.note(Kind::Seats, SLOW / 2);
        assert!(!pace.is_slow(Kind::Seats) && pace.is_quiet());
    }

    #[test]
    fn slow_questions_are_bounded() {
        let pace = Pace::default();
        let places: Vec<_> = (0..SLOW_MAX).map(|_| pace.slow_place().expect("a place")).collect();
        assert!(pace.slow_place().is_none());
        drop(places);
        assert!(pace.slow_place().is_some() && pace.is_quiet());
    }
}
