//! Concurrent holds and payments of the same seats.

use std::collections::BTreeMap;

use crate::mixed::{AnyCommand, Done};
use onsale_domain::Refusal;
use onsale_domain::concert::{Performance, Reservation};
use onsale_domain::waiting_room::Token;
use onsale_testing::without;

use super::{Crowd, INSTANCES, dones, refused};
use crate::stage::{OPEN_DOORS, charge, enter, held, hold, open_concert, pay, schedule, user};

/// Two concerts of two performances each, and users with a turn in both.
struct Hall {
    performances: Vec<Performance>,
    tokens: Vec<Token>,
}

impl Hall {
    async fn open(crowd: &mut Crowd, seats: u32, people: usize) -> Self {
        let now = crowd.reader().now();
        let (mut performances, mut tokens) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let concert = open_concert(crowd.lane(), OPEN_DOORS).await;
            for _ in 0..2 {
                performances.push(schedule(crowd.lane(), now, concert, seats, 10).await);
            }
            for number in 0..people {
                tokens.push(enter(crowd.lane(), concert, &user(&format!("user-{number}"))).await);
            }
        }
        Self { performances, tokens }
    }

    /// Every token with every performance of its concert.
    fn chances(&self) -> impl Iterator<Item = (&Token, &Performance)> {
        self.tokens.iter().flat_map(|token| {
            let own = self.performances.iter().filter(|performance| performance.concert == token.concert);
            own.map(move |performance| (token, performance))
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_seat_is_held_once_and_all_seats_are_held() {
    if without("postgres") {
        return;
    }
    const SEATS: u32 = 16;
    let mut crowd = Crowd::new().await;
    let hall = Hall::open(&mut crowd, SEATS, 20).await;
    // Overlapping pairs: a hold takes both seats or none.
    let pairs = |(token, performance)| {
        (1..=SEATS).map(move |seat| hold(token, performance, &[seat, seat % SEATS + 1])).step_by(3).collect::<Vec<_>>()
    };
    let singles = |(token, performance)| (1..=SEATS).map(move |seat| hold(token, performance, &[seat]));
    let commands: Vec<AnyCommand> = hall.chances().flat_map(pairs).collect();
    let batches = crowd.shuffled(&commands, 40);
    let mut outcomes = crowd.run(batches).await;
    // Seats that no pair could take are taken by holds of a single seat.
    let commands: Vec<AnyCommand> = hall.chances().flat_map(singles).collect();
    let batches = crowd.shuffled(&commands, 80);
    outcomes.extend(crowd.run(batches).await);

    let mut owners: BTreeMap<_, Reservation> = BTreeMap::new();
    let mut owned: BTreeMap<_, usize> = BTreeMap::new();
    for done in dones(&outcomes) {
        let reservation = held(done.clone());
        *owned.entry((reservation.performance, reservation.user.clone())).or_default() += reservation.seats.len();
        for seat in reservation.seats.iter() {
            let before = owners.insert((reservation.performance, *seat), reservation.clone());
            assert_eq!(before, None, "seat {seat} has one owner");
        }
    }
    assert!(owned.values().all(|seats| *seats <= 4), "no user has more than four: {owned:?}");
    for performance in &hall.performances {
        let there = crowd.reader().seats(performance.id).await.unwrap();
        assert_eq!(there.seats.len(), SEATS as usize, "no seat is left");
        for (seat, row) in there.seats {
            assert_eq!(owners[&(performance.id, seat)].id, row.reservation, "the owner in the answer");
        }
        let holds = dones(&outcomes).filter(|done| held((*done).clone()).performance == performance.id).count();
        assert_eq!(there.version, holds as u64, "each hold is one change");
    }
    crowd.assert_no_deadlock();
}

/// Each user comes to one instance only: instances collide at performances, and not at wallets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn performances_are_locked_in_one_order() {
    if without("postgres") {
        return;
    }
    let mut crowd = Crowd::new().await;
    let hall = Hall::open(&mut crowd, 60, 16 * INSTANCES).await;
    let mut commands = Vec::new();
    for ((token, performance), number) in hall.chances().zip(0_u32..) {
        for seat in [number / 2 % 60 + 1, number / 2 * 7 % 60 + 1] {
            let instance = hall.tokens.iter().position(|known| known.user == token.user).unwrap() % INSTANCES;
            commands.push((instance, hold(token, performance, &[seat])));
        }
    }
    let own = |(instance, batches): (usize, Vec<Vec<(usize, AnyCommand)>>)| {
        let own = batches.into_iter().flatten().filter(|(of, _)| *of == instance).map(|(_, command)| command);
        own.collect::<Vec<_>>().chunks(4).map(<[AnyCommand]>::to_vec).collect::<Vec<_>>()
    };
    let batches = crowd.shuffled(&commands, commands.len()).into_iter().enumerate().map(own).collect();
    let outcomes = crowd.run(batches).await;
    assert_eq!(outcomes.iter().map(Vec::len).sum::<usize>(), commands.len());
    for performance in &hall.performances {
        let holds = dones(&outcomes).map(|done| held(done.clone()));
        let holds: Vec<Reservation> = holds.filter(|held| held.performance == performance.id).collect();
        let there = crowd.reader().seats(performance.id).await.unwrap();
        assert_eq!((there.version, there.seats.len()), (holds.len() as u64, holds.len()), "each hold counts");
        assert!(holds.len() > 30, "most seats are held");
    }
    crowd.assert_no_deadlock();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_is_paid_once_in_any_order_of_requests() {
    if without("postgres") {
        return;
    }
    const PEOPLE: usize = 14;
    let mut crowd = Crowd::new().await;
    let hall = Hall::open(&mut crowd, 100, PEOPLE).await;
    let points: Vec<AnyCommand> = (0..PEOPLE).map(|number| charge(&user(&format!("user-{number}")), 1_000)).collect();
    crowd.lane().run(points).await.unwrap();
    let mut payments = Vec::new();
    for ((token, performance), seat) in hall.chances().zip(1..) {
        let reservation = held(crowd.lane().done(hold(token, performance, &[seat])).await);
        payments.push(pay(token, &reservation));
    }
    let batches = crowd.shuffled(&payments, 6);
    let outcomes = crowd.run(batches).await;
    let mut paid: Vec<_> = dones(&outcomes)
        .map(|done| match done {
            Done::Pay(payment) => payment.clone(),
            other => unreachable!("{other:?}"),
        })
        .collect();
    paid.sort_by_key(|payment| payment.reservation);
    paid.dedup_by_key(|payment| payment.reservation);
    assert_eq!((paid.len(), dones(&outcomes).count()), (payments.len(), payments.len()), "each hold is paid once");
    // The payment of a concert's last hold ends the turn.
    let again = refused(&outcomes, &Refusal::AlreadyPaid) + refused(&outcomes, &Refusal::TokenExpired);
    assert_eq!(again, payments.len() * (INSTANCES - 1));

    let reader = crowd.reader();
    for payment in &paid {
        assert_eq!(reader.payment(payment.id).await.unwrap().as_ref(), Some(payment));
    }
    for number in 0..PEOPLE {
        let account = reader.account(&user(&format!("user-{number}"))).await.unwrap();
        assert_eq!((account.balance, account.version), (1_000 - 4 * 10, 1 + 4), "each seat is paid from one wallet");
    }
    for performance in reader.performances().await.unwrap() {
        let rows = reader.seats(performance.id).await.unwrap().seats;
        assert_eq!((performance.sold as usize, performance.version), (PEOPLE, 2 * PEOPLE as u64));
        assert!(rows.len() == PEOPLE && rows.iter().all(|(_, seat)| seat.sold));
    }
    crowd.assert_no_deadlock();
}
