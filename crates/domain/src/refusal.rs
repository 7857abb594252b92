//! Why a command was refused. A refusal is a value: it changed nothing and failed nobody else.

/// Every reason there is, each with the code that callers see in kebab case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// One charge or use moves 1 to 10,000,000 points.
    AmountOutOfRange,
    /// A wallet holds at most 1,000,000,000 points.
    BalanceLimit,
    /// The wallet holds too little.
    InsufficientBalance,
    /// There is no such lecture.
    LectureNotFound,
    /// The person already has a place.
    AlreadyApplied,
    /// The lecture has started.
    LectureClosed,
    /// No place is left.
    LectureFull,
    /// The person has no place to give back.
    ApplicationNotFound,
    /// There is no such concert.
    ConcertNotFound,
    /// There is no such performance in the token's concert.
    PerformanceNotFound,
    /// The date has several performances: one must be named.
    PerformanceAmbiguous,
    /// The performance has started.
    PerformanceClosed,
    /// The performance has no such seats.
    SeatUnknown {
        /// Those it does not have, as the caller numbered them; the first 20.
        seats: Vec<i64>,
    },
    /// The user would hold and have bought more than four seats of the performance.
    SeatLimit,
    /// Somebody has them.
    SeatTaken {
        /// Those taken.
        seats: Vec<u32>,
        /// Where they are only held: until the last of them could lapse.
        retry_after_seconds: Option<u32>,
    },
    /// The token's user has no such reservation in its concert.
    ReservationNotFound,
    /// The reservation is paid.
    AlreadyPaid,
    /// The hold ran out or was given back.
    HoldExpired,
    /// The token's turn has ended.
    TokenExpired,
}

impl Refusal {
    /// Whether the same request would be judged alike whatever the state of the sale: such a refusal is no
    /// decision, and an idempotency key does not keep it.
    pub fn is_about_the_request(&self) -> bool {
        matches!(self, Self::AmountOutOfRange | Self::TokenExpired)
    }
}
