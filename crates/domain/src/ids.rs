//! Names of things: the caller's own user ids, and our UUIDv7s.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use crate::time::Timestamp;

/// A user, named by the caller: 1 to 64 of `A-Z a-z 0-9 _ -`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(Arc<str>);

impl UserId {
    /// The longest id, in bytes.
    pub const LENGTH_MAX: usize = 64;

    /// Reads a user id; `None` where it is empty, too long or holds another character.
    pub fn parse(text: &str) -> Option<Self> {
        let sound = (1..=Self::LENGTH_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        sound.then(|| Self(text.into()))
    }

    /// The id as the caller wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! uuid_ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Takes a UUID as this kind of id.
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID itself.
            pub const fn uuid(self) -> Uuid {
                self.0
            }

            /// Reads the hyphenated form (36 characters); `None` for anything else.
            pub fn parse(text: &str) -> Option<Self> {
                (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

uuid_ids! {
    /// A lecture.
    LectureId,
    /// A concert, and the one waiting room in front of it.
    ConcertId,
    /// One showing of a concert.
    PerformanceId,
    /// Seats held, and perhaps bought, together.
    ReservationId,
    /// A reservation paid.
    PaymentId,
    /// A place in a waiting room, as its bearer shows it.
    TokenId,
    /// One event; also the row of history that the event tells of.
    EventId,
}

/// Where unguessable bits come from. Rules take it as an argument, so that a seed can replay them.
pub trait Entropy {
    /// 64 unpredictable bits.
    fn next_u64(&mut self) -> u64;
}

/// Makes UUIDv7s (RFC 9562) from the database's time.
///
/// Ids of one mint rise strictly: the 12 bits after the version count within a millisecond, and the
/// remaining 62 are random, so that no id can be guessed from its neighbour.
pub struct Mint<E> {
    entropy: E,
    millis: u64,
    sequence: u16,
}

impl<E: Entropy> Mint<E> {
    const SEQUENCE_MAX: u16 = 0x0fff;

    /// A mint that draws from `entropy`.
    pub fn new(entropy: E) -> Self {
        Self { entropy, millis: 0, sequence: 0 }
    }
}

/// What rules ask of a [`Mint`], whatever its source of entropy.
pub trait Ids {
    /// A new id, later than all before, with the time of `at` or, where the clock stepped back, the last one.
    fn next(&mut self, at: Timestamp) -> Uuid;
}

impl<E: Entropy> Ids for Mint<E> {
    fn next(&mut self, at: Timestamp) -> Uuid {
        let now = u64::try_from(at.as_millis()).unwrap_or(0);
        if now > self.millis {
            self.millis = now;
            self.sequence = 0;
        } else if self.sequence == Self::SEQUENCE_MAX {
            self.millis += 1;
            self.sequence = 0;
        } else {
            self.sequence += 1;
        }
        let high = self.millis << 16 | 0x7000 | u64::from(self.sequence);
        let low = self.entropy.next_u64() >> 2 | 0x8000_0000_0000_0000;
        Uuid::from_u64_pair(high, low)
    }
}
