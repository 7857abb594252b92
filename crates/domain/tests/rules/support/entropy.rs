//! Bits from a seed, so that a failing test fails again.

use onsale_domain::ids::Entropy;

/// `SplitMix64` (Steele, Lea and Flood, 2014): each seed gives its own stream, and the same one each time.
#[derive(Clone, Debug)]
pub(crate) struct Seeded(pub(crate) u64);

impl Entropy for Seeded {
    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
