//! How much is measured, and for how long.

use std::time::Duration;

/// The size of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    Full,
    Quick,
    Tiny,
}

/// Durations and numbers of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    size: Size,
    /// How often each kind of work is measured.
    pub(crate) rounds: usize,
    /// Duration of one measurement of a reference.
    pub(crate) reference: Duration,
    /// Duration of one measurement of the work.
    pub(crate) slice: Duration,
    /// Duration of one measurement at a constant rate.
    pub(crate) open: Duration,
    /// Number of users to prepare if each may act once.
    pub(crate) users: usize,
    /// Number of users with a token of one room.
    pub(crate) line: usize,
}

impl Scale {
    /// The size of the published numbers and of the targets.
    pub(crate) const FULL: Self = Self {
        size: Size::Full,
        rounds: 3,
        reference: Duration::from_millis(1_000),
        slice: Duration::from_millis(2_000),
        open: Duration::from_millis(5_000),
        users: 120_000,
        line: 100_000,
    };

    /// One short round, with fewer users than the targets are for.
    pub(crate) const QUICK: Self = Self {
        size: Size::Quick,
        rounds: 1,
        reference: Duration::from_millis(500),
        slice: Duration::from_millis(800),
        open: Duration::from_millis(2_000),
        users: 24_000,
        line: 24_000,
    };

    /// As little as runs every line of code. Its numbers mean nothing: it is for the test of the benchmark.
    pub(crate) const TINY: Self = Self {
        size: Size::Tiny,
        rounds: 1,
        reference: Duration::from_millis(30),
        slice: Duration::from_millis(60),
        open: Duration::from_millis(100),
        users: 120,
        line: 60,
    };

    /// The value for this size.
    pub(crate) fn pick<T>(self, full: T, quick: T, tiny: T) -> T {
        match self.size {
            Size::Full => full,
            Size::Quick => quick,
            Size::Tiny => tiny,
        }
    }

    /// A number of rows, users or requests that only the test of the benchmark reduces, to at most a few hundred.
    pub(crate) fn at_most(self, number: usize) -> usize {
        self.pick(number, number, number.min(200))
    }

    /// The name of the size.
    pub(crate) fn name(self) -> &'static str {
        self.pick("full", "quick", "tiny")
    }
}
