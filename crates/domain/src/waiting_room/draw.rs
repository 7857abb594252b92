//! The draw: the order of the users who entered early, computed from a seed that was fixed before the first of them entered.
//!
//! A stranger can compute it again. `docs/guide/draw.md` has the bytes, and what they prove.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::{Digest as _, Sha256};

use crate::ids::{ConcertId, TokenId};

/// Separates the key of a draw from any other use of the seed.
const PURPOSE: &[u8] = b"onsale-draw-1\0";

/// 32 bytes: a SHA-256 or an HMAC-SHA-256. Shown in lower-case hexadecimal. Ordered as unsigned bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Parses 64 lower-case hexadecimal digits. Returns `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        parse_hex(text).map(Self)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

/// The secret of a draw until the draw is done. No text shows it, apart from [`Seed::reveal`].
#[derive(Clone, PartialEq, Eq)]
pub struct Seed([u8; 32]);

impl Seed {
    /// Wraps 32 bytes from the system's random source.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Parses 64 lower-case hexadecimal digits. Returns `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        parse_hex(text).map(Self)
    }

    /// The bytes, to store them or to publish them after the draw.
    pub fn reveal(&self) -> Digest {
        Digest(self.0)
    }

    /// What is published before the first user enters: the SHA-256 of the seed.
    pub fn commitment(&self) -> Digest {
        Digest(Sha256::digest(self.0).into())
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// The SHA-256 of a list of tokens, which must be in ascending order.
///
/// The list may be added in parts, so that a long one is hashed while it is read.
#[derive(Clone, Default)]
pub struct ListHash(Sha256);

impl ListHash {
    /// Adds the next tokens of the list.
    pub fn add(&mut self, tokens: &[TokenId]) {
        tokens.iter().for_each(|token| self.0.update(token.uuid().as_bytes()));
    }

    /// The hash of the tokens that were added.
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// The key by which the entries of one draw are ranked.
#[derive(Clone)]
pub struct DrawKey {
    bytes: Digest,
    /// The state of the HMAC after the key, so that a rank costs two blocks of SHA-256.
    keyed: Hmac<Sha256>,
}

impl DrawKey {
    /// The key of a draw. `entries_hash` is the [`ListHash`] of its entries, `beacon` the public value that was named before, or
    /// empty without one.
    pub fn of(seed: &Seed, concert: ConcertId, entries_hash: Digest, beacon: &[u8]) -> Self {
        let mut mac = keyed(&seed.0);
        mac.update(PURPOSE);
        mac.update(concert.uuid().as_bytes());
        mac.update(&entries_hash.0);
        mac.update(beacon);
        let bytes = Digest(mac.finalize().into_bytes().into());
        Self { keyed: keyed(&bytes.0), bytes }
    }

    /// The bytes of the key.
    pub fn bytes(&self) -> Digest {
        self.bytes
    }

    /// The rank of an entry. The smallest is drawn first.
    pub fn rank(&self, token: TokenId) -> Digest {
        let mut mac = self.keyed.clone();
        mac.update(token.uuid().as_bytes());
        Digest(mac.finalize().into_bytes().into())
    }

    /// The drawn order of at most 4,294,967,295 tokens: the indices of the tokens, the one with place 1 first. Entries of equal
    /// rank follow their token ids.
    ///
    /// Uses 8 bytes a token while it sorts, and returns 4 bytes a token.
    pub fn order(&self, tokens: &[TokenId]) -> Vec<u32> {
        self.order_of(u32::try_from(tokens.len()).unwrap_or(u32::MAX), |index| tokens[index as usize])
    }

    /// As [`Self::order`], of this many tokens, which need not be in a slice.
    pub fn order_of(&self, count: u32, token: impl Fn(u32) -> TokenId) -> Vec<u32> {
        // The first four bytes of a rank, then the index. Few ranks have the same first bytes, so those are computed again.
        let short = |index: u32| {
            let [a, b, c, d, ..] = self.rank(token(index)).0;
            u64::from(u32::from_be_bytes([a, b, c, d])) << 32 | u64::from(index)
        };
        let mut keys: Vec<u64> = (0..count).map(short).collect();
        let whole = |key: u64| {
            let token = token(index_of(key));
            (self.rank(token), token)
        };
        keys.sort_unstable_by(|a, b| {
            (a >> 32).cmp(&(b >> 32)).then_with(|| if a == b { a.cmp(b) } else { whole(*a).cmp(&whole(*b)) })
        });
        keys.into_iter().map(index_of).collect()
    }
}

/// The index in the lower half of a key of [`DrawKey::order`].
#[allow(clippy::cast_possible_truncation, reason = "the lower half is meant")]
fn index_of(key: u64) -> u32 {
    key as u32
}

/// The drawn place of each entry number, 4 bytes an entry. If numbers are missing, because their users left the list before it
/// closed, 8 bytes an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The entry numbers in ascending order, if they are not 1, 2, 3 and so on.
    numbers: Option<Vec<u32>>,
    /// The place of each entry, in the order of the numbers.
    places: Vec<u32>,
}

impl Places {
    /// From the entry numbers in drawn order. Returns `None` if a number occurs twice or is 0.
    pub fn from_order(drawn: &[u32]) -> Option<Self> {
        let is_dense = drawn.iter().all(|number| *number as usize <= drawn.len());
        let numbers = (!is_dense).then(|| {
            let mut numbers = drawn.to_vec();
            numbers.sort_unstable();
            numbers
        });
        let mut places = Self { numbers, places: vec![0; drawn.len()] };
        for (place, number) in (1..).zip(drawn) {
            let slot = places.slot(*number)?;
            let known = places.places.get_mut(slot)?;
            if std::mem::replace(known, place) != 0 {
                return None;
            }
        }
        Some(places)
    }

    /// The place of an entry number, from 1. `None` if the number is not on the list.
    pub fn of(&self, number: u32) -> Option<u32> {
        self.places.get(self.slot(number)?).copied()
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether the list had no entry.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    fn slot(&self, number: u32) -> Option<usize> {
        match &self.numbers {
            // At least 1, so a 0 among the numbers of a sparse list is refused too.
            _ if number == 0 => None,
            None => Some(number as usize - 1),
            Some(numbers) => numbers.binary_search(&number).ok(),
        }
    }
}

fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    let Ok(mac) = Hmac::new_from_slice(key) else { unreachable!("an HMAC takes a key of any length") };
    mac
}

fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let mut bytes = [0; 32];
    if pairs.len() != bytes.len() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}
