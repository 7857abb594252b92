//! The admission rate: never more than its limit within any one second.

use std::collections::VecDeque;

use crate::time::Timestamp;

/// Admissions of the last second. A full second's worth may come at once; then none until that second is over.
///
/// Admissions in the same hundredth of a second are counted as one entry, at the time of the last, so that the window
/// has at most 101 entries and never admits one too many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    admitted: VecDeque<(Timestamp, u32)>,
}

impl Window {
    /// The period of the limit.
    pub const SPAN_MILLIS: i64 = 1000;

    /// Parses a stored window.
    pub fn from_parts(admitted: impl IntoIterator<Item = (Timestamp, u32)>) -> Self {
        Self { admitted: admitted.into_iter().collect() }
    }

    /// The window to store: times and counts.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = (Timestamp, u32)> {
        self.admitted.iter().copied()
    }

    /// Number of admissions that are allowed at this instant.
    pub fn allowance(&self, per_second: u32, at: Timestamp) -> u32 {
        let recent = self.admitted.iter().filter(|(when, _)| Self::counts(*when, at)).map(|(_, many)| *many).sum();
        per_second.saturating_sub(recent)
    }

    /// Notes this many admissions.
    pub fn admit(&mut self, many: u32, at: Timestamp) {
        self.admitted.retain(|(when, _)| Self::counts(*when, at));
        match self.admitted.back_mut() {
            Some((when, count)) if grain(*when) == grain(at) => {
                *when = at;
                *count += many;
            }
            _ => self.admitted.push_back((at, many)),
        }
    }

    /// Whether an admission still counts. One in the future (the clock was set back) does not:
    /// it would close the room until the clock has caught up.
    fn counts(when: Timestamp, at: Timestamp) -> bool {
        (0..Self::SPAN_MILLIS).contains(&when.millis_until(at))
    }
}

/// The hundredth of a second that an instant belongs to.
fn grain(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(10)
}
