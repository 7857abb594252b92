//! How long things took: counts in buckets whose width grows with the time, so that any quantile is right to within
//! two percent, from a nanosecond to an hour, in a few kilobytes.

use std::time::Duration;

/// Buckets for each doubling: 2^6.
const BITS: u32 = 6;

/// Doublings beyond the first 64 ns: up to 2^42 ns, an hour and more.
const DOUBLINGS: usize = 36;

/// Times and how often they were seen.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; (DOUBLINGS + 1) << BITS], total: 0 }
    }
}

impl Histogram {
    /// Counts a time.
    pub fn add(&mut self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let index = index_of(nanos).min(self.counts.len() - 1);
        self.counts[index] += 1;
        self.total += 1;
    }

    /// Takes in another's counts.
    pub fn merge(&mut self, other: &Self) {
        for (own, other) in self.counts.iter_mut().zip(&other.counts) {
            *own += other;
        }
        self.total += other.total;
    }

    /// How many times were counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The time that this many of a thousand did not exceed, rounded up to its bucket's end.
    pub fn permille(&self, permille: u64) -> Duration {
        let rank = (self.total * permille).div_ceil(1000).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_nanos(end_of(index));
            }
        }
        Duration::ZERO
    }
}

fn index_of(nanos: u64) -> usize {
    let shift = (63 - (nanos | 1).leading_zeros()).saturating_sub(BITS);
    // Below the first doubling a bucket is a nanosecond; from there on its number counts on by 64 a doubling.
    let within = nanos >> shift;
    usize::try_from((u64::from(shift) << BITS) + within).unwrap_or(usize::MAX)
}

/// The longest time of a bucket.
fn end_of(index: usize) -> u64 {
    let index = index as u64;
    let shift = (index >> BITS).saturating_sub(1);
    let within = index - (shift << BITS);
    ((within + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_ends_within_two_percent_of_what_it_counts() {
        let mut last = 0;
        for exponent in 0..41 {
            for step in [0, 1, 7, 13] {
                let nanos = (1_u64 << exponent) + (step << exponent) / 16;
                let end = end_of(index_of(nanos));
                assert!(nanos <= end && end - nanos <= nanos / 50, "{nanos} counts as {end}");
                assert!(index_of(nanos) >= last, "{nanos} falls behind");
                last = index_of(nanos);
            }
        }
    }

    #[test]
    fn quantiles_are_those_of_a_sorted_list() {
        let mut histogram = Histogram::default();
        (1..=1000_u64).for_each(|micros| histogram.add(Duration::from_micros(micros)));
        for (permille, micros) in [(500, 500), (990, 990), (1000, 1000)] {
            let found = histogram.permille(permille).as_nanos();
            assert!((micros * 1000..=micros * 1020).contains(&found), "{permille}: {found}");
        }
        assert_eq!(histogram.total(), 1000);
    }
}
