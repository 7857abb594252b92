//! Admission that feels the sale: where the database takes long to decide, fewer are called, and all that the settings
//! allow again once it is quick.
//!
//! What is felt is how long the room's own steps take, from the moment they are handed in: the wait of everybody in the
//! lane, and the commit. The share of the rate that is called is halved while that is too long, and grows by a tenth
//! with each quick step. A trickle always goes on.

use std::time::Duration;

use onsale_domain::time::Timestamp;

/// A step that takes longer says that the database is under pressure.
const TOO_LONG: Duration = Duration::from_millis(400);

/// One that takes no longer than this says that it is not.
const QUICK: Duration = Duration::from_millis(200);

/// The least share of the rate.
const SHARE_MIN: f64 = 0.05;

/// How one room's admission is held back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pressure {
    /// Of the rate, 1 where nothing is held back.
    share: f64,
    /// Who may be called now, in parts of a person.
    credit: f64,
    credited_at: Timestamp,
}

impl Default for Pressure {
    fn default() -> Self {
        Self { share: 1.0, credit: 0.0, credited_at: Timestamp::from_millis(0) }
    }
}

impl Pressure {
    /// Takes in how long a step took.
    pub(super) fn felt(&mut self, took: Duration) {
        if took > TOO_LONG {
            self.share = (self.share / 2.0).max(SHARE_MIN);
        } else if took <= QUICK {
            self.share = (self.share + 0.1).min(1.0);
        }
    }

    /// The share of the rate at which people are called.
    pub(super) fn share(&self) -> f64 {
        self.share
    }

    /// How many may be called now; `None` where nothing is held back.
    pub(super) fn limit(&mut self, admit_per_second: u32, at: Timestamp) -> Option<u32> {
        let rate = self.share * f64::from(admit_per_second);
        let seconds = self.credited_at.millis_until(at).clamp(0, 1_000) as f64 / 1_000.0;
        self.credited_at = at;
        // No more than a second's worth, and never less than one person in the end.
        self.credit = (self.credit + seconds * rate).min(rate.max(1.0));
        if self.share >= 1.0 {
            return None;
        }
        let whole = self.credit.floor();
        self.credit -= whole;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a million")]
        let limit = whole as u32;
        Some(limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_millis(900);
    const SHORT: Duration = Duration::from_millis(20);

    /// Called within ten seconds, looked at ten times a second.
    fn called(pressure: &mut Pressure, from: i64) -> u32 {
        (1..=100).filter_map(|tick| pressure.limit(50, Timestamp::from_millis(from + tick * 100))).sum()
    }

    #[test]
    fn nothing_is_held_back_while_the_database_is_quick() {
        let mut pressure = Pressure::default();
        (0..100).for_each(|_| pressure.felt(SHORT));
        pressure.felt(Duration::from_millis(300));
        assert_eq!(pressure.limit(50, Timestamp::from_millis(1_000)), None);
    }

    #[test]
    fn fewer_are_called_the_longer_it_takes_and_a_trickle_always() {
        let mut pressure = Pressure::default();
        let mut before = 501;
        for _ in 0..3 {
            pressure.felt(LONG);
            let now = called(&mut pressure, 1_000_000);
            assert!(now < before && now > 0, "{now} after {before}");
            before = now;
        }
        (0..100).for_each(|_| pressure.felt(LONG));
        assert!((20..=30).contains(&called(&mut pressure, 2_000_000)), "a twentieth of fifty a second");
        let one_a_second: u32 =
            (1..=300).filter_map(|tick| pressure.limit(1, Timestamp::from_millis(tick * 100))).sum();
        assert!(one_a_second >= 1, "also where that is less than one person a second");
    }

    #[test]
    fn it_recovers_by_itself() {
        let mut pressure = Pressure::default();
        (0..100).for_each(|_| pressure.felt(LONG));
        (0..10).for_each(|_| pressure.felt(SHORT));
        assert_eq!(pressure.limit(50, Timestamp::from_millis(1_000)), None);
    }
}
