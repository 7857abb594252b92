//! Bearers that were found valid a moment ago: checking one again costs a hash instead of a signature.

use std::sync::{Mutex, PoisonError};

use onsale_domain::ids::UserId;
use sha2::{Digest, Sha256};

/// Bearers remembered at once; a new one replaces the one in its slot. About 1 MiB when full.
const SLOTS: usize = 8_192;

struct Entry {
    /// SHA-256 of the bearer: nothing that could be used if it leaked, and no two bearers share one.
    digest: [u8; 32],
    user: UserId,
    /// In seconds since 1970, leeway included.
    valid_until: u64,
    /// The keys that it was checked with. Other keys may not know it.
    generation: u64,
}

/// A bounded table of valid bearers.
pub(super) struct Known(Box<[Mutex<Option<Entry>>]>);

/// What a bearer is looked up by.
pub(super) struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(super) fn of(bearer: &str) -> Self {
        Self(Sha256::digest(bearer).into())
    }

    fn slot(&self) -> usize {
        usize::from(u16::from_le_bytes([self.0[0], self.0[1]])) % SLOTS
    }
}

impl Known {
    pub(super) fn new() -> Self {
        Self((0..SLOTS).map(|_| Mutex::new(None)).collect())
    }

    /// The user of a bearer that was valid with these keys and has not expired.
    pub(super) fn find(&self, bearer: &Fingerprint, generation: u64, now: u64) -> Option<UserId> {
        let slot = self.0[bearer.slot()].lock().unwrap_or_else(PoisonError::into_inner);
        let entry = slot.as_ref()?;
        let is_valid = entry.digest == bearer.0 && entry.generation == generation && now <= entry.valid_until;
        is_valid.then(|| entry.user.clone())
    }

    pub(super) fn remember(&self, bearer: &Fingerprint, user: UserId, valid_until: u64, generation: u64) {
        let entry = Entry { digest: bearer.0, user, valid_until, generation };
        *self.0[bearer.slot()].lock().unwrap_or_else(PoisonError::into_inner) = Some(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_is_known_until_it_expires_or_the_keys_change() {
        let (known, ada) = (Known::new(), UserId::parse("ada").unwrap());
        let bearer = Fingerprint::of("a.b.c");
        assert_eq!(known.find(&bearer, 1, 100), None);
        known.remember(&bearer, ada.clone(), 200, 1);
        assert_eq!(known.find(&bearer, 1, 200), Some(ada));
        assert_eq!(known.find(&bearer, 1, 201), None, "expired");
        assert_eq!(known.find(&bearer, 2, 100), None, "other keys");
        assert_eq!(known.find(&Fingerprint::of("a.b.d"), 1, 100), None, "another bearer");
    }
}
