//! Ids: users are named by the client, all other things by UUIDv7.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use crate::time::Timestamp;

/// A user id, chosen by the client: 1 to 64 of `A-Z a-z 0-9 _ -`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(Arc<str>);

impl UserId {
    /// Maximum length, in bytes.
    pub const LENGTH_MAX: usize = 64;

    /// Parses a user id. Returns `None` if it is empty, too long or has another character.
    pub fn parse(text: &str) -> Option<Self> {
        let sound = (1..=Self::LENGTH_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        sound.then(|| Self(text.into()))
    }

    /// The id as the client wrote it.
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
            /// Wraps a UUID as this kind of id.
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The id as a plain UUID.
            pub const fn uuid(self) -> Uuid {
                self.0
            }

            /// Parses the hyphenated form (36 characters). Returns `None` for anything else.
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
    /// Id of a lecture.
    LectureId,
    /// Id of a concert and of its waiting room.
    ConcertId,
    /// Id of a performance.
    PerformanceId,
    /// Id of a reservation.
    ReservationId,
    /// Id of an entry in the waiting list of a performance, and of the event with which it joined.
    WaitlistId,
    /// Id of a payment.
    PaymentId,
    /// Id of a refund and of its event.
    RefundId,
    /// Id of a place in a waiting room, carried by its token.
    TokenId,
    /// Id of an event, and of the history row that the event describes.
    EventId,
    /// Id of a key of staff.
    StaffKeyId,
    /// Id of a log entry.
    LogId,
    /// Id of a session of the back office.
    SessionId,
    /// Id of a session of a user who signed in.
    UserSessionId,
    /// Id of a presale code.
    CodeId,
    /// Id of a ticket.
    TicketId,
    /// Id of a scan of a ticket at the door.
    CheckInId,
}

/// A source of unguessable bits. It is an argument, so that a test can replay a seed.
pub trait Entropy {
    /// 64 unpredictable bits.
    fn next_u64(&mut self) -> u64;
}

/// Creates UUIDv7s (RFC 9562) from the database's time.
///
/// Ids of one mint ascend strictly: the 12 bits after the version count within a millisecond, and the
/// remaining 62 bits are random, so that an id cannot be guessed from its neighbour.
pub struct Mint<E> {
    entropy: E,
    millis: u64,
    sequence: u16,
}

impl<E: Entropy> Mint<E> {
    const SEQUENCE_MAX: u16 = 0x0fff;

    /// A mint that takes its random bits from `entropy`.
    pub fn new(entropy: E) -> Self {
        Self { entropy, millis: 0, sequence: 0 }
    }
}

/// Creates ids, whatever the source of entropy of the [`Mint`].
pub trait Ids {
    /// A new id, greater than all before, with the time of `at`, or of the last id if the clock went back.
    fn next(&mut self, at: Timestamp) -> Uuid;
}

impl<E: Entropy> Ids for Mint<E> {
    fn next(&mut self, at: Timestamp) -> Uuid {
        let now = u64::try_from(at.as_millis()).unwrap_or(0);
        // If the clock stands still or goes back, the sequence goes on, and then borrows the next millisecond: ids ascend.
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
