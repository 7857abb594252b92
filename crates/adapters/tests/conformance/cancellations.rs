//! Cancellations: the mark and the steps are stored together, readers find what is left, and another process goes on.

use onsale_app::store::{Page, Reader, UnsettledSeat};
use onsale_domain::Refusal;
use onsale_domain::cancellation::{Cancel, Cancelled, LEASE_SECONDS, Part, State, Step, Stepped};
use onsale_domain::concert::{ChangePerformance, Performance, Reservation, Status};
use onsale_domain::payment::Payment;
use onsale_domain::refund::By;
use onsale_domain::wallet::{Adjust, BALANCE_MAX};
use onsale_domain::{concert, refund as rules};

use crate::bed::{Bed, on_each_database};
use crate::lane::Lane;
use crate::mixed::Done;
use crate::stage::{OPEN_DOORS, charge, enter, held, hold, open_concert, pay, refund, schedule, user};

/// Ann has bought seats 1 and 2, bob seat 3, and cid holds seats 4 and 5, for 100 points each. Dan's hold of another
/// performance has nothing to do with it.
struct Sold {
    lane: Lane,
    performance: Performance,
    other: Performance,
    ann: Payment,
    bob: Payment,
    cid: Reservation,
    token: onsale_domain::waiting_room::Token,
}

impl Sold {
    async fn new(bed: &Bed) -> Self {
        let store = bed.store().await;
        let (mut lane, now) = (Lane::new(&*store, 1).await, store.reader().now());
        let concert = open_concert(&mut lane, OPEN_DOORS).await;
        let performance = schedule(&mut lane, now, concert, 9, 100).await;
        let other = schedule(&mut lane, now, concert, 9, 100).await;
        let mut bought = Vec::new();
        for (name, seats) in [("ann", &[1, 2][..]), ("bob", &[3])] {
            lane.run([charge(&user(name), 1_000)]).await.expect("a unit of work");
            let token = enter(&mut lane, concert, &user(name)).await;
            let reservation = held(lane.done(hold(&token, &performance, seats)).await);
            let Done::Pay(paid) = lane.done(pay(&token, &reservation)).await else { unreachable!("a hold was paid") };
            bought.push(paid);
        }
        let token = enter(&mut lane, concert, &user("cid")).await;
        let cid = held(lane.done(hold(&token, &performance, &[4, 5])).await);
        let dan = enter(&mut lane, concert, &user("dan")).await;
        held(lane.done(hold(&dan, &other, &[1])).await);
        let (ann, bob) = (bought.remove(0), bought.remove(0));
        Self { lane, performance, other, ann, bob, cid, token }
    }

    async fn cancel(&mut self) -> Cancelled {
        let cancel = Cancel { performance: self.performance.id, reason: "the singer's voice".into() };
        match self.lane.done(cancel).await {
            Done::CancelPerformance(cancelled) => cancelled,
            other => unreachable!("{other:?}"),
        }
    }

    /// The step that a process takes after it has read what is left.
    async fn step(&mut self, reader: &dyn Reader, holder: i64, limit: usize) -> Stepped {
        let known = reader.cancellation(self.performance.id).await.expect("an answer").expect("a cancellation");
        let after = known.cancellation.progress.settled_to;
        let seats = reader.unsettled_seats(self.performance.id, after, limit).await.expect("seats");
        let to = seats.last().map(|seat| seat.number).filter(|_| seats.len() == limit);
        let mut step = Step {
            performance: self.performance.id,
            holder,
            part: Part::Seats { after, to },
            payments: Vec::new(),
            holds: Vec::new(),
        };
        for UnsettledSeat { reservation, paid, .. } in seats {
            match paid {
                None => step.holds.push(reservation),
                Some((payment, _)) => {
                    let paid = if payment == self.ann.id { &self.ann } else { &self.bob };
                    step.payments.push(refund(paid, &[]));
                }
            }
        }
        step.holds.dedup();
        step.payments.dedup_by_key(|payment: &mut rules::RefundSeats| payment.payment);
        self.take(step).await
    }

    async fn take(&mut self, step: Step) -> Stepped {
        match self.lane.done(step).await {
            Done::StepOfCancellation(stepped) => stepped,
            other => unreachable!("{other:?}"),
        }
    }

    async fn shown(&self, reader: &dyn Reader) -> Cancelled {
        reader.cancellation(self.performance.id).await.expect("an answer").expect("a cancellation")
    }
}

async fn a_cancellation_is_settled_step_by_step(bed: Bed) {
    let mut sold = Sold::new(&bed).await;
    let reader = bed.store().await.reader();
    assert_eq!(reader.cancellation(sold.performance.id).await.expect("an answer"), None);
    assert_eq!(reader.cancellations_under_way().await.expect("cancellations"), []);
    let cancelled = sold.cancel().await;
    assert!(cancelled.is_new && cancelled.state() == State::Running, "{cancelled:?}");
    assert_eq!((cancelled.cancellation.payments, cancelled.open_payments), (2, 2));
    let known = Cancelled { is_new: false, ..cancelled.clone() };
    assert_eq!(sold.cancel().await, known, "a second call changes nothing");
    assert_eq!(sold.shown(&*reader).await, known);
    let under_way = reader.cancellations_under_way().await.expect("cancellations");
    assert_eq!(under_way, std::slice::from_ref(&known.cancellation));

    let outcomes = sold.lane.run([hold(&sold.token, &sold.performance, &[9]), pay(&sold.token, &sold.cid)]).await;
    let refused = Err(Refusal::PerformanceCancelled);
    assert_eq!(outcomes.expect("a unit of work"), [refused.clone(), refused.clone()]);
    let change = ChangePerformance { closed: Some(true), ..ChangePerformance::of(sold.performance.id) };
    let (concert, performance) = (sold.performance.concert, Some(sold.performance.id));
    let extend = concert::Extend { concert, performance, seconds: 9, reason: "late".into() };
    let outcomes = sold.lane.run([change.into(), extend.into()]).await.expect("a unit of work");
    assert_eq!(outcomes, [refused.clone(), refused]);

    let seats = reader.unsettled_seats(sold.performance.id, 1, 3).await.expect("seats");
    let found: Vec<_> = seats.iter().map(|seat| (seat.number, seat.reservation, seat.paid.clone())).collect();
    let paid = |payment: &Payment| Some((payment.id, payment.user.clone()));
    assert_eq!(
        found,
        [
            (2, sold.ann.reservation, paid(&sold.ann)),
            (3, sold.bob.reservation, paid(&sold.bob)),
            (4, sold.cid.id, None)
        ]
    );
    assert_eq!(sold.step(&*reader, 7, 2).await, Stepped::Taken { rests: false });
    let shown = sold.shown(&*reader).await;
    assert_eq!((shown.payments_refunded(), shown.points_refunded(), shown.state()), (1, 200, State::Running));
    assert_eq!((shown.cancellation.progress.settled_to, shown.cancellation.progress.holder), (2, 7));
    assert_eq!(sold.step(&*reader, 8, 9).await, Stepped::Elsewhere, "another process has the lease");
    assert_eq!(sold.step(&*reader, 7, 9).await, Stepped::Taken { rests: true });
    let shown = sold.shown(&*reader).await;
    assert_eq!((shown.payments_refunded(), shown.points_refunded(), shown.state()), (2, 300, State::Done));
    assert_eq!(reader.cancellations_under_way().await.expect("cancellations"), []);

    let rows = reader.seats(sold.performance.id).await.expect("seats");
    assert!(rows.cancelled && rows.seats.is_empty(), "{rows:?}");
    let other = reader.seats(sold.other.id).await.expect("seats");
    assert!(!other.cancelled && other.seats.len() == 1, "{other:?}");
    let ended = reader.reservation(sold.cid.id).await.expect("an answer").expect("a reservation");
    assert_eq!(ended.status, Status::Released);
    let refunds = reader.refunds(onsale_app::store::RefundsOf::Payment(sold.ann.id), Page { after: None, limit: 9 });
    let [refund] = &refunds.await.expect("refunds")[..] else { unreachable!("one refund") };
    assert_eq!((refund.by, refund.amount, refund.fee, refund.reason.clone()), (By::Cancellation, 200, 0, None));
    assert_eq!(reader.account(&user("ann")).await.expect("a wallet").balance, 1_000);
}

async fn a_failed_refund_is_listed_until_it_succeeds(bed: Bed) {
    let mut sold = Sold::new(&bed).await;
    let reader = bed.store().await.reader();
    let full =
        |name: &str, balance: i64| Adjust { user: user(name), amount: BALANCE_MAX - balance, reason: "won".into() };
    sold.lane.done(full("ann", 800)).await;
    sold.lane.done(full("bob", 900)).await;
    sold.cancel().await;
    assert_eq!(sold.step(&*reader, 7, 9).await, Stepped::Taken { rests: true });
    let shown = sold.shown(&*reader).await;
    assert_eq!((shown.payments_failed(), shown.points_refunded(), shown.state()), (2, 0, State::Waiting));
    assert_eq!(reader.cancellations_under_way().await.expect("cancellations"), [shown.cancellation]);

    let page = |after, limit| Page { after, limit };
    let failed = reader.failed_refunds(sold.performance.id, page(None, 1)).await.expect("failed refunds");
    let (newest, oldest) = (sold.ann.id.max(sold.bob.id), sold.ann.id.min(sold.bob.id));
    assert_eq!(failed.iter().map(|(failed, ..)| failed.payment).collect::<Vec<_>>(), [newest]);
    let failed = reader.failed_refunds(sold.performance.id, page(Some(newest), 9)).await.expect("failed refunds");
    assert_eq!(failed.iter().map(|(failed, ..)| failed.payment).collect::<Vec<_>>(), [oldest]);
    let [(_, paid, refunded)] = &failed[..] else { unreachable!("one failed refund") };
    let expected = if oldest == sold.ann.id { &sold.ann } else { &sold.bob };
    assert_eq!((paid, &refunded[..]), (expected, &[][..]));

    // A request is faster than the next try.
    sold.lane.done(Adjust { user: user("bob"), amount: -100, reason: "spent".into() }).await;
    sold.lane.done(refund(&sold.bob, &[])).await;
    let failed = reader.failed_refunds(sold.performance.id, page(None, 9)).await.expect("failed refunds");
    assert_eq!(failed.iter().map(|(failed, ..)| failed.payment).collect::<Vec<_>>(), [sold.ann.id]);
    let shown = sold.shown(&*reader).await;
    assert_eq!((shown.payments_refunded(), shown.payments_failed(), shown.points_refunded()), (1, 1, 100));
    let again = Step {
        performance: sold.performance.id,
        holder: 7,
        part: Part::Again { is_last: true },
        payments: vec![refund(&sold.ann, &[])],
        holds: Vec::new(),
    };
    assert_eq!(sold.take(again).await, Stepped::Elsewhere, "it is too early to try again");
    assert!(shown.cancellation.progress.retry_at > shown.cancellation.cancelled_at.plus_seconds(LEASE_SECONDS));
}

/// The seats of a payment may be those of two steps: ann's seat 1 and her seat 2. `between` is what she is refunded meanwhile.
async fn fails_in_two_steps(bed: Bed, between: &[u32]) {
    let mut sold = Sold::new(&bed).await;
    let reader = bed.store().await.reader();
    sold.lane.done(Adjust { user: user("ann"), amount: BALANCE_MAX - 800, reason: "won".into() }).await;
    sold.cancel().await;
    assert_eq!(sold.step(&*reader, 7, 1).await, Stepped::Taken { rests: false });
    assert_eq!(sold.shown(&*reader).await.payments_failed(), 1);
    if !between.is_empty() {
        sold.lane.done(Adjust { user: user("ann"), amount: -100, reason: "spent".into() }).await;
        sold.lane.done(refund(&sold.ann, between)).await;
    }
    assert_eq!(sold.step(&*reader, 7, 1).await, Stepped::Taken { rests: false }, "the second of her seats");
    assert_eq!(sold.step(&*reader, 7, 9).await, Stepped::Taken { rests: true });
    let failed =
        reader.failed_refunds(sold.performance.id, Page { after: None, limit: 9 }).await.expect("failed refunds");
    assert_eq!(failed.iter().map(|(failed, ..)| failed.payment).collect::<Vec<_>>(), [sold.ann.id]);
    let shown = sold.shown(&*reader).await;
    assert_eq!((shown.payments_refunded(), shown.payments_failed(), shown.state()), (1, 1, State::Waiting));
}

async fn a_refund_that_fails_in_two_steps_is_listed_once(bed: Bed) {
    fails_in_two_steps(bed, &[]).await;
}

async fn a_refund_that_fails_again_after_a_partial_one_is_listed_once(bed: Bed) {
    fails_in_two_steps(bed, &[1]).await;
}

on_each_database!(
    a_cancellation_is_settled_step_by_step,
    a_failed_refund_is_listed_until_it_succeeds,
    a_refund_that_fails_in_two_steps_is_listed_once,
    a_refund_that_fails_again_after_a_partial_one_is_listed_once,
);
