//! What happened, as told to others. Written in the same transaction as the change itself.

use std::sync::Arc;

use crate::concert::Ending;
use crate::ids::{EventId, LectureId, PaymentId, PerformanceId, ReservationId, UserId};
use crate::lecture::HistoryKind;
use crate::time::Timestamp;
use crate::wallet::EntryKind;

/// One event. Events of one subject are ordered by `version`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Stable over every retry.
    pub id: EventId,
    /// When.
    pub at: Timestamp,
    /// The subject's version after the change.
    pub version: u64,
    /// What.
    pub happening: Happening,
}

/// Whose or what's history an event belongs to: events of one subject stay in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// A wallet.
    User(&'a UserId),
    /// A lecture.
    Lecture(LectureId),
    /// A performance.
    Performance(PerformanceId),
}

/// Seats of a performance in one user's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// By which reservation.
    pub reservation: ReservationId,
    /// Of which performance.
    pub performance: PerformanceId,
    /// In whose name.
    pub user: UserId,
    /// Seat numbers.
    pub seats: Arc<[u32]>,
    /// Points.
    pub amount: i64,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A ledger entry was made.
    PointsMoved {
        /// Whose wallet.
        user: UserId,
        /// Which way.
        kind: EntryKind,
        /// Points.
        amount: i64,
        /// What the wallet held afterwards.
        balance_after: i64,
        /// The payment that made the entry, if one did.
        reference: Option<PaymentId>,
    },
    /// A place in a lecture was taken or given back.
    LectureChanged {
        /// Which lecture.
        lecture: LectureId,
        /// Who.
        user: UserId,
        /// Which of the two.
        kind: HistoryKind,
        /// Which seat.
        seat_number: u32,
    },
    /// Seats are held.
    SeatsHeld {
        /// Which, and for whom.
        claim: Claim,
        /// Until when they can be paid.
        held_until: Timestamp,
    },
    /// Seats are free again.
    SeatsReleased {
        /// Which, and whose they were.
        claim: Claim,
        /// Why.
        ending: Ending,
    },
    /// Seats are sold.
    PaymentCompleted {
        /// Which, and to whom.
        claim: Claim,
        /// By which payment.
        payment: PaymentId,
        /// When.
        paid_at: Timestamp,
    },
}

impl Happening {
    /// Whose history this belongs to.
    pub fn subject(&self) -> Subject<'_> {
        match self {
            Self::PointsMoved { user, .. } => Subject::User(user),
            Self::LectureChanged { lecture, .. } => Subject::Lecture(*lecture),
            Self::SeatsHeld { claim, .. }
            | Self::SeatsReleased { claim, .. }
            | Self::PaymentCompleted { claim, .. } => Subject::Performance(claim.performance),
        }
    }
}
