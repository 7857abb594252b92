//! Reads: a few connections, each of which carries many questions at once. Nobody waits for a connection to be free.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use onsale_app::event::StoredEvent;
use onsale_app::news::{News, RoomsKnown};
use onsale_app::store::{AppliedLecture, LectureFilter, Page, Reader, RoomRecord, SeatRows, StoreError};
use onsale_domain::concert::{Concert, Performance, Reservation};
use onsale_domain::ids::{ConcertId, LectureId, PaymentId, PerformanceId, ReservationId, UserId};
use onsale_domain::lecture::{HistoryLine, Lecture};
use onsale_domain::payment::Payment;
use onsale_domain::time::Timestamp;
use onsale_domain::wallet::{Account, Entry};
use tokio::sync::Mutex;

use super::connection::Role;
use super::news::PostgresNews;
use super::session::Session;
use super::values::Sql;
use super::{Shared, concert_reads, event, lecture, payment, wallet};

const PING: &str = "SELECT 1";

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
}

pub(super) const STATEMENTS: &[&[&str]] =
    &[&[PING], wallet::READS, lecture::READS, concert_reads::READS, payment::READS, event::READS, event::LOG_READS];

impl PostgresReader {
    pub(super) fn new(shared: Arc<Shared>, connections: usize, news: Arc<PostgresNews>) -> Self {
        let slots = (0..connections.max(1)).map(|_| Slot::default()).collect();
        Self { shared, news, slots, next: AtomicUsize::new(0) }
    }

    /// A connection that works, as far as is known.
    async fn session(&self) -> Sql<Arc<Session>> {
        let slot = &self.slots[self.next.fetch_add(1, Ordering::Relaxed) % self.slots.len()];
        let alive = || slot.session.load_full().filter(|session| !session.is_closed());
        if let Some(session) = alive() {
            return Ok(session);
        }
        let _one_connects = slot.connecting.lock().await;
        if let Some(session) = alive() {
            return Ok(session);
        }
        let session = Arc::new(self.shared.session(Role::Reader, STATEMENTS).await?);
        slot.session.store(Some(session.clone()));
        Ok(session)
    }
}

/// Asks over a connection; once more over another where that one turns out to be closed. Not where it did not answer:
/// who asks has waited long enough, and the next to ask gets another.
macro_rules! ask {
    ($reader:ident, |$session:ident| $question:expr) => {{
        let $session = $reader.session().await?;
        match $question.await {
            Err(error) if $session.is_closed() && !error.is_late() => {
                let $session = $reader.session().await?;
                Ok($question.await?)
            }
            answer => Ok(answer?),
        }
    }};
}

#[async_trait]
impl Reader for PostgresReader {
    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        ask!(self, |session| async { session.query(PING, Vec::new()).await.map(|_| ()) })
    }

    async fn account(&self, user: &UserId) -> Result<Account, StoreError> {
        ask!(self, |session| wallet::read(&session, user))
    }

    async fn ledger(&self, user: &UserId, page: Page<u64>) -> Result<Vec<Entry>, StoreError> {
        ask!(self, |session| wallet::ledger(&session, user, page))
    }

    async fn lectures(
        &self,
        filter: LectureFilter,
        page: Page<(Timestamp, LectureId)>,
    ) -> Result<Vec<Lecture>, StoreError> {
        ask!(self, |session| lecture::list(&session, filter, page))
    }

    async fn applications(&self, user: &UserId, lecture: Option<LectureId>) -> Result<Vec<AppliedLecture>, StoreError> {
        ask!(self, |session| lecture::applications(&session, user, lecture))
    }

    async fn lecture_history(
        &self,
        lecture: LectureId,
        page: Page<u64>,
    ) -> Result<Option<Vec<HistoryLine>>, StoreError> {
        ask!(self, |session| lecture::history(&session, lecture, page))
    }

    async fn concerts(&self) -> Result<Vec<Concert>, StoreError> {
        ask!(self, |session| concert_reads::concerts(&session))
    }

    async fn performances(&self) -> Result<Vec<Performance>, StoreError> {
        ask!(self, |session| concert_reads::performances(&session))
    }

    async fn performance_count(&self, concert: ConcertId) -> Result<u64, StoreError> {
        ask!(self, |session| concert_reads::performance_count(&session, concert))
    }

    async fn seats(&self, performance: PerformanceId) -> Result<SeatRows, StoreError> {
        ask!(self, |session| concert_reads::seats(&session, performance))
    }

    async fn reservation(&self, id: ReservationId) -> Result<Option<Reservation>, StoreError> {
        ask!(self, |session| concert_reads::reservation(&session, id))
    }

    async fn reservations_of(&self, user: &UserId, page: Page<ReservationId>) -> Result<Vec<Reservation>, StoreError> {
        ask!(self, |session| concert_reads::reservations_of(&session, user, page))
    }

    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StoreError> {
        ask!(self, |session| payment::one(&session, id))
    }

    async fn payments_of(&self, user: &UserId, page: Page<PaymentId>) -> Result<Vec<Payment>, StoreError> {
        ask!(self, |session| payment::of_user(&session, user, page))
    }

    async fn lapsed_holds(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<(PerformanceId, ReservationId)>, StoreError> {
        ask!(self, |session| concert_reads::lapsed_holds(&session, before, limit))
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

    async fn events(&self, page: Page<u64>) -> Result<Vec<StoredEvent>, StoreError> {
        ask!(self, |session| event::told(&session, page))
    }

    async fn dead_events(&self, page: Page<u64>) -> Result<Vec<StoredEvent>, StoreError> {
        ask!(self, |session| event::dead(&session, page))
    }

    async fn unsent_events(&self, page: Page<u64>) -> Result<Vec<StoredEvent>, StoreError> {
        ask!(self, |session| event::unsent(&session, page))
    }

    async fn last_events(&self, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        ask!(self, |session| event::last(&session, limit))
    }
}
