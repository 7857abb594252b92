//! Waiting lists of performances: which users are offered which seats, and that no other user gets them.

mod choice;

use onsale_domain::concert::{
    Block, Expire, Hold, HoldAny, Release, Reservation, SEATS_PER_USER_DEFAULT, Schedule, Seating, Section, Status,
    Target, Unblock, Wish,
};
use onsale_domain::ids::{ConcertId, PerformanceId, ReservationId, UserId};
use onsale_domain::payment::Pay;
use onsale_domain::refund::{Policy, RefundByStaff, RefundSeats};
use onsale_domain::seat_list::{EntryStatus, Join, Leave, OfferSeats, State};
use onsale_domain::waiting_room::{Enter, Settings, Token};
use onsale_domain::{Refusal, concert, wallet};
use proptest::prelude::*;

use crate::support::mixed::{AnyCommand, Done};
use crate::support::{Answer, START, World};

/// Refusals that these tests provoke.
pub(crate) const PROVOKED: [&str; 2] = ["seats-available", "waitlist-entry-not-found"];

/// A performance with seats 1 to 8 of grade R for 10 points each. It starts at second 10,000. Users have points and turns.
struct Sale {
    world: World,
    concert: ConcertId,
    eve: PerformanceId,
    tokens: Vec<Token>,
}

/// The last one is neither a buyer of [`Sale::sold_out`] nor on a list at first.
const USERS: usize = 7;

fn user(number: usize) -> UserId {
    UserId::parse(&format!("u{number}")).expect("a user")
}

fn wish(count: u32) -> Wish {
    Wish { count, section: None, grade: None }
}

impl Sale {
    fn new() -> Self {
        let mut world = World::new();
        let create = concert::Create {
            title: "gala".into(),
            venue: "hall".into(),
            room: Settings { active_seconds: 86_400, claim_seconds: 3_600, ..Settings::default() },
            seed: None,
            seats_per_user: SEATS_PER_USER_DEFAULT,
            notice: None,
        };
        let Ok(Done::CreateConcert(made)) = world.one(create.into()) else { unreachable!("a concert can be made") };
        let section = Section { from: 1, to: 8, grade: "R".into(), price: 10 };
        let schedule = Schedule {
            concert: made.id,
            starts_at: START.plus_seconds(10_000),
            seating: Seating::new(vec![section]).expect("sound seats"),
            layout: None,
            closed: false,
            refund_policy: Policy::default(),
        };
        let Ok(Done::Schedule(eve)) = world.one(schedule.into()) else { unreachable!("a performance can be made") };
        let mut sale = Self { world, concert: made.id, eve: eve.id, tokens: Vec::new() };
        for number in 0..USERS {
            let charge = wallet::Charge { user: user(number), amount: 1_000 };
            sale.world.one(charge.into()).expect("points");
            let enter = Enter { user: user(number), concert: sale.concert, pass: None, ended: None };
            let Ok(Done::Enter(entered)) = sale.world.one(enter.into()) else { unreachable!("a room is open") };
            sale.tokens.push(entered.token);
        }
        sale
    }

    fn hold(&mut self, number: usize, seats: &[i64]) -> Result<Reservation, Refusal> {
        let (token, target) = (self.tokens[number].clone(), Target::Performance(self.eve));
        let hold = Hold { token, target, dates: None, seats: seats.into(), code: None };
        self.world.one(hold.into()).map(|done| match done {
            Done::Hold(held) => held.reservation,
            other => unreachable!("{other:?}"),
        })
    }

    fn any(&mut self, number: usize, count: u32) -> Answer {
        let (token, target) = (self.tokens[number].clone(), Target::Performance(self.eve));
        self.world.one(HoldAny { token, target, dates: None, wish: wish(count), code: None }.into())
    }

    fn pay(&mut self, token: Token, reservation: ReservationId) -> Answer {
        self.world.one(Pay { token, reservation }.into())
    }

    /// Two seats for each of the first four users, all paid.
    fn sold_out() -> Self {
        let mut sale = Self::new();
        for number in 0..4 {
            let first = 1 + 2 * number as i64;
            let held = sale.hold(number, &[first, first + 1]).expect("free seats");
            sale.pay(sale.tokens[number].clone(), held.id).expect("points");
        }
        sale
    }

    fn join(&mut self, number: usize, count: u32) -> Result<u32, Refusal> {
        let join = Join { concert: self.concert, performance: self.eve, user: user(number), wish: wish(count) };
        self.world.one(join.into()).map(|done| match done {
            Done::JoinSeatList(joined) => joined.position,
            other => unreachable!("{other:?}"),
        })
    }

    fn leave(&mut self, number: usize) -> Answer {
        let offer = self.world.tables.seat_waits.get(&(self.eve, user(number))).and_then(|own| own.reservation);
        self.world.one(Leave { concert: self.concert, performance: self.eve, user: user(number), offer }.into())
    }

    /// Refunds seats of the payment that owns the first of them.
    fn refund(&mut self, seats: &[i64]) -> Answer {
        let first = u32::try_from(seats[0]).expect("a seat");
        let payments = self.world.tables.payments.iter();
        let open = |id: &ReservationId, seat: u32| !self.world.tables.reservations[id].refunded.contains(&seat);
        let payment = payments.filter(|own| own.seats.contains(&first) && open(&own.reservation, first)).next_back();
        let payment = payment.expect("a sold seat").clone();
        let refund = RefundSeats {
            payment: payment.id,
            reservation: payment.reservation,
            performance: self.eve,
            user: payment.user,
            seats: Some(seats.into()),
        };
        self.world.one(RefundByStaff { refund, fee: 0, reason: "why".into() }.into())
    }

    fn entry(&self, number: usize) -> EntryStatus {
        let entry = &self.world.tables.seat_waits[&(self.eve, user(number))];
        let reservation = entry.reservation.and_then(|id| self.world.tables.reservation(id));
        entry.status_at(reservation.as_ref(), self.world.now, false)
    }

    /// The offered reservation of a user, with its token.
    fn offer(&self, number: usize) -> (Token, Reservation) {
        let entry = &self.world.tables.seat_waits[&(self.eve, user(number))];
        let offered = self.world.tables.reservation(entry.reservation.expect("an offer")).expect("a reservation");
        (Token::of_offer(&offered), offered)
    }

    fn expire(&mut self) {
        let held = self.world.tables.reservations.values().filter(|own| own.status == Status::Held);
        let over: Vec<ReservationId> = held
            .filter_map(|own| self.world.tables.reservation(own.id))
            .filter(|own| own.held_until <= self.world.now)
            .map(|own| own.id)
            .collect();
        if !over.is_empty() {
            self.world.one(Expire { reservations: over }.into()).expect("never refused");
        }
    }
}

#[test]
fn a_refunded_seat_goes_to_the_first_user_whose_wish_it_fits() {
    let mut sale = Sale::sold_out();
    assert_eq!(sale.join(4, 2), Ok(1));
    assert_eq!(sale.join(5, 1), Ok(2));
    assert_eq!(sale.join(5, 1), Err(Refusal::OnSeatList));
    sale.refund(&[3]).expect("a refund");
    assert_eq!((sale.entry(4), sale.entry(5)), (EntryStatus::Waiting, EntryStatus::Offered));
    sale.refund(&[5, 6]).expect("a refund");
    let (_, offered) = sale.offer(4);
    assert_eq!(&offered.seats[..], [5, 6]);
    assert_eq!(offered.held_until, sale.world.now.plus_seconds(600));
    assert_eq!(sale.world.tables.performances[&sale.eve].offered, 3);
}

#[test]
fn an_offer_is_paid_and_released_by_its_own_token_alone() {
    let mut sale = Sale::sold_out();
    sale.join(4, 2).expect("a list");
    sale.join(5, 2).expect("a list");
    sale.refund(&[1, 2]).expect("a refund");
    let (token, offered) = sale.offer(4);
    let own = sale.tokens[4].clone();
    let tables = sale.world.tables.clone();
    assert_eq!(sale.pay(own.clone(), offered.id), Err(Refusal::ReservationNotFound), "a place is for other holds");
    let hold = Hold {
        token: token.clone(),
        target: Target::Performance(sale.eve),
        dates: None,
        seats: [1].into(),
        code: None,
    };
    assert_eq!(sale.world.one(hold.into()), Err(Refusal::TokenExpired), "an offer holds nothing");
    let paid_before = tables.payments[0].reservation;
    assert_eq!(sale.pay(token.clone(), paid_before), Err(Refusal::TokenExpired), "an offer is for one reservation");
    sale.pay(token.clone(), offered.id).expect("points");
    assert_eq!(sale.entry(4), EntryStatus::Served);
    assert_eq!(sale.pay(token, offered.id), Err(Refusal::TokenExpired), "a payment ends the token");
    // The turn of the user still runs.
    assert_eq!(sale.world.tables.ends, tables.ends);
    sale.refund(&[3, 4]).expect("a refund");
    let (token, offered) = sale.offer(5);
    sale.world.one(Release { token, reservation: offered.id }.into()).expect("a release");
    assert_eq!(sale.entry(5), EntryStatus::Left);
    sale.hold(4, &[3, 4]).expect("no user waits for these seats");
}

#[test]
fn a_list_opens_when_nothing_can_come_back_but_offers() {
    let mut sale = Sale::new();
    assert_eq!(sale.join(5, 1), Err(Refusal::SeatsAvailable));
    for number in 0..4 {
        let first = 1 + 2 * number as i64;
        let held = sale.hold(number, &[first, first + 1]).expect("free seats");
        if number > 0 {
            sale.pay(sale.tokens[number].clone(), held.id).expect("points");
        }
    }
    assert_eq!(sale.join(5, 1), Err(Refusal::SeatsAvailable), "a hold lives");
    sale.world.pass(300_000);
    assert_eq!(sale.join(5, 1), Err(Refusal::SeatsAvailable), "it has lapsed");
    let held = sale.hold(0, &[1, 2]).expect("free seats");
    sale.pay(sale.tokens[0].clone(), held.id).expect("points");
    assert_eq!(sale.join(5, 5), Err(Refusal::SeatLimit));
    let of_vip = Wish { count: 1, section: None, grade: Some("VIP".into()) };
    let join = |wish| Join { concert: sale.concert, performance: sale.eve, user: user(5), wish };
    let (unknown, known) = (join(of_vip), join(wish(1)));
    assert_eq!(sale.world.one(unknown.into()), Err(Refusal::SectionUnknown));
    assert!(sale.leave(5).is_err_and(|refusal| refusal == Refusal::WaitlistEntryNotFound));
    sale.world.one(known.into()).expect("a list");
    let limited = Join { concert: sale.concert, performance: sale.eve, user: user(0), wish: wish(3) };
    assert_eq!(sale.world.one(limited.into()), Err(Refusal::SeatLimit));
    sale.world.pass(10_000_000);
    assert_eq!(sale.join(4, 1), Err(Refusal::PerformanceClosed));
}

/// Between the lapse of a hold and its settling no other user gets the seats.
#[test]
fn a_lapsed_hold_goes_to_the_list_before_any_other_command() {
    let mut sale = Sale::sold_out();
    sale.join(4, 2).expect("a list");
    sale.refund(&[1, 2]).expect("a refund");
    sale.join(5, 1).expect("a list");
    let (_, first) = sale.offer(4);
    sale.world.pass(600_000);
    assert_eq!(sale.entry(4), EntryStatus::Lapsed);
    // Of two seats the one nearer to the middle is offered.
    let taken = sale.hold(6, &[2]);
    assert!(matches!(taken, Err(Refusal::SeatTaken { .. })), "{taken:?}");
    assert_eq!(sale.entry(5), EntryStatus::Offered);
    assert_eq!(sale.world.tables.reservations[&first.id].status, Status::Expired);
    sale.hold(6, &[1]).expect("no wish fits the other seat");
}

#[test]
fn an_unblocked_seat_goes_to_the_list_and_what_fits_no_wish_is_free() {
    let mut sale = Sale::sold_out();
    sale.join(4, 2).expect("a list");
    sale.refund(&[8]).expect("a refund");
    let block = Block { performance: sale.eve, seats: [8].into(), reason: "why".into() };
    sale.world.one(block.into()).expect("a free seat");
    sale.refund(&[7]).expect("a refund");
    assert_eq!(sale.entry(4), EntryStatus::Waiting);
    let unblock = Unblock { performance: sale.eve, seats: [8].into(), reason: "why".into() };
    sale.world.one(unblock.into()).expect("a blocked seat");
    assert_eq!(&sale.offer(4).1.seats[..], [7, 8]);
}

#[test]
fn a_user_over_the_limit_is_skipped_and_an_offer_ends_at_the_start() {
    let mut sale = Sale::sold_out();
    sale.join(6, 3).expect("a list");
    sale.join(5, 4).expect("a list");
    for seat in [7, 3] {
        sale.refund(&[seat]).expect("a refund");
        sale.hold(6, &[seat]).expect("no wish fits");
    }
    for seat in [4, 5, 6] {
        sale.refund(&[seat]).expect("a refund");
    }
    assert_eq!(sale.entry(6), EntryStatus::Waiting, "two seats and three are more than four");
    sale.hold(4, &[4]).expect("seats are not kept for a user over the limit");
    // The holds lapse. Without them the limit allows the wish again.
    sale.world.pass(9_800_000);
    sale.world.one(OfferSeats { performance: sale.eve }.into()).expect("a step is not refused");
    let (_, offered) = sale.offer(6);
    assert_eq!((&offered.seats[..], offered.held_until), (&[3, 4, 5][..], START.plus_seconds(10_000)));
}

#[test]
fn the_start_ends_the_list() {
    let mut sale = Sale::sold_out();
    sale.join(4, 2).expect("a list");
    sale.join(5, 1).expect("a list");
    sale.world.pass(10_000_000);
    let Ok(Done::OfferSeats(step)) = sale.world.one(OfferSeats { performance: sale.eve }.into()) else {
        unreachable!("a step is not refused")
    };
    assert_eq!((step.done, step.goes_on), (2, false));
    assert_eq!((sale.entry(4), sale.entry(5)), (EntryStatus::Ended, EntryStatus::Ended));
    assert_eq!(sale.world.tables.performances[&sale.eve].waitlisted, 0);
}

#[derive(Clone, Debug)]
enum Op {
    Hold(usize, Vec<i64>),
    Any(usize, u32),
    Pay(usize),
    Join(usize, u32),
    Leave(usize),
    Refund(i64),
    Pass(i64),
    Expire,
}

fn op() -> impl Strategy<Value = Op> {
    let (number, count, seat) = (0..USERS, 1_u32..=3, 1_i64..=8);
    prop_oneof![
        1 => (number.clone(), prop::collection::btree_set(seat.clone(), 1..=2))
            .prop_map(|(n, seats)| Op::Hold(n, seats.into_iter().collect())),
        1 => (number.clone(), count.clone()).prop_map(|(n, count)| Op::Any(n, count)),
        2 => number.clone().prop_map(Op::Pay),
        4 => (number.clone(), count).prop_map(|(n, count)| Op::Join(n, count)),
        1 => number.prop_map(Op::Leave),
        4 => seat.prop_map(Op::Refund),
        1 => (1_i64..=400).prop_map(Op::Pass),
        1 => Just(Op::Expire),
    ]
}

impl Sale {
    fn perform(&mut self, op: &Op) {
        match op {
            Op::Hold(number, seats) => drop(self.hold(*number, seats)),
            Op::Any(number, count) => drop(self.any(*number, *count)),
            Op::Pay(number) => {
                let held = self.world.tables.reservations.values();
                let own = held.filter(|own| own.user == user(*number) && own.status == Status::Held).next_back();
                if let Some(own) = own.cloned() {
                    let token = if own.is_offer() { Token::of_offer(&own) } else { self.tokens[*number].clone() };
                    let _ = self.pay(token, own.id);
                }
            }
            Op::Join(number, count) => drop(self.join(*number, *count)),
            Op::Leave(number) => drop(self.leave(*number)),
            Op::Refund(seat) => {
                let sold = self.world.tables.seats.get(&(self.eve, u32::try_from(*seat).expect("a seat")));
                if sold.is_some_and(|seat| seat.sold) {
                    self.refund(&[*seat]).expect("staff may always refund");
                }
            }
            Op::Pass(seconds) => self.world.pass(seconds * 1_000),
            Op::Expire => self.expire(),
        }
    }

    /// No seats that are free fit the wish of a user who waits and may have them.
    fn check(&self) {
        let tables = &self.world.tables;
        let free: Vec<u32> = (1..=8).filter(|seat| !tables.seats.contains_key(&(self.eve, *seat))).collect();
        for entry in tables.seat_waits.values().filter(|own| own.state == State::Waiting) {
            let open = tables.open_reservations(self.concert, &entry.user);
            let live = open.filter(|own| own.status == Status::Paid || own.held_until > self.world.now);
            let owned: usize = live.map(|own| own.seats.len() - own.refunded.len()).sum();
            let may = owned + entry.wish.count as usize <= SEATS_PER_USER_DEFAULT as usize;
            let fits = (1..=9 - entry.wish.count)
                .any(|first| (first..first + entry.wish.count).all(|seat| free.contains(&seat)));
            assert!(!(may && fits), "{entry:?} fits {free:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_free_seats_fit_a_user_who_waits(ops in prop::collection::vec(op(), 1..60)) {
        let mut sale = Sale::sold_out();
        for op in &ops {
            let is_time = matches!(op, Op::Pass(_));
            sale.perform(op);
            // Time alone changes no row: the next unit of work follows it.
            if !is_time && !matches!(op, Op::Expire) {
                let step = AnyCommand::from(OfferSeats { performance: sale.eve });
                prop_assert!(sale.world.one(step).is_ok());
                sale.check();
            }
        }
    }
}
