//! Reads in a few threads, each with a connection of its own. They run concurrently with the writer.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use async_trait::async_trait;
use onsale_app::event::StoredEvent;
use onsale_app::store::{
    AppliedLecture, Attendee, GivenBack, LectureFilter, Listed, ListedKey, LogFilter, LogRow, Page, PerformanceFigures,
    Reader, RefundsOf, RoomRecord, SeatRecord, SeatRows, StoreError, UnsettledSeat, WaitingUser,
};
use onsale_domain::cancellation::{Cancellation, Cancelled, FailedRefund};
use onsale_domain::concert::{Concert, Layout, Performance, Reservation};
use onsale_domain::ids::{
    ConcertId, LectureId, LogId, PaymentId, PerformanceId, RefundId, ReservationId, StaffKeyId, UserId,
};
use onsale_domain::lecture::{Applicant, HistoryLine, Lecture};
use onsale_domain::payment::Payment;
use onsale_domain::presale::{Code, CodeKey, Standing};
use onsale_domain::refund::Refund;
use onsale_domain::staff::{Directory, Session, SessionHash};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Token;
use onsale_domain::wallet::{Account, Entry};
use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::connection::{Role, open, unavailable};
use super::values::Sql;
use super::{
    Shared, Slot, cancellation, code, concert, concert_row, event, export, extension, figures, hall, idempotency,
    lecture, payment, refund, reservation, seat, staff, staff_session, waiting_list, waiting_room, wallet, writer,
};

/// Number of threads. More would share the same disk and cache.
const READERS: usize = 2;

/// Maximum number of waiting reads. Beyond it a read fails at once.
const WAITING_MAX: usize = 4_096;

type Job = Box<dyn FnOnce(Result<&Connection, StoreError>) + Send>;

/// The threads that read.
pub(super) struct ReaderPool {
    /// `None` after [`ReaderPool::stop`]. Held to send one job, which never blocks.
    jobs: Mutex<Option<SyncSender<Job>>>,
    /// Taken by [`ReaderPool::stop`], which joins them.
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl ReaderPool {
    /// Starts the reading threads of a store.
    pub(super) fn start(shared: &Arc<Shared>) -> std::io::Result<Self> {
        let (jobs, waiting) = sync_channel(WAITING_MAX);
        let waiting = Arc::new(Mutex::new(waiting));
        let threads = (0..READERS)
            .map(|number| {
                let worker = Worker { shared: shared.clone(), slot: shared.slot() };
                let waiting = waiting.clone();
                std::thread::Builder::new().name(format!("reader-{number}")).spawn(move || worker.run(&waiting))
            })
            .collect::<std::io::Result<_>>()?;
        Ok(Self { jobs: Mutex::new(Some(jobs)), threads: Mutex::new(threads) })
    }

    /// Refuses new reads, and ends the threads after the waiting ones.
    pub(super) fn stop(&self) {
        // Dropping the only sender ends the loop of each thread, once the channel is empty.
        drop(self.jobs.lock().take());
        for thread in std::mem::take(&mut *self.threads.lock()) {
            // An error means that the thread has panicked; its reads have failed already.
            drop(thread.join());
        }
    }

    /// Runs a query in one transaction, so that all of its statements see the same state.
    ///
    /// # Errors
    /// `Unavailable` if 4,096 reads wait, after [`ReaderPool::stop`], or if the file cannot be read.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Sql<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |db| {
            let found = db.and_then(|db| {
                let transaction = db.unchecked_transaction().map_err(unavailable)?;
                query(&transaction).map_err(unavailable)
            });
            let _ = reply.send(found);
        });
        let sent = match &*self.jobs.lock() {
            Some(jobs) => jobs.try_send(job),
            None => Err(TrySendError::Disconnected(job)),
        };
        sent.map_err(|error| {
            StoreError::Unavailable(match error {
                TrySendError::Full(_) => "too many reads wait".to_owned(),
                TrySendError::Disconnected(_) => "the database is closed".to_owned(),
            })
        })?;
        answer.await.unwrap_or_else(|_| Err(StoreError::Unavailable("a reader failed".to_owned())))
    }
}

struct Worker {
    shared: Arc<Shared>,
    slot: Slot,
}

impl Worker {
    fn run(self, waiting: &Mutex<Receiver<Job>>) {
        loop {
            // One thread waits for a job while it holds this lock, and the others wait for the lock.
            let job = waiting.lock().recv();
            // Locked for this job only, so that the writer can close the connection between two jobs.
            let mut slot = self.slot.lock();
            match job {
                Ok(job) => job(self.connection(&mut slot)),
                Err(_) => return *slot = None,
            }
        }
    }

    /// The connection; opened again if the writer has closed it after a failed commit.
    fn connection<'a>(&self, slot: &'a mut Option<Connection>) -> Result<&'a Connection, StoreError> {
        match slot {
            Some(db) => Ok(db),
            None => Ok(slot.insert(open(&self.shared.path, Role::Reader)?)),
        }
    }
}

#[async_trait]
impl Reader for ReaderPool {
    fn now(&self) -> Timestamp {
        writer::now()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.read(|db| db.query_row("SELECT count(*) FROM secrets", [], |_| Ok(()))).await
    }

    async fn account(&self, user: &UserId) -> Result<Account, StoreError> {
        let user = user.clone();
        self.read(move |db| Ok(wallet::account(db, &user)?.unwrap_or_default())).await
    }

    async fn ledger(&self, user: &UserId, page: Page<u64>) -> Result<Vec<Entry>, StoreError> {
        let user = user.clone();
        self.read(move |db| wallet::ledger(db, &user, page)).await
    }

    async fn lectures(
        &self,
        filter: LectureFilter,
        page: Page<(Timestamp, LectureId)>,
    ) -> Result<Vec<Lecture>, StoreError> {
        self.read(move |db| lecture::lectures(db, filter, page)).await
    }

    async fn changed_lectures(&self, from: Timestamp, since: Timestamp) -> Result<Vec<Lecture>, StoreError> {
        self.read(move |db| lecture::changed(db, from, since)).await
    }

    async fn lecture(&self, id: LectureId) -> Result<Option<Lecture>, StoreError> {
        self.read(move |db| lecture::lecture(db, id)).await
    }

    async fn applicants(&self, lecture: LectureId, page: Page<u64>) -> Result<Vec<Applicant>, StoreError> {
        self.read(move |db| lecture::applicants(db, lecture, page)).await
    }

    async fn waiting_users(&self, lecture: LectureId, page: Page<u64>) -> Result<Vec<WaitingUser>, StoreError> {
        self.read(move |db| waiting_list::waiting(db, lecture, page)).await
    }

    async fn lectures_to_promote(&self, at: Timestamp) -> Result<Vec<LectureId>, StoreError> {
        self.read(move |db| waiting_list::to_promote(db, at)).await
    }

    async fn lectures_to_empty(&self, since: Timestamp) -> Result<Vec<LectureId>, StoreError> {
        self.read(move |db| lecture::to_empty(db, since)).await
    }

    async fn applications(&self, user: &UserId, lecture: Option<LectureId>) -> Result<Vec<AppliedLecture>, StoreError> {
        let user = user.clone();
        self.read(move |db| lecture::applications(db, &user, lecture)).await
    }

    async fn lecture_history(
        &self,
        lecture: LectureId,
        page: Page<u64>,
    ) -> Result<Option<Vec<HistoryLine>>, StoreError> {
        self.read(move |db| match lecture::lecture(db, lecture)? {
            Some(_) => lecture::history(db, lecture, page).map(Some),
            None => Ok(None),
        })
        .await
    }

    async fn concerts(&self) -> Result<Vec<Concert>, StoreError> {
        self.read(concert_row::concerts).await
    }

    async fn performances(&self) -> Result<Vec<Performance>, StoreError> {
        self.read(concert::performances).await
    }

    async fn layouts(&self, of: Option<&[PerformanceId]>) -> Result<Vec<(PerformanceId, Arc<Layout>)>, StoreError> {
        let of = of.map(<[PerformanceId]>::to_vec);
        self.read(move |db| hall::layouts(db, of.as_deref())).await
    }

    async fn listed(&self, concerts: &[ConcertId], performances: &[PerformanceId]) -> Result<Listed, StoreError> {
        let (concerts, performances) = (concerts.to_vec(), performances.to_vec());
        self.read(move |db| concert::listed(db, &concerts, &performances)).await
    }

    async fn performance_revisions(&self, concert: ConcertId) -> Result<(u64, u64), StoreError> {
        self.read(move |db| concert::performance_revisions(db, concert)).await
    }

    async fn seats(&self, performance: PerformanceId) -> Result<SeatRows, StoreError> {
        self.read(move |db| seat::seat_rows(db, performance)).await
    }

    async fn taken_seats(
        &self,
        performance: PerformanceId,
        numbers: RangeInclusive<u32>,
    ) -> Result<Vec<SeatRecord>, StoreError> {
        self.read(move |db| seat::taken(db, performance, &numbers)).await
    }

    async fn reservation(&self, id: ReservationId) -> Result<Option<Reservation>, StoreError> {
        self.read(move |db| reservation::reservation(db, id)).await
    }

    async fn reservations_of(&self, user: &UserId, page: Page<ReservationId>) -> Result<Vec<Reservation>, StoreError> {
        let user = user.clone();
        self.read(move |db| reservation::reservations_of(db, &user, page)).await
    }

    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StoreError> {
        self.read(move |db| payment::payment(db, id)).await
    }

    async fn payments_of(&self, user: &UserId, page: Page<PaymentId>) -> Result<Vec<Payment>, StoreError> {
        let user = user.clone();
        self.read(move |db| payment::payments_of(db, &user, page)).await
    }

    async fn code(&self, key: &CodeKey, user: &UserId) -> Result<Option<Standing>, StoreError> {
        let (key, user) = (key.clone(), user.clone());
        self.read(move |db| code::standing(db, &key, &user)).await
    }

    async fn codes(&self, concert: ConcertId, page: Page<Arc<str>>) -> Result<Vec<(Code, u64)>, StoreError> {
        self.read(move |db| code::list(db, concert, &page)).await
    }

    async fn refunds(&self, of: RefundsOf, page: Page<RefundId>) -> Result<Vec<Refund>, StoreError> {
        self.read(move |db| refund::list(db, of, page)).await
    }

    async fn refunds_of(&self, user: &UserId, limit: usize) -> Result<Vec<Refund>, StoreError> {
        let user = user.clone();
        self.read(move |db| refund::of_user(db, &user, limit)).await
    }

    async fn places_of(&self, user: &UserId, concerts: &[ConcertId]) -> Result<Vec<Token>, StoreError> {
        let (user, concerts) = (user.clone(), concerts.to_vec());
        self.read(move |db| waiting_room::places_of(db, &user, &concerts)).await
    }

    async fn given_back(&self, payments: &[PaymentId]) -> Result<HashMap<PaymentId, GivenBack>, StoreError> {
        let payments = payments.to_vec();
        self.read(move |db| refund::given_back(db, &payments)).await
    }

    async fn cancellation(&self, performance: PerformanceId) -> Result<Option<Cancelled>, StoreError> {
        self.read(move |db| cancellation::shown(db, performance)).await
    }

    async fn cancellations_under_way(&self) -> Result<Vec<Cancellation>, StoreError> {
        self.read(cancellation::under_way).await
    }

    async fn unsettled_seats(
        &self,
        performance: PerformanceId,
        after_seat: u32,
        limit: usize,
    ) -> Result<Vec<UnsettledSeat>, StoreError> {
        self.read(move |db| cancellation::unsettled_seats(db, performance, after_seat, limit)).await
    }

    async fn failed_refunds(
        &self,
        performance: PerformanceId,
        page: Page<PaymentId>,
    ) -> Result<Vec<(FailedRefund, Payment, Vec<u32>)>, StoreError> {
        self.read(move |db| cancellation::failed_refunds(db, performance, page)).await
    }

    async fn performance_figures(&self, after: Timestamp) -> Result<Vec<PerformanceFigures>, StoreError> {
        self.read(move |db| figures::performances(db, after)).await
    }

    async fn attendees(&self, performance: PerformanceId, page: Page<u32>) -> Result<Vec<Attendee>, StoreError> {
        self.read(move |db| export::attendees(db, performance, page)).await
    }

    async fn unwritten_extensions(&self) -> Result<Vec<(PerformanceId, u64)>, StoreError> {
        self.read(extension::unwritten).await
    }

    async fn holds_to_rewrite(
        &self,
        performance: PerformanceId,
        number: u64,
        after_seat: u32,
        limit: usize,
    ) -> Result<Vec<(u32, ReservationId)>, StoreError> {
        self.read(move |db| extension::to_rewrite(db, performance, number, after_seat, limit)).await
    }

    async fn lapsed_holds(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<(PerformanceId, ReservationId)>, StoreError> {
        self.read(move |db| reservation::lapsed_holds(db, before, limit)).await
    }

    async fn holds_after(
        &self,
        after: Timestamp,
        limit: usize,
    ) -> Result<Vec<(PerformanceId, ReservationId, u64)>, StoreError> {
        self.read(move |db| reservation::holds_after(db, after, limit)).await
    }

    async fn rooms(&self) -> Result<Vec<RoomRecord>, StoreError> {
        self.read(waiting_room::rooms).await
    }

    async fn room(&self, id: ConcertId) -> Result<Option<(RoomRecord, Vec<Performance>)>, StoreError> {
        self.read(move |db| match waiting_room::room(db, id)? {
            Some(room) => Ok(Some((waiting_room::record(db, id, room)?, concert::performances_of(db, id)?))),
            None => Ok(None),
        })
        .await
    }

    async fn staff_directory(&self) -> Result<Directory, StoreError> {
        self.read(staff::directory).await
    }

    async fn staff_session(&self, hashes: &[SessionHash]) -> Result<Option<Session>, StoreError> {
        let hashes = hashes.to_vec();
        self.read(move |db| staff_session::find(db, &hashes)).await
    }

    async fn staff_keys(&self, page: Page<StaffKeyId>) -> Result<Vec<ListedKey>, StoreError> {
        self.read(move |db| staff::list(db, page)).await
    }

    async fn admin_log(&self, filter: &LogFilter, page: Page<LogId>) -> Result<Vec<LogRow>, StoreError> {
        let filter = filter.clone();
        self.read(move |db| staff::log(db, &filter, page)).await
    }

    async fn has_old_answers(&self, before: Timestamp) -> Result<bool, StoreError> {
        self.read(move |db| idempotency::has_old(db, before)).await
    }

    async fn events(&self, page: Page<u64>) -> Result<Vec<StoredEvent>, StoreError> {
        self.read(move |db| event::list(db, page)).await
    }

    async fn dead_events(&self, page: Page<u64>) -> Result<Vec<StoredEvent>, StoreError> {
        self.read(move |db| event::dead(db, page)).await
    }

    async fn unsent_events(&self, page: Page<u64>) -> Result<Vec<StoredEvent>, StoreError> {
        self.read(move |db| event::unsent(db, page)).await
    }

    async fn last_events(&self, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        self.read(move |db| event::last(db, limit)).await
    }
}
