//! What organisers change of a performance that is on sale: blocked seats, start, prices and further seats, as stores keep them.

use onsale_app::store::{Reader, SeatRecord, SeatTaken};
use onsale_domain::Refusal;
use onsale_domain::concert::{
    AddSeats, Block, Blocked, ChangePerformance, Dates, GradePrice, Hold, Performance, Schedule, Seating, Section,
    Target, Unblock,
};
use onsale_domain::ids::ReservationId;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Token;

use crate::bed::{Bed, on_each_database};
use crate::lane::Lane;
use crate::mixed::{AnyCommand, Done};
use crate::stage::{OPEN_DOORS, charge, enter, held, hold, open_concert, pay, schedule, user};

/// Ann and bob have their turns. The performance has seats 1 to 6 for 100 points each.
struct OnSale {
    lane: Lane,
    now: Timestamp,
    performance: Performance,
    ann: Token,
    bob: Token,
}

impl OnSale {
    async fn new(bed: &Bed) -> Self {
        let store = bed.store().await;
        let (mut lane, now) = (Lane::new(&*store, 1).await, store.reader().now());
        let concert = open_concert(&mut lane, OPEN_DOORS).await;
        let performance = schedule(&mut lane, now, concert, 6, 100).await;
        lane.run([charge(&user("ann"), 1_000)]).await.expect("a unit of work");
        let ann = enter(&mut lane, concert, &user("ann")).await;
        let bob = enter(&mut lane, concert, &user("bob")).await;
        Self { lane, now, performance, ann, bob }
    }

    fn block(&self, seats: &[i64], reason: &str) -> AnyCommand {
        Block { performance: self.performance.id, seats: seats.into(), reason: reason.into() }.into()
    }

    fn unblock(&self, seats: &[i64]) -> AnyCommand {
        Unblock { performance: self.performance.id, seats: seats.into(), reason: "no camera".into() }.into()
    }

    async fn stored(&self, reader: &dyn Reader) -> Performance {
        let listed = reader.listed(&[], &[self.performance.id]).await.expect("performances");
        listed.performances.into_iter().next().expect("a performance")
    }

    /// Blocked seats, and held or sold ones with their reservations.
    async fn seats(&self, reader: &dyn Reader) -> (Vec<u32>, Vec<(u32, ReservationId)>) {
        let rows = reader.seats(self.performance.id).await.expect("seats");
        let (mut blocked, mut owned) = (rows.blocked, rows.seats);
        blocked.sort_unstable();
        owned.sort_by_key(|(number, _)| *number);
        (blocked, owned.into_iter().map(|(number, seat)| (number, seat.reservation)).collect())
    }
}

fn blocked(outcome: &Result<Done, Refusal>) -> (Vec<u32>, u32) {
    match outcome {
        Ok(Done::Block(Blocked { seats, blocked }) | Done::Unblock(Blocked { seats, blocked })) => {
            (seats.to_vec(), *blocked)
        }
        other => unreachable!("{other:?}"),
    }
}

async fn a_seat_changes_hands_within_one_unit(bed: Bed) {
    let mut sale = OnSale::new(&bed).await;
    let reader = bed.store().await.reader();
    let first = [sale.block(&[1, 2, 3], "a camera"), hold(&sale.bob, &sale.performance, &[2, 4])];
    let outcomes = sale.lane.run(first).await.expect("a unit of work");
    assert_eq!(blocked(&outcomes[0]), (vec![1, 2, 3], 3));
    assert_eq!(outcomes[1], Err(Refusal::SeatTaken { seats: vec![2], retry_after_seconds: None }));
    assert_eq!(sale.seats(&*reader).await, (vec![1, 2, 3], vec![]));
    // Unblocked and held; unblocked and blocked again, for another reason; held and then refused.
    let second = [
        sale.unblock(&[1, 2]),
        hold(&sale.ann, &sale.performance, &[1]),
        sale.block(&[2], "a piano"),
        sale.block(&[1], "a piano"),
    ];
    let outcomes = sale.lane.run(second).await.expect("a unit of work");
    let of_ann = held(outcomes[1].clone().expect("seat 1 is free"));
    assert_eq!((blocked(&outcomes[0]), blocked(&outcomes[2])), ((vec![1, 2], 1), (vec![2], 2)));
    assert!(matches!(&outcomes[3], Err(Refusal::SeatTaken { seats, .. }) if seats == &[1]), "{outcomes:?}");
    assert_eq!(sale.seats(&*reader).await, (vec![2, 3], vec![(1, of_ann.id)]));
    let Done::Pay(paid) = sale.lane.done(pay(&sale.ann, &of_ann)).await else { unreachable!("a hold was paid") };
    let taken = reader.taken_seats(sale.performance.id, 1..=2).await.expect("seats");
    let [sold, piano] = &taken[..] else { unreachable!("{taken:?}") };
    assert_eq!((sold.number, &sold.user), (1, &Some(user("ann"))));
    assert!(
        matches!(&sold.taken, SeatTaken::Owned(seat, payment) if seat.sold && *payment == Some(paid.id)),
        "{sold:?}"
    );
    let reason = SeatTaken::Blocked("a piano".into());
    assert_eq!(piano, &SeatRecord { number: 2, user: None, taken: reason });
    assert_eq!(reader.taken_seats(sale.performance.id, 4..=6).await.expect("seats"), []);
    assert_eq!((sale.stored(&*reader).await.blocked, sale.stored(&*reader).await.sold), (2, 1));
}

/// The row of a lapsed hold gives way to that of the block, in one unit, with all other seats of the hold.
async fn a_lapsed_hold_gives_way_to_a_block(bed: Bed) {
    let mut sale = OnSale::new(&bed).await;
    let reader = bed.store().await.reader();
    let lapsed = held(sale.lane.done(hold(&sale.bob, &sale.performance, &[4, 5])).await);
    sale.lane.at = Some(lapsed.held_until);
    let batch = [sale.block(&[5], "a camera"), hold(&sale.ann, &sale.performance, &[4])];
    let outcomes = sale.lane.run(batch).await.expect("a unit of work");
    assert_eq!(blocked(&outcomes[0]), (vec![5], 1));
    let of_ann = held(outcomes[1].clone().expect("seat 4 is free"));
    assert_eq!(sale.seats(&*reader).await, (vec![5], vec![(4, of_ann.id)]));
}

async fn start_prices_and_seats_are_stored_with_a_revision(bed: Bed) {
    let mut sale = OnSale::new(&bed).await;
    let reader = bed.store().await.reader();
    let (id, concert) = (sale.performance.id, sale.performance.concert);
    assert_eq!(reader.performance_revisions(concert).await.expect("a count"), (1, 0));
    sale.lane.done(sale.block(&[6], "a camera")).await;
    assert_eq!(sale.stored(&*reader).await.revision, 0, "a block changes no list");
    let starts_at = sale.now.plus_seconds(7_200);
    let prices = vec![GradePrice { grade: "R".into(), price: 70 }];
    let change = ChangePerformance { starts_at: Some(starts_at), prices, ..ChangePerformance::of(id) };
    let changed = match sale.lane.done(change).await {
        Done::ChangePerformance(performance) => performance,
        other => unreachable!("{other:?}"),
    };
    assert_eq!((changed.revision, changed.version, changed.starts_at), (2, 2, starts_at));
    assert_eq!(sale.stored(&*reader).await, changed);
    let section = Section { from: 7, to: 9, grade: "R".into(), price: 70 };
    let seats = Seating::new(vec![section]).expect("a seating");
    let added = match sale.lane.done(AddSeats { performance: id, seats, places: Vec::new() }).await {
        Done::AddSeats(performance) => performance,
        other => unreachable!("{other:?}"),
    };
    assert_eq!((added.seating.capacity(), added.seating.sections().len(), added.revision), (9, 1, 3));
    assert_eq!(sale.stored(&*reader).await, added);
    assert_eq!(reader.performance_revisions(concert).await.expect("a count"), (1, 3));
    // A hold changes neither.
    let hold = held(sale.lane.done(hold(&sale.bob, &sale.performance, &[9])).await);
    assert_eq!((hold.amount, sale.stored(&*reader).await.revision), (70, 3));
}

/// A hold that was looked up in older dates changes nothing: a performance was added or moved, by another unit or by this one.
async fn a_hold_compares_the_dates_in_which_it_was_looked_up(bed: Bed) {
    let mut sale = OnSale::new(&bed).await;
    let reader = bed.store().await.reader();
    let (id, concert, now) = (sale.performance.id, sale.performance.concert, sale.now);
    let looked_up = |target, dates: (u64, u64), seat: i64| -> AnyCommand {
        let dates = Some(Dates { performances: dates.0, revisions: dates.1 });
        Hold { token: sale.bob.clone(), target, dates, seats: [seat].into(), code: None }.into()
    };
    let only = |dates, seat| looked_up(Target::Performance(id), dates, seat);
    let outcomes = sale.lane.run([only((1, 0), 1), only((0, 0), 2)]).await.expect("a unit of work");
    assert!(outcomes[0].is_ok() && outcomes[1] == Err(Refusal::DateMoved), "{outcomes:?}");
    schedule(&mut sale.lane, now, concert, 6, 100).await;
    let batch =
        [only((1, 0), 2), looked_up(Target::NoneOnDate, (1, 0), 2), looked_up(Target::SeveralOnDate, (2, 0), 2)];
    let outcomes = sale.lane.run(batch).await.expect("a unit of work");
    let expected = [Err(Refusal::DateMoved), Err(Refusal::DateMoved), Err(Refusal::PerformanceAmbiguous)];
    assert_eq!(outcomes, expected);
    // What this unit of work changes counts as well.
    let moved = ChangePerformance { starts_at: Some(now.plus_seconds(7_200)), ..ChangePerformance::of(id) };
    let seating = sale.performance.seating.clone();
    let refund_policy = sale.performance.refund_policy.clone();
    let third =
        Schedule { concert, starts_at: now.plus_seconds(3_600), seating, layout: None, closed: false, refund_policy };
    let batch = [moved.into(), only((2, 0), 2), third.into(), only((2, 2), 2), only((3, 2), 3)];
    let outcomes = sale.lane.run(batch).await.expect("a unit of work");
    let refused: Vec<bool> = outcomes.iter().map(|outcome| *outcome == Err(Refusal::DateMoved)).collect();
    assert_eq!(refused, [false, true, false, true, false], "{outcomes:?}");
    assert_eq!(reader.performance_revisions(concert).await.expect("a count"), (3, 2));
    let taken: Vec<u32> = sale.seats(&*reader).await.1.into_iter().map(|(number, _)| number).collect();
    assert_eq!(taken, [1, 3]);
}

on_each_database!(
    a_hold_compares_the_dates_in_which_it_was_looked_up,
    a_seat_changes_hands_within_one_unit,
    a_lapsed_hold_gives_way_to_a_block,
    start_prices_and_seats_are_stored_with_a_revision
);
