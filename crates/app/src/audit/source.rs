//! What the audit reads: streams of rows, each group of which is read in one piece.

use onsale_domain::concert::{Performance, Reservation, Seat};
use onsale_domain::ids::{ConcertId, EventId, PerformanceId, UserId};
use onsale_domain::lecture::{HistoryLine, Lecture};
use onsale_domain::payment::Payment;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Room;
use onsale_domain::wallet::{Account, Entry};
use tokio::sync::mpsc::Receiver;
use uuid::Uuid;

use crate::store::StoreError;

/// Rows as they are read.
pub type Rows<T> = Receiver<Result<T, StoreError>>;

/// An event, as far as the audit compares it.
#[derive(Clone, Debug)]
pub struct EventRow {
    /// Its type.
    pub kind: String,
    /// Its subject.
    pub subject: String,
    /// Its order within the subject.
    pub version: u64,
    /// Its data, as JSON.
    pub data: String,
}

/// A wallet, then its ledger in order. Entries of a user without a wallet stand alone.
#[derive(Clone, Debug)]
pub enum WalletRow {
    /// The wallet.
    Account(UserId, Account),
    /// An entry, with the event of the same id, and whether the payment is there that it names.
    Entry(Entry, Option<EventRow>, bool),
}

/// A lecture, then who has a place in it by seat number, then its freed seats, then its history in order.
#[derive(Clone, Debug)]
pub enum LectureRow {
    /// The lecture.
    Lecture(Lecture),
    /// Who has which seat.
    Application(UserId, u32),
    /// A seat number that is free again.
    Freed(u32),
    /// A line of history, with the event of the same id.
    History(HistoryLine, Option<EventRow>),
}

/// A reservation with everything that should agree with it.
#[derive(Clone, Debug)]
pub struct ReservationRow {
    /// The reservation.
    pub reservation: Reservation,
    /// The seats that say they are this reservation's.
    pub seats: Vec<(u32, Seat)>,
    /// How many payments name it.
    pub payments: u64,
    /// The event of the same id.
    pub held_event: Option<EventRow>,
    /// The event that its end names.
    pub end_event: Option<EventRow>,
}

/// A seat that is held or sold, with its owner.
#[derive(Clone, Debug)]
pub struct SeatRow {
    /// Of which performance.
    pub performance: PerformanceId,
    /// Its number.
    pub number: u32,
    /// The row.
    pub seat: Seat,
    /// The reservation that it names.
    pub owner: Option<Reservation>,
}

/// A performance with what its seats say.
#[derive(Clone, Debug)]
pub struct PerformanceRow {
    /// The performance.
    pub performance: Performance,
    /// How many of its seats are sold.
    pub sold_seats: u64,
}

/// A payment with everything that should agree with it.
#[derive(Clone, Debug)]
pub struct PaymentRow {
    /// The payment.
    pub payment: Payment,
    /// The reservation that it names.
    pub reservation: Option<Reservation>,
    /// The ledger entries that name it.
    pub entries: Vec<Entry>,
    /// The event of the same id.
    pub event: Option<EventRow>,
}

/// A waiting room with what its places and turns say.
#[derive(Clone, Debug)]
pub struct RoomRow {
    /// Whose.
    pub concert: ConcertId,
    /// The room.
    pub room: Room,
    /// Places up to this one are dropped: they were over, and old.
    pub dropped_to: u64,
    /// Places up to that one that are there all the same.
    pub places_undropped: u64,
    /// Places after it.
    pub places: u64,
    /// The highest of them.
    pub highest_place: u64,
    /// Places after `served` that were given up.
    pub given_up: u64,
    /// Turns.
    pub turns: u64,
    /// Turns of places that were not called.
    pub turns_uncalled: u64,
    /// Users with more than one current place.
    pub users_twice: u64,
    /// Tokens that were shown for a place that is another token's.
    pub disputes: u64,
    /// The first of these places; 0 if there is none.
    pub disputed_place: u64,
}

/// An event and whether the row is there that it tells of.
#[derive(Clone, Debug)]
pub struct ToldRow {
    /// Its id.
    pub id: EventId,
    /// Its type.
    pub kind: String,
    /// Its subject.
    pub subject: String,
    /// Whether a row of this id and subject is there.
    pub has_source: bool,
}

/// How far a part of the outbox was sent, with what the log has there.
#[derive(Clone, Copy, Debug)]
pub struct MarkRow {
    /// Which part.
    pub part: u32,
    /// Its mark: events up to this position count as sent.
    pub sent_to: u64,
    /// The mark as the last relay made it that compared it with the log; `None` if none has yet.
    pub checked_to: Option<u64>,
    /// Whether another event than the one that this relay had sent lies at the mark.
    pub is_other_event: bool,
    /// The last position of the log.
    pub last: u64,
}

/// Events that were written at positions that the log had passed: they count as sent, and never were.
#[derive(Clone, Debug)]
pub struct MisplacedRow {
    /// How many events there are.
    pub events: u64,
    /// How many are misplaced.
    pub misplaced: u64,
    /// Some of those.
    pub examples: Vec<EventId>,
}

/// The rows of one table, and those of them that belong to nothing.
#[derive(Clone, Debug)]
pub struct FamilyRow {
    /// What the rows are.
    pub children: &'static str,
    /// What each belongs to.
    pub parents: &'static str,
    /// How many rows there are.
    pub rows: u64,
    /// To which parents some of them belong that are not there: a few ids.
    pub missing: Vec<Uuid>,
    /// How many rows belong to such.
    pub orphans: u64,
}

/// Everything the audit reads.
pub trait AuditSource: Send + Sync {
    /// All wallets and ledgers, by user.
    fn wallets(&self) -> Rows<WalletRow>;

    /// All lectures.
    fn lectures(&self) -> Rows<LectureRow>;

    /// All performances.
    fn performances(&self) -> Rows<PerformanceRow>;

    /// All seats that are held or sold.
    fn seats(&self) -> Rows<SeatRow>;

    /// All reservations.
    fn reservations(&self) -> Rows<ReservationRow>;

    /// All payments.
    fn payments(&self) -> Rows<PaymentRow>;

    /// All waiting rooms.
    fn rooms(&self) -> Rows<RoomRow>;

    /// All tables whose rows belong to rows of another.
    fn families(&self) -> Rows<FamilyRow>;

    /// One row: events that happened before this instant may have been forgotten.
    fn forgotten(&self) -> Rows<Timestamp>;

    /// The marks of all parts of the outbox.
    fn marks(&self) -> Rows<MarkRow>;

    /// One row: events at positions that the log had passed when they were written.
    fn misplaced(&self) -> Rows<MisplacedRow>;

    /// All events, in order.
    fn events(&self) -> Rows<ToldRow>;
}
