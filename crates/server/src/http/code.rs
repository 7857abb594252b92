//! Every code that a problem may carry: stable, in kebab case, each with its status.

use axum::http::StatusCode;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $status:ident, $text:literal, $title:literal;)+) => {
        /// The code of a problem. `router.rs` is the index of calls; this is the index of their refusals.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[expect(clippy::enum_variant_names, reason = "`code-…` is about presale codes")]
        pub(crate) enum Code { $($(#[$doc])* $name),+ }

        impl Code {
            /// Every code, in the order of this file.
            pub(crate) const ALL: &[Self] = &[$(Self::$name),+];

            pub(crate) fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status),+ }
            }

            /// The value of `code` in a problem, in kebab case.
            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }

            /// The value of `title` in a problem. It never changes.
            pub(crate) fn title(self) -> &'static str {
                match self { $(Self::$name => $title),+ }
            }
        }
    };
}

codes! {
    MalformedRequest = BAD_REQUEST, "malformed-request", "The bytes of the request do not parse";
    AuthenticationRequired = UNAUTHORIZED, "authentication-required", "A valid bearer is required";
    AdminKeyInvalid = UNAUTHORIZED, "admin-key-invalid", "The admin key is missing or wrong";
    RoleInsufficient = FORBIDDEN, "role-insufficient", "The role of this key does not include this call";
    ChargeNotAllowed = FORBIDDEN, "charge-not-allowed", "Only staff may charge wallets here";
    NotYourAccount = FORBIDDEN, "not-your-account", "The bearer names another user";
    OriginNotAllowed = FORBIDDEN, "origin-not-allowed", "This host or this site may not call";
    NotFound = NOT_FOUND, "not-found", "There is nothing at this path";
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method-not-allowed", "This path does not take this method";
    RequestTimeout = REQUEST_TIMEOUT, "request-timeout", "The request did not arrive in time";
    BodyTooLarge = PAYLOAD_TOO_LARGE, "body-too-large", "The body is larger than 64 KiB";
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The body must be application/json";
    InvalidRequest = UNPROCESSABLE_ENTITY, "invalid-request", "A field is missing, unknown, of the wrong type or out of range";
    IdempotencyKeyReused = UNPROCESSABLE_ENTITY, "idempotency-key-reused", "This idempotency key came with another request";
    TooManyRequests = TOO_MANY_REQUESTS, "too-many-requests", "This client calls too often";
    Overloaded = SERVICE_UNAVAILABLE, "overloaded", "Too much is waiting; nothing was done";
    Unavailable = SERVICE_UNAVAILABLE, "unavailable", "A part is away; the outcome may be unknown";
    Internal = INTERNAL_SERVER_ERROR, "internal", "Something went wrong here";

    QueueTokenMissing = UNAUTHORIZED, "queue-token-missing", "A queue token is required";
    QueueTokenInvalid = UNAUTHORIZED, "queue-token-invalid", "The queue token is not one of this waiting room";
    QueueTokenWaiting = FORBIDDEN, "queue-token-waiting", "The queue token has not been called yet";
    QueueTokenExpired = FORBIDDEN, "queue-token-expired", "The queue token has ended";

    AmountOutOfRange = UNPROCESSABLE_ENTITY, "amount-out-of-range", "The amount must be 1 to 10,000,000 points";
    BalanceLimit = CONFLICT, "balance-limit", "A wallet holds at most 1,000,000,000 points";
    InsufficientBalance = CONFLICT, "insufficient-balance", "The wallet holds too little";
    ExternalIdReused = CONFLICT, "external-id-reused", "This external id belongs to another charge";

    LectureNotFound = NOT_FOUND, "lecture-not-found", "There is no such lecture";
    AlreadyApplied = CONFLICT, "already-applied", "The user already has a place";
    AlreadyWaitlisted = CONFLICT, "already-waitlisted", "The user already waits for a place";
    LectureClosed = CONFLICT, "lecture-closed", "The lecture has started, or is closed or cancelled";
    LectureNotOpen = CONFLICT, "lecture-not-open", "The lecture cannot be applied for yet";
    CapacityBelowEnrolled = CONFLICT, "capacity-below-enrolled", "More users have a place than the new capacity allows";
    LectureFull = CONFLICT, "lecture-full", "No place is left";
    WaitlistFull = CONFLICT, "waitlist-full", "As many users wait for a place as may";
    SeatsAvailable = CONFLICT, "seats-available", "Seats are free or held, so there is no need to wait";
    WaitlistEntryNotFound = NOT_FOUND, "waitlist-entry-not-found", "The user has no entry in this waiting list";
    ApplicationNotFound = NOT_FOUND, "application-not-found", "The user has no place in this lecture";

    ConcertNotFound = NOT_FOUND, "concert-not-found", "There is no such concert";
    PerformanceNotFound = NOT_FOUND, "performance-not-found", "The concert has no such performance";
    PerformanceAmbiguous = UNPROCESSABLE_ENTITY, "performance-ambiguous", "The date has several performances: name one";
    SaleClosed = CONFLICT, "sale-closed", "The sale of this concert is closed";
    SaleNotOpen = CONFLICT, "sale-not-open", "The sale of this concert is not open yet";
    RoomInUse = CONFLICT, "room-in-use", "Visitors may have entered already, so this can no longer change like that";
    DrawNotClosed = CONFLICT, "draw-not-closed", "The list of this draw is not closed yet";
    BeaconUnnamed = CONFLICT, "beacon-unnamed", "This draw names no beacon";
    BeaconSet = CONFLICT, "beacon-set", "The beacon has another value already";
    SaleDrawn = CONFLICT, "sale-drawn", "The places are drawn, so the opening of the sale stays";
    SaleOpened = CONFLICT, "sale-opened", "The sale has opened for visitors who entered early, so its opening stays";
    CodeRequired = FORBIDDEN, "code-required", "A presale code is needed";
    CodeInvalid = FORBIDDEN, "code-invalid", "The code is unknown, or not valid at this time";
    CodeUsedUp = CONFLICT, "code-used-up", "The code has no use left";
    CodeExists = CONFLICT, "code-exists", "The concert has a code with this text already";
    CodeNotFound = NOT_FOUND, "code-not-found", "The concert has no such code";
    PerformanceCancelled = CONFLICT, "performance-cancelled", "The performance is cancelled";
    PerformanceClosed = CONFLICT, "performance-closed", "The performance has started or is closed";
    SeatUnknown = UNPROCESSABLE_ENTITY, "seat-unknown", "The performance has no such seat";
    SeatLimit = CONFLICT, "seat-limit", "The user would have more seats of the performance than one user may have";
    SeatTaken = CONFLICT, "seat-taken", "A seat is taken";
    SectionUnknown = UNPROCESSABLE_ENTITY, "section-unknown", "The performance has no such section or grade";
    SeatsNotAvailable = CONFLICT, "seats-not-available", "Not enough adjacent seats are free";
    SeatExists = CONFLICT, "seat-exists", "The performance has this seat already";
    SectionLimit = CONFLICT, "section-limit", "A performance has at most 1,000 sections";
    ReservationNotFound = NOT_FOUND, "reservation-not-found", "There is no such reservation";
    AlreadyPaid = CONFLICT, "already-paid", "The reservation is paid";
    HoldExpired = GONE, "hold-expired", "The hold has lapsed or was released";
    PaymentNotFound = NOT_FOUND, "payment-not-found", "There is no such payment";
    AlreadyRefunded = CONFLICT, "already-refunded", "A seat was refunded before, or none is left";
    FeeOutOfRange = UNPROCESSABLE_ENTITY, "fee-out-of-range", "The fee must be 0 to the price of the seats";
    RefundClosed = CONFLICT, "refund-closed", "The seats can no longer be given back";

    TicketNotFound = NOT_FOUND, "ticket-not-found", "The payment has no such ticket";
    TicketInvalid = UNPROCESSABLE_ENTITY, "ticket-invalid", "This is no ticket of this sale";
    TicketOtherPerformance = CONFLICT, "ticket-other-performance", "The ticket is of another performance";
    TicketVoid = CONFLICT, "ticket-void", "The ticket is void";
    AlreadyCheckedIn = CONFLICT, "already-checked-in", "The ticket was checked in before";
    ReissueLimit = CONFLICT, "reissue-limit", "The ticket of a seat is replaced at most 100 times";
    CheckInNotFound = NOT_FOUND, "check-in-not-found", "There is no such check-in";

    CancellationNotFound = NOT_FOUND, "cancellation-not-found", "It is not cancelled";

    KeyNameTaken = CONFLICT, "key-name-taken", "Another key has or had this name";
    KeyLimit = CONFLICT, "key-limit", "There are at most 1,000 keys";
    KeyNotFound = NOT_FOUND, "key-not-found", "There is no such key";
}

impl Code {
    /// The code with this text.
    pub(crate) fn named(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}
