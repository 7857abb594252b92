//! Every query for readers, one method each.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use onsale_app::event::StoredEvent;
use onsale_app::store::news::{News, RoomsKnown};
use onsale_app::store::{
    AppliedLecture, Attendee, GivenBack, LectureFilter, Listed, ListedKey, LogFilter, LogRow, Page, PerformanceFigures,
    Published, Reader, RefundsOf, RoomRecord, SeatRecord, SeatRows, StoreError, UnsettledSeat, WaitingUser,
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
use onsale_domain::staff::{Directory, Session as StaffSession, SessionHash};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Token;
use onsale_domain::wallet::{Account, Entry};

use super::{ATTEMPTS_MAX, PostgresReader};
use crate::postgres::error::DbError;
use crate::postgres::slow_queries::{Kind, SLOW};
use crate::postgres::values::number;
use crate::postgres::{
    cancellation, code, concert_reads, event, export, extension, figures, hall, idempotency, lecture_reads, payment,
    refund, staff, staff_session, waiting_list, wallet,
};

const PING: &str = "SELECT 1";

/// Age of the oldest snapshot in this database, in seconds. Snapshots of other users' sessions are visible to `pg_monitor` only.
const SNAPSHOT: &str = "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - since)), 0)::bigint FROM (
        SELECT xact_start AS since FROM pg_stat_activity
            WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid() AND datname = current_database()
        UNION ALL SELECT prepared FROM pg_prepared_xacts WHERE database = current_database()) open";

/// All statements, for the test of their plans.
#[cfg(test)]
pub(in crate::postgres) const STATEMENTS: &[&[&str]] = &[
    &[PING, SNAPSHOT],
    wallet::READS,
    lecture_reads::READS,
    waiting_list::READS,
    concert_reads::READS,
    hall::READS,
    export::READS,
    extension::READS,
    figures::READS,
    crate::postgres::leaving::READS,
    payment::READS,
    refund::READS,
    code::READS,
    cancellation::READS,
    crate::postgres::draw::READS,
    crate::postgres::ended_session::READS,
    event::READS,
    event::LOG_READS,
    idempotency::READS,
    staff::READS,
    staff_session::READS,
    crate::postgres::ticket_reads::READS,
    crate::postgres::seat_list::READS,
];

impl PostgresReader {
    /// Age of the oldest snapshot of another session, in seconds.
    pub(in crate::postgres) async fn oldest_snapshot(&self) -> Result<u64, StoreError> {
        let found = query!(self, Snapshot, |session| session.query(SNAPSHOT, Vec::new()));
        let found: Result<Vec<tokio_postgres::Row>, StoreError> = found;
        Ok(number(found?.first().ok_or(DbError::Broken("no clock"))?, 0)?)
    }

    /// Publishes figures of this process. A repetition after a lost connection writes the same row.
    pub(in crate::postgres) async fn publish_figures(
        &self,
        published: &Published,
        old: Timestamp,
    ) -> Result<(), StoreError> {
        query!(self, Figures, |session| figures::publish(&session, published, old))
    }

    pub(in crate::postgres) async fn published_figures(&self, since: Timestamp) -> Result<Vec<Published>, StoreError> {
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
        query!(self, Lectures, |session| lecture_reads::list(&session, filter, page))
    }

    async fn changed_lectures(&self, from: Timestamp, since: Timestamp) -> Result<Vec<Lecture>, StoreError> {
        query!(self, ChangedLectures, |session| lecture_reads::changed(&session, from, since))
    }

    async fn lecture(&self, id: LectureId) -> Result<Option<Lecture>, StoreError> {
        query!(self, Lecture, |session| lecture_reads::one(&session, id))
    }

    async fn applicants(&self, lecture: LectureId, page: Page<u64>) -> Result<Vec<Applicant>, StoreError> {
        query!(self, Applicants, |session| lecture_reads::applicants(&session, lecture, page))
    }

    async fn waiting_users(&self, lecture: LectureId, page: Page<u64>) -> Result<Vec<WaitingUser>, StoreError> {
        query!(self, WaitingUsers, |session| waiting_list::waiting(&session, lecture, page))
    }

    async fn lectures_to_promote(&self, at: Timestamp) -> Result<Vec<LectureId>, StoreError> {
        query!(self, LecturesToPromote, |session| waiting_list::to_promote(&session, at))
    }

    async fn lectures_to_empty(&self, since: Timestamp) -> Result<Vec<LectureId>, StoreError> {
        query!(self, LecturesToEmpty, |session| lecture_reads::to_empty(&session, since))
    }

    async fn applications(&self, user: &UserId, lecture: Option<LectureId>) -> Result<Vec<AppliedLecture>, StoreError> {
        query!(self, Applications, |session| lecture_reads::applications(&session, user, lecture))
    }

    async fn lecture_history(
        &self,
        lecture: LectureId,
        page: Page<u64>,
    ) -> Result<Option<Vec<HistoryLine>>, StoreError> {
        query!(self, LectureHistory, |session| lecture_reads::history(&session, lecture, page))
    }

    async fn concerts(&self) -> Result<Vec<Concert>, StoreError> {
        query!(self, Concerts, |session| concert_reads::concerts(&session))
    }

    async fn performances(&self) -> Result<Vec<Performance>, StoreError> {
        query!(self, Performances, |session| concert_reads::performances(&session))
    }

    async fn layouts(&self, of: Option<&[PerformanceId]>) -> Result<Vec<(PerformanceId, Arc<Layout>)>, StoreError> {
        query!(self, Listed, |session| hall::layouts(&session, of))
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

    async fn code(&self, key: &CodeKey, user: &UserId) -> Result<Option<Standing>, StoreError> {
        query!(self, Codes, |session| code::standing(&session, key, user))
    }

    async fn codes(&self, concert: ConcertId, page: Page<Arc<str>>) -> Result<Vec<(Code, u64)>, StoreError> {
        query!(self, Codes, |session| code::list(&session, concert, &page))
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
