//! Reasons why a command is refused. A refusal changes nothing and does not affect other commands of its batch.

use std::sync::Arc;

use crate::time::Timestamp;

/// A reason. Each has the code that clients see, in kebab-case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// One charge or use moves 1 to 10,000,000 points, an adjustment up to 1,000,000,000 in either direction.
    AmountOutOfRange,
    /// A wallet holds at most 1,000,000,000 points.
    BalanceLimit,
    /// The wallet holds too little.
    InsufficientBalance,
    /// There is no such lecture.
    LectureNotFound,
    /// The user already has a place.
    AlreadyApplied,
    /// The user already waits for a place.
    AlreadyWaitlisted {
        /// The position in the waiting list, from 1.
        position: u32,
    },
    /// The lecture has started, or staff closed or cancelled it.
    LectureClosed,
    /// The lecture cannot be applied for yet.
    LectureNotOpen {
        /// Seconds until it can, at most 3,600.
        retry_after_seconds: u32,
    },
    /// The lecture has more applications than the new capacity.
    CapacityBelowEnrolled,
    /// Each place is taken, or goes to a user on the waiting list.
    LectureFull,
    /// As many users wait for a place, or for seats, as may.
    WaitlistFull,
    /// The user waits for seats of the performance already, or has an offer.
    OnSeatList,
    /// The waiting list of the performance is not open, or seats are free that fit the wish.
    SeatsAvailable,
    /// The user has no entry in the waiting list of the performance.
    WaitlistEntryNotFound,
    /// Seats were offered after the entry was read. The request has to be read again.
    OfferMoved,
    /// The user has no application for this lecture, and does not wait for a place.
    ApplicationNotFound,
    /// There is no such concert.
    ConcertNotFound,
    /// There is no such performance in the token's concert.
    PerformanceNotFound,
    /// The date has several performances, so the request must name one.
    PerformanceAmbiguous,
    /// The sale of the concert is closed.
    SaleClosed,
    /// The sale of the concert is not open yet, and neither is its early entry.
    SaleNotOpen {
        /// The instant of the opening.
        opens_at: Timestamp,
        /// From when on users may enter before the opening; `None` if they may not.
        early_from: Option<Timestamp>,
        /// The instant of the decision.
        as_of: Timestamp,
        /// Seconds until the request can succeed, rounded up, at least 1.
        opens_in_seconds: u32,
        /// Whether early places are drawn, so that it does not matter who comes first.
        is_drawn: bool,
    },
    /// Users would enter early without an opening, or not before it.
    EarlyHours {
        /// The name of the field in the request: `queue.earlyFrom`, `earlyFrom` or `opensAt`.
        field: &'static str,
    },
    /// Users may have entered already, and this change would break what the room promised them.
    RoomInUse,
    /// The list of the draw has not closed, or the order is not drawn.
    DrawNotClosed,
    /// The draw names no beacon.
    BeaconUnnamed,
    /// The beacon has another value already.
    BeaconSet,
    /// The place of an entry is known only after the draw, and the request was read before it. The request has to be read again.
    Drawn,
    /// The places were drawn, and visitors know the opening with their place: it stays.
    SaleDrawn,
    /// The room is open, and users entered before: its opening stays.
    SaleOpened,
    /// The sale would close, or its presale would end, before the sale opens or at that instant.
    SaleHours {
        /// The name of the field in the request: `opensAt`, `closesAt` or `codesUntil`.
        field: &'static str,
    },
    /// It is presale, and the request has no code.
    CodeRequired {
        /// The end of the presale.
        codes_until: Timestamp,
        /// Seconds until then, rounded up, at least 1.
        ends_in_seconds: u32,
    },
    /// The concert has no such presale code, or the code is not valid at this time.
    CodeInvalid,
    /// The presale code has as many uses as it may have, in all or by this user.
    CodeUsedUp,
    /// The concert has a presale code with this text already.
    CodeExists {
        /// The index of the code in the request.
        index: usize,
    },
    /// The concert has no such presale code.
    CodeNotFound,
    /// The performance was cancelled.
    PerformanceCancelled,
    /// The performance has started, or its holds are closed.
    PerformanceClosed,
    /// The performance has no such seats.
    SeatUnknown {
        /// The seats that do not exist, as the client numbered them; the first 20.
        seats: Vec<i64>,
    },
    /// The user would hold and have bought more seats of the performance than the limit of the concert.
    SeatLimit,
    /// Other users hold or bought the seats, or they are blocked.
    SeatTaken {
        /// The seats that are taken; the first 20.
        seats: Vec<u32>,
        /// Seconds until the last of them could be free, if all are only held.
        retry_after_seconds: Option<u32>,
    },
    /// No section of the performance has the wanted name and grade.
    SectionUnknown,
    /// Fewer adjacent seats are free than the user wishes.
    SeatsNotAvailable {
        /// Seconds until they could be, if live holds lapse without payment.
        retry_after_seconds: Option<u32>,
    },
    /// The performance has these seats already.
    SeatExists {
        /// The seats that exist; the first 20.
        seats: Vec<u32>,
    },
    /// An added range of seats does not fit the layout of the performance.
    Misplaced {
        /// The index of the range in the request.
        index: usize,
        /// The name of the member that is wrong: `section`, `row`, `grade` or `price`.
        field: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A performance has at most 1,000 sections, after neighbours of one grade and price have become one; with a layout, at most
    /// 200 sections and 2,000 segments of rows.
    SectionLimit,
    /// No section of the performance has the grade of a new price.
    GradeUnknown {
        /// The index of the price in the request.
        index: usize,
    },
    /// The dates of the concert are not those in which the request was looked up: a performance was added or moved since. The
    /// request has to be read again.
    DateMoved,
    /// The token's user has no such reservation in its concert.
    ReservationNotFound,
    /// The reservation is paid.
    AlreadyPaid,
    /// The hold ran out or was given back.
    HoldExpired,
    /// The user has no such payment.
    PaymentNotFound,
    /// A seat was refunded before, or none of the payment is left.
    AlreadyRefunded,
    /// The fee is negative, or above the price of the seats.
    FeeOutOfRange,
    /// No rule of the refund policy holds any more.
    RefundClosed,
    /// The payment has no such ticket.
    TicketNotFound,
    /// The ticket was reissued, its seat was refunded, or its performance was cancelled.
    TicketVoid,
    /// The ticket was checked in at the door.
    AlreadyCheckedIn {
        /// The time of the scan that counts.
        at: Timestamp,
        /// The device that scanned it.
        device: Arc<str>,
    },
    /// The tickets of a seat were reissued as often as they may be.
    ReissueLimit,
    /// There is no such check-in.
    CheckInNotFound,
    /// The token's turn has ended.
    TokenExpired,
    /// The key of the staff member who acts was deleted.
    StaffKeyEnded,
    /// Another key of staff has or had this name.
    KeyNameTaken,
    /// There are as many keys of staff as there may be.
    KeyLimit,
    /// There is no such key of staff.
    KeyNotFound,
    /// The external id belongs to a charge of another user or amount.
    ExternalIdReused,
}

impl Refusal {
    /// Whether an idempotency key keeps the refusal. It does not if the refusal depends on the request alone, and not if
    /// the sale may open later or a presale end: then the same request may be sent again.
    pub fn is_kept(&self) -> bool {
        !matches!(
            self,
            Self::AmountOutOfRange
                | Self::GradeUnknown { .. }
                | Self::Misplaced { .. }
                | Self::DateMoved
                | Self::OfferMoved
                | Self::Drawn
                | Self::DrawNotClosed
                | Self::TokenExpired
                | Self::SaleClosed
                | Self::SaleNotOpen { .. }
                | Self::SaleHours { .. }
                | Self::EarlyHours { .. }
                | Self::CodeRequired { .. }
                | Self::CodeInvalid
                | Self::LectureNotOpen { .. }
                | Self::StaffKeyEnded
        )
    }
}
