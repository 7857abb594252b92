//! Histograms of durations, with their percentiles.

use std::time::Duration;

/// The longest duration that is recorded as it is; a longer one counts as this long.
const LONGEST: Duration = Duration::from_secs(3_600);

/// Significant decimal digits of each recorded duration: it is at most 1 % too long.
const DIGITS: u8 = 2;

/// Counts of durations between a nanosecond and an hour.
#[derive(Clone, Debug)]
pub struct Histogram(hdrhistogram::Histogram<u64>);

impl Default for Histogram {
    fn default() -> Self {
        let counts = hdrhistogram::Histogram::new_with_bounds(1, nanos(LONGEST), DIGITS);
        Self(counts.expect("the bounds are constants that the histogram accepts"))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Histogram {
    /// Records a duration, in nanoseconds, up to the histogram's bound.
    pub fn add(&mut self, duration: Duration) {
        self.0.saturating_record(nanos(duration));
    }

    /// Adds the counts of another histogram.
    pub fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all histograms have the same bounds");
    }

    /// Number of durations recorded.
    pub fn total(&self) -> u64 {
        self.0.len()
    }

    /// The duration that this many of a thousand did not exceed, at most 1 % too long. Zero if nothing was recorded.
    pub fn permille(&self, permille: u32) -> Duration {
        Duration::from_nanos(self.0.value_at_quantile(f64::from(permille) / 1_000.0))
    }

    /// [`Histogram::permille`] in milliseconds.
    pub fn millis(&self, permille: u32) -> f64 {
        self.permille(permille).as_secs_f64() * 1e3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_a_sorted_list_to_within_one_percent() {
        let mut histogram = Histogram::default();
        (1..=1_000_u64).for_each(|micros| histogram.add(Duration::from_micros(micros)));
        for (permille, micros) in [(500, 500), (990, 990), (1_000, 1_000)] {
            let found = histogram.permille(permille).as_nanos();
            assert!((micros * 1_000..=micros * 1_010).contains(&found), "{permille}: {found}");
        }
        assert_eq!(histogram.total(), 1_000);
    }

    #[test]
    fn durations_beyond_an_hour_count_as_an_hour() {
        let (mut histogram, mut other) = (Histogram::default(), Histogram::default());
        assert_eq!(histogram.permille(990), Duration::ZERO);
        other.add(Duration::from_secs(86_400));
        histogram.merge(&other);
        assert_eq!(histogram.total(), 1);
        assert!((3_600..3_640).contains(&histogram.permille(1_000).as_secs()));
    }
}
