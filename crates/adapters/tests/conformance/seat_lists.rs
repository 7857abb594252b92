//! Waiting lists of performances: both stores offer seats that come back in the unit that frees them, in order, and to no other user.

use onsale_app::store::{ListedEntry, Reader};
use onsale_domain::Refusal;
use onsale_domain::concert::{Performance, Reservation, Wish};
use onsale_domain::payment::Payment;
use onsale_domain::seat_list::{Join, Leave, OFFER_SECONDS_DEFAULT, OfferSeats, Offered, State};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Token;

use crate::bed::{Bed, on_each_database};
use crate::lane::{Lane, Outcome};
use crate::mixed::{AnyCommand, Done};
use crate::stage::{OPEN_DOORS, charge, enter, held, hold, open_concert, pay, refund, schedule, user};

/// A performance with four seats that one user has bought. Another user has a turn.
struct SoldOut {
    lane: Lane,
    performance: Performance,
    paid: Payment,
    bob: Token,
}

impl SoldOut {
    async fn new(store: &dyn onsale_app::store::Store) -> Self {
        let mut lane = Lane::new(store, 1).await;
        let concert = open_concert(&mut lane, OPEN_DOORS).await;
        let performance = schedule(&mut lane, store.reader().now(), concert, 4, 100).await;
        lane.done(charge(&user("ann"), 10_000)).await;
        lane.done(charge(&user("cid"), 10_000)).await;
        let ann = enter(&mut lane, concert, &user("ann")).await;
        let bob = enter(&mut lane, concert, &user("bob")).await;
        let taken = held(lane.done(hold(&ann, &performance, &[1, 2, 3, 4])).await);
        let Done::Pay(paid) = lane.done(pay(&ann, &taken)).await else { unreachable!("a hold was paid") };
        Self { lane, performance, paid, bob }
    }

    fn join(&self, name: &str, count: u32) -> AnyCommand {
        let wish = Wish { count, section: None, grade: None };
        Join { concert: self.performance.concert, performance: self.performance.id, user: user(name), wish }.into()
    }

    async fn joined(&mut self, name: &str, count: u32) -> u32 {
        let join = self.join(name, count);
        let Done::JoinSeatList(joined) = self.lane.done(join).await else { unreachable!("a user joined") };
        joined.position
    }

    fn leave(&self, name: &str, offer: Option<&Reservation>) -> AnyCommand {
        let (concert, performance) = (self.performance.concert, self.performance.id);
        Leave { concert, performance, user: user(name), offer: offer.map(|own| own.id) }.into()
    }

    async fn entry(&self, reader: &dyn Reader, name: &str) -> ListedEntry {
        let concert = Some(self.performance.concert);
        let found = reader.seat_waits_of(&user(name), concert, Timestamp::default()).await.expect("an answer");
        found.into_iter().next().expect("an entry")
    }

    /// The reservation that was offered to a user.
    async fn offer(&self, reader: &dyn Reader, name: &str) -> Reservation {
        let offered = self.entry(reader, name).await.entry.reservation.expect("an offer");
        reader.reservation(offered).await.expect("an answer").expect("a reservation")
    }
}

fn is_taken(outcome: &Outcome) -> bool {
    matches!(outcome, Err(Refusal::SeatTaken { .. }))
}

async fn freed_seats_are_offered_in_the_same_unit(bed: Bed) {
    let store = bed.store().await;
    let mut sale = SoldOut::new(&*store).await;
    let reader = store.reader();
    assert_eq!((sale.joined("cid", 2).await, sale.joined("dan", 1).await), (1, 2));
    assert_eq!(sale.entry(&*reader, "dan").await.position, Some(2));
    let again = sale.lane.run([sale.join("cid", 1)]).await.expect("a unit of work");
    assert_eq!(again, [Err(Refusal::OnSeatList)]);
    // The refund and a hold of the same seats in one unit: the list comes first.
    let back = refund(&sale.paid, &[2, 3]).into();
    let outcomes = sale.lane.run([back, hold(&sale.bob, &sale.performance, &[2])]).await.expect("a unit of work");
    assert!(outcomes[0].is_ok() && is_taken(&outcomes[1]), "{outcomes:?}");
    let offered = sale.offer(&*reader, "cid").await;
    assert_eq!((&offered.seats[..], offered.is_offer()), (&[2, 3][..], true));
    assert_eq!(offered.held_until, offered.held_at.plus_seconds(OFFER_SECONDS_DEFAULT).min(sale.performance.starts_at));
    assert_eq!(sale.entry(&*reader, "dan").await.position, Some(1));
    let token = Token::of_offer(&offered);
    assert!(matches!(sale.lane.done(pay(&token, &offered)).await, Done::Pay(_)));

    // A seat that is declined goes to the next user whose wish it fits, and then to any user.
    sale.lane.done(refund(&sale.paid, &[1])).await;
    let offered = sale.offer(&*reader, "dan").await;
    sale.lane.done(sale.leave("dan", Some(&offered))).await;
    let performance = reader.listed(&[], &[sale.performance.id]).await.expect("an answer").performances.remove(0);
    assert_eq!((performance.waitlisted, performance.offered, performance.held), (0, 0, 0));
    assert_eq!(held(sale.lane.done(hold(&sale.bob, &sale.performance, &[1])).await).seats[..], [1]);
}

async fn a_step_serves_a_long_list_and_ends_it(bed: Bed) {
    let store = bed.store().await;
    let mut sale = SoldOut::new(&*store).await;
    let reader = store.reader();
    let joins: Vec<AnyCommand> = (0..70).map(|number| sale.join(&format!("u{number}"), 3)).collect();
    let outcomes = sale.lane.run(joins).await.expect("a unit of work");
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(reader.performances_to_serve(reader.now()).await.expect("an answer"), []);
    sale.lane.done(refund(&sale.paid, &[4])).await;
    // One seat fits no wish, so it is free.
    assert_eq!(held(sale.lane.done(hold(&sale.bob, &sale.performance, &[4])).await).seats[..], [4]);
    sale.lane.done(sale.leave("u0", None)).await;
    assert_eq!(sale.entry(&*reader, "u0").await.entry.state, State::Left);
    sale.lane.done(refund(&sale.paid, &[1, 2, 3])).await;
    assert_eq!(sale.offer(&*reader, "u1").await.seats[..], [1, 2, 3]);
    let at = sale.performance.starts_at;
    assert_eq!(reader.performances_to_serve(at).await.expect("an answer"), [sale.performance.id]);
    sale.lane.at = Some(at);
    let step = OfferSeats { performance: sale.performance.id };
    assert_eq!(sale.lane.done(step).await, Done::OfferSeats(Offered { done: 68, goes_on: false }));
    assert_eq!(sale.entry(&*reader, "u69").await.entry.state, State::Ended);
}

on_each_database!(freed_seats_are_offered_in_the_same_unit, a_step_serves_a_long_list_and_ends_it);
