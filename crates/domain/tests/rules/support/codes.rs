//! Every refusal with its code, as the contract has it.

use onsale_domain::Refusal;
use onsale_domain::time::Timestamp;

/// One table makes both the match and the list: a new refusal does not compile until it stands here, and what
/// stands here must be provoked.
macro_rules! codes {
    ($($variant:ident $({ $($field:ident: $value:expr),+ })? => $code:literal),+ $(,)?) => {
        /// The code that callers see.
        pub(crate) fn code(refusal: &Refusal) -> &'static str {
            match refusal {
                $(Refusal::$variant { .. } => $code,)+
            }
        }

        /// One value of each variant of [`Refusal`].
        pub(crate) fn all_refusals() -> Vec<Refusal> {
            vec![$(Refusal::$variant $({ $($field: $value),+ })?),+]
        }
    };
}

codes! {
    AmountOutOfRange => "amount-out-of-range",
    BalanceLimit => "balance-limit",
    InsufficientBalance => "insufficient-balance",
    LectureNotFound => "lecture-not-found",
    AlreadyApplied => "already-applied",
    AlreadyWaitlisted { position: 1 } => "already-waitlisted",
    LectureClosed => "lecture-closed",
    LectureNotOpen { retry_after_seconds: 1 } => "lecture-not-open",
    CapacityBelowEnrolled => "capacity-below-enrolled",
    LectureFull => "lecture-full",
    WaitlistFull => "waitlist-full",
    OnSeatList => "already-waitlisted",
    SeatsAvailable => "seats-available",
    WaitlistEntryNotFound => "waitlist-entry-not-found",
    OfferMoved => "unavailable",
    ApplicationNotFound => "application-not-found",
    ConcertNotFound => "concert-not-found",
    PerformanceNotFound => "performance-not-found",
    PerformanceAmbiguous => "performance-ambiguous",
    SaleClosed => "sale-closed",
    SaleNotOpen {
        opens_at: Timestamp::default(), early_from: None, as_of: Timestamp::default(), opens_in_seconds: 1, is_drawn: false
    } => "sale-not-open",
    EarlyHours { field: "earlyFrom" } => "invalid-request",
    RoomInUse => "room-in-use",
    DrawNotClosed => "draw-not-closed",
    BeaconUnnamed => "beacon-unnamed",
    BeaconSet => "beacon-set",
    Drawn => "unavailable",
    SaleDrawn => "sale-drawn",
    SaleOpened => "sale-opened",
    SaleHours { field: "closesAt" } => "invalid-request",
    CodeRequired { codes_until: Timestamp::default(), ends_in_seconds: 1 } => "code-required",
    CodeInvalid => "code-invalid",
    CodeUsedUp => "code-used-up",
    CodeExists { index: 0 } => "code-exists",
    CodeNotFound => "code-not-found",
    PerformanceCancelled => "performance-cancelled",
    PerformanceClosed => "performance-closed",
    SeatUnknown { seats: Vec::new() } => "seat-unknown",
    SeatLimit => "seat-limit",
    SeatTaken { seats: Vec::new(), retry_after_seconds: None } => "seat-taken",
    SectionUnknown => "section-unknown",
    SeatsNotAvailable { retry_after_seconds: None } => "seats-not-available",
    Misplaced { index: 0, field: "section", why: "is required" } => "invalid-request",
    SeatExists { seats: Vec::new() } => "seat-exists",
    SectionLimit => "section-limit",
    GradeUnknown { index: 0 } => "invalid-request",
    DateMoved => "unavailable",
    ReservationNotFound => "reservation-not-found",
    AlreadyPaid => "already-paid",
    HoldExpired => "hold-expired",
    PaymentNotFound => "payment-not-found",
    AlreadyRefunded => "already-refunded",
    FeeOutOfRange => "fee-out-of-range",
    RefundClosed => "refund-closed",
    TicketNotFound => "ticket-not-found",
    TicketVoid => "ticket-void",
    AlreadyCheckedIn { at: Timestamp::default(), device: "gate".into() } => "already-checked-in",
    ReissueLimit => "reissue-limit",
    CheckInNotFound => "check-in-not-found",
    TokenExpired => "queue-token-expired",
    StaffKeyEnded => "admin-key-invalid",
    KeyNameTaken => "key-name-taken",
    KeyLimit => "key-limit",
    KeyNotFound => "key-not-found",
    ExternalIdReused => "external-id-reused",
}
