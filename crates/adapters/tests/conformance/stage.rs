//! A small sale, the same for every test, with things of every kind and state.

use crate::mixed::{AnyCommand, Done};
use onsale_app::store::{Store, Wanted};
use onsale_domain::concert::Held;
use onsale_domain::concert::{self, Hold, HoldAny, Performance, Reservation, Sale, Seating, Section, Target, Wish};
use onsale_domain::ids::{ConcertId, LectureId, UserId};
use onsale_domain::lecture;
use onsale_domain::payment::{self, Payment};
use onsale_domain::refund::{Policy, RefundSeats, Rule};
use onsale_domain::rows::Keys;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Entered;
use onsale_domain::waiting_room::{self, Settings, Token};
use onsale_domain::wallet;

use crate::lane::Lane;
use crate::picture::{Looked, Picture};

/// A user by name.
pub(crate) fn user(name: &str) -> UserId {
    UserId::parse(name).expect("a user id")
}

/// A charge of a wallet.
pub(crate) fn charge(user: &UserId, amount: i64) -> AnyCommand {
    wallet::Charge { user: user.clone(), amount }.into()
}

/// Settings of a room that admits all users at once.
pub(crate) const OPEN_DOORS: Settings = Settings {
    max_active: 100_000,
    admit_per_second: 100_000,
    active_seconds: 86_400,
    claim_seconds: 3_600,
    paused: false,
    sale: Sale { closed: false, opens_at: None, closes_at: None, codes_until: None },
    early_from: None,
    draw_at: None,
};

/// Opens a lecture that starts in an hour.
pub(crate) async fn open_lecture(lane: &mut Lane, now: Timestamp, capacity: u32) -> LectureId {
    let starts_at = now.plus_seconds(3_600);
    let new =
        lecture::Create { title: "Rust".into(), lecturer: None, starts_at, capacity, opens_at: None, closed: false };
    match lane.done(new).await {
        Done::CreateLecture(lecture) => lecture.id,
        other => unreachable!("{other:?}"),
    }
}

/// Makes a concert with its room.
pub(crate) async fn open_concert(lane: &mut Lane, room: Settings) -> ConcertId {
    let (title, venue, seats_per_user) = ("Gala".into(), "Hall".into(), concert::SEATS_PER_USER_DEFAULT);
    match lane.done(concert::Create { title, venue, room, seed: None, notice: None, seats_per_user }).await {
        Done::CreateConcert(concert) => concert.id,
        other => unreachable!("{other:?}"),
    }
}

/// Schedules a performance that starts in an hour, with all seats at one price. A buyer who gives a seat back loses a tenth.
pub(crate) async fn schedule(
    lane: &mut Lane,
    now: Timestamp,
    concert: ConcertId,
    seats: u32,
    price: i64,
) -> Performance {
    let seating = Seating::new(vec![Section { from: 1, to: seats, grade: "R".into(), price }]).expect("a seating");
    let refund_policy = Policy::new(vec![Rule { hours_before: 0, fee_percent: 10 }]).expect("a policy");
    match lane
        .done(concert::Schedule {
            concert,
            starts_at: now.plus_seconds(3_600),
            seating,
            layout: None,
            closed: false,
            refund_policy,
        })
        .await
    {
        Done::Schedule(performance) => performance,
        other => unreachable!("{other:?}"),
    }
}

/// Enters a room, or finds the place that the user has.
pub(crate) async fn enter(lane: &mut Lane, concert: ConcertId, user: &UserId) -> Token {
    match lane.done(waiting_room::Enter { concert, user: user.clone(), pass: None, ended: None }).await {
        Done::Enter(Entered { token, .. }) => token,
        other => unreachable!("{other:?}"),
    }
}

/// A command that holds seats.
pub(crate) fn hold(token: &Token, performance: &Performance, seats: &[u32]) -> AnyCommand {
    let target = Target::Performance(performance.id);
    let seats = seats.iter().copied().map(i64::from).collect();
    Hold { token: token.clone(), target, dates: None, seats, code: None }.into()
}

/// A command that holds the best seats.
pub(crate) fn any(token: &Token, performance: &Performance, count: u32, section: Option<&str>) -> AnyCommand {
    let wish = Wish { count, section: section.map(Into::into), grade: None };
    let target = Target::Performance(performance.id);
    HoldAny { token: token.clone(), target, dates: None, wish, code: None }.into()
}

/// A command that pays a hold.
pub(crate) fn pay(token: &Token, reservation: &Reservation) -> AnyCommand {
    payment::Pay { token: token.clone(), reservation: reservation.id }.into()
}

/// Seats of a payment to refund; all that are left without any.
pub(crate) fn refund(paid: &Payment, seats: &[u32]) -> RefundSeats {
    RefundSeats {
        payment: paid.id,
        reservation: paid.reservation,
        performance: paid.performance,
        user: paid.user.clone(),
        seats: (!seats.is_empty()).then(|| seats.iter().copied().map(i64::from).collect()),
    }
}

/// The reservation from the result of a hold.
pub(crate) fn held(done: Done) -> Reservation {
    match done {
        Done::Hold(Held { reservation, .. }) | Done::HoldAny(Held { reservation, .. }) => reservation,
        other => unreachable!("{other:?}"),
    }
}

/// The sale: ann has bought seat 1, holds seats 2 and 3 and has a place in the lecture; bob waits in line, as the
/// room has room for one.
pub(crate) struct Stage {
    pub(crate) lane: Lane,
    pub(crate) now: Timestamp,
    pub(crate) ann: UserId,
    pub(crate) bob: UserId,
    pub(crate) lecture: LectureId,
    pub(crate) token: Token,
    pub(crate) waiting: Token,
    pub(crate) performance: Performance,
    pub(crate) paid: Payment,
    pub(crate) held: Reservation,
}

impl Stage {
    pub(crate) async fn new(store: &dyn Store) -> Self {
        let mut lane = Lane::new(store, 1).await;
        let now = store.reader().now();
        let (ann, bob) = (user("ann"), user("bob"));
        lane.run([charge(&ann, 10_000), charge(&bob, 10_000)]).await.expect("a unit of work");
        let lecture = open_lecture(&mut lane, now, 2).await;
        lane.done(lecture::Apply { user: ann.clone(), lecture, waitlist: false }).await;
        let concert = open_concert(&mut lane, Settings { max_active: 1, ..OPEN_DOORS }).await;
        let performance = schedule(&mut lane, now, concert, 4, 100).await;
        let token = enter(&mut lane, concert, &ann).await;
        let waiting = enter(&mut lane, concert, &bob).await;
        let first = held(lane.done(hold(&token, &performance, &[1])).await);
        let held = held(lane.done(hold(&token, &performance, &[2, 3])).await);
        let Done::Pay(paid) = lane.done(pay(&token, &first)).await else { unreachable!("a hold was paid") };
        Self { lane, now, ann, bob, lecture, token, waiting, performance, paid, held }
    }

    /// The keys of every row.
    pub(crate) fn everything(&self) -> Wanted {
        let concert = self.token.concert;
        let both = [&self.ann, &self.bob];
        let keys = Keys {
            accounts: both.into_iter().cloned().collect(),
            lectures: [(self.lecture, 1)].into(),
            applications: both.into_iter().map(|user| (self.lecture, user.clone())).collect(),
            rooms: [concert].into(),
            entrants: both.into_iter().map(|user| (concert, user.clone())).collect(),
            performances: [self.performance.id].into(),
            reservations: [self.held.id, self.paid.reservation].into(),
            payments: [self.paid.id].into(),
            seats: (1..=4).map(|seat| (self.performance.id, seat)).collect(),
            ..Keys::default()
        };
        Wanted { keys, ..Wanted::default() }
    }

    /// Everything that readers can query.
    pub(crate) async fn picture(&self, store: &dyn Store) -> Picture {
        let looked = Looked {
            users: vec![self.ann.clone(), self.bob.clone(), user("eve")],
            lectures: vec![self.lecture],
            payments: vec![self.paid.id],
            now: self.now,
            limit: 100,
        };
        Picture::of(&*store.reader(), &looked).await
    }
}
