//! Everything that a store returns to readers, as text lines for comparison.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use onsale_app::event::StoredEvent;
use onsale_app::store::WaitingUser;
use onsale_app::store::{LectureFilter, Page, Reader, RefundsOf, RoomRecord};
use onsale_domain::concert::Reservation;
use onsale_domain::ids::{LectureId, PaymentId, PerformanceId, ReservationId, UserId};
use onsale_domain::lecture::{Applicant, HistoryLine, Lecture};
use onsale_domain::payment::Payment;
use onsale_domain::refund::Refund;
use onsale_domain::time::Timestamp;
use onsale_domain::wallet::Entry;
use uuid::Uuid;

use crate::pages::all;
use crate::people::People;

/// Time limit for committed events to become visible while another transaction of the server runs.
const EVENTS_WITHIN: Duration = onsale_testing::PATIENCE;

/// The users and things to query, and the page size.
#[derive(Clone, Debug)]
pub(crate) struct Looked {
    pub(crate) users: Vec<UserId>,
    pub(crate) lectures: Vec<LectureId>,
    pub(crate) payments: Vec<PaymentId>,
    pub(crate) now: Timestamp,
    pub(crate) limit: usize,
}

impl Looked {
    pub(crate) fn of(people: &People, limit: usize) -> Self {
        Self {
            users: people.users.clone(),
            lectures: people.lectures.clone(),
            payments: people.payments.iter().map(|payment| payment.id).collect(),
            now: people.now,
            limit,
        }
    }
}

/// The lines of one store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Picture(Vec<String>);

impl Picture {
    pub(crate) async fn of(reader: &dyn Reader, looked: &Looked) -> Self {
        let mut picture = Self::default();
        for user in &looked.users {
            picture.wallet(reader, looked, user).await;
        }
        picture.lectures(reader, looked).await;
        picture.concerts(reader, looked).await;
        picture.lapsed(reader, looked.now).await;
        for room in rooms(reader).await {
            picture.line("room", &room);
        }
        picture
    }

    fn line(&mut self, of: &str, what: &dyn Debug) {
        self.0.push(format!("{of}: {what:?}"));
    }

    async fn wallet(&mut self, reader: &dyn Reader, looked: &Looked, user: &UserId) {
        let limit = looked.limit;
        self.line("account", &(user, reader.account(user).await.expect("an account")));
        let ledger = all(limit, |entry: &Entry| entry.version, async |page| reader.ledger(user, page).await).await;
        self.line("ledger", &ledger);
        self.line("applications", &(user, reader.applications(user, None).await.expect("applications")));
        self.line("lectures to promote", &reader.lectures_to_promote(looked.now).await.expect("lectures"));
        self.line("lectures to empty", &reader.lectures_to_empty(Timestamp::default()).await.expect("lectures"));
        for lecture in &looked.lectures {
            self.line("lecture", &reader.lecture(*lecture).await.expect("an answer"));
            let seat = |applicant: &Applicant| u64::from(applicant.application.seat_number);
            let ask = async |page| reader.applicants(*lecture, page).await;
            self.line("applicants", &all(looked.limit, seat, ask).await);
            let number = |waiting: &WaitingUser| waiting.waiting.number;
            let ask = async |page| reader.waiting_users(*lecture, page).await;
            self.line("waiting list", &all(looked.limit, number, ask).await);
            let applied = reader.applications(user, Some(*lecture)).await.expect("an application");
            self.line("application", &(user, lecture, applied));
        }
        let reservations =
            all(limit, |row: &Reservation| row.id, async |page| reader.reservations_of(user, page).await).await;
        for reservation in &reservations {
            let alone = reader.reservation(reservation.id).await.expect("a reservation");
            assert_eq!(alone.as_ref(), Some(reservation), "alone as in the list");
        }
        self.line("reservations", &reservations);
        let payments = all(limit, |row: &Payment| row.id, async |page| reader.payments_of(user, page).await).await;
        self.line("payments", &payments);
    }

    async fn lectures(&mut self, reader: &dyn Reader, looked: &Looked) {
        let later = looked.now.plus_seconds(30);
        let spans = [(Timestamp::default(), None), (looked.now, None), (looked.now, Some(later)), (later, Some(later))];
        for (from, until) in spans {
            for available_at in [None, Some(looked.now)] {
                let filter = LectureFilter { until, available_at, ..LectureFilter::starting(from) };
                let cursor = |lecture: &Lecture| (lecture.starts_at, lecture.id);
                let found = all(looked.limit, cursor, async |page| reader.lectures(filter, page).await).await;
                self.line("lectures", &(from, until, available_at, found));
            }
        }
        for lecture in &looked.lectures {
            let ask = async |page| {
                let history = reader.lecture_history(*lecture, page).await?;
                Ok(history.expect("the history of a lecture that is there"))
            };
            self.line("history", &all(looked.limit, |line: &HistoryLine| line.version, ask).await);
        }
        let first = Page { after: None, limit: 9 };
        let nothing = reader.lecture_history(LectureId::new(Uuid::nil()), first).await.expect("an answer");
        self.line("no history", &nothing);
    }

    async fn concerts(&mut self, reader: &dyn Reader, looked: &Looked) {
        let mut concerts = reader.concerts().await.expect("concerts");
        concerts.sort_by_key(|concert| concert.id);
        self.line("concerts", &concerts);
        let mut performances = reader.performances().await.expect("performances");
        performances.sort_by_key(|performance| performance.id);
        for performance in performances {
            let mut rows = reader.seats(performance.id).await.expect("seats");
            rows.seats.sort_by_key(|(seat, _)| *seat);
            rows.blocked.sort_unstable();
            self.line("performance", &performance);
            self.line("seats", &rows);
            self.line("cancellation", &reader.cancellation(performance.id).await.expect("an answer"));
            self.refunds(reader, looked, RefundsOf::Performance(performance.id)).await;
        }
        for payment in &looked.payments {
            self.line("payment", &reader.payment(*payment).await.expect("a payment"));
            self.refunds(reader, looked, RefundsOf::Payment(*payment)).await;
        }
        let mut given: Vec<_> = reader.given_back(&looked.payments).await.expect("sums").into_iter().collect();
        given.sort_unstable_by_key(|(payment, _)| *payment);
        self.line("given back", &given);
        self.line("no payment", &reader.payment(PaymentId::new(Uuid::nil())).await.expect("an answer"));
        let no_reservation = reader.reservation(ReservationId::new(Uuid::nil())).await;
        self.line("no reservation", &no_reservation.expect("an answer"));
    }

    async fn refunds(&mut self, reader: &dyn Reader, looked: &Looked, of: RefundsOf) {
        let refunds = all(looked.limit, |row: &Refund| row.id, async |page| reader.refunds(of, page).await).await;
        self.line("refunds", &(of, refunds));
    }

    /// Entries with the same time have no defined order.
    async fn lapsed(&mut self, reader: &dyn Reader, now: Timestamp) {
        let mut lapsed: Vec<(PerformanceId, ReservationId)> = reader.lapsed_holds(now, 1_000).await.expect("holds");
        lapsed.sort_unstable();
        self.line("lapsed", &lapsed);
        let mut ends = Vec::new();
        for (_, id) in reader.lapsed_holds(now, 3).await.expect("holds") {
            let reservation = reader.reservation(id).await.expect("an answer").expect("a hold that lapsed");
            ends.push(reservation.held_until);
        }
        assert!(ends.is_sorted(), "oldest first");
        self.line("first lapsed", &ends);
    }

    /// Panics with the differing lines if there are any.
    pub(crate) fn assert_same(&self, other: &Self, what: &str) {
        let different = self.0.iter().zip(&other.0).find(|(one, another)| one != another);
        assert!(
            different.is_none(),
            "{what}:\n{}\n{}",
            different.map_or("", |lines| lines.0),
            different.map_or("", |lines| lines.1)
        );
        assert_eq!(self.0.len(), other.0.len(), "{what}: other lines");
    }
}

/// All waiting rooms, sorted.
pub(crate) async fn rooms(reader: &dyn Reader) -> Vec<RoomRecord> {
    let mut rooms = reader.rooms().await.expect("rooms");
    rooms.sort_by_key(|room| room.concert);
    for room in &mut rooms {
        room.given_up.sort_unstable();
        room.turns.sort_by_key(|(place, ..)| *place);
        room.holds.sort_unstable();
    }
    rooms
}

/// This many events, in order. On a shared server they become visible when older transactions have ended.
pub(crate) async fn events(reader: &dyn Reader, many: usize, limit: usize) -> Vec<StoredEvent> {
    let asked = Instant::now();
    loop {
        let log = all(limit, |event: &StoredEvent| event.position, async |page| reader.events(page).await).await;
        if log.len() >= many || asked.elapsed() > EVENTS_WITHIN {
            assert_eq!(log.len(), many, "as many events as were saved");
            assert!(log.is_sorted_by(|one, next| one.position < next.position), "in order, each once");
            return log;
        }
    }
}
