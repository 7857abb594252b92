//! Repeatable randomness: numbers from a seed.

use std::time::{SystemTime, UNIX_EPOCH};

/// A stream of random numbers (SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// A stream with this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A seed: the value of `ONSALE_TEST_SEED` if set, else a new one. Printed, so that a failure can be repeated.
    #[allow(clippy::print_stdout, reason = "a failing test shows what it printed")]
    pub fn seed() -> u64 {
        let named = std::env::var("ONSALE_TEST_SEED").ok().and_then(|text| text.parse().ok());
        let seed = named.unwrap_or_else(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            since.as_secs() ^ u64::from(since.subsec_nanos()) << 20
        });
        println!("again with: ONSALE_TEST_SEED={seed}");
        seed
    }

    /// A number below this one.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end.max(1)
    }

    /// Picks one of these, each with the same probability.
    pub fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[usize::try_from(self.below(all.len() as u64)).unwrap_or(0)]
    }

    /// True with this probability, in percent.
    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}
