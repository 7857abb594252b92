//! How everything but a lane reads the database: lists, single rows, and what a process loads when it starts.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use onsale_domain::concert::{Concert, Performance, Reservation, Seat};
use onsale_domain::ids::{ConcertId, LectureId, PaymentId, PerformanceId, ReservationId, UserId};
use onsale_domain::lecture::{HistoryLine, Lecture};
use onsale_domain::payment::Payment;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{Room, Turn};
use onsale_domain::wallet::{Account, Entry};

use super::StoreError;
use crate::event::StoredEvent;

/// A page of a list: at most `limit` rows that follow `after`.
#[derive(Clone, Copy, Debug)]
pub struct Page<C> {
    /// The last row of the page before; `None` for the first page.
    pub after: Option<C>,
    /// The most rows.
    pub limit: usize,
}

/// Which lectures to list, by the instant they start.
#[derive(Clone, Copy, Debug)]
pub struct LectureFilter {
    /// From this instant on.
    pub from: Timestamp,
    /// Before this instant; without it, for all time.
    pub until: Option<Timestamp>,
    /// Only those with a place left.
    pub with_places: bool,
    /// Only those that were made or changed at this instant or later.
    pub changed_since: Option<Timestamp>,
}

impl LectureFilter {
    /// All that start at an instant or later.
    pub fn starting(from: Timestamp) -> Self {
        Self { from, until: None, with_places: false, changed_since: None }
    }
}

/// A lecture that a person applied for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedLecture {
    /// Which.
    pub lecture: LectureId,
    /// Its title.
    pub title: Arc<str>,
    /// When it starts.
    pub starts_at: Timestamp,
    /// When the place was taken.
    pub applied_at: Timestamp,
}

/// The seats of a performance that have a row, as of one of its versions.
#[derive(Clone, Debug, Default)]
pub struct SeatRows {
    /// The performance's version.
    pub version: u64,
    /// Held and sold seats.
    pub seats: Vec<(u32, Seat)>,
}

/// Concerts and performances, as they are listed.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    /// The concerts.
    pub concerts: Vec<Concert>,
    /// The performances.
    pub performances: Vec<Performance>,
}

/// A waiting room as a process needs it to answer polls.
#[derive(Clone, Debug)]
pub struct RoomRecord {
    /// Whose room.
    pub concert: ConcertId,
    /// Settings and counters.
    pub room: Room,
    /// Places after `served` that were given up.
    pub given_up: Vec<u64>,
    /// Turns not yet settled, each with whether it has ended.
    pub turns: Vec<(u64, Turn, bool)>,
    /// Holds not yet settled: the place that took it, its name and its end.
    pub holds: Vec<(u64, ReservationId, Timestamp)>,
}

/// Readers beside the writer. Each call sees everything that was answered before it began.
#[async_trait]
pub trait Reader: Send + Sync {
    /// The database's time.
    fn now(&self) -> Timestamp;

    /// Asks the database for a sign of life.
    async fn ping(&self) -> Result<(), StoreError>;

    /// A wallet; the default where it was never used.
    async fn account(&self, user: &UserId) -> Result<Account, StoreError>;

    /// A wallet's history, newest first, by version.
    async fn ledger(&self, user: &UserId, page: Page<u64>) -> Result<Vec<Entry>, StoreError>;

    /// Lectures by start and id.
    async fn lectures(
        &self,
        filter: LectureFilter,
        page: Page<(Timestamp, LectureId)>,
    ) -> Result<Vec<Lecture>, StoreError>;

    /// What a person applied for, by start; one lecture alone where it is named.
    async fn applications(&self, user: &UserId, lecture: Option<LectureId>) -> Result<Vec<AppliedLecture>, StoreError>;

    /// A lecture's history, oldest first, by version; `None` where there is no such lecture.
    async fn lecture_history(
        &self,
        lecture: LectureId,
        page: Page<u64>,
    ) -> Result<Option<Vec<HistoryLine>>, StoreError>;

    /// All concerts.
    async fn concerts(&self) -> Result<Vec<Concert>, StoreError>;

    /// All performances.
    async fn performances(&self) -> Result<Vec<Performance>, StoreError>;

    /// Those concerts that are named, with all of their performances, and those performances that are named, with their
    /// concerts.
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

    /// How many performances a concert has.
    async fn performance_count(&self, concert: ConcertId) -> Result<u64, StoreError>;

    /// The seats of a performance that are held or sold.
    async fn seats(&self, performance: PerformanceId) -> Result<SeatRows, StoreError>;

    /// A reservation, with the instant its performance starts.
    async fn reservation(&self, id: ReservationId) -> Result<Option<Reservation>, StoreError>;

    /// A user's reservations, newest first.
    async fn reservations_of(&self, user: &UserId, page: Page<ReservationId>) -> Result<Vec<Reservation>, StoreError>;

    /// A payment.
    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StoreError>;

    /// A user's payments, newest first.
    async fn payments_of(&self, user: &UserId, page: Page<PaymentId>) -> Result<Vec<Payment>, StoreError>;

    /// Holds that ran out before an instant and are not yet settled, oldest first.
    async fn lapsed_holds(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<(PerformanceId, ReservationId)>, StoreError>;

    /// Holds that are not settled and were taken after an instant, each with its length in milliseconds. There are some only
    /// if a clock was ahead.
    async fn holds_after(
        &self,
        after: Timestamp,
        limit: usize,
    ) -> Result<Vec<(PerformanceId, ReservationId, u64)>, StoreError>;

    /// All waiting rooms that are not retired.
    async fn rooms(&self) -> Result<Vec<RoomRecord>, StoreError>;

    /// One waiting room, retired or not, with its concert's performances; `None` if there is no such concert.
    async fn room(&self, concert: ConcertId) -> Result<Option<(RoomRecord, Vec<Performance>)>, StoreError>;

    /// Whether anything is there that a unit of work with [`Unit::forget_answers_before`] would drop. Cheap.
    async fn has_old_answers(&self, before: Timestamp) -> Result<bool, StoreError>;

    /// Events in the order in which they were committed, after a position.
    async fn events(&self, page: Page<u64>) -> Result<Vec<StoredEvent>, StoreError>;

    /// Dead letters in the order of the log, after a position. Reads no other event.
    async fn dead_events(&self, page: Page<u64>) -> Result<Vec<StoredEvent>, StoreError>;

    /// Events in the order of the log, after a position, without the many that every part of the outbox has passed: what
    /// was put back, then everything after the part that is furthest behind. Each has its state; some may be sent or dead.
    async fn unsent_events(&self, page: Page<u64>) -> Result<Vec<StoredEvent>, StoreError>;

    /// The last events of the log, oldest first.
    async fn last_events(&self, limit: usize) -> Result<Vec<StoredEvent>, StoreError>;
}
