//! Reads over a few connections. Each carries many queries at once, so no query waits for a free connection.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use onsale_app::event::StoredEvent;
use onsale_app::store::news::{News, RoomsKnown};
use onsale_app::store::{
    AppliedLecture, Attendee, GivenBack, LectureFilter, Listed, ListedKey, LogFilter, LogRow, Page, PerformanceFigures,
    Published, Reader, RefundsOf, RoomRecord, SeatRecord, SeatRows, StoreError, UnsettledSeat,
};
use onsale_domain::cancellation::{Cancellation, Cancelled, FailedRefund};
use onsale_domain::concert::{Concert, Performance, Reservation};
use onsale_domain::ids::{
    ConcertId, LectureId, LogId, PaymentId, PerformanceId, RefundId, ReservationId, StaffKeyId, UserId,
};
use onsale_domain::lecture::{Applicant, HistoryLine, Lecture};
use onsale_domain::payment::Payment;
use onsale_domain::refund::Refund;
use onsale_domain::staff::{Directory, Session as StaffSession, SessionHash};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Token;
use onsale_domain::wallet::{Account, Entry};
use tokio::sync::Mutex;

use super::connection::Role;
use super::error::DbError;
use super::news::PostgresNews;
use super::session::Session;
use super::slow_queries::{Kind, SLOW, SlowQueries};
use super::values::{Sql, number};
use super::{
    Shared, cancellation, concert_reads, event, export, extension, figures, idempotency, lecture, payment, refund,
    staff, staff_session, wallet,
};

const PING: &str = "SELECT 1";

/// Age of the oldest snapshot in this database, in seconds. Snapshots of other users' sessions are visible to `pg_monitor` only.
const SNAPSHOT: &str = "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - since)), 0)::bigint FROM (
        SELECT xact_start AS since FROM pg_stat_activity
            WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid() AND datname = current_database()
        UNION ALL SELECT prepared FROM pg_prepared_xacts WHERE database = current_database()) open";

/// How often a query moves to another connection because the one before it is slow. After that it fails.
const ATTEMPTS_MAX: u32 = 4;

/// A connection that is opened when it is needed.
#[derive(Default)]
struct Slot {
    /// Read by every query without a lock.
    session: ArcSwapOption<Session>,
    /// Held while a connection is opened, so that concurrent queries open one and share it.
    connecting: Mutex<()>,
}

/// The connections for reads.
pub(super) struct PostgresReader {
    shared: Arc<Shared>,
    news: Arc<PostgresNews>,
    slots: Vec<Slot>,
    /// Counts queries to spread them over the connections. `Relaxed`: any two queries may get the same number.
    next: AtomicUsize,
    /// The connection for kinds of queries that are slow now. Closed when no kind is slow.
    slow: Slot,
    slow_queries: SlowQueries,
}

/// All statements, for the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&[&str]] = &[
    &[PING, SNAPSHOT],
    wallet::READS,
    lecture::READS,
    concert_reads::READS,
    export::READS,
    extension::READS,
    figures::READS,
    payment::READS,
    refund::READS,
    cancellation::READS,
    event::READS,
    event::LOG_READS,
    idempotency::READS,
    staff::READS,
    staff_session::READS,
];

impl PostgresReader {
    pub(super) fn new(shared: Arc<Shared>, connections: usize, news: Arc<PostgresNews>) -> Self {
        let slots = (0..connections.max(1)).map(|_| Slot::default()).collect();
        let (next, slow, slow_queries) = (AtomicUsize::new(0), Slot::default(), SlowQueries::default());
        Self { shared, news, slots, next, slow, slow_queries }
    }

    /// An open connection: of two neighbours, the one with fewer queries.
    async fn session(&self) -> Sql<Arc<Session>> {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        let slot = |number: usize| &self.slots[number % self.slots.len()];
        let busy = |slot: &Slot| slot.session.load().as_ref().map_or(0, |session| session.queued());
        let slot = if busy(slot(next)) <= busy(slot(next + 1)) { slot(next) } else { slot(next + 1) };
        self.session_of(slot).await
    }

    /// The open connection of a slot; opens one if there is none, or if it must be replaced.
    async fn session_of(&self, slot: &Slot) -> Sql<Arc<Session>> {
        let alive = || slot.session.load_full().filter(|session| !session.is_closed());
        if let Some(session) = alive() {
            return Ok(session);
        }
        let _one_connects = slot.connecting.lock().await;
        // Checked again: another query may have connected while this one waited for the lock.
        if let Some(session) = alive() {
            return Ok(session);
        }
        // No statement is prepared in advance: preparing one about a locked table would make all other queries wait.
        let session = Arc::new(self.shared.session(Role::Reader, &[]).await?);
        slot.session.store(Some(session.clone()));
        Ok(session)
    }

    /// Notes the duration of a query. Closes the connection for slow queries when none is slow any more.
    fn note(&self, kind: Kind, asked: Instant) {
        self.slow_queries.note(kind, asked.elapsed());
        if self.slow.session.load().is_some() && self.slow_queries.is_quiet() {
            self.slow.session.store(None);
        }
    }
}

/// Runs a query over a connection. If it turns out to be slow and is the first on the connection, the connection is retired:
/// queries behind it end with `Behind` and move to another connection.
macro_rules! query_over {
    ($reader:ident, $kind:expr, $session:ident, $query:expr) => {{
        let (position, asked) = ($session.enqueue(), Instant::now());
        let mut answer = std::pin::pin!($query);
        let soon = tokio::select! {
            biased;
            answer = &mut answer => Some(answer),
            () = position.retired() => Some(Err(DbError::Behind)),
            () = tokio::time::sleep(SLOW) => None,
        };
        let answer = match soon {
            Some(answer) => answer,
            // The server is running this query: it is the slow one, and keeps the connection to itself.
            None if position.is_first() => {
                $reader.slow_queries.note($kind, SLOW);
                position.retire_connection();
                answer.await
            }
            // An earlier query is slow. This one waits for its answer, or until that one retires the connection.
            None => tokio::select! {
                biased;
                answer = &mut answer => answer,
                () = position.retired() => Err(DbError::Behind),
            },
        };
        drop(position);
        if !matches!(answer, Err(DbError::Behind)) {
            $reader.note($kind, asked);
        }
        answer
    }};
}

/// Runs a query. Runs it again over another connection if the first one turns out to be closed, or retired because of a slow
/// query. Not after a time-out: the caller has waited long enough, and the next query gets another connection.
macro_rules! query {
    ($reader:ident, $kind:ident, |$session:ident| $query:expr) => {{
        let mut attempt = 0;
        loop {
            attempt += 1;
            if $reader.slow_queries.is_slow(Kind::$kind) {
                // Held until the answer: it bounds how many slow queries wait at the server.
                let _permit = $reader.slow_queries.permit().ok_or(DbError::Slow)?;
                let $session = $reader.session_of(&$reader.slow).await?;
                let asked = Instant::now();
                let answer = $query.await;
                $reader.note(Kind::$kind, asked);
                break Ok(answer?);
            }
            let $session = $reader.session().await?;
            match query_over!($reader, Kind::$kind, $session, $query) {
                Err(DbError::Behind) if attempt < ATTEMPTS_MAX => {}
                Err(error) if attempt == 1 && $session.is_closed() && !error.is_late() && !error.is_refusal() => {}
                answer => break Ok(answer?),
            }
        }
    }};
}

impl PostgresReader {
    /// Age of the oldest snapshot of another session, in seconds.
    pub(super) async fn oldest_snapshot(&self) -> Result<u64, StoreError> {
        let found = query!(self, Snapshot, |session| session.query(SNAPSHOT, Vec::new()));
        let found: Result<Vec<tokio_postgres::Row>, StoreError> = found;
        Ok(number(found?.first().ok_or(DbError::Broken("no clock"))?, 0)?)
    }

    /// Publishes figures of this process. A repetition after a lost connection writes the same row.
    pub(super) async fn publish_figures(&self, published: &Published, old: Timestamp) -> Result<(), StoreError> {
        query!(self, Figures, |session| figures::publish(&session, published, old))
    }

    pub(super) async fn published_figures(&self, since: Timestamp) -> Result<Vec<Published>, StoreError> {
        query!(self, Figures, |session| figures::published(&session, since))
    }
}

#[async_trait]
impl Reader for PostgresReader {
    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        query!(self, Ping, |session| async { session.query(PING, Vec::new()).await.map(|_| ()) })
    }

    async fn account(&self, user: &UserId) -> Result<Account, StoreError> {
        query!(self, Account, |session| wallet::read(&session, user))
    }

    async fn ledger(&self, user: &UserId, page: Page<u64>) -> Result<Vec<Entry>, StoreError> {
        query!(self, Ledger, |session| wallet::ledger(&session, user, page))
    }

    async fn lectures(
        &self,
        filter: LectureFilter,
        page: Page<(Timestamp, LectureId)>,
    ) -> Result<Vec<Lecture>, StoreError> {
        query!(self, Lectures, |session| lecture::list(&session, filter, page))
    }

    async fn changed_lectures(&self, from: Timestamp, since: Timestamp) -> Result<Vec<Lecture>, StoreError> {
        query!(self, ChangedLectures, |session| lecture::changed(&session, from, since))
    }

    async fn lecture(&self, id: LectureId) -> Result<Option<Lecture>, StoreError> {
        query!(self, Lecture, |session| lecture::one(&session, id))
    }

    async fn applicants(&self, lecture: LectureId, page: Page<u64>) -> Result<Vec<Applicant>, StoreError> {
        query!(self, Applicants, |session| lecture::applicants(&session, lecture, page))
    }

    async fn lectures_to_empty(&self) -> Result<Vec<LectureId>, StoreError> {
        query!(self, LecturesToEmpty, |session| lecture::to_empty(&session))
    }

    async fn applications(&self, user: &UserId, lecture: Option<LectureId>) -> Result<Vec<AppliedLecture>, StoreError> {
        query!(self, Applications, |session| lecture::applications(&session, user, lecture))
    }

    async fn lecture_history(
        &self,
        lecture: LectureId,
        page: Page<u64>,
    ) -> Result<Option<Vec<HistoryLine>>, StoreError> {
        query!(self, LectureHistory, |session| lecture::history(&session, lecture, page))
    }

    async fn concerts(&self) -> Result<Vec<Concert>, StoreError> {
        query!(self, Concerts, |session| concert_reads::concerts(&session))
    }

    async fn performances(&self) -> Result<Vec<Performance>, StoreError> {
        query!(self, Performances, |session| concert_reads::performances(&session))
    }

    async fn listed(&self, concerts: &[ConcertId], performances: &[PerformanceId]) -> Result<Listed, StoreError> {
        query!(self, Listed, |session| concert_reads::listed(&session, concerts, performances))
    }

    async fn performance_revisions(&self, concert: ConcertId) -> Result<(u64, u64), StoreError> {
        query!(self, PerformanceRevisions, |session| concert_reads::performance_revisions(&session, concert))
    }

    async fn seats(&self, performance: PerformanceId) -> Result<SeatRows, StoreError> {
        query!(self, Seats, |session| concert_reads::seats(&session, performance))
    }

    async fn taken_seats(
        &self,
        performance: PerformanceId,
        numbers: RangeInclusive<u32>,
    ) -> Result<Vec<SeatRecord>, StoreError> {
        query!(self, TakenSeats, |session| concert_reads::taken_seats(&session, performance, &numbers))
    }

    async fn reservation(&self, id: ReservationId) -> Result<Option<Reservation>, StoreError> {
        query!(self, Reservation, |session| concert_reads::reservation(&session, id))
    }

    async fn reservations_of(&self, user: &UserId, page: Page<ReservationId>) -> Result<Vec<Reservation>, StoreError> {
        query!(self, ReservationsOf, |session| concert_reads::reservations_of(&session, user, page))
    }

    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StoreError> {
        query!(self, Payment, |session| payment::one(&session, id))
    }

    async fn payments_of(&self, user: &UserId, page: Page<PaymentId>) -> Result<Vec<Payment>, StoreError> {
        query!(self, PaymentsOf, |session| payment::of_user(&session, user, page))
    }

    async fn refunds(&self, of: RefundsOf, page: Page<RefundId>) -> Result<Vec<Refund>, StoreError> {
        query!(self, Refunds, |session| refund::list(&session, of, page))
    }

    async fn refunds_of(&self, user: &UserId, limit: usize) -> Result<Vec<Refund>, StoreError> {
        query!(self, RefundsOf, |session| refund::of_user(&session, user, limit))
    }

    async fn places_of(&self, user: &UserId, concerts: &[ConcertId]) -> Result<Vec<Token>, StoreError> {
        query!(self, PlacesOf, |session| concert_reads::places_of(&session, user, concerts))
    }

    async fn given_back(&self, payments: &[PaymentId]) -> Result<HashMap<PaymentId, GivenBack>, StoreError> {
        query!(self, Refunds, |session| refund::given_back(&session, payments))
    }

    async fn cancellation(&self, performance: PerformanceId) -> Result<Option<Cancelled>, StoreError> {
        query!(self, Cancellations, |session| cancellation::shown(&session, performance))
    }

    async fn cancellations_under_way(&self) -> Result<Vec<Cancellation>, StoreError> {
        query!(self, Cancellations, |session| cancellation::under_way(&session))
    }

    async fn unsettled_seats(
        &self,
        performance: PerformanceId,
        after_seat: u32,
        limit: usize,
    ) -> Result<Vec<UnsettledSeat>, StoreError> {
        query!(self, Cancellations, |session| cancellation::unsettled_seats(&session, performance, after_seat, limit))
    }

    async fn failed_refunds(
        &self,
        performance: PerformanceId,
        page: Page<PaymentId>,
    ) -> Result<Vec<(FailedRefund, Payment, Vec<u32>)>, StoreError> {
        query!(self, Cancellations, |session| cancellation::failed_refunds(&session, performance, page))
    }

    async fn performance_figures(&self, after: Timestamp) -> Result<Vec<PerformanceFigures>, StoreError> {
        query!(self, Figures, |session| figures::performances(&session, after))
    }

    async fn attendees(&self, performance: PerformanceId, page: Page<u32>) -> Result<Vec<Attendee>, StoreError> {
        query!(self, Attendees, |session| export::attendees(&session, performance, page))
    }

    async fn unwritten_extensions(&self) -> Result<Vec<(PerformanceId, u64)>, StoreError> {
        query!(self, LapsedHolds, |session| extension::unwritten(&session))
    }

    async fn holds_to_rewrite(
        &self,
        performance: PerformanceId,
        number: u64,
        after_seat: u32,
        limit: usize,
    ) -> Result<Vec<(u32, ReservationId)>, StoreError> {
        query!(self, LapsedHolds, |session| extension::to_rewrite(&session, performance, number, after_seat, limit))
    }

    async fn lapsed_holds(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<(PerformanceId, ReservationId)>, StoreError> {
        query!(self, LapsedHolds, |session| concert_reads::lapsed_holds(&session, before, limit))
    }

    async fn holds_after(
        &self,
        after: Timestamp,
        limit: usize,
    ) -> Result<Vec<(PerformanceId, ReservationId, u64)>, StoreError> {
        query!(self, LapsedHolds, |session| concert_reads::holds_after(&session, after, limit))
    }

    /// Reads every room whole, because no version is given as known.
    async fn rooms(&self) -> Result<Vec<RoomRecord>, StoreError> {
        let mut news = self.news.rooms(&RoomsKnown::default()).await?;
        for room in &mut news.rooms {
            let of_room = news.holds.iter().filter(|(concert, _)| *concert == room.record.concert);
            room.record.holds = of_room.map(|(_, hold)| *hold).collect();
        }
        Ok(news.rooms.into_iter().map(|room| room.record).collect())
    }

    async fn room(&self, concert: ConcertId) -> Result<Option<(RoomRecord, Vec<Performance>)>, StoreError> {
        // Requests with invented ids end here, with a lookup by key. Changes have one connection, which every room depends on.
        let listed = self.listed(&[concert], &[]).await?;
        if listed.concerts.is_empty() {
            return Ok(None);
        }
        let known = RoomsKnown { whole: vec![concert], only_known: true, ..RoomsKnown::default() };
        let Some(room) = self.news.rooms(&known).await?.rooms.pop() else { return Ok(None) };
        Ok(Some((room.record, listed.performances)))
    }

    async fn staff_directory(&self) -> Result<Directory, StoreError> {
        query!(self, StaffDirectory, |session| staff::directory(&session))
    }

    async fn staff_session(&self, hashes: &[SessionHash]) -> Result<Option<StaffSession>, StoreError> {
        query!(self, StaffSession, |session| staff_session::find(&session, hashes))
    }

    async fn staff_keys(&self, page: Page<StaffKeyId>) -> Result<Vec<ListedKey>, StoreError> {
        query!(self, StaffKeys, |session| staff::list(&session, page))
    }

    async fn admin_log(&self, filter: &LogFilter, page: Page<LogId>) -> Result<Vec<LogRow>, StoreError> {
        query!(self, AdminLog, |session| staff::log(&session, filter, page))
    }

    async fn has_old_answers(&self, before: Timestamp) -> Result<bool, StoreError> {
        query!(self, OldAnswers, |session| idempotency::has_old(&session, before, self.now()))
    }

    async fn events(&self, page: Page<u64>) -> Result<Vec<StoredEvent>, StoreError> {
        query!(self, Events, |session| event::list(&session, page))
    }

    async fn dead_events(&self, page: Page<u64>) -> Result<Vec<StoredEvent>, StoreError> {
        query!(self, Events, |session| event::dead(&session, page))
    }

    async fn unsent_events(&self, page: Page<u64>) -> Result<Vec<StoredEvent>, StoreError> {
        query!(self, Events, |session| event::unsent(&session, page))
    }

    async fn last_events(&self, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        query!(self, Events, |session| event::last(&session, limit))
    }
}
