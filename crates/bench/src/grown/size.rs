//! How much data a database is filled with.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::scale::Scale;

/// How much data is created, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// Past concerts, and as many past lectures.
    pub(super) concerts: u64,
    /// Reservations of each concert, all paid. An even number: see `fill`.
    pub(super) reservations: u64,
    /// Applications for each lecture.
    pub(super) applications: u64,
    /// When filling began, in milliseconds since 1970. All statements use it, so that rows and their events agree.
    pub(super) now_millis: u64,
}

impl Size {
    fn of(concerts: u64, reservations: u64, applications: u64) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        Self { concerts, reservations, applications, now_millis }
    }

    /// A year of sales: 2 million reservations, 5 million ledger entries, 10 million events. `quick` has a hundredth, with
    /// as many concerts.
    pub(super) fn grown(scale: Scale) -> Self {
        scale.pick(Self::of(10_000, 200, 100), Self::of(10_000, 2, 1), Self::of(60, 4, 2))
    }

    /// A sale that has just begun, for comparison. Each list is longer than a page.
    pub(super) fn small(scale: Scale) -> Self {
        scale.pick(Self::of(100, 20, 10), Self::of(100, 20, 10), Self::of(20, 2, 1))
    }

    /// Number of all reservations.
    pub(super) fn all_reservations(self) -> u64 {
        self.concerts * self.reservations
    }
}
