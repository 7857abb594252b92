//! Answers that idempotency keys keep. An answer is saved in the transaction of the command that it answers.

use std::borrow::Cow;
use std::sync::Arc;

use onsale_domain::ids::{StaffKeyId, UserId};
use onsale_domain::time::Timestamp;

/// How long a key keeps its answer, in seconds. Then the same key is a new request.
pub const KEY_LIFE_SECONDS: u32 = 24 * 60 * 60;

/// The owner of idempotency keys. Two owners may use the same key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// A user, by id.
    User(UserId),
    /// The owner of the key that the settings give.
    Root,
    /// The owner of a key of staff.
    Staff(StaffKeyId),
}

/// Precedes the id of a key of staff in the text of an owner. No user id has a colon.
const STAFF: &str = "staff:";

impl Owner {
    /// Whether there is a limit on how many answers its keys keep. The owner of the key of the settings sets that limit, and
    /// has none.
    pub fn is_limited(&self) -> bool {
        !matches!(self, Self::Root)
    }

    /// The owner as text, different for each: a user id is never empty and has no colon.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::User(user) => user.as_str().into(),
            Self::Root => "".into(),
            Self::Staff(key) => format!("{STAFF}{key}").into(),
        }
    }

    /// The owner with this text; `None` if no owner has it.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix(STAFF) {
            Some(key) => StaffKeyId::parse(key).map(Self::Staff),
            None if text.is_empty() => Some(Self::Root),
            None => UserId::parse(text).map(Self::User),
        }
    }
}

/// An idempotency key with its owner.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId {
    /// The user or the key of staff that sent it.
    pub owner: Owner,
    /// 1 to 255 visible characters.
    pub key: Arc<str>,
}

/// SHA-256 of the method, path, query and body. Requests with the same fingerprint count as the same request.
pub type Fingerprint = [u8; 32];

/// A key and the fingerprint of its request.
#[derive(Clone, Debug)]
pub struct Keyed {
    /// The key and its owner.
    pub id: KeyId,
    /// The fingerprint of the request that uses the key now.
    pub fingerprint: Fingerprint,
}

/// The answer that a key keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The fingerprint of the request that was answered.
    pub fingerprint: Fingerprint,
    /// Status, headers and body, as the server wrote them.
    pub answer: Arc<[u8]>,
    /// When the request was decided.
    pub kept_at: Timestamp,
}

impl KeptAnswer {
    /// Whether the key still keeps this answer.
    pub fn lives(&self, at: Timestamp) -> bool {
        at < self.kept_at.plus_seconds(KEY_LIFE_SECONDS)
    }
}

/// How many answers the keys of one owner keep. Includes answers that have lapsed and are not dropped yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptCount {
    /// Number of answers, counted up to the limit.
    pub answers: u32,
    /// When the oldest of them was kept, if there are as many as the limit.
    pub oldest: Option<Timestamp>,
}

impl KeptCount {
    /// When an answer lapses that was kept at `kept_at`.
    pub fn lapses_at(kept_at: Timestamp) -> Timestamp {
        kept_at.plus_seconds(KEY_LIFE_SECONDS)
    }
}
