//! Refunds: what one unit frees the next takes, readers find all of it, and servers of an older schema fail.

use onsale_app::store::{GivenBack, Page, Reader, RefundsOf};
use onsale_domain::Refusal;
use onsale_domain::concert::{Performance, Reservation, Status};
use onsale_domain::payment::Payment;
use onsale_domain::refund::{By, Refund, RefundByStaff};
use onsale_domain::waiting_room::Token;
use onsale_domain::wallet::{Adjust, EntryKind};
use onsale_testing::without;

use crate::bed::{Bed, on_each_database};
use crate::lane::{Lane, Outcome};
use crate::mixed::{AnyCommand, Done};
use crate::stage::{OPEN_DOORS, charge, enter, held, hold, open_concert, pay, refund, schedule, user};

/// Ann has bought seats 1 and 2 for 100 points each; bob has his turn too. A buyer who gives a seat back loses a tenth.
struct Sold {
    lane: Lane,
    performance: Performance,
    bob: Token,
    paid: Payment,
}

impl Sold {
    async fn new(bed: &Bed) -> Self {
        let store = bed.store().await;
        let (mut lane, now) = (Lane::new(&*store, 1).await, store.reader().now());
        let concert = open_concert(&mut lane, OPEN_DOORS).await;
        let performance = schedule(&mut lane, now, concert, 4, 100).await;
        lane.run([charge(&user("ann"), 1_000), charge(&user("bob"), 1_000)]).await.expect("a unit of work");
        let ann = enter(&mut lane, concert, &user("ann")).await;
        let bob = enter(&mut lane, concert, &user("bob")).await;
        let reservation = held(lane.done(hold(&ann, &performance, &[1, 2])).await);
        let Done::Pay(paid) = lane.done(pay(&ann, &reservation)).await else { unreachable!("a hold was paid") };
        Self { lane, performance, bob, paid }
    }

    fn refund(&self, seats: &[u32]) -> AnyCommand {
        refund(&self.paid, seats).into()
    }

    fn by_staff(&self, seats: &[u32], fee: i64) -> AnyCommand {
        RefundByStaff { refund: refund(&self.paid, seats), fee, reason: "moved".into() }.into()
    }

    async fn reservation(&self, reader: &dyn Reader) -> Reservation {
        reader.reservation(self.paid.reservation).await.expect("an answer").expect("a reservation")
    }
}

fn refunded(outcome: &Outcome) -> &Refund {
    match outcome {
        Ok(Done::RefundSeats(refund) | Done::RefundByStaff(refund)) => refund,
        other => unreachable!("{other:?}"),
    }
}

async fn a_seat_that_was_refunded_is_sold_again(bed: Bed) {
    let mut sold = Sold::new(&bed).await;
    let reader = bed.store().await.reader();
    // In one unit: the seat never was free between two units.
    let batch = [sold.refund(&[1]), hold(&sold.bob, &sold.performance, &[1]), sold.refund(&[1])];
    let outcomes = sold.lane.run(batch).await.expect("a unit of work");
    let first = refunded(&outcomes[0]).clone();
    assert_eq!((first.amount, first.fee, first.balance_after, first.by), (90, 10, 890, By::Buyer));
    assert_eq!(outcomes[2], Err(Refusal::AlreadyRefunded));
    let of_bob = held(outcomes[1].clone().expect("the seat is free"));
    let own = sold.reservation(&*reader).await;
    assert_eq!((own.status, &own.refunded[..]), (Status::Paid, &[1][..]));

    sold.lane.done(pay(&sold.bob, &of_bob)).await;
    let outcomes = sold.lane.run([sold.by_staff(&[], 30), sold.by_staff(&[], 0)]).await.expect("a unit of work");
    let last = refunded(&outcomes[0]).clone();
    assert_eq!((last.amount, last.fee, last.balance_after, &last.seats[..]), (70, 30, 960, &[2][..]));
    assert_eq!(outcomes[1], Err(Refusal::AlreadyRefunded));
    let own = sold.reservation(&*reader).await;
    assert_eq!((own.status, &own.refunded[..]), (Status::Refunded, &[1, 2][..]));

    let rows = reader.seats(sold.performance.id).await.expect("seats");
    let seats: Vec<(u32, bool)> = rows.seats.iter().map(|(number, seat)| (*number, seat.sold)).collect();
    assert_eq!(seats, [(1, true)], "seat 1 is bob's, and seat 2 is free");
    let performances = reader.performances().await.expect("performances");
    assert_eq!(performances[0].sold, 1);
    for of in [RefundsOf::Payment(sold.paid.id), RefundsOf::Performance(sold.performance.id)] {
        let all = reader.refunds(of, Page { after: None, limit: 10 }).await.expect("refunds");
        assert_eq!(all, [last.clone(), first.clone()], "newest first");
        let second = reader.refunds(of, Page { after: Some(last.id), limit: 1 }).await.expect("refunds");
        assert_eq!(second, std::slice::from_ref(&first));
    }
    let given = reader.given_back(&[sold.paid.id]).await.expect("sums");
    assert_eq!(given.get(&sold.paid.id), Some(&GivenBack { seats: vec![1, 2], amount: 160 }));
    let entries = reader.ledger(&sold.paid.user, Page { after: None, limit: 2 }).await.expect("a ledger");
    let kinds: Vec<(EntryKind, u64)> = entries.iter().map(|entry| (entry.kind, entry.version)).collect();
    assert_eq!(kinds, [(EntryKind::Refund, last.entry_version), (EntryKind::Refund, first.entry_version)]);
    assert!(entries.iter().all(|entry| entry.reference == Some(sold.paid.id)));
}

async fn an_adjustment_is_stored_with_its_sign(bed: Bed) {
    let mut sold = Sold::new(&bed).await;
    let adjust = |amount| Adjust { user: user("bob"), amount, reason: "counted wrongly".into() };
    sold.lane.done(adjust(-400)).await;
    sold.lane.done(adjust(5)).await;
    let reader = bed.store().await.reader();
    let entries = reader.ledger(&user("bob"), Page { after: None, limit: 2 }).await.expect("a ledger");
    let moved: Vec<_> = entries.iter().map(|entry| (entry.kind, entry.amount, entry.balance_after)).collect();
    assert_eq!(moved, [(EntryKind::Adjustment, 5, 605), (EntryKind::Adjustment, -400, 600)]);
}

on_each_database!(a_seat_that_was_refunded_is_sold_again, an_adjustment_is_stored_with_its_sign);

/// What a server of schema 13 writes when it holds and when it pays.
#[tokio::test]
async fn a_server_of_an_older_schema_fails_to_hold_and_to_pay() {
    if without("postgres") {
        return;
    }
    let bed = Bed::postgres().await;
    let sold = Sold::new(&bed).await;
    let Bed::Postgres(database) = &bed else { unreachable!("a database of Postgres") };
    let sql = database.sql().await;
    let reservation = sold.paid.reservation;
    let held = format!(
        "INSERT INTO reservations (reservation_id, concert_id, performance_id, user_id, place, seats, amount, held_at, \
            held_until, status, end_event_id, extended)
         SELECT gen_random_uuid(), concert_id, performance_id, user_id, place, seats, amount, held_at, held_until, 'HELD', NULL, 0
         FROM reservations WHERE reservation_id = '{reservation}'"
    );
    let paid = format!(
        "INSERT INTO payments (payment_id, reservation_id, performance_id, user_id, seats, amount, balance_after, paid_at)
         SELECT gen_random_uuid(), gen_random_uuid(), performance_id, user_id, seats, amount, balance_after, paid_at
         FROM payments WHERE reservation_id = '{reservation}'"
    );
    for statement in [held, paid] {
        let refused = sql.batch_execute(&statement).await.expect_err("an older server must fail");
        let refused = refused.as_db_error().expect("a refusal of the database");
        assert_eq!((refused.code().code(), refused.column()), ("23502", Some("prices")), "{statement}");
    }
}
