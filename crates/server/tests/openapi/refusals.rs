//! The refusals of each call, as the contract lists them.

/// What each call may refuse in words of its own, besides what any call may.
pub(crate) const REFUSALS: [(&str, &[&str]); 59] = [
    (
        "PATCH /point/{id}/charge",
        &["422 amount-out-of-range", "409 balance-limit", "409 external-id-reused", "403 charge-not-allowed"],
    ),
    ("PATCH /point/{id}/use", &["422 amount-out-of-range", "409 insufficient-balance"]),
    ("POST /lectures/apply", &APPLYING),
    ("DELETE /lectures/application/{userId}/{lectureId}", &["404 application-not-found"]),
    ("POST /queue/tokens", &["404 concert-not-found", "409 sale-closed", "409 sale-not-open"]),
    ("POST /queue/tokens", &CODES),
    ("POST /reservations", &CODES),
    ("POST /queue/token/leave", &["401 queue-token-invalid", "422 invalid-request", "415 unsupported-media-type"]),
    ("GET /queue/token", &["401 queue-token-missing", "401 queue-token-invalid"]),
    ("GET /users/{userId}/queue-tokens", &["403 not-your-account"]),
    ("GET /concerts/{concertId}/draw", &["404 concert-not-found", "404 not-found"]),
    ("GET /concerts/{concertId}/draw/entries", &["409 draw-not-closed", "429 too-many-requests"]),
    ("PUT /admin/concerts/{concertId}/draw/beacon", &["409 draw-not-closed", "409 beacon-unnamed", "409 beacon-set"]),
    ("GET /concerts/{concertId}/dates", &TURN),
    ("GET /concerts/{concertId}/seats", &TURN),
    ("GET /concerts/{concertId}/sections", &["404 performance-not-found", "403 queue-token-waiting"]),
    (
        "GET /concerts/{concertId}/seats/events",
        &["404 performance-not-found", "403 queue-token-waiting", "403 queue-token-expired", "429 too-many-requests"],
    ),
    (
        "POST /reservations",
        &[
            "404 performance-not-found",
            "409 sale-closed",
            "409 sale-not-open",
            "409 performance-cancelled",
            "409 performance-closed",
            "422 performance-ambiguous",
            "422 seat-unknown",
            "422 section-unknown",
            "409 seat-limit",
            "409 seat-taken",
            "409 seats-not-available",
            "403 queue-token-waiting",
        ],
    ),
    ("GET /reservations/{reservationId}", &["404 reservation-not-found"]),
    ("DELETE /reservations/{reservationId}", &["409 already-paid", "403 queue-token-expired"]),
    (
        "POST /payments",
        &[
            "404 reservation-not-found",
            "409 already-paid",
            "410 hold-expired",
            "409 performance-cancelled",
            "409 insufficient-balance",
        ],
    ),
    (
        "POST /concerts/{concertId}/waitlist",
        &[
            "404 performance-not-found",
            "409 performance-cancelled",
            "409 performance-closed",
            "422 section-unknown",
            "409 seat-limit",
            "409 already-waitlisted",
            "409 seats-available",
            "409 waitlist-full",
        ],
    ),
    ("GET /concerts/{concertId}/waitlist/{userId}", &["403 not-your-account"]),
    (
        "DELETE /concerts/{concertId}/waitlist/{userId}/{performanceId}",
        &["404 performance-not-found", "404 waitlist-entry-not-found"],
    ),
    ("GET /payments/{paymentId}", &["404 payment-not-found"]),
    ("GET /payments/{paymentId}/tickets", &["404 payment-not-found"]),
    ("GET /payments/{paymentId}/tickets/{ticketId}/code.svg", &TICKET),
    ("GET /payments/{paymentId}/tickets/{ticketId}/print.pdf", &TICKET),
    (
        "POST /payments/{paymentId}/tickets/{ticketId}/reissue",
        &[
            "404 payment-not-found",
            "404 ticket-not-found",
            "409 ticket-void",
            "409 already-checked-in",
            "409 reissue-limit",
        ],
    ),
    (
        "POST /check-ins",
        &[
            "404 performance-not-found",
            "422 ticket-invalid",
            "409 ticket-other-performance",
            "409 ticket-void",
            "409 already-checked-in",
            "403 role-insufficient",
        ],
    ),
    ("DELETE /check-ins/{checkInId}", &["404 check-in-not-found", "403 role-insufficient"]),
    ("GET /check-ins/manifest", &["404 performance-not-found", "403 role-insufficient"]),
    ("GET /admin/performances/{performanceId}/check-ins", &["404 performance-not-found", "403 role-insufficient"]),
    (
        "POST /payments/{paymentId}/refunds",
        &[
            "404 payment-not-found",
            "422 seat-unknown",
            "409 already-refunded",
            "409 refund-closed",
            "409 balance-limit",
            "403 not-your-account",
        ],
    ),
    (
        "POST /admin/payments/{paymentId}/refunds",
        &[
            "404 payment-not-found",
            "422 seat-unknown",
            "409 already-refunded",
            "422 fee-out-of-range",
            "409 balance-limit",
            "403 role-insufficient",
        ],
    ),
    (
        "POST /admin/point/{userId}/adjustments",
        &["422 amount-out-of-range", "409 insufficient-balance", "409 balance-limit", "403 role-insufficient"],
    ),
    ("GET /admin/performances/{performanceId}/refunds", &["404 performance-not-found", "403 role-insufficient"]),
    (
        "PATCH /admin/concerts/{concertId}",
        &["404 concert-not-found", "409 room-in-use", "409 sale-drawn", "409 sale-opened"],
    ),
    ("POST /admin/concerts/{concertId}/codes", &["404 concert-not-found", "409 code-exists", "403 role-insufficient"]),
    ("DELETE /admin/concerts/{concertId}/codes/{code}", &["404 code-not-found", "403 role-insufficient"]),
    ("PATCH /admin/performances/{performanceId}", &["404 performance-not-found", "409 performance-cancelled"]),
    ("GET /admin/performances/{performanceId}", &["404 performance-not-found", "403 role-insufficient"]),
    ("GET /admin/performances/{performanceId}/seats", &["404 performance-not-found", "403 role-insufficient"]),
    (
        "POST /admin/performances/{performanceId}/seats",
        &["404 performance-not-found", "409 performance-cancelled", "409 seat-exists", "409 section-limit"],
    ),
    (
        "POST /admin/performances/{performanceId}/blocks",
        &["404 performance-not-found", "409 performance-cancelled", "422 seat-unknown", "409 seat-taken"],
    ),
    (
        "POST /admin/performances/{performanceId}/unblocks",
        &["404 performance-not-found", "409 performance-cancelled", "422 seat-unknown", "409 seat-taken"],
    ),
    ("POST /admin/performances/{performanceId}/cancel", &["404 performance-not-found", "403 role-insufficient"]),
    (
        "GET /admin/performances/{performanceId}/cancellation",
        &["404 performance-not-found", "404 cancellation-not-found"],
    ),
    (
        "GET /admin/performances/{performanceId}/cancellation/failed",
        &["404 performance-not-found", "404 cancellation-not-found"],
    ),
    ("POST /admin/concerts/{concertId}/holds/extend", &["404 concert-not-found"]),
    (
        "POST /admin/performances/{performanceId}/holds/extend",
        &["404 performance-not-found", "409 performance-cancelled"],
    ),
    (
        "POST /admin/lectures",
        &["401 admin-key-invalid", "403 role-insufficient", "404 not-found", "413 body-too-large"],
    ),
    ("POST /admin/keys", &["409 key-name-taken", "409 key-limit", "403 role-insufficient"]),
    ("DELETE /admin/keys/{keyId}", &["404 key-not-found"]),
    ("POST /desk/session", &["401 admin-key-invalid", "403 origin-not-allowed", "429 too-many-requests"]),
    ("GET /desk/session", &["401 admin-key-invalid", "404 not-found"]),
    ("DELETE /desk/session", &["403 origin-not-allowed"]),
    ("POST /session/logout", &["403 origin-not-allowed"]),
    ("GET /point/{id}", &["403 role-insufficient", "403 not-your-account"]),
];

const CODES: [&str; 3] = ["403 code-required", "403 code-invalid", "409 code-used-up"];
const APPLYING: [&str; 7] = [
    "404 lecture-not-found",
    "409 already-applied",
    "409 already-waitlisted",
    "409 lecture-closed",
    "409 lecture-not-open",
    "409 lecture-full",
    "409 waitlist-full",
];

const TICKET: [&str; 3] = ["404 payment-not-found", "404 ticket-not-found", "409 ticket-void"];
const TURN: [&str; 4] =
    ["401 queue-token-missing", "401 queue-token-invalid", "403 queue-token-waiting", "403 queue-token-expired"];
