//! Counts the kinds of outcomes, to prove that a random sequence has tested each of them.

use std::collections::BTreeMap;

use onsale_domain::Refusal;

use crate::lane::Outcome;
use crate::mixed::Done;

/// Lists the variants of an enum. A new variant fails to compile until it is listed.
macro_rules! kinds {
    ($all:ident, $name:ident, $of:ident: $($variant:ident),+ $(,)?) => {
        const $all: &[&str] = &[$(stringify!($variant)),+];

        fn $name(value: &$of) -> &'static str {
            match value { $($of::$variant { .. } => stringify!($variant)),+ }
        }
    };
}

kinds! {
    DONE, done, Done: Charge, Use, CreateLecture, Apply, Cancel, CreateConcert, Schedule, ChangeConcert,
    ChangePerformance, AddSeats, Block, Unblock, Extend, Rewrite, Hold, HoldAny, Release, Expire, Pay, RefundSeats, RefundByStaff, Adjust, Enter,
    Leave, Step, HandOut, Configure, PutBack, NoteList, PutBeacon, StoreDraw, CancelPerformance, StepOfCancellation, ChangeLecture, CancelLecture, CancelApplications, RemoveApplication,
    CreateCodes, DeleteCode,
    PromoteWaiting, JoinSeatList, LeaveSeatList, OfferSeats,
}

kinds! {
    REFUSALS, refusal, Refusal: AmountOutOfRange, BalanceLimit, InsufficientBalance, LectureNotFound, AlreadyApplied,
    AlreadyWaitlisted, LectureClosed, LectureNotOpen, CapacityBelowEnrolled, LectureFull, WaitlistFull, OnSeatList, SeatsAvailable, WaitlistEntryNotFound, OfferMoved, ApplicationNotFound, ConcertNotFound,
    PerformanceNotFound, PerformanceAmbiguous, SaleClosed, SaleNotOpen, SaleHours, EarlyHours, RoomInUse, DrawNotClosed, BeaconUnnamed, BeaconSet, Drawn, SaleDrawn, SaleOpened, PerformanceCancelled, PerformanceClosed, SeatUnknown, SeatLimit, SeatTaken, SectionUnknown, SeatsNotAvailable, SeatExists, Misplaced, SectionLimit, GradeUnknown, DateMoved, ReservationNotFound, AlreadyPaid, HoldExpired, TokenExpired,
    PaymentNotFound, AlreadyRefunded, FeeOutOfRange, RefundClosed,
    TicketNotFound, TicketVoid, AlreadyCheckedIn, ReissueLimit, CheckInNotFound,
    CodeRequired, CodeInvalid, CodeUsedUp, CodeExists, CodeNotFound,
    StaffKeyEnded, KeyNameTaken, KeyLimit, KeyNotFound, ExternalIdReused,
}

/// Refusals about keys of staff, which are not among the random commands: see `staff.rs`. And the limits of sections and of waiting
/// lists, which are more than the performances and the users here. And waiting lists of performances: see `seat_lists.rs`. And presale codes: see
/// `codes.rs`. And places in layouts, which the performances do not have: see `best.rs`. And refusals about tickets: see `tickets.rs`.
/// And those of an opening that users wait for, and of draws, which random instants rarely meet.
const OF_STAFF: &[&str] = &[
    "StaffKeyEnded",
    "KeyNameTaken",
    "KeyLimit",
    "KeyNotFound",
    "ExternalIdReused",
    "SectionLimit",
    "Misplaced",
    "WaitlistFull",
    "JoinSeatList",
    "LeaveSeatList",
    "OfferSeats",
    "OnSeatList",
    "SeatsAvailable",
    "WaitlistEntryNotFound",
    "OfferMoved",
    "CreateCodes",
    "DeleteCode",
    "CodeRequired",
    "CodeInvalid",
    "CodeUsedUp",
    "CodeExists",
    "CodeNotFound",
    "TicketNotFound",
    "TicketVoid",
    "AlreadyCheckedIn",
    "ReissueLimit",
    "CheckInNotFound",
    "RoomInUse",
    "SaleDrawn",
    "SaleOpened",
    "DrawNotClosed",
    "BeaconUnnamed",
    "BeaconSet",
    "Drawn",
    "PutBack",
    "NoteList",
    "PutBeacon",
    "StoreDraw",
];

/// How often each kind of outcome has occurred.
#[derive(Default)]
pub(crate) struct Kinds(BTreeMap<&'static str, usize>);

impl Kinds {
    pub(crate) fn count(&mut self, outcome: &Outcome) {
        *self.0.entry(outcome.as_ref().map_or_else(refusal, done)).or_default() += 1;
    }

    pub(crate) fn add(&mut self, others: &Self) {
        for (kind, times) in &others.0 {
            *self.0.entry(kind).or_default() += times;
        }
    }

    /// Kinds that have not occurred.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let all = DONE.iter().chain(REFUSALS).copied().filter(|kind| !OF_STAFF.contains(kind));
        all.filter(|kind| !self.0.contains_key(kind)).collect()
    }

    /// The rarest kind, and the total.
    pub(crate) fn counts(&self) -> String {
        let mut kinds: Vec<_> = self.0.iter().collect();
        kinds.sort_by_key(|(_, times)| **times);
        kinds.iter().map(|(kind, times)| format!("{kind} {times}")).collect::<Vec<_>>().join(", ")
    }
}
