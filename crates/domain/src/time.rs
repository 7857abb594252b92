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
