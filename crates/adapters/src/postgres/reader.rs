//! Reads: a few connections, each of which carries many questions at once. Nobody waits for a connection to be free.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use onsale_app::event::StoredEvent;
use onsale_app::store::news::{News, RoomsKnown};
use onsale_app::store::{AppliedLecture, LectureFilter, Listed, Page, Reader, RoomRecord, SeatRows, StoreError};
use onsale_domain::concert::{Concert, Performance, Reservation};
use onsale_domain::ids::{ConcertId, LectureId, PaymentId, PerformanceId, ReservationId, UserId};
use onsale_domain::lecture::{HistoryLine, Lecture};
use onsale_domain::payment::Payment;
use onsale_domain::time::Timestamp;
use onsale_domain::wallet::{Account, Entry};
use tokio::sync::Mutex;

use super::connection::Role;
use super::error::DbError;
use super::news::PostgresNews;
use super::pace::{Kind, Pace, SLOW};
use super::session::Session;
use super::values::{Sql, number};
use super::{Shared, concert_reads, event, idempotency, lecture, payment, wallet};

const PING: &str = "SELECT 1";

/// Since when the oldest snapshot in this database is open. Of other users' sessions only `pg_monitor` sees it.
const SNAPSHOT: &str = "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - since)), 0)::bigint FROM (
        SELECT xact_start AS since FROM pg_stat_activity
            WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid() AND datname = current_database()
        UNION ALL SELECT prepared FROM pg_prepared_xacts WHERE database = current_database()) open";

/// How often a question is sent elsewhere because the one before it on its connection is slow.
const ATTEMPTS_MAX: u32 = 4;

/// One connection, opened when it is needed.
#[derive(Default)]
struct Slot {
    session: ArcSwapOption<Session>,
    connecting: Mutex<()>,
}

/// The connections that read.
pub(super) struct PostgresReader {
    shared: Arc<Shared>,
    news: Arc<PostgresNews>,
    slots: Vec<Slot>,
    next: AtomicUsize,
    /// For questions that are slow now. Closed when there are none.
    slow: Slot,
    pace: Pace,
}

/// All queries, for the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&[&str]] = &[
    &[PING, SNAPSHOT],
    wallet::READS,
    lecture::READS,
    concert_reads::READS,
    payment::READS,
    event::READS,
    event::LOG_READS,
    idempotency::READS,
];

impl PostgresReader {
    pub(super) fn new(shared: Arc<Shared>, connections: usize, news: Arc<PostgresNews>) -> Self {
        let slots = (0..connections.max(1)).map(|_| Slot::default()).collect();
        let (next, slow, pace) = (AtomicUsize::new(0), Slot::default(), Pace::default());
        Self { shared, news, slots, next, slow, pace }
    }

    /// A connection that works, as far as is known: of two, the one with less to do.
    async fn session(&self) -> Sql<Arc<Session>> {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        let slot = |number: usize| &self.slots[number % self.slots.len()];
        let busy = |slot: &Slot| slot.session.load().as_ref().map_or(0, |session| session.under_way());
        let slot = if busy(slot(next)) <= busy(slot(next + 1)) { slot(next) } else { slot(next + 1) };
        self.session_of(slot).await
    }

    async fn session_of(&self, slot: &Slot) -> Sql<Arc<Session>> {
        let alive = || slot.session.load_full().filter(|session| !session.is_closed());
        if let Some(session) = alive() {
            return Ok(session);
        }
        let _one_connects = slot.connecting.lock().await;
        if let Some(session) = alive() {
            return Ok(session);
        }
        // Each statement is prepared when it is first asked: one about a table that is locked would keep all others waiting.
        let session = Arc::new(self.shared.session(Role::Reader, &[]).await?);
        slot.session.store(Some(session.clone()));
        Ok(session)
    }

    /// Takes in how long a question took.
    fn note(&self, kind: Kind, asked: Instant) {
        self.pace.note(kind, asked.elapsed());
        if self.slow.session.load().is_some() && self.pace.is_quiet() {
            self.slow.session.store(None);
        }
    }
}

/// Queries over a connection. If the query turns out to be slow, those behind it are sent over another one.
macro_rules! ask_over {
    ($reader:ident, $kind:expr, $session:ident, $question:expr) => {{
        let (turn, asked) = ($session.turn(), Instant::now());
        let mut answer = std::pin::pin!($question);
        let soon = tokio::select! {
            biased;
            answer = &mut answer => Some(answer),
            () = turn.left() => Some(Err(DbError::Behind)),
            () = tokio::time::sleep(SLOW) => None,
        };
        let answer = match soon {
            Some(answer) => answer,
            None if turn.is_first() => {
                $reader.pace.note($kind, SLOW);
                turn.stay_alone();
                answer.await
            }
            None => tokio::select! {
                biased;
                answer = &mut answer => answer,
                () = turn.left() => Err(DbError::Behind),
            },
        };
        drop(turn);
        if !matches!(answer, Err(DbError::Behind)) {
            $reader.note($kind, asked);
        }
        answer
    }};
}

/// Asks a question; again over another connection if that one turns out to be closed, or busy with a slow question. Not
/// if it did not answer in time: the caller has waited long enough, and the next one gets another connection.
macro_rules! ask {
    ($reader:ident, $kind:ident, |$session:ident| $question:expr) => {{
        let mut attempt = 0;
        loop {
            attempt += 1;
            if $reader.pace.is_slow(Kind::$kind) {
                let _place = $reader.pace.slow_place().ok_or(DbError::Slow)?;
                let $session = $reader.session_of(&$reader.slow).await?;
                let asked = Instant::now();
                let answer = $question.await;
                $reader.note(Kind::$kind, asked);
                break Ok(answer?);
            }
            let $session = $reader.session().await?;
            match ask_over!($reader, Kind::$kind, $session, $question) {
                Err(DbError::Behind) if attempt < ATTEMPTS_MAX => {}
                Err(error) if attempt == 1 && $session.is_closed() && !error.is_late() && !error.is_refusal() => {}
                answer => break Ok(answer?),
            }
        }
    }};
}

impl PostgresReader {
    /// How long the oldest snapshot of another session is open, in seconds.
    pub(super) async fn oldest_snapshot(&self) -> Result<u64, StoreError> {
        let found = ask!(self, Snapshot, |session| session.query(SNAPSHOT, Vec::new()));
        let found: Result<Vec<tokio_postgres::Row>, StoreError> = found;
        Ok(number(found?.first().ok_or(DbError::Broken("no clock"))?, 0)?)
    }
}

#[async_trait]
impl Reader for PostgresReader {
    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        ask!(self, Ping, |session| async { session.query(PING, Vec::new()).await.map(|_| ()) })
    }

    async fn account(&self, user: &UserId) -> Result<Account, StoreError> {
        ask!(self, Account, |session| wallet::read(&session, user))
    }

    async fn ledger(&self, user: &UserId, page: Page<u64>) -> Result<Vec<Entry>, StoreError> {
        ask!(self, Ledger, |session| wallet::ledger(&session, user, page))
    }

    async fn lectures(
        &self,
        filter: LectureFilter,
        page: Page<(Timestamp, LectureId)>,
    ) -> Result<Vec<Lecture>, StoreError> {
        ask!(self, Lectures, |session| lecture::list(&session, filter, page))
    }

    async fn applications(&self, user: &UserId, lecture: Option<LectureId>) -> Result<Vec<AppliedLecture>, StoreError> {
        ask!(self, Applications, |session| lecture::applications(&session, user, lecture))
    }

    async fn lecture_history(
        &self,
        lecture: LectureId,
        page: Page<u64>,
    ) -> Result<Option<Vec<HistoryLine>>, StoreError> {
        ask!(self, LectureHistory, |session| lecture::history(&session, lecture, page))
    }

    async fn concerts(&self) -> Result<Vec<Concert>, StoreError> {
        ask!(self, Concerts, |session| concert_reads::concerts(&session))
    }

    async fn performances(&self) -> Result<Vec<Performance>, StoreError> {
        ask!(self, Performances, |session| concert_reads::performances(&session))
    }

    async fn listed(&self, concerts: &[ConcertId], performances: &[PerformanceId]) -> Result<Listed, StoreError> {
        ask!(self, Listed, |session| concert_reads::listed(&session, concerts, performances))
    }

    async fn performance_count(&self, concert: ConcertId) -> Result<u64, StoreError> {
        ask!(self, PerformanceCount, |session| concert_reads::performance_count(&session, concert))
    }

    async fn seats(&self, performance: PerformanceId) -> Result<SeatRows, StoreError> {
        ask!(self, Seats, |session| concert_reads::seats(&session, performance))
    }

    async fn reservation(&self, id: ReservationId) -> Result<Option<Reservation>, StoreError> {
        ask!(self, Reservation, |session| concert_reads::reservation(&session, id))
    }

    async fn reservations_of(&self, user: &UserId, page: Page<ReservationId>) -> Result<Vec<Reservation>, StoreError> {
        ask!(self, ReservationsOf, |session| concert_reads::reservations_of(&session, user, page))
    }

    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StoreError> {
        ask!(self, Payment, |session| payment::one(&session, id))
    }

    async fn payments_of(&self, user: &UserId, page: Page<PaymentId>) -> Result<Vec<Payment>, StoreError> {
        ask!(self, PaymentsOf, |session| payment::of_user(&session, user, page))
    }

    async fn lapsed_holds(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<(PerformanceId, ReservationId)>, StoreError> {
        ask!(self, LapsedHolds, |session| concert_reads::lapsed_holds(&session, before, limit))
    }

    async fn holds_after(
        &self,
        after: Timestamp,
        limit: usize,
    ) -> Result<Vec<(PerformanceId, ReservationId, u64)>, StoreError> {
        ask!(self, LapsedHolds, |session| concert_reads::holds_after(&session, after, limit))
    }

    /// Rooms of which nothing is known are told whole.
    async fn rooms(&self) -> Result<Vec<RoomRecord>, StoreError> {
        let mut news = self.news.rooms(&RoomsKnown::default()).await?;
        for room in &mut news.rooms {
            let of_room = news.holds.iter().filter(|(concert, ..)| *concert == room.record.concert);
            room.record.holds = of_room.map(|(_, place, hold, until)| (*place, *hold, *until)).collect();
        }
        Ok(news.rooms.into_iter().map(|room| room.record).collect())
    }

    async fn room(&self, concert: ConcertId) -> Result<Option<(RoomRecord, Vec<Performance>)>, StoreError> {
        // Invented ids end here: a lookup by key, beside others. The news have one connection, on which all rooms depend.
        let listed = self.listed(&[concert], &[]).await?;
        if listed.concerts.is_empty() {
            return Ok(None);
        }
        let known = RoomsKnown { whole: vec![concert], only_known: true, ..RoomsKnown::default() };
        let Some(told) = self.news.rooms(&known).await?.rooms.pop() else { return Ok(None) };
        Ok(Some((told.record, listed.performances)))
    }

    async fn has_old_answers(&self, before: Timestamp) -> Result<bool, StoreError> {
        ask!(self, OldAnswers, |session| idempotency::has_old(&session, before, self.now()))
    }

    async fn events(&self, page: Page<u64>) -> Result<Vec<StoredEvent>, StoreError> {
        ask!(self, Events, |session| event::told(&session, page))
    }

    async fn dead_events(&self, page: Page<u64>) -> Result<Vec<StoredEvent>, StoreError> {
        ask!(self, Events, |session| event::dead(&session, page))
    }

    async fn unsent_events(&self, page: Page<u64>) -> Result<Vec<StoredEvent>, StoreError> {
        ask!(self, Events, |session| event::unsent(&session, page))
    }

    async fn last_events(&self, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        ask!(self, Events, |session| event::last(&session, limit))
    }
}
