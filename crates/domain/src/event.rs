//! Events for the data platform. Each is written in the transaction of the change that it describes.

use std::sync::Arc;

use crate::concert::{Concert, Ending, Performance};
use crate::ids::{
    CheckInId, ConcertId, EventId, LectureId, PaymentId, PerformanceId, ReservationId, TicketId, UserId, WaitlistId,
};
use crate::lecture::{HistoryKind, Lecture};
use crate::refund::Refund;
use crate::seat_list::{Entry, EntryEnd};
use crate::ticket::Voided;
use crate::time::Timestamp;
use crate::waiting_room::{Digest, Draw, List};
use crate::wallet::EntryKind;

/// One event. Events of one subject are ordered by `version`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Id, the same in every retry.
    pub id: EventId,
    /// When the change was decided.
    pub at: Timestamp,
    /// The subject's version after the change.
    pub version: u64,
    /// The change that the event describes.
    pub happening: Happening,
}

/// The aggregate that an event belongs to. Events of one subject stay in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// The wallet of this user.
    User(&'a UserId),
    /// The applications for this lecture.
    Lecture(LectureId),
    /// The seats of this performance.
    Performance(PerformanceId),
    /// The concert with this id.
    Concert(ConcertId),
}

/// Seats of a performance that a reservation names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Id of the reservation.
    pub reservation: ReservationId,
    /// The performance of the seats.
    pub performance: PerformanceId,
    /// The user of the reservation.
    pub user: UserId,
    /// Seat numbers, in the order of the request.
    pub seats: Arc<[u32]>,
    /// Sum of the prices, in points.
    pub amount: i64,
}

/// The change that an event describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A ledger entry was added.
    PointsMoved {
        /// The owner of the wallet.
        user: UserId,
        /// Why the points were moved.
        kind: EntryKind,
        /// Points moved, at least 0. Those of an adjustment are negative if points were removed.
        amount: i64,
        /// Balance after the entry, in points.
        balance_after: i64,
        /// The payment that added the entry, or of which seats were refunded.
        reference: Option<PaymentId>,
    },
    /// A user got a place in a lecture or cancelled it, or joined or left its waiting list.
    LectureChanged {
        /// The lecture of the place.
        lecture: LectureId,
        /// The user who applied.
        user: UserId,
        /// What happened to the place or the entry.
        kind: HistoryKind,
    },
    /// Staff changed or cancelled a lecture.
    LectureUpdated {
        /// The lecture after the change.
        lecture: Lecture,
    },
    /// A user holds seats and may pay for them.
    SeatsHeld {
        /// The reservation and its seats.
        claim: Claim,
        /// End of the hold.
        held_until: Timestamp,
        /// Whether the seats were offered to a user on the waiting list.
        is_offer: bool,
    },
    /// A user joined the waiting list of a performance.
    WaitlistJoined {
        /// The entry, which waits.
        entry: Entry,
        /// Number of users who wait, this one included.
        position: u32,
    },
    /// Seats were offered to a user on the waiting list. Follows the event of the hold.
    WaitlistOffered {
        /// The entry.
        waitlist: WaitlistId,
        /// The reservation and its seats.
        claim: Claim,
        /// End of the offer.
        held_until: Timestamp,
    },
    /// An entry of a waiting list ended.
    WaitlistEnded {
        /// The performance of the list.
        performance: PerformanceId,
        /// The user of the entry.
        user: UserId,
        /// The entry, if it waited.
        waitlist: Option<WaitlistId>,
        /// The reservation, if seats were offered.
        reservation: Option<ReservationId>,
        /// Why it ended.
        end: EntryEnd,
    },
    /// Seats are free again.
    SeatsReleased {
        /// The reservation and its seats.
        claim: Claim,
        /// Why the hold ended.
        ending: Ending,
    },
    /// A user paid for held seats.
    PaymentCompleted {
        /// The reservation and its seats.
        claim: Claim,
        /// Id of the payment.
        payment: PaymentId,
        /// Time of the payment.
        paid_at: Timestamp,
    },
    /// Seats of a payment were refunded, and are free again.
    PaymentRefunded {
        /// The refund with its seats and points.
        refund: Refund,
    },
    /// A ticket became void.
    TicketVoided {
        /// The ticket with its seat.
        voided: Voided,
    },
    /// A ticket was checked in at the door, or the check-in was undone.
    TicketCheckedIn {
        /// Id of the check-in.
        check_in: CheckInId,
        /// The performance of the door.
        performance: PerformanceId,
        /// The ticket that was scanned.
        ticket: TicketId,
        /// The seat of the ticket.
        seat: u32,
        /// The device that scanned it.
        device: Arc<str>,
        /// The time of the scan.
        checked_in_at: Timestamp,
        /// When the check-in was undone; `None` if it counts.
        undone_at: Option<Timestamp>,
    },
    /// An organiser took free seats from sale.
    SeatsBlocked {
        /// The performance of the seats.
        performance: PerformanceId,
        /// The seats that were free before, in the order of the request.
        seats: Arc<[u32]>,
        /// Why, as the organiser wrote it.
        reason: Arc<str>,
    },
    /// An organiser put blocked seats on sale again.
    SeatsUnblocked {
        /// The performance of the seats.
        performance: PerformanceId,
        /// The seats that were blocked before, in the order of the request.
        seats: Arc<[u32]>,
        /// Why, as the organiser wrote it.
        reason: Arc<str>,
    },
    /// The live holds of a performance last longer.
    HoldsExtended {
        /// The performance of the holds.
        performance: PerformanceId,
        /// The instant at which they were live.
        at: Timestamp,
        /// How much longer they last.
        seconds: u32,
        /// How many holds were live.
        holds: u64,
        /// Why, as the administrator wrote it.
        reason: Arc<str>,
    },
    /// An administrator changed a performance.
    PerformanceChanged {
        /// The performance after the change.
        performance: Performance,
    },
    /// An administrator cancelled a performance.
    PerformanceCancelled {
        /// The performance that was cancelled.
        performance: PerformanceId,
        /// The concert of the performance.
        concert: ConcertId,
        /// Why, as the administrator wrote it.
        reason: Arc<str>,
        /// The instant of the decision.
        cancelled_at: Timestamp,
    },
    /// An administrator changed a concert.
    ConcertChanged {
        /// The concert after the change.
        concert: Concert,
    },
    /// The list of a draw has closed, and its hash is public.
    DrawClosed {
        /// The concert of the room.
        concert: ConcertId,
        /// The list as of its closing.
        list: List,
        /// The hash of the seed.
        commitment: Digest,
        /// The hash of the list.
        entries_hash: Digest,
    },
    /// The order of a closed list was drawn, and its seed is public.
    DrawCompleted {
        /// The concert of the room.
        concert: ConcertId,
        /// The drawn list.
        list: List,
        /// The record of the draw, without its changes.
        draw: Draw,
    },
}

impl Happening {
    /// The aggregate that this event belongs to.
    pub fn subject(&self) -> Subject<'_> {
        match self {
            Self::PointsMoved { user, .. } => Subject::User(user),
            Self::LectureChanged { lecture, .. } => Subject::Lecture(*lecture),
            Self::LectureUpdated { lecture } => Subject::Lecture(lecture.id),
            Self::SeatsHeld { claim, .. }
            | Self::SeatsReleased { claim, .. }
            | Self::WaitlistOffered { claim, .. }
            | Self::PaymentCompleted { claim, .. } => Subject::Performance(claim.performance),
            Self::WaitlistJoined { entry, .. } => Subject::Performance(entry.performance),
            Self::PaymentRefunded { refund } => Subject::Performance(refund.performance),
            Self::TicketVoided { voided } => Subject::Performance(voided.performance),
            Self::TicketCheckedIn { performance, .. }
            | Self::WaitlistEnded { performance, .. }
            | Self::SeatsBlocked { performance, .. }
            | Self::SeatsUnblocked { performance, .. }
            | Self::HoldsExtended { performance, .. }
            | Self::PerformanceCancelled { performance, .. } => Subject::Performance(*performance),
            Self::PerformanceChanged { performance } => Subject::Performance(performance.id),
            Self::ConcertChanged { concert } => Subject::Concert(concert.id),
            Self::DrawClosed { concert, .. } | Self::DrawCompleted { concert, .. } => Subject::Concert(*concert),
        }
    }
}
