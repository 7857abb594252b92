//! The rows of a unit of work: the keys that commands need, the loaded rows, and the added rows.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::cancellation::{Cancellation, FailedRefund};
use crate::concert::{Concert, Dates, Extension, Hall, HoldsCounted, Layout, Performance, Reservation, Seat};
use crate::event::Event;
use crate::ids::{
    CheckInId, CodeId, ConcertId, LectureId, PaymentId, PerformanceId, ReservationId, StaffKeyId, TicketId, UserId,
};
use crate::lecture::{Application, FreedSeats, HistoryLine, Lecture, Waiting, WaitingLists};
use crate::payment::Payment;
use crate::presale::{Code, CodeKey, Use};
use crate::refund::Refund;
use crate::seat_list::{Entry as SeatWait, SeatList};
use crate::session::EndedSession;
use crate::staff::{self, LogEntry};
use crate::table::Table;
use crate::ticket::{CheckIn, Voided};
use crate::time::Timestamp;
use crate::waiting_room::{Draw, GivenUp, Place, Room, Token, Turn};
use crate::wallet::{Account, Entry};

/// The keys of the rows that a batch needs. Sorted, because locks are taken in this order.
///
/// Parents (keys of staff, their sessions, accounts, presale codes, lectures, rooms, performances, in this order) are locked. A lock on a
/// parent covers its children.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// Keys of the staff who act. Their rows get a shared lock, before all other rows: a key is deleted before or after a
    /// change of its owner, never during it.
    pub staff: BTreeSet<StaffKeyId>,
    /// What a change of the keys themselves needs; `None` if no key is made or deleted.
    pub staff_changes: Option<staff::Changes>,
    /// Sessions of the back office to end.
    pub staff_sessions: BTreeSet<staff::SessionHash>,
    /// External ids of charges by staff. Covered by no lock: two units that use one id meet at its primary key.
    pub external_charges: BTreeSet<Arc<str>>,
    /// Wallets. An account also covers the ends of its user's tokens.
    pub accounts: BTreeSet<UserId>,
    /// Presale codes, each with the number of uses that the batch may add.
    pub codes: BTreeMap<CodeKey, u32>,
    /// Users whose uses of a presale code count.
    pub code_users: BTreeSet<(CodeKey, UserId)>,
    /// Lectures, each with the number of freed seat numbers that the batch may take.
    pub lectures: BTreeMap<LectureId, usize>,
    /// Lectures, each with its applications of the lowest seat numbers: at most [`crate::lecture::CANCELLED_TOGETHER_MAX`].
    pub emptied_lectures: BTreeSet<LectureId>,
    /// Lectures, each with how many users of its waiting list the batch may promote or end: as many at the front, in order.
    pub waiting_lists: BTreeMap<LectureId, usize>,
    /// Applications of a user for a lecture. A user who waits has an entry and its position instead.
    pub applications: BTreeSet<(LectureId, UserId)>,
    /// Waiting rooms, each with the given-up places next after `served`.
    pub rooms: BTreeSet<ConcertId>,
    /// Concerts of which the record of a draw is loaded. Covered by the lock of the room.
    pub draws: BTreeSet<ConcertId>,
    /// Users who enter: their current place, its turn and end, and their open reservations if there is a turn.
    pub entrants: BTreeSet<(ConcertId, UserId)>,
    /// Places by their number in line.
    pub places: BTreeSet<(ConcertId, u64)>,
    /// Turns by place, each with its end and its place, read together.
    pub turns: BTreeSet<(ConcertId, u64)>,
    /// Places by number, with the open reservations of their users.
    pub turn_holders: BTreeSet<(ConcertId, u64)>,
    /// Users whose open reservations (held or paid) in a concert count.
    pub holders: BTreeSet<(ConcertId, UserId)>,
    /// Users whose held reservations may end, with their performances and seats.
    pub holdings: BTreeSet<(ConcertId, UserId)>,
    /// Reservations, each with its performance and its seats.
    pub reservations: BTreeSet<ReservationId>,
    /// Payments, which never change.
    pub payments: BTreeSet<PaymentId>,
    /// Concerts whose rooms are locked, each with all of its performances, locked too.
    pub concerts: BTreeSet<ConcertId>,
    /// Concerts whose dates are compared. Covered by no lock: read after the locks, so that a performance that is added or moved
    /// meanwhile comes after this unit of work.
    pub dates: BTreeSet<ConcertId>,
    /// Concerts of whose performances the holds are counted.
    pub counted_concerts: BTreeSet<ConcertId>,
    /// Performances of which the holds are counted.
    pub counted_performances: BTreeSet<PerformanceId>,
    /// Performances, locked with all of their seats.
    pub performances: BTreeSet<PerformanceId>,
    /// Performances of which the cancellation is loaded. Covered by the lock of the performance.
    pub cancellations: BTreeSet<PerformanceId>,
    /// Performances whose layout is loaded. It changes only under the lock of the performance.
    pub layouts: BTreeSet<PerformanceId>,
    /// Performances of which all seats that are free or held are read, each with the lapsed holds that are not settled and
    /// their seats. Each is in `performances` too, whose lock covers them.
    pub halls: BTreeSet<PerformanceId>,
    /// Performances whose waiting lists are served or ended in a step: as many entries of each wish are loaded as one step may
    /// serve. Of other locked performances with a list fewer are loaded. Covered by the lock of the performance.
    pub seat_lists: BTreeSet<PerformanceId>,
    /// Entries of waiting lists by performance and user. Covered by the lock of the performance.
    pub seat_waits: BTreeSet<(PerformanceId, UserId)>,
    /// Seats, each with the reservation that holds it (not sold) and all seats of that reservation.
    pub seats: BTreeSet<(PerformanceId, u32)>,
    /// Payments of which it is loaded how often the ticket of each seat was reissued, and which check-ins of their seats count.
    /// Covered by the lock of the performance.
    pub reissues: BTreeSet<PaymentId>,
    /// Tickets that are shown at the door of a performance: the payment of the seat, its reissues, its check-in that counts, and
    /// whether the ticket was made void. Covered by the lock of the performance.
    pub tickets: BTreeSet<(PerformanceId, TicketId)>,
    /// Ids of scans, as devices chose them. Covered by no lock: two units that use one id meet at its unique index.
    pub scans: BTreeSet<Arc<str>>,
    /// Check-ins by their id. Covered by the lock of the performance.
    pub check_ins: BTreeSet<CheckInId>,
}

/// The loaded rows of one unit of work, and the rows that its commands add.
#[derive(Debug, Default)]
pub struct Rows {
    /// Keys of staff by their id.
    pub staff_keys: Table<StaffKeyId, staff::Key>,
    /// The keys that have or had a name. Not saved, because they follow from `staff_keys`.
    pub staff_names: Table<Arc<str>, StaffKeyId>,
    /// The counters of the keys; the key of the table is always `()`.
    pub staff_directory: Table<(), staff::Directory>,
    /// When keys were used last, to add.
    pub staff_uses: Vec<(StaffKeyId, Timestamp)>,
    /// Sessions of the back office by their hash.
    pub staff_sessions: Table<staff::SessionHash, staff::Session>,
    /// If set, a few sessions that were over at this instant are deleted.
    pub sessions_over_at: Option<Timestamp>,
    /// Log entries to add.
    pub admin_log: Vec<LogEntry>,
    /// Charges by staff, by their external id.
    pub external_charges: Table<Arc<str>, staff::ExternalCharge>,
    /// Wallets by their owner.
    pub accounts: Table<UserId, Account>,
    /// Presale codes by their concert and text.
    pub codes: Table<CodeKey, Code>,
    /// Uses of presale codes: those of the users named in [`Keys::code_users`], and those that may have ended of each code that
    /// would have too many with those that the batch may add.
    pub code_uses: HashMap<CodeId, Vec<Use>>,
    /// Uses of presale codes to add.
    pub added_uses: Vec<(CodeId, ReservationId)>,
    /// Uses of presale codes to drop, because they have ended.
    pub ended_uses: Vec<ReservationId>,
    /// Lectures by their id.
    pub lectures: Table<LectureId, Lecture>,
    /// Loaded lectures that staff changed: fields that no application changes are saved, too.
    pub changed_lectures: BTreeSet<LectureId>,
    /// Users with the lowest seat numbers of the lectures named in [`Keys::emptied_lectures`], in that order. Not saved.
    pub applicants: HashMap<LectureId, Vec<UserId>>,
    /// Applications by lecture and user.
    pub applications: Table<(LectureId, UserId), Application>,
    /// Entries of waiting lists by lecture and user.
    pub waiting: Table<(LectureId, UserId), Waiting>,
    /// The fronts of the waiting lists named in [`Keys::waiting_lists`], and positions. Not saved.
    pub waiting_lists: WaitingLists,
    /// Freed seat numbers of the loaded lectures.
    pub freed_seats: FreedSeats,
    /// Waiting rooms by concert.
    pub rooms: Table<ConcertId, Room>,
    /// Records of draws by their concert.
    pub draws: Table<ConcertId, Draw>,
    /// Drawn orders to add: the entry numbers, first drawn first.
    pub orders: Vec<(ConcertId, Arc<[u32]>)>,
    /// Given-up places of the loaded rooms.
    pub given_up: HashMap<ConcertId, GivenUp>,
    /// Places by concert and number in line.
    pub places: Table<(ConcertId, u64), Place>,
    /// The number of a user's current place. Not saved, because it follows from `places`.
    pub current_places: Table<(ConcertId, UserId), u64>,
    /// Turns by concert and place.
    pub turns: Table<(ConcertId, u64), Turn>,
    /// Turns that have ended and that their room has yet to settle.
    pub ends: Table<(ConcertId, u64), Timestamp>,
    /// Performances by their id.
    pub performances: Table<PerformanceId, Performance>,
    /// Loaded performances whose refund policy changed: it is long, and the row is written with each hold and each payment.
    pub new_policies: BTreeSet<PerformanceId>,
    /// Cancellations by their performance.
    pub cancellations: Table<PerformanceId, Cancellation>,
    /// Refunds of cancellations that failed for the first time, to add.
    pub failed_refunds: Vec<FailedRefund>,
    /// Loaded performances whose start, seats, prices or blocked seats changed. These columns are written on their own, so that
    /// holds and payments do not write them.
    pub revised: BTreeSet<PerformanceId>,
    /// Held and sold seats by performance and number.
    pub seats: Table<(PerformanceId, u32), Seat>,
    /// The layouts of performances. One without a layout is loaded as absent.
    pub layouts: Table<PerformanceId, Arc<Layout>>,
    /// Which seats of the performances named in [`Keys::halls`] are free. Follows `seats` and `blocks`, and is not saved.
    pub halls: HashMap<PerformanceId, Hall>,
    /// Entries of waiting lists by performance and user.
    pub seat_waits: Table<(PerformanceId, UserId), SeatWait>,
    /// The waiting lists of the locked performances that have one. Each of these has its hall and its layout, too. Not saved,
    /// because it follows from `seat_waits`; only the changed numbers of users of each wish are.
    pub seat_lists: HashMap<PerformanceId, SeatList>,
    /// Blocked seats by performance and number, each with the reason. Only those are loaded that are blocked: a seat in `seats`
    /// that is not here is not blocked.
    pub blocks: Table<(PerformanceId, u32), Arc<str>>,
    /// Reservations by their id.
    pub reservations: Table<ReservationId, Reservation>,
    /// The reservations of a user in a concert that were held or paid when they were loaded, and those added since.
    /// Not saved, because they follow from `reservations`.
    pub open_reservations: HashMap<(ConcertId, UserId), Vec<ReservationId>>,
    /// Ledger entries to add.
    pub ledger: Vec<Entry>,
    /// Lecture history lines to add.
    pub lecture_history: Vec<HistoryLine>,
    /// Tokens to add that were shown for a place whose row names another token: the place was handed out twice.
    pub disputes: Vec<Token>,
    /// Concerts by their id: those that are added, and those named in [`Keys::concerts`].
    pub concerts: Table<ConcertId, Concert>,
    /// All performances of the concerts named in [`Keys::concerts`]. Not saved.
    pub of_concerts: HashMap<ConcertId, Vec<PerformanceId>>,
    /// The dates of the concerts named in [`Keys::dates`], with what this unit of work added and moved. Not saved.
    pub dates: HashMap<ConcertId, Dates>,
    /// The holds of performances as they were counted. Not saved.
    pub counted: HashMap<PerformanceId, HoldsCounted>,
    /// Loaded holds of which a row, their own or that of a seat, lacks an extension. Not saved.
    pub lacking: BTreeSet<ReservationId>,
    /// Whether no other transaction runs next to this one, so that rows without a lock are exact too.
    pub is_alone: bool,
    /// Turns that a payment ends, unless another hold of the user is being extended by a transaction that has not committed
    /// yet. The next step of the room decides it. Not saved: if it is lost, the turn ends with its own time.
    pub ends_in_doubt: Vec<(ConcertId, u64)>,
    /// Extensions of holds to add.
    pub extensions: Vec<Extension>,
    /// Performances whose holds contain all extensions up to this number.
    pub rewritten: Vec<(PerformanceId, u64)>,
    /// New payments to add.
    pub payments: Vec<Payment>,
    /// Payments by their id. Not saved.
    pub known_payments: Table<PaymentId, Payment>,
    /// New refunds to add.
    pub refunds: Vec<Refund>,
    /// Tickets that became void, to add.
    pub voided: Vec<Voided>,
    /// Tickets that were shown and were void when they were loaded. Not saved.
    pub known_voids: BTreeSet<TicketId>,
    /// How often the ticket of a seat of a payment was reissued. A seat that is not here never was. Not saved, because it follows
    /// from the void tickets.
    pub reissued: HashMap<(PaymentId, u32), u32>,
    /// The payments of the loaded reservations that own a seat at the door. Not saved.
    pub paid_by: HashMap<ReservationId, PaymentId>,
    /// Scans by their id.
    pub check_ins: Table<CheckInId, CheckIn>,
    /// Scans by the id that their device chose. Not saved, because it follows from `check_ins`.
    pub scans: Table<Arc<str>, CheckInId>,
    /// The check-in that counts, of each paid seat that has one. Not saved, because it follows from `check_ins`.
    pub checked_in: HashMap<(PaymentId, u32), CheckInId>,
    /// Sessions of users that ended, to add.
    pub ended_sessions: Vec<EndedSession>,
    /// Events to add, in order.
    pub events: Vec<Event>,
}

impl Rows {
    /// A payment that was loaded, or that this unit of work adds.
    ///
    /// # Panics
    /// If it was not loaded.
    pub(crate) fn payment(&self, id: PaymentId) -> Option<&Payment> {
        self.known_payments.get(&id).or_else(|| self.payments.iter().find(|payment| payment.id == id))
    }

    /// Users with the lowest seat numbers of a lecture, when they were loaded.
    ///
    /// # Panics
    /// If they were not loaded.
    pub(crate) fn applicants_of(&self, lecture: LectureId) -> Vec<UserId> {
        let users = self.applicants.get(&lecture);
        assert!(users.is_some(), "the applicants of {lecture} were not loaded");
        users.cloned().unwrap_or_default()
    }

    /// A hold takes a seat.
    pub(crate) fn put_seat(&mut self, key: (PerformanceId, u32), seat: Seat) {
        if let Some(hall) = self.halls.get_mut(&key.0) {
            hall.hold(key.1, seat.held_until);
        }
        self.seats.put(key, seat);
    }

    /// A seat is free again.
    pub(crate) fn free_seat(&mut self, key: &(PerformanceId, u32)) {
        if let Some(hall) = self.halls.get_mut(&key.0) {
            hall.free(key.1);
        }
        self.seats.remove(key);
    }

    /// A held seat was sold. The caller changes its row.
    pub(crate) fn close_seat(&mut self, (performance, seat): &(PerformanceId, u32)) {
        if let Some(hall) = self.halls.get_mut(performance) {
            hall.close(*seat);
        }
    }

    /// A free seat is taken from sale.
    pub(crate) fn block_seat(&mut self, key: (PerformanceId, u32), reason: Arc<str>) {
        self.close_seat(&key);
        self.blocks.put(key, reason);
    }

    /// A blocked seat is on sale again.
    pub(crate) fn unblock_seat(&mut self, key: &(PerformanceId, u32)) {
        if let Some(hall) = self.halls.get_mut(&key.0) {
            hall.free(key.1);
        }
        self.blocks.remove(key);
    }

    /// The reason for which a seat is blocked; `None` if it is not.
    ///
    /// # Panics
    /// If the seat was not loaded.
    pub(crate) fn block_of(&self, seat: (PerformanceId, u32)) -> Option<&Arc<str>> {
        assert!(self.seats.is_loaded(&seat), "seat {seat:?} was not loaded");
        if self.blocks.is_loaded(&seat) { self.blocks.get(&seat) } else { None }
    }

    /// All performances of a concert.
    ///
    /// # Panics
    /// If they were not loaded.
    pub(crate) fn performances_of(&self, concert: ConcertId) -> Vec<PerformanceId> {
        let ids = self.of_concerts.get(&concert);
        assert!(ids.is_some(), "the performances of {concert} were not loaded");
        ids.cloned().unwrap_or_default()
    }

    /// The dates of a concert.
    ///
    /// # Panics
    /// If they were not loaded.
    pub(crate) fn dates_of(&self, concert: ConcertId) -> Dates {
        let dates = self.dates.get(&concert);
        assert!(dates.is_some(), "the dates of {concert} were not loaded");
        dates.copied().unwrap_or_default()
    }

    /// The reservations of a user in a concert that are held or paid.
    ///
    /// # Panics
    /// If they were not loaded: a rule must not decide over rows that it has not seen.
    pub(crate) fn open_reservations_of(&self, concert: ConcertId, user: &UserId) -> impl Iterator<Item = &Reservation> {
        let ids = self.open_reservations.get(&(concert, user.clone()));
        assert!(ids.is_some(), "the reservations of {user} in {concert} were not loaded");
        let loaded = ids.into_iter().flatten().filter_map(|id| self.reservations.get(id));
        loaded.filter(|reservation| reservation.is_open())
    }

    /// The holds of a user in a concert that can still be paid, without offers: these have tokens of their own.
    ///
    /// # Panics
    /// As [`Rows::open_reservations_of`].
    pub(crate) fn live_holds(
        &self,
        concert: ConcertId,
        user: &UserId,
        at: Timestamp,
    ) -> impl Iterator<Item = &Reservation> {
        self.open_reservations_of(concert, user).filter(move |own| !own.is_offer() && own.is_live(at))
    }
}
