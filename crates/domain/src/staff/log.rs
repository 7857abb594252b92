//! The admin log: what staff changed, as values.

use std::sync::Arc;

use crate::ids::{ConcertId, LectureId, LogId, PaymentId, PerformanceId, SessionId, StaffKeyId, UserId};
use crate::time::Timestamp;

/// The member of the staff who acts, by the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The owner of the key that the settings give.
    Root,
    /// The owner of a key in the database.
    Key {
        /// Id of the key.
        id: StaffKeyId,
        /// Name of the key.
        name: Arc<str>,
    },
}

impl Actor {
    /// The key in the database; `None` for the key of the settings.
    pub fn key(&self) -> Option<StaffKeyId> {
        match self {
            Self::Root => None,
            Self::Key { id, .. } => Some(*id),
        }
    }

    /// The name of the key.
    pub fn name(&self) -> &str {
        match self {
            Self::Root => super::ROOT,
            Self::Key { name, .. } => name,
        }
    }
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// The kind of a change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action { $($(#[$doc])* $name),+ }

        impl Action {
            /// All actions with their names.
            pub const ALL: &'static [(Self, &'static str)] = &[$((Self::$name, $text)),+];

            /// The name of the action in the log.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

actions! {
    /// A key of staff was made.
    KeyCreated = "key.created",
    /// A key of staff was deleted.
    KeyDeleted = "key.deleted",
    /// A member of the staff signed in to the back office.
    SessionStarted = "session.started",
    /// A member of the staff signed out.
    SessionEnded = "session.ended",
    /// A lecture was made.
    LectureCreated = "lecture.created",
    /// A lecture was changed.
    LectureChanged = "lecture.changed",
    /// A lecture was cancelled for good.
    LectureCancelled = "lecture.cancelled",
    /// An application for a lecture was removed.
    ApplicationRemoved = "application.removed",
    /// A concert was made, with its waiting room.
    ConcertCreated = "concert.created",
    /// A concert was changed.
    ConcertChanged = "concert.changed",
    /// The settings of a waiting room were changed.
    QueueChanged = "queue.changed",
    /// The beacon of a draw got its value.
    BeaconPublished = "beacon.published",
    /// A performance was added to a concert.
    PerformanceCreated = "performance.created",
    /// A performance was changed.
    PerformanceChanged = "performance.changed",
    /// A performance was cancelled.
    PerformanceCancelled = "performance.cancelled",
    /// A wallet was charged.
    PointsCharged = "points.charged",
    /// A wallet was corrected.
    PointsAdjusted = "points.adjusted",
    /// Seats of a payment were refunded.
    PaymentRefunded = "payment.refunded",
    /// Live holds were extended.
    HoldsExtended = "holds.extended",
    /// A whole list was exported. Nothing was changed.
    ListExported = "list.exported",
    /// Free seats were taken from sale.
    SeatsBlocked = "seats.blocked",
    /// A check-in was undone.
    CheckInUndone = "check-in.cancelled",
    /// Blocked seats were put on sale again.
    SeatsUnblocked = "seats.unblocked",
    /// Presale codes were made.
    CodesCreated = "codes.created",
    /// A presale code was deleted.
    CodeDeleted = "code.deleted",
}

/// What an entry is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A key of staff.
    Key(StaffKeyId),
    /// A lecture, by id.
    Lecture(LectureId),
    /// A concert or its waiting room.
    Concert(ConcertId),
    /// A performance, by id.
    Performance(PerformanceId),
    /// A payment of which seats were refunded.
    Payment(PaymentId),
    /// A session of the back office.
    Session(SessionId),
    /// A user, by id.
    User(UserId),
}

/// A value of a field, as the log shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// No value: `null` in JSON.
    Null,
    /// A switch: `true` or `false` in JSON.
    Bool(bool),
    /// A whole number, such as points or seconds.
    Number(i64),
    /// A text of any length.
    Text(Arc<str>),
    /// An instant: RFC 3339 in JSON.
    Instant(Timestamp),
    /// Several values in order.
    List(Vec<Value>),
    /// Named values: an object in JSON.
    Object(Fields),
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<&Arc<str>> for Value {
    fn from(text: &Arc<str>) -> Self {
        Self::Text(text.clone())
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<Timestamp> for Value {
    fn from(at: Timestamp) -> Self {
        Self::Instant(at)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Named values in order. Each name comes once.
pub type Fields = Vec<(&'static str, Value)>;

/// One log entry. Never changed or deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Id of the entry.
    pub id: LogId,
    /// Time of the change.
    pub at: Timestamp,
    /// The member of the staff who acted.
    pub actor: Actor,
    /// The kind of the change.
    pub action: Action,
    /// What it is about.
    pub subject: Subject,
    /// The fields that changed, as they were; empty if the subject is new.
    pub before: Fields,
    /// The same fields, as they are from now on; empty if the subject is gone.
    pub after: Fields,
    /// The `X-Request-Id` of the call.
    pub request: Arc<str>,
}
