//! Exponential back-off, for everything that retries.

use std::time::Duration;

/// Doubles the rest after each failure in a row, up to a maximum.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The rest after the first failure.
    pub first: Duration,
    /// No rest is longer than this.
    pub max: Duration,
}

impl Backoff {
    /// The rest after this many failures in a row; `first` if there are none.
    pub fn rest(&self, failures: u32) -> Duration {
        // The exponent is bounded, so that the power does not overflow.
        let doubled = 2_u32.pow(failures.saturating_sub(1).min(16));
        self.first.saturating_mul(doubled).min(self.max)
    }

    /// As [`Self::rest`], shortened at random by up to a half, so that instances that failed together do not retry together.
    pub fn jittered(&self, failures: u32) -> Duration {
        self.rest(failures).mul_f64(0.5 + rand::random::<f64>() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_double_up_to_the_maximum() {
        let backoff = Backoff { first: Duration::from_millis(100), max: Duration::from_secs(5) };
        let rests: Vec<u128> = (0..9).map(|failures| backoff.rest(failures).as_millis()).collect();
        assert_eq!(rests, [100, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        assert_eq!(backoff.rest(u32::MAX), backoff.max);
        let jittered = backoff.jittered(3);
        assert!((Duration::from_millis(200)..=Duration::from_millis(400)).contains(&jittered), "{jittered:?}");
    }
}
