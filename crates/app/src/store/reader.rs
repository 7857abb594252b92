//! How everything but a lane reads the database: lists, single rows, and what a process loads when it starts.

use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;

use async_trait::async_trait;
use onsale_domain::cancellation::{Cancellation, Cancelled, FailedRefund};
use onsale_domain::concert::{Concert, Layout, Notice, Performance, Reservation, Seat};
use onsale_domain::ids::{
    ConcertId, LectureId, LogId, PaymentId, PerformanceId, RefundId, ReservationId, StaffKeyId, UserId,
};
use onsale_domain::lecture::{Applicant, HistoryLine, Lecture};
use onsale_domain::payment::Payment;
use onsale_domain::presale::{self, Code, CodeKey};
use onsale_domain::refund::Refund;
use onsale_domain::staff::{Directory, Session, SessionHash};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{Room, Token, Turn};
use onsale_domain::wallet::{Account, Entry};

use super::StoreError;
use super::draws::Draws;
use super::export::Attendee;
use super::figures::PerformanceFigures;
use super::lectures::{AppliedLecture, LectureFilter, WaitingUser};
use super::seat_lists::SeatLists;
use super::sessions::EndedSessions;
use super::staff::{ListedKey, LogFilter, LogRow};
use super::tickets::Tickets;
use crate::event::StoredEvent;

/// A page of a list: at most `limit` rows that follow `after`.
#[derive(Clone, Copy, Debug)]
pub struct Page<C> {
    /// The last row of the previous page; `None` for the first page.
    pub after: Option<C>,
    /// Maximum number of rows.
    pub limit: usize,
}

/// The seats of a performance that have a row, as of one of its versions.
#[derive(Clone, Debug, Default)]
pub struct SeatRows {
    /// The version of the performance that the rows are as of.
    pub version: u64,
    /// Whether the holds of the performance are closed.
    pub closed: bool,
    /// Whether the performance is cancelled.
    pub cancelled: bool,
    /// Whether users wait for seats of the performance.
    pub waited_for: bool,
    /// Held and sold seats.
    pub seats: Vec<(u32, Seat)>,
    /// Numbers of the blocked seats.
    pub blocked: Vec<u32>,
}

/// A seat that is held, sold or blocked, as staff see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatRecord {
    /// Seat number within the performance.
    pub number: u32,
    /// The user of its reservation; `None` if it is blocked.
    pub user: Option<UserId>,
    /// What took the seat.
    pub taken: SeatTaken,
}

/// What took a seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeatTaken {
    /// A hold, or a payment.
    Owned(Seat, Option<PaymentId>),
    /// An organiser, for this reason.
    Blocked(Arc<str>),
}

/// A seat of a cancelled performance that is held or sold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsettledSeat {
    /// Seat number within the performance.
    pub number: u32,
    /// The reservation that holds or bought it.
    pub reservation: ReservationId,
    /// Its payment with the user who paid; `None` if the seat is held.
    pub paid: Option<(PaymentId, UserId)>,
}

/// Concerts and performances, as they are listed.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    /// The concerts that were found.
    pub concerts: Vec<Concert>,
    /// The performances that were found.
    pub performances: Vec<Performance>,
}

/// Which refunds to list.
#[derive(Clone, Copy, Debug)]
pub enum RefundsOf {
    /// Those of this payment.
    Payment(PaymentId),
    /// Those of this performance.
    Performance(PerformanceId),
}

/// What all refunds of one payment gave back together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GivenBack {
    /// Seats that were refunded, in that order.
    pub seats: Vec<u32>,
    /// Points, without the fees.
    pub amount: i64,
}

impl GivenBack {
    /// Adds the seats and the points of one more refund.
    pub fn add(&mut self, refund: &Refund) {
        self.seats.extend_from_slice(&refund.seats);
        self.amount += refund.amount;
    }
}

/// A waiting room with everything that a process needs to answer polls.
#[derive(Clone, Debug)]
pub struct RoomRecord {
    /// The concert of the room.
    pub concert: ConcertId,
    /// The room's settings and counters.
    pub room: Room,
    /// Places after `served` that were given up.
    pub given_up: Vec<u64>,
    /// Turns that are not settled: the place, its turn, and whether the turn has ended.
    pub turns: Vec<(u64, Turn, bool)>,
    /// Holds that are not settled.
    pub holds: Vec<HoldRecord>,
    /// The notice, as of a version of the concert.
    pub announced: Announced,
}

/// What buyers read of a concert, as of one of its versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announced {
    /// The version of the concert. A process that knows an older one reads the concert again.
    pub version: u64,
    /// The text that buyers read, if there is one.
    pub notice: Option<Arc<Notice>>,
}

impl Announced {
    /// From the row of a concert.
    pub fn of(concert: &Concert) -> Self {
        Self { version: concert.version, notice: concert.notice.clone() }
    }
}

/// A hold that is not settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HoldRecord {
    /// The place that took the hold.
    pub place: u64,
    /// Id of the reservation.
    pub reservation: ReservationId,
    /// The performance of its seats.
    pub performance: PerformanceId,
    /// The end of the hold, extensions included.
    pub until: Timestamp,
    /// Number of the last extension of the performance that `until` contains.
    pub extended: u64,
}

/// Reads next to the writers. Each call sees everything that was answered before the call.
#[async_trait]
pub trait Reader: Draws + EndedSessions + SeatLists + Tickets + Send + Sync {
    /// The database's time now. Costs no query.
    fn now(&self) -> Timestamp;

    /// Sends a query that checks whether the database answers.
    async fn ping(&self) -> Result<(), StoreError>;

    /// A wallet; the default if it was never used.
    async fn account(&self, user: &UserId) -> Result<Account, StoreError>;

    /// A wallet's history, newest first, by version.
    async fn ledger(&self, user: &UserId, page: Page<u64>) -> Result<Vec<Entry>, StoreError>;

    /// Lectures by start and id.
    async fn lectures(
        &self,
        filter: LectureFilter,
        page: Page<(Timestamp, LectureId)>,
    ) -> Result<Vec<Lecture>, StoreError>;

    /// Lectures that start at an instant or later and were created or changed at another instant or later, and earlier ones
    /// that were moved there since then. In no order.
    async fn changed_lectures(&self, from: Timestamp, since: Timestamp) -> Result<Vec<Lecture>, StoreError>;

    /// A lecture; `None` if there is no such lecture.
    async fn lecture(&self, id: LectureId) -> Result<Option<Lecture>, StoreError>;

    /// Users with a place in a lecture, by seat number.
    async fn applicants(&self, lecture: LectureId, page: Page<u64>) -> Result<Vec<Applicant>, StoreError>;

    /// Users who wait for a place in a lecture, in order. `after` is the number of an entry.
    async fn waiting_users(&self, lecture: LectureId, page: Page<u64>) -> Result<Vec<WaitingUser>, StoreError>;

    /// Lectures with free places that users on their waiting lists may get at an instant.
    async fn lectures_to_promote(&self, at: Timestamp) -> Result<Vec<LectureId>, StoreError>;

    /// Lectures that were cancelled at this instant or later and still have applications or a waiting list.
    async fn lectures_to_empty(&self, since: Timestamp) -> Result<Vec<LectureId>, StoreError>;

    /// The lectures that a user applied for, by start. Only `lecture`, if it is given.
    async fn applications(&self, user: &UserId, lecture: Option<LectureId>) -> Result<Vec<AppliedLecture>, StoreError>;

    /// A lecture's history, oldest first, by version; `None` if there is no such lecture.
    async fn lecture_history(
        &self,
        lecture: LectureId,
        page: Page<u64>,
    ) -> Result<Option<Vec<HistoryLine>>, StoreError>;

    /// All concerts, in no order.
    async fn concerts(&self) -> Result<Vec<Concert>, StoreError>;

    /// All performances, in no order.
    async fn performances(&self) -> Result<Vec<Performance>, StoreError>;

    /// The layouts of these performances, or of all. Performances without a layout are left out.
    async fn layouts(&self, of: Option<&[PerformanceId]>) -> Result<Vec<(PerformanceId, Arc<Layout>)>, StoreError>;

    /// The named concerts with all of their performances, and the named performances with their concerts.
    async fn listed(&self, concerts: &[ConcertId], performances: &[PerformanceId]) -> Result<Listed, StoreError> {
        let mut all = Listed { concerts: self.concerts().await?, performances: self.performances().await? };
        let named = |performance: &Performance| {
            concerts.contains(&performance.concert) || performances.contains(&performance.id)
        };
        all.performances.retain(named);
        let of_named: BTreeSet<ConcertId> = all.performances.iter().map(|performance| performance.concert).collect();
        all.concerts.retain(|concert| concerts.contains(&concert.id) || of_named.contains(&concert.id));
        Ok(all)
    }

    /// How many performances a concert has, and the sum of their revisions. Both stay the same only if none was added or revised.
    async fn performance_revisions(&self, concert: ConcertId) -> Result<(u64, u64), StoreError>;

    /// The seats of a performance that are held or sold.
    async fn seats(&self, performance: PerformanceId) -> Result<SeatRows, StoreError>;

    /// The seats of a performance with these numbers that are held, sold or blocked, in ascending order, as of one moment.
    async fn taken_seats(
        &self,
        performance: PerformanceId,
        numbers: RangeInclusive<u32>,
    ) -> Result<Vec<SeatRecord>, StoreError>;

    /// A reservation; `None` if there is no such reservation.
    async fn reservation(&self, id: ReservationId) -> Result<Option<Reservation>, StoreError>;

    /// A user's reservations, newest first.
    async fn reservations_of(&self, user: &UserId, page: Page<ReservationId>) -> Result<Vec<Reservation>, StoreError>;

    /// A payment; `None` if there is no such payment.
    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StoreError>;

    /// A user's payments, newest first.
    async fn payments_of(&self, user: &UserId, page: Page<PaymentId>) -> Result<Vec<Payment>, StoreError>;

    /// A presale code, with its uses that count for this user.
    async fn code(&self, key: &CodeKey, user: &UserId) -> Result<Option<presale::Standing>, StoreError>;

    /// The presale codes of a concert by their text, each with its holds that are not settled and its payments.
    async fn codes(&self, concert: ConcertId, page: Page<Arc<str>>) -> Result<Vec<(Code, u64)>, StoreError>;

    /// Refunds of a payment or a performance, newest first.
    async fn refunds(&self, of: RefundsOf, page: Page<RefundId>) -> Result<Vec<Refund>, StoreError>;

    /// A user's refunds, newest first, at most this many.
    async fn refunds_of(&self, user: &UserId, limit: usize) -> Result<Vec<Refund>, StoreError>;

    /// The places that a user has in these concerts, as far as the database has them.
    async fn places_of(&self, user: &UserId, concerts: &[ConcertId]) -> Result<Vec<Token>, StoreError>;

    /// What was given back of these payments. Payments without a refund are left out.
    async fn given_back(&self, payments: &[PaymentId]) -> Result<HashMap<PaymentId, GivenBack>, StoreError>;

    /// The cancellation of a performance; `None` if it is not cancelled, or if there is no such performance.
    async fn cancellation(&self, performance: PerformanceId) -> Result<Option<Cancelled>, StoreError>;

    /// Cancellations of which steps are left. Those that wait to try refunds again are among them.
    async fn cancellations_under_way(&self) -> Result<Vec<Cancellation>, StoreError>;

    /// Seats of a performance that are held or sold and follow a number, in ascending order.
    async fn unsettled_seats(
        &self,
        performance: PerformanceId,
        after_seat: u32,
        limit: usize,
    ) -> Result<Vec<UnsettledSeat>, StoreError>;

    /// Failed refunds of a performance, newest payment first, each with its payment and the seats that were refunded. Without
    /// payments that were refunded in full since.
    async fn failed_refunds(
        &self,
        performance: PerformanceId,
        page: Page<PaymentId>,
    ) -> Result<Vec<(FailedRefund, Payment, Vec<u32>)>, StoreError>;

    /// The counters of the performances that start after an instant, in no order. Reads no other row.
    async fn performance_figures(&self, after: Timestamp) -> Result<Vec<PerformanceFigures>, StoreError>;

    /// The sold seats of a performance with their owners, by seat. None if there is no such performance.
    async fn attendees(&self, performance: PerformanceId, page: Page<u32>) -> Result<Vec<Attendee>, StoreError>;

    /// Performances that have holds whose rows may lack an extension, each with the number of the last extension.
    async fn unwritten_extensions(&self) -> Result<Vec<(PerformanceId, u64)>, StoreError>;

    /// Holds of a performance whose rows lack an extension up to this number, by a seat after `after_seat`: at most `limit`
    /// seats, in ascending order. A hold with several seats may come several times.
    async fn holds_to_rewrite(
        &self,
        performance: PerformanceId,
        number: u64,
        after_seat: u32,
        limit: usize,
    ) -> Result<Vec<(u32, ReservationId)>, StoreError>;

    /// Holds that ran out before an instant and are not settled yet, oldest first. Without those whose rows lack an
    /// extension.
    async fn lapsed_holds(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<(PerformanceId, ReservationId)>, StoreError>;

    /// Holds that are not settled and were taken after an instant, each with its length in milliseconds. There are some only
    /// if a clock was ahead when they were taken.
    async fn holds_after(
        &self,
        after: Timestamp,
        limit: usize,
    ) -> Result<Vec<(PerformanceId, ReservationId, u64)>, StoreError>;

    /// All waiting rooms that are not retired.
    async fn rooms(&self) -> Result<Vec<RoomRecord>, StoreError>;

    /// One waiting room, retired or not, with its concert's performances; `None` if there is no such concert.
    async fn room(&self, concert: ConcertId) -> Result<Option<(RoomRecord, Vec<Performance>)>, StoreError>;

    /// The counters of the keys of staff. Cheap.
    async fn staff_directory(&self) -> Result<Directory, StoreError>;

    /// The session of the back office with one of these hashes, over or not.
    async fn staff_session(&self, hashes: &[SessionHash]) -> Result<Option<Session>, StoreError>;

    /// The keys of staff that are not deleted, oldest first.
    async fn staff_keys(&self, page: Page<StaffKeyId>) -> Result<Vec<ListedKey>, StoreError>;

    /// Log entries, newest first.
    async fn admin_log(&self, filter: &LogFilter, page: Page<LogId>) -> Result<Vec<LogRow>, StoreError>;

    /// Whether a unit of work with [`super::Unit::forget_answers_before`] would drop anything. Cheap.
    async fn has_old_answers(&self, before: Timestamp) -> Result<bool, StoreError>;

    /// Events in the order in which they were committed, after a position.
    async fn events(&self, page: Page<u64>) -> Result<Vec<StoredEvent>, StoreError>;

    /// Dead letters in the order of the log, after a position. Reads no other event.
    async fn dead_events(&self, page: Page<u64>) -> Result<Vec<StoredEvent>, StoreError>;

    /// Events in the order of the log, after a position, without those that all parts of the outbox have passed: first events
    /// that were put back, then everything after the part that is furthest behind. Each has its state, because some of them
    /// may be sent or dead.
    async fn unsent_events(&self, page: Page<u64>) -> Result<Vec<StoredEvent>, StoreError>;

    /// The last events of the log, oldest first.
    async fn last_events(&self, limit: usize) -> Result<Vec<StoredEvent>, StoreError>;
}
