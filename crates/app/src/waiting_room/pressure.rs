//! Back pressure: a room admits fewer users while the database is slow, and all that its settings allow when it is quick.
//!
//! Measured is how long the room's own steps take from their submission on: the wait in the lane and the commit. The share
//! of the rate that is admitted is halved after each slow step, and grows by a tenth with each quick step. It never falls
//! below a twentieth.

use std::time::Duration;

use onsale_domain::time::Timestamp;

/// A step that takes longer is slow.
const TOO_LONG: Duration = Duration::from_millis(400);

/// A step that takes no longer is quick.
const QUICK: Duration = Duration::from_millis(200);

/// The least share of the rate.
const SHARE_MIN: f64 = 0.05;

/// How much one room's admission is reduced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pressure {
    /// Share of the rate: 1 if admission is not reduced.
    share: f64,
    /// The number of users that may be admitted now, with fractions.
    credit: f64,
    /// When the credit was last computed.
    credited_at: Timestamp,
}

impl Default for Pressure {
    fn default() -> Self {
        Self { share: 1.0, credit: 0.0, credited_at: Timestamp::from_millis(0) }
    }
}

impl Pressure {
    /// Measures how long a step took.
    pub(super) fn measure(&mut self, took: Duration) {
        if took > TOO_LONG {
            self.share = (self.share / 2.0).max(SHARE_MIN);
        } else if took <= QUICK {
            self.share = (self.share + 0.1).min(1.0);
        }
    }

    /// The share of the rate that is admitted.
    pub(super) fn share(&self) -> f64 {
        self.share
    }

    /// The most users that may be admitted now; `None` if admission is not reduced.
    pub(super) fn limit(&mut self, admit_per_second: u32, at: Timestamp) -> Option<u32> {
        let rate = self.share * f64::from(admit_per_second);
        let seconds = self.credited_at.millis_until(at).clamp(0, 1_000) as f64 / 1_000.0;
        self.credited_at = at;
        // At most one second's worth. At least 1, so that a low rate admits a user in the end.
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

    /// Users admitted within ten seconds, with ten steps a second.
    fn admitted(pressure: &mut Pressure, from: i64) -> u32 {
        (1..=100).filter_map(|tick| pressure.limit(50, Timestamp::from_millis(from + tick * 100))).sum()
    }

    #[test]
    fn admission_is_not_reduced_while_the_database_is_quick() {
        let mut pressure = Pressure::default();
        (0..100).for_each(|_| pressure.measure(SHORT));
        pressure.measure(Duration::from_millis(300));
        assert_eq!(pressure.limit(50, Timestamp::from_millis(1_000)), None);
    }

    #[test]
    fn each_slow_step_halves_admission_down_to_a_twentieth() {
        let mut pressure = Pressure::default();
        let mut before = 501;
        for _ in 0..3 {
            pressure.measure(LONG);
            let now = admitted(&mut pressure, 1_000_000);
            assert!(now < before && now > 0, "{now} after {before}");
            before = now;
        }
        (0..100).for_each(|_| pressure.measure(LONG));
        assert!((20..=30).contains(&admitted(&mut pressure, 2_000_000)), "a twentieth of fifty a second");
        let one_a_second: u32 =
            (1..=300).filter_map(|tick| pressure.limit(1, Timestamp::from_millis(tick * 100))).sum();
        assert!(one_a_second >= 1, "also if that is less than one user a second");
    }

    #[test]
    fn quick_steps_restore_admission() {
        let mut pressure = Pressure::default();
        (0..100).for_each(|_| pressure.measure(LONG));
        (0..10).for_each(|_| pressure.measure(SHORT));
        assert_eq!(pressure.limit(50, Timestamp::from_millis(1_000)), None);
    }
}
