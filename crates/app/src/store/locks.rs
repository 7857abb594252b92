//! The locks of rows and tables that another session of the database may hold.
//!
//! An administrator's open transaction, a migration or a backup can lock a row or a table for minutes. A lane that knows
//! the held locks parks only the commands that need them (`desk/siding.rs`).

use std::collections::HashMap;

use onsale_domain::ids::{ConcertId, LectureId, PerformanceId, ReservationId, StaffKeyId, UserId};
use onsale_domain::presale::CodeKey;
use onsale_domain::staff::SessionHash;

use crate::idempotency::KeyId;

/// A table of the sale that a command may read or write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each is named like its table")]
pub enum Table {
    Accounts,
    AdminLog,
    Applications,
    Cancellations,
    CheckIns,
    Codes,
    Concerts,
    Draws,
    EndedSessions,
    Events,
    ExternalCharges,
    Extensions,
    FreedSeats,
    KeptAnswers,
    Layouts,
    LectureHistory,
    Lectures,
    Ledger,
    Payments,
    Performances,
    Places,
    Refunds,
    Reservations,
    Rooms,
    SeatWaits,
    Seats,
    StaffKeys,
    StaffSessions,
    TurnEnds,
    Turns,
    VoidTickets,
}

impl Table {
    /// All tables, each by its names in the database.
    pub const ALL: &[(Self, &str)] = &[
        (Self::Accounts, "accounts"),
        (Self::AdminLog, "admin_log"),
        (Self::Applications, "applications"),
        (Self::Applications, "waiting_blocks"),
        (Self::Cancellations, "cancellations"),
        (Self::Cancellations, "failed_refunds"),
        (Self::CheckIns, "check_ins"),
        (Self::Codes, "codes"),
        (Self::Codes, "code_uses"),
        (Self::Concerts, "concerts"),
        (Self::Draws, "draws"),
        (Self::EndedSessions, "ended_sessions"),
        (Self::Events, "events"),
        (Self::Events, "event_positions"),
        (Self::Extensions, "hold_extensions"),
        (Self::ExternalCharges, "external_charges"),
        (Self::FreedSeats, "freed_seats"),
        (Self::KeptAnswers, "kept_answers"),
        (Self::Layouts, "layouts"),
        (Self::LectureHistory, "lecture_history"),
        (Self::Lectures, "lectures"),
        (Self::Ledger, "ledger"),
        (Self::Payments, "payments"),
        (Self::Performances, "performances"),
        (Self::Places, "places"),
        (Self::Refunds, "refunds"),
        (Self::Refunds, "refunded_seats"),
        (Self::Reservations, "reservations"),
        (Self::Rooms, "rooms"),
        (Self::SeatWaits, "seat_waits"),
        (Self::SeatWaits, "seat_wishes"),
        (Self::Seats, "seats"),
        (Self::StaffKeys, "staff_keys"),
        (Self::StaffKeys, "staff_directory"),
        (Self::StaffKeys, "staff_key_uses"),
        (Self::StaffSessions, "staff_sessions"),
        (Self::TurnEnds, "turn_ends"),
        (Self::Turns, "turns"),
        (Self::VoidTickets, "void_tickets"),
    ];

    /// The table of this name, if a command may need it.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(table, _)| *table)
    }
}

/// A lock that one session can hold while another waits for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Lock {
    /// The row of an answer that is kept under an idempotency key.
    Answer(KeyId),
    /// The row of a key of staff, locked or queued for against changes of its owner.
    StaffKey(StaffKeyId),
    /// The row of a key of staff that is to be deleted, locked by anything, changes of its owner included.
    StaffKeyEnd(StaffKeyId),
    /// The row of a session of the back office.
    StaffSession(SessionHash),
    /// The counters of the keys of staff.
    StaffDirectory,
    /// The row of a wallet.
    Account(UserId),
    /// The row of a presale code.
    Code(CodeKey),
    /// The row of a lecture.
    Lecture(LectureId),
    /// The row of a waiting room.
    Room(ConcertId),
    /// The row of a performance.
    Performance(PerformanceId),
    /// The row of a performance of this concert.
    Concert(ConcertId),
    /// The row of a reservation, or that of its performance.
    Reservation(ReservationId),
    /// The row of a performance of which this user holds seats.
    Holding(ConcertId, UserId),
    /// The row of a seat.
    Seat(PerformanceId, u32),
    /// The row of a place in line, or that of its turn.
    Place(ConcertId, u64),
    /// All rows of a table.
    Table(Table),
}

/// The locks that other sessions hold, each with the number of its holder. Another number later means another holder.
pub type HeldLocks = HashMap<Lock, u64>;
