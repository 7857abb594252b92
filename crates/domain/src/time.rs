//! Instants as values. Rules get the time as an argument and never read a clock.

/// Milliseconds since 1970-01-01T00:00:00Z, on the database's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The instant this many milliseconds after 1970-01-01T00:00:00Z.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// By this many milliseconds a clock may be set back without a report: a time service corrects such errors.
    pub const SET_BACK_MILLIS: i64 = 2_000;

    /// This instant, or that of the last change if it is a little later: a clock that is set back by a moment undoes
    /// nothing. A last change that is later than [`Self::SET_BACK_MILLIS`] was dated by a wrong clock, and does not count.
    #[must_use]
    pub fn not_before(self, last_change: Self) -> Self {
        if last_change.is_ahead_of(self) { self } else { self.max(last_change) }
    }

    /// Whether this is later than `now` by more than [`Self::SET_BACK_MILLIS`]: a clock was wrong, and was set back since.
    pub fn is_ahead_of(self, now: Self) -> bool {
        now.millis_until(self) > Self::SET_BACK_MILLIS
    }

    /// The instant this many seconds later.
    #[must_use]
    pub fn plus_seconds(self, seconds: u32) -> Self {
        self.plus_millis(i64::from(seconds) * 1000)
    }

    /// The instant this many milliseconds later, or earlier if negative.
    #[must_use]
    pub fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `self` to `later`; negative if `later` is earlier.
    pub fn millis_until(self, later: Self) -> i64 {
        later.0.saturating_sub(self.0)
    }

    /// Whole seconds from `self` to `later`, rounded up, at least 1: the value of a `Retry-After`.
    pub fn seconds_until(self, later: Self) -> u32 {
        let seconds = self.millis_until(later).saturating_add(999) / 1000;
        u32::try_from(seconds.max(1)).unwrap_or(u32::MAX)
    }
}
