//! What the audit reads: streams of rows. Each group of rows is read as of one moment.

mod concert;

use onsale_domain::concert::{Concert, Performance, Reservation};
use onsale_domain::ids::{ConcertId, EventId, SessionId, TokenId, UserId};
use onsale_domain::lecture::{HistoryLine, Lecture};
use onsale_domain::payment::Payment;
use onsale_domain::presale::Code;
use onsale_domain::refund::Refund;
use onsale_domain::staff::{Directory, ExternalCharge, Key};
use onsale_domain::ticket::{CheckIn, Voided};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{Draw, List, Room, Settings};
use onsale_domain::wallet::{Account, Entry};
use tokio::sync::mpsc::Receiver;
use uuid::Uuid;

pub use self::concert::{ExtendedRow, ExtensionRow, PerformanceRow, ReservationRow, SeatRow};
use crate::store::{LogRow, StoreError};

/// A stream of rows, or the error that ended it.
pub type Rows<T> = Receiver<Result<T, StoreError>>;

/// A draw with everything that must agree with it.
#[derive(Clone, Debug)]
pub struct DrawRow {
    /// The concert of the room.
    pub concert: ConcertId,
    /// The list, from its closing on.
    pub list: Option<List>,
    /// Rows of places up to this one were deleted, as the sale is long over.
    pub dropped_to: u64,
    /// The record, with its seed.
    pub draw: Draw,
    /// The entry numbers in drawn order; `None` before the draw.
    pub order: Option<Vec<u32>>,
    /// The entries of the list, each with its number. Empty before the closing.
    pub entries: Vec<(TokenId, u32)>,
}

/// The fields of an event that the audit compares.
#[derive(Clone, Debug)]
pub struct EventRow {
    /// The CloudEvents type, such as `onsale.seats.held.v1`.
    pub kind: String,
    /// Id of the user, lecture or performance that it is about.
    pub subject: String,
    /// Its order within the subject.
    pub version: u64,
    /// Its data, as JSON.
    pub data: String,
}

/// A wallet, then its ledger in order. Entries of a user without a wallet stand alone.
#[derive(Clone, Debug)]
pub enum WalletRow {
    /// The wallet of a user.
    Account(UserId, Account),
    /// A ledger entry, the event of the same id, and whether the payment that it names exists. Of an adjustment: whether
    /// an entry of the admin log has its amount and its balance.
    Entry(Entry, Option<EventRow>, bool),
}

/// A lecture, then its applications by seat number, then its waiting list in order with the counters of its blocks, then its freed seats, then the events of its
/// changes by staff in order, then its history in order.
#[derive(Clone, Debug)]
pub enum LectureRow {
    /// The lecture with its counters.
    Lecture(Lecture),
    /// A user and the seat number of the user's place.
    Application(UserId, u32),
    /// A user who waits for a place, and the number of the entry.
    Waiting(UserId, u64),
    /// A block of waiting numbers, and its counter of entries.
    Block(u64, u64),
    /// A seat number that is free again.
    Freed(u32),
    /// The event of a change by staff.
    Changed(EventRow),
    /// A line of history, with the event of the same id.
    History(HistoryLine, Option<EventRow>),
}

/// A payment with everything that should agree with it.
#[derive(Clone, Debug)]
pub struct PaymentRow {
    /// The payment as stored.
    pub payment: Payment,
    /// The reservation that it names.
    pub reservation: Option<Reservation>,
    /// The ledger entries that name it.
    pub entries: Vec<Entry>,
    /// Its refunds, in the order of their ids.
    pub refunds: Vec<Refund>,
    /// The instant and the version of the cancellation of its performance.
    pub cancelled: Option<(Timestamp, u64)>,
    /// The event of the same id.
    pub event: Option<EventRow>,
}

/// A refund with everything that should agree with it.
#[derive(Clone, Debug)]
pub struct RefundRow {
    /// The refund as stored.
    pub refund: Refund,
    /// The ledger entry of its wallet and version.
    pub entry: Option<Entry>,
    /// The event of the same id.
    pub event: Option<EventRow>,
    /// How many entries of the admin log about its payment name it.
    pub logged: u64,
    /// Seats of its reservation that are marked as refunded by it: these may be free, or another reservation's.
    pub marked: Vec<u32>,
}

/// A presale code with the counts of its uses.
#[derive(Clone, Debug)]
pub struct CodeRow {
    /// The code with its own counter.
    pub code: Code,
    /// How many uses of it are stored.
    pub stored: u64,
    /// How many of these are of a reservation that is paid, or held and live.
    pub used: u64,
    /// The same for the user who has most of them.
    pub most: u64,
    /// How many uses are of a reservation in another concert.
    pub elsewhere: u64,
}

/// A waiting room with its concert, and the counts of its places and turns.
#[derive(Clone, Debug)]
pub struct RoomRow {
    /// The concert of the room.
    pub concert: ConcertId,
    /// The room with its own counters.
    pub room: Room,
    /// The row of the concert.
    pub concert_row: Option<Concert>,
    /// The event of the concert's version.
    pub changed: Option<EventRow>,
    /// Places up to this one were dropped, because they were over and old.
    pub dropped_to: u64,
    /// Number of places up to `dropped_to` that still exist.
    pub places_undropped: u64,
    /// Number of places after `dropped_to`.
    pub places: u64,
    /// The highest place; 0 if there is none.
    pub highest_place: u64,
    /// Number of places after `served` that were given up.
    pub given_up: u64,
    /// Number of turns, ended ones included until they are settled.
    pub turns: u64,
    /// Number of turns of places that were not admitted.
    pub turns_uncalled: u64,
    /// Number of users with more than one current place.
    pub users_twice: u64,
    /// Number of tokens that were shown for a place of another token.
    pub disputes: u64,
    /// The first of these places; 0 if there is none.
    pub disputed_place: u64,
}

/// Something that staff may change.
#[derive(Clone, Debug)]
pub enum StaffSubject {
    /// The counters of the keys, and how many keys are not deleted.
    Directory(Directory, u64),
    /// A key of staff.
    Key(Key),
    /// A lecture, as it is stored.
    Lecture(Lecture),
    /// A session of the back office.
    Session(SessionId),
    /// A concert with the settings of its waiting room.
    Concert(Concert, Settings),
    /// A performance, with the instants of extensions of its holds and its blocked seats.
    Performance {
        /// The performance, as it is stored.
        performance: Performance,
        /// The instants of the extensions since there is a log.
        extended_at: Vec<Timestamp>,
        /// The log entries about its concert that extended holds.
        of_concert: Vec<LogRow>,
        /// Its blocked seats, each with the reason.
        blocks: Vec<(u32, String)>,
    },
}

/// Something that staff may change, with all log entries about it.
#[derive(Clone, Debug)]
pub struct StaffRow {
    /// The row that staff may change.
    pub subject: StaffSubject,
    /// The log entries, in no order.
    pub entries: Vec<LogRow>,
    /// The instant since which changes have entries.
    pub since: Timestamp,
}

/// A charge under an external id, with what should agree with it.
#[derive(Clone, Debug)]
pub struct ExternalRow {
    /// The id of another system.
    pub external_id: String,
    /// The charge as stored.
    pub charge: ExternalCharge,
    /// The ledger entry of its wallet and version.
    pub entry: Option<Entry>,
    /// How many log entries about the user name the id.
    pub logged: u64,
}

/// An event, and whether the row that it describes exists.
#[derive(Clone, Debug)]
pub struct ToldRow {
    /// Id of the event.
    pub id: EventId,
    /// The CloudEvents type, such as `onsale.seats.held.v1`.
    pub kind: String,
    /// Id of the user, lecture or performance that it is about.
    pub subject: String,
    /// Whether a row with this id and subject exists.
    pub has_source: bool,
}

/// The mark of a part of the outbox, and the log at that position.
#[derive(Clone, Copy, Debug)]
pub struct MarkRow {
    /// Number of the part.
    pub part: u32,
    /// The mark: events up to this position count as sent.
    pub sent_to: u64,
    /// The mark as written by the last relay that compared it with the log; `None` if no relay has done so.
    pub checked_to: Option<u64>,
    /// Whether the log has another event at the mark than the one that this relay sent.
    pub is_other_event: bool,
    /// The position of the last event of the log.
    pub last: u64,
}

/// Events that were written at positions that relays had already passed: they count as sent, and never were.
#[derive(Clone, Debug)]
pub struct MisplacedRow {
    /// Number of events in the log.
    pub events: u64,
    /// Number of misplaced events.
    pub misplaced: u64,
    /// Ids of a few misplaced events.
    pub examples: Vec<EventId>,
}

/// The rows of one table, and those without a parent row.
#[derive(Clone, Debug)]
pub struct FamilyRow {
    /// What the rows are, such as `seats`.
    pub children: &'static str,
    /// What each row belongs to, such as `performance`.
    pub parents: &'static str,
    /// Number of rows.
    pub rows: u64,
    /// Ids of a few missing parents.
    pub missing: Vec<Uuid>,
    /// Number of rows whose parent is missing.
    pub orphans: u64,
}

/// A payment with void tickets or scans, and these. Payments without them are not listed: their tickets have no rows.
#[derive(Clone, Debug)]
pub struct TicketsRow {
    /// The payment of the seats.
    pub payment: Payment,
    /// Seats that were refunded.
    pub refunded: Vec<u32>,
    /// Tickets that are void.
    pub voided: Vec<Voided>,
    /// Scans of valid tickets of the payment, refused ones too.
    pub scans: Vec<CheckIn>,
}

/// Streams of everything that the audit reads.
pub trait AuditSource: Send + Sync {
    /// All wallets and ledgers, by user.
    fn wallets(&self) -> Rows<WalletRow>;

    /// All lectures, each with its applications and history.
    fn lectures(&self) -> Rows<LectureRow>;

    /// All performances, with the counts of their rows.
    fn performances(&self) -> Rows<PerformanceRow>;

    /// All extensions of holds, with their events.
    fn extensions(&self) -> Rows<ExtendedRow>;

    /// All seats that are held or sold.
    fn seats(&self) -> Rows<SeatRow>;

    /// All reservations, with their seats, payments and events.
    fn reservations(&self) -> Rows<ReservationRow>;

    /// All payments, with their reservations, entries, refunds and events.
    fn payments(&self) -> Rows<PaymentRow>;

    /// All refunds, with their entries and events.
    fn refunds(&self) -> Rows<RefundRow>;

    /// All presale codes, with their counts.
    fn codes(&self) -> Rows<CodeRow>;

    /// All payments with refunds, void tickets or scans, with these.
    fn tickets(&self) -> Rows<TicketsRow>;

    /// All waiting rooms, with their counts.
    fn rooms(&self) -> Rows<RoomRow>;

    /// All draws, each with its list and its order.
    fn draws(&self) -> Rows<DrawRow>;

    /// All tables whose rows belong to rows of another table.
    fn families(&self) -> Rows<FamilyRow>;

    /// One row: events from before this instant may have been deleted.
    fn forgotten(&self) -> Rows<Timestamp>;

    /// The marks of all parts of the outbox.
    fn marks(&self) -> Rows<MarkRow>;

    /// One row: the events at positions that relays had passed when they were written.
    fn misplaced(&self) -> Rows<MisplacedRow>;

    /// Everything that staff may change, with the log entries about it.
    fn staff(&self) -> Rows<StaffRow>;

    /// All charges under an external id.
    fn external_charges(&self) -> Rows<ExternalRow>;

    /// All events, in order.
    fn events(&self) -> Rows<ToldRow>;
}
