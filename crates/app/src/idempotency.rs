//! Answers kept under idempotency keys, in the transaction of what they answer.

use std::sync::Arc;

use onsale_domain::ids::UserId;
use onsale_domain::time::Timestamp;

/// How long a key lives.
pub const KEY_LIFE_SECONDS: u32 = 24 * 60 * 60;

/// A caller's idempotency key. Keys belong to the acting user; an administrator's to nobody.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId {
    /// Who acts; `None` for an administrator.
    pub owner: Option<UserId>,
    /// 1 to 255 visible characters.
    pub key: Arc<str>,
}

/// A SHA-256 of what makes a request the same: method, path, query and body.
pub type Fingerprint = [u8; 32];

/// A key with the request that came under it.
#[derive(Clone, Debug)]
pub struct Keyed {
    /// The key.
    pub id: KeyId,
    /// The request.
    pub fingerprint: Fingerprint,
}

/// The first answer given under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    /// To which request.
    pub fingerprint: Fingerprint,
    /// As the outer layer wrote it: status, headers and body.
    pub answer: Arc<[u8]>,
    /// When.
    pub kept_at: Timestamp,
}

impl KeptAnswer {
    /// Whether the key still counts.
    pub fn lives(&self, at: Timestamp) -> bool {
        at < self.kept_at.plus_seconds(KEY_LIFE_SECONDS)
    }
}

/// How many answers are kept for one user, those included whose life is over and that are not dropped yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptCount {
    /// Counted up to a bound.
    pub answers: u32,
    /// When the oldest was kept, if there are as many as the bound.
    pub oldest: Option<Timestamp>,
}

impl KeptCount {
    /// When an answer that was kept at an instant lapses.
    pub fn lapses_at(kept_at: Timestamp) -> Timestamp {
        kept_at.plus_seconds(KEY_LIFE_SECONDS)
    }
}
