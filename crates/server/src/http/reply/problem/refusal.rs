//! The problem of each refusal of the rules: its code, and the members that explain it.

use onsale_domain::Refusal;

use super::{Code, Hours, Problem};
use crate::http::values::Instant;

impl From<&Refusal> for Code {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::AmountOutOfRange => Self::AmountOutOfRange,
            Refusal::PaymentNotFound => Self::PaymentNotFound,
            Refusal::AlreadyRefunded => Self::AlreadyRefunded,
            Refusal::FeeOutOfRange => Self::FeeOutOfRange,
            Refusal::RefundClosed => Self::RefundClosed,
            Refusal::SeatUnknown { .. } => Self::SeatUnknown,
            Refusal::SeatTaken { .. } => Self::SeatTaken,
            Refusal::SeatExists { .. } => Self::SeatExists,
            Refusal::SectionLimit => Self::SectionLimit,
            Refusal::SectionUnknown => Self::SectionUnknown,
            Refusal::SeatsNotAvailable { .. } => Self::SeatsNotAvailable,
            Refusal::Misplaced { .. } => Self::InvalidRequest,
            Refusal::GradeUnknown { .. } => Self::InvalidRequest,
            // The handler reads the request again. After several moves within one request, the client may.
            Refusal::DateMoved | Refusal::OfferMoved => Self::Unavailable,
            Refusal::BalanceLimit => Self::BalanceLimit,
            Refusal::InsufficientBalance => Self::InsufficientBalance,
            Refusal::LectureNotFound => Self::LectureNotFound,
            Refusal::AlreadyApplied => Self::AlreadyApplied,
            Refusal::AlreadyWaitlisted { .. } => Self::AlreadyWaitlisted,
            Refusal::LectureClosed => Self::LectureClosed,
            Refusal::LectureNotOpen { .. } => Self::LectureNotOpen,
            Refusal::CapacityBelowEnrolled => Self::CapacityBelowEnrolled,
            Refusal::LectureFull => Self::LectureFull,
            Refusal::WaitlistFull => Self::WaitlistFull,
            Refusal::OnSeatList => Self::AlreadyWaitlisted,
            Refusal::SeatsAvailable => Self::SeatsAvailable,
            Refusal::WaitlistEntryNotFound => Self::WaitlistEntryNotFound,
            Refusal::ApplicationNotFound => Self::ApplicationNotFound,
            Refusal::ConcertNotFound => Self::ConcertNotFound,
            Refusal::PerformanceNotFound => Self::PerformanceNotFound,
            Refusal::PerformanceAmbiguous => Self::PerformanceAmbiguous,
            Refusal::SaleClosed => Self::SaleClosed,
            Refusal::SaleNotOpen { .. } => Self::SaleNotOpen,
            Refusal::SaleHours { .. } | Refusal::EarlyHours { .. } => Self::InvalidRequest,
            Refusal::RoomInUse => Self::RoomInUse,
            Refusal::DrawNotClosed => Self::DrawNotClosed,
            Refusal::BeaconUnnamed => Self::BeaconUnnamed,
            Refusal::BeaconSet => Self::BeaconSet,
            // The handler has read the token before the draw. The client sends the request again.
            Refusal::Drawn => Self::Unavailable,
            Refusal::SaleDrawn => Self::SaleDrawn,
            Refusal::SaleOpened => Self::SaleOpened,
            Refusal::CodeRequired { .. } => Self::CodeRequired,
            Refusal::CodeInvalid => Self::CodeInvalid,
            Refusal::CodeUsedUp => Self::CodeUsedUp,
            Refusal::CodeExists { .. } => Self::CodeExists,
            Refusal::CodeNotFound => Self::CodeNotFound,
            Refusal::PerformanceCancelled => Self::PerformanceCancelled,
            Refusal::PerformanceClosed => Self::PerformanceClosed,
            Refusal::SeatLimit => Self::SeatLimit,
            Refusal::ReservationNotFound => Self::ReservationNotFound,
            Refusal::AlreadyPaid => Self::AlreadyPaid,
            Refusal::HoldExpired => Self::HoldExpired,
            Refusal::TicketNotFound => Self::TicketNotFound,
            Refusal::TicketVoid => Self::TicketVoid,
            Refusal::AlreadyCheckedIn { .. } => Self::AlreadyCheckedIn,
            Refusal::ReissueLimit => Self::ReissueLimit,
            Refusal::CheckInNotFound => Self::CheckInNotFound,
            Refusal::TokenExpired => Self::QueueTokenExpired,
            Refusal::StaffKeyEnded => Self::AdminKeyInvalid,
            Refusal::KeyNameTaken => Self::KeyNameTaken,
            Refusal::KeyLimit => Self::KeyLimit,
            Refusal::KeyNotFound => Self::KeyNotFound,
            Refusal::ExternalIdReused => Self::ExternalIdReused,
        }
    }
}

impl From<&Refusal> for Problem {
    fn from(refusal: &Refusal) -> Self {
        let problem = Self::new(Code::from(refusal));
        match refusal {
            Refusal::AmountOutOfRange => problem.amount("must be 1 to 10,000,000"),
            Refusal::SaleNotOpen { opens_at, early_from, as_of, opens_in_seconds, is_drawn } => {
                // Spread only if the order of arrival does not count: otherwise a client that obeys must not stand behind one that
                // tries again and again.
                let spread = if *is_drawn { rand::random_range(0..=SPREAD_SECONDS_MAX) } else { 0 };
                let problem = problem.retry_after(opens_in_seconds.saturating_add(spread).min(OPENING_SECONDS_MAX));
                problem.hours(Hours {
                    opens_at: Some(Instant(*opens_at)),
                    early_from: Some(early_from.map(Instant)),
                    as_of: Some(Instant(*as_of)),
                    codes_until: None,
                })
            }
            Refusal::EarlyHours { field } => Self::invalid_field(
                field,
                "contradicts another field: earlyFrom < drawAt ≤ opensAt, and drawAt + 10 s ≤ beaconAt ≤ opensAt",
            ),
            Refusal::SaleHours { field: "codesUntil" } => {
                Self::invalid_field("codesUntil", "the presale must end after the sale opens")
            }
            Refusal::SaleHours { field } => Self::invalid_field(field, "the sale must close after it opens"),
            Refusal::AlreadyWaitlisted { position } => problem.position(u64::from(*position)),
            Refusal::CodeRequired { codes_until, ends_in_seconds } => {
                let problem = problem.retry_after((*ends_in_seconds).min(OPENING_SECONDS_MAX));
                problem.hours(Hours { codes_until: Some(Instant(*codes_until)), ..Hours::default() })
            }
            Refusal::CodeExists { index } => problem.detail(format!("the code of element {index} is there already")),
            Refusal::LectureNotOpen { retry_after_seconds } => problem.retry_after(*retry_after_seconds),
            Refusal::SeatUnknown { seats } => Self { seats: seats.as_slice().into(), ..problem },
            Refusal::SeatExists { seats } => Self { seats: seats.iter().copied().map(i64::from).collect(), ..problem },
            Refusal::AlreadyCheckedIn { at, device } => problem.checked_in(*at, device.clone()),
            Refusal::DateMoved | Refusal::OfferMoved => Self { is_outdated: true, ..problem },
            Refusal::GradeUnknown { index } => {
                Self::invalid_field(&format!("prices.{index}.grade"), "is no grade of this performance")
            }
            Refusal::Misplaced { index, field, why } => Self::invalid_field(&format!("seats.{index}.{field}"), *why),
            Refusal::SeatsNotAvailable { retry_after_seconds } => {
                Self { retry_after_seconds: *retry_after_seconds, ..problem }
            }
            Refusal::SeatTaken { seats, retry_after_seconds } => {
                let seats = seats.iter().copied().map(i64::from).collect();
                Self { seats, retry_after_seconds: *retry_after_seconds, ..problem }
            }
            _ => problem,
        }
    }
}

/// The longest `Retry-After` before a sale opens or a presale ends, in seconds.
const OPENING_SECONDS_MAX: u32 = 3_600;

/// How much later visitors of a draw are led to return, at most, in seconds.
const SPREAD_SECONDS_MAX: u32 = 5;
