//! Which kinds of queries are slow now. They use a separate connection, so that no other query waits behind them.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A query that takes at least this long is slow.
pub(super) const SLOW: Duration = Duration::from_millis(300);

/// How long a kind counts as slow after a slow query of it, unless a fast one comes before.
const SLOW_FOR: Duration = Duration::from_secs(5);

/// Maximum number of slow queries at a time. One more fails at once.
const SLOW_MAX: usize = 8;

/// A kind of query. Queries of one kind run the same statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ping,
    Snapshot,
    Account,
    Ledger,
    Lectures,
    ChangedLectures,
    Lecture,
    Applicants,
    WaitingUsers,
    LecturesToPromote,
    LecturesToEmpty,
    Applications,
    LectureHistory,
    Concerts,
    Performances,
    Listed,
    PerformanceRevisions,
    Seats,
    TakenSeats,
    Reservation,
    ReservationsOf,
    Payment,
    PaymentsOf,
    Refunds,
    Cancellations,
    Codes,
    Draws,
    EndedSessions,
    RefundsOf,
    PlacesOf,
    LapsedHolds,
    OldAnswers,
    Events,
    StaffDirectory,
    StaffKeys,
    StaffSession,
    AdminLog,
    Attendees,
    Figures,
    Leavings,
    Tickets,
    CheckIns,
    SeatLists,
}

const KINDS: usize = Kind::SeatLists as usize + 1;

/// The kinds that are slow now, and the number of slow queries.
#[derive(Debug)]
pub(super) struct SlowQueries {
    began: Instant,
    /// Until when each kind is slow, in milliseconds after `began`; 0 if it is not. `Relaxed` everywhere: each value stands
    /// alone, and a query that misses a change uses the other connection once more.
    slow_until: [AtomicU64; KINDS],
    /// Number of slow queries that run now, bounded by [`SLOW_MAX`]. `AcqRel` increments pair with `AcqRel` decrements:
    /// a permit that is granted comes after the end of the query that returned it.
    running: AtomicUsize,
}

/// The permit of one slow query, returned when it is dropped.
#[derive(Debug)]
pub(super) struct SlowPermit<'a>(&'a SlowQueries);

impl Drop for SlowPermit<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Default for SlowQueries {
    fn default() -> Self {
        let slow_until = std::array::from_fn(|_| AtomicU64::new(0));
        Self { began: Instant::now(), slow_until, running: AtomicUsize::new(0) }
    }
}

impl SlowQueries {
    /// Milliseconds after `began`.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether queries of a kind are slow now.
    pub(super) fn is_slow(&self, kind: Kind) -> bool {
        let until = self.slow_until[kind as usize].load(Ordering::Relaxed);
        until > 0 && until > self.now()
    }

    /// Notes the duration of a query.
    pub(super) fn note(&self, kind: Kind, took: Duration) {
        let until = if took < SLOW { 0 } else { self.now() + u64::try_from(SLOW_FOR.as_millis()).unwrap_or(0) };
        let slow_until = &self.slow_until[kind as usize];
        // Written only on a change: all threads read it, and a write would take the cache line from them each time.
        if until > 0 || slow_until.load(Ordering::Relaxed) > 0 {
            slow_until.store(until, Ordering::Relaxed);
        }
    }

    /// A permit for a slow query; `None` if 8 slow queries run already.
    pub(super) fn permit(&self) -> Option<SlowPermit<'_>> {
        let permit = SlowPermit(self);
        // Counted first. If that is one too many, dropping the permit takes it back.
        (self.running.fetch_add(1, Ordering::AcqRel) < SLOW_MAX).then_some(permit)
    }

    /// Whether no slow query runs, and no kind is slow.
    pub(super) fn is_quiet(&self) -> bool {
        // Acquire pairs with the decrement of the last permit: its connection is not in use any more.
        self.running.load(Ordering::Acquire) == 0
            && (0..KINDS).all(|kind| self.slow_until[kind].load(Ordering::Relaxed) <= self.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_slow_until_a_query_of_it_is_fast() {
        let queries = SlowQueries::default();
        queries.note(Kind::Seats, SLOW);
        assert!(queries.is_slow(Kind::Seats) && !queries.is_slow(Kind::Account) && !queries.is_quiet());
        queries.note(Kind::Seats, SLOW / 2);
        assert!(!queries.is_slow(Kind::Seats) && queries.is_quiet());
    }

    #[test]
    fn slow_queries_are_bounded() {
        let queries = SlowQueries::default();
        let permits: Vec<_> = (0..SLOW_MAX).map(|_| queries.permit().expect("a permit")).collect();
        assert!(queries.permit().is_none());
        drop(permits);
        assert!(queries.permit().is_some() && queries.is_quiet());
    }
}
