//! For how long an unused turn may be silent. A client was told an instant to which its turn is safe, so a shorter `claimSeconds`
//! applies only to turns without a sign of life from before the change.

use super::Turn;
use crate::time::Timestamp;

/// A `claimSeconds` that was replaced by a shorter one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EarlierClaim {
    /// It applies to turns whose last sign of life is from before this instant.
    pub until: Timestamp,
    /// The earlier setting, in seconds.
    pub seconds: u32,
}

/// The allowed silence of the unused turns of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    /// `claimSeconds` as it is set now.
    pub seconds: u32,
    /// A longer one that still applies to some turns.
    pub earlier: Option<EarlierClaim>,
}

impl Claims {
    /// The allowed silence of a turn, in seconds.
    pub fn of(&self, turn: &Turn) -> u32 {
        let earlier = self.earlier.filter(|earlier| turn.seen_at < earlier.until);
        earlier.map_or(self.seconds, |earlier| earlier.seconds.max(self.seconds))
    }

    /// What remains of these when another `claimSeconds` is set.
    pub(super) fn changed_to(&self, seconds: u32, at: Timestamp) -> Option<EarlierClaim> {
        if self.seconds <= seconds {
            return self.earlier;
        }
        let is_past = |earlier: &EarlierClaim| earlier.until.plus_seconds(earlier.seconds).plus_seconds(1) <= at;
        let longest = self.earlier.filter(|earlier| !is_past(earlier)).map_or(0, |earlier| earlier.seconds);
        Some(EarlierClaim { until: at, seconds: longest.max(self.seconds) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1_000)
    }

    fn turn(seen: i64) -> Turn {
        Turn { admitted_at: at(0), active_until: at(600), seen_at: at(seen), claimed: false, named: true }
    }

    #[test]
    fn a_shorter_silence_applies_to_signs_of_life_after_the_change() {
        let set = |claims: Claims, seconds, second| Claims { seconds, earlier: claims.changed_to(seconds, at(second)) };
        let first = Claims { seconds: 60, earlier: None };
        assert_eq!(first.of(&turn(10)), 60);
        let shorter = set(first, 5, 100);
        for (seen, expected) in [(90, 60), (99, 60), (100, 5), (103, 5)] {
            assert_eq!(shorter.of(&turn(seen)), expected, "seen at {seen}");
        }
        let longer = set(shorter, 90, 110);
        assert_eq!((longer.of(&turn(90)), longer.of(&turn(120))), (90, 90));
        let again = set(longer, 2, 120);
        assert_eq!((again.of(&turn(90)), again.of(&turn(119)), again.of(&turn(130))), (90, 90, 2));
        // Shorter twice: the longest of those that some client may have been told.
        let twice = set(set(first, 30, 100), 5, 101);
        assert_eq!(twice.of(&turn(90)), 60);
        // What was told long ago is over.
        let late = set(set(first, 30, 100), 5, 1_000);
        assert_eq!((late.of(&turn(999)), late.of(&turn(1_003))), (30, 5));
    }
}
