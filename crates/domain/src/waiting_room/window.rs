//! The admission rate: never more than its limit within any one second.

use std::collections::VecDeque;

use crate::time::Timestamp;

/// Admissions of the last second. A full second's worth may come at once; then none until that second is over.
///
/// Admissions of the same hundredth of a second are counted as one, at the time of the last, so that the window
/// holds at most 101 numbers and never lets one too many pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    admitted: VecDeque<(Timestamp, u32)>,
}

impl Window {
    /// How long a limit holds.
    pub const SPAN_MILLIS: i64 = 1000;

    /// A window as it was stored.
    pub fn from_parts(admitted: impl IntoIterator<Item = (Timestamp, u32)>) -> Self {
        Self { admitted: admitted.into_iter().collect() }
    }

    /// What is to be stored: when, and how many.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = (Timestamp, u32)> {
        self.admitted.iter().copied()
    }

    /// How many more may be admitted at this instant.
    pub fn allowance(&self, per_second: u32, at: Timestamp) -> u32 {
        let recent = self.admitted.iter().filter(|(when, _)| Self::counts(*when, at)).map(|(_, many)| *many).sum();
        per_second.saturating_sub(recent)
    }

    /// Notes that so many were admitted.
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

    /// Whether an admission still weighs. One from the future (the clock was set back) no longer does:
    /// it would close the room until the clock has caught up.
    fn counts(when: Timestamp, at: Timestamp) -> bool {
        (0..Self::SPAN_MILLIS).contains(&when.millis_until(at))
    }
}

/// The hundredth of a second that an instant belongs to.
fn grain(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(10)
}
