//! Concerts: the events of each seat lead to its rows, and each sale has a payment, a ledger entry and an event.

use std::collections::{BTreeMap, BTreeSet};

use onsale_domain::concert::{Ending, Performance, Reservation, SEATS_PER_USER_DEFAULT, Seat, Seating, Status};
use onsale_domain::event::{Claim, Event, Happening};
use onsale_domain::ids::{EventId, PerformanceId, ReservationId, UserId};
use onsale_domain::payment::Payment;
use onsale_domain::refund::Refund;
use onsale_domain::seat_list::{Entry as SeatWait, State};
use onsale_domain::time::Timestamp;
use onsale_domain::wallet::{Entry, EntryKind};

use super::refunds::audit_refunds;
use super::{Events, Tables};

pub(super) fn audit(tables: &Tables, events: &Events<'_>, at: Timestamp) {
    let mut seats = BTreeMap::new();
    let mut blocked = BTreeSet::new();
    for performance in tables.performances.values() {
        let events = events.performances.get(&performance.id).map_or(&[][..], |events| events);
        assert_eq!(performance.version, events.len() as u64, "each change of a performance has one event");
        assert!(
            events.last().is_none_or(|last| last.at == performance.updated_at),
            "a performance knows its last change"
        );
        assert!(tables.rooms.contains_key(&performance.concert), "a performance has its concert");
        let mut story = Story {
            tables,
            performance,
            seats: BTreeMap::new(),
            ends: BTreeMap::new(),
            extensions: 0,
            changed: None,
            cancelled_at: None,
            // Before the first change of a start or a price they are not known.
            offer: (performance.revision == 0).then(|| (performance.starts_at, performance.seating.clone())),
            blocked: BTreeSet::new(),
            ended: 0,
        };
        events.iter().for_each(|event| story.follow(event));
        let sold = story.seats.values().filter(|seat| seat.sold).count();
        assert_eq!(performance.sold as usize, sold, "the seats sold are miscounted");
        let held = tables.reservations.values().filter(|r| r.performance == performance.id && r.status == Status::Held);
        assert!(performance.holds.is_none_or(|holds| holds as usize == held.count()), "the holds are miscounted");
        assert_eq!(performance.extensions, story.extensions, "the extensions are miscounted");
        let paid = tables.reservations.values().filter(|r| r.performance == performance.id && r.status == Status::Paid);
        assert_eq!(performance.open_payments as usize, paid.count(), "the open payments are miscounted");
        audit_cancellation(tables, &story);
        let is_as_changed = story.changed.is_none_or(|changed| {
            (changed.closed, &changed.refund_policy) == (performance.closed, &performance.refund_policy)
                && (changed.starts_at, &changed.seating) == (performance.starts_at, &performance.seating)
        });
        assert!(is_as_changed, "the last change left it otherwise");
        assert_eq!(performance.blocked as usize, story.blocked.len(), "the blocked seats are miscounted");
        blocked.extend(story.blocked.into_iter().map(|number| (performance.id, number)));
        let concert = &tables.concerts[&performance.concert];
        let kept = (performance.sale, performance.seats_per_user);
        assert_eq!(
            kept,
            (concert.sale, concert.seats_per_user),
            "a performance knows the hours and the limit of its concert"
        );
        audit_figures(tables, performance);
        let ended = tables.reservations.values().filter(|r| r.performance == performance.id);
        assert_eq!(story.ended, ended.filter(|r| r.status != Status::Held).count(), "a hold ended without an event");
        seats.extend(story.seats.into_iter().map(|(number, seat)| ((performance.id, number), seat)));
    }
    let stored = tables.seats.keys().filter_map(|key| Some((*key, tables.seat(*key)?)));
    let stored: BTreeMap<(PerformanceId, u32), Seat> = stored.collect();
    assert_eq!(stored, seats, "the seats stand where the events left them");
    let stored: BTreeSet<(PerformanceId, u32)> = tables.blocks.keys().copied().collect();
    assert_eq!(stored, blocked, "the blocked seats are those of the events");
    assert!(stored.iter().all(|key| !tables.seats.contains_key(key)), "a blocked seat is neither held nor sold");
    audit_concerts(tables, events);
    tables.reservations.values().for_each(|reservation| audit_reservation(tables, reservation));
    audit_limit(tables, at);
    audit_payments(tables);
}

/// What the events of one performance say of its seats.
struct Story<'a> {
    tables: &'a Tables,
    performance: &'a Performance,
    seats: BTreeMap<u32, Seat>,
    /// The end of each hold: that of its own event, and the extensions while it was live.
    ends: BTreeMap<ReservationId, Timestamp>,
    extensions: u64,
    /// The performance as its last change left it.
    changed: Option<Performance>,
    cancelled_at: Option<Timestamp>,
    /// Start and seats with prices as of the last event, if they are known.
    offer: Option<(Timestamp, Seating)>,
    blocked: BTreeSet<u32>,
    ended: usize,
}

/// A cancelled performance is marked and has its cancellation; a done one has no hold and no sold seat.
fn audit_cancellation(tables: &Tables, story: &Story<'_>) {
    let performance = story.performance;
    assert_eq!(performance.cancelled_at, story.cancelled_at, "a cancellation has its event");
    let known = tables.cancellations.get(&performance.id);
    assert_eq!(known.map(|known| known.cancelled_at), story.cancelled_at, "a cancelled performance has its row");
    let Some(known) = known else { return };
    let open = |number: &u32| {
        let seat = &story.seats[number];
        let failed = |id: ReservationId| tables.failed_refunds.iter().any(|failed| failed.reservation == id);
        !(seat.sold && failed(seat.reservation))
    };
    let progress = &known.progress;
    let mut open = story.seats.keys().filter(|number| open(number));
    assert!(open.all(|number| !progress.is_through && progress.settled_to < *number), "a step forgot a seat");
    assert!(!progress.is_done || story.seats.is_empty(), "a cancellation is done, and a seat is held or sold");
    let refunds = tables.refunds.iter().filter(|refund| refund.performance == performance.id);
    let later = refunds.filter(|refund| refund.refunded_at > known.cancelled_at);
    later.for_each(|refund| assert_eq!(refund.fee, 0, "a refund of a cancelled performance is in full"));
}

/// Each change of a concert has one event, and the room knows whether the sale is closed.
fn audit_concerts(tables: &Tables, events: &Events<'_>) {
    for concert in tables.concerts.values() {
        let events = events.concerts.get(&concert.id).map_or(&[][..], |events| events);
        assert_eq!(concert.version, events.len() as u64, "each change of a concert has one event");
        if let Some(last) = events.last() {
            let after = Happening::ConcertChanged { concert: concert.clone() };
            assert_eq!(last.happening, after, "the last event has the concert as it is");
        }
        assert_eq!(tables.rooms[&concert.id].settings.sale, concert.sale, "a room knows the hours of its sale");
    }
}

/// The counters of a performance are the sums of its rows.
fn audit_figures(tables: &Tables, performance: &Performance) {
    let held = tables.seats.iter().filter(|((of, _), seat)| *of == performance.id && !seat.sold);
    assert_eq!(performance.held as usize, held.count(), "the held seats are miscounted");
    let waits =
        tables.seat_waits.values().filter(|own| own.performance == performance.id && own.state == State::Waiting);
    assert_eq!(performance.waitlisted as usize, waits.count(), "the waiting users are miscounted");
    let offers = tables.reservations.values().filter(|own| own.performance == performance.id && own.is_offer());
    let offered: usize = offers.filter(|own| own.status == Status::Held).map(|own| own.seats.len()).sum();
    assert_eq!(performance.offered as usize, offered, "the offered seats are miscounted");
    let paid = tables.payments.iter().filter(|payment| payment.performance == performance.id);
    let given = tables.refunds.iter().filter(|refund| refund.performance == performance.id);
    let (paid, given): (i64, i64) = (paid.map(|payment| payment.amount).sum(), given.map(|refund| refund.amount).sum());
    assert_eq!((performance.revenue, performance.refunded), (paid - given, given), "the points are miscounted");
}

impl Story<'_> {
    fn follow(&mut self, event: &Event) {
        let is_taken = matches!(event.happening, Happening::SeatsHeld { .. } | Happening::PaymentCompleted { .. });
        assert!(self.cancelled_at.is_none() || !is_taken, "a seat was held or paid after the cancellation");
        match &event.happening {
            Happening::SeatsHeld { claim, held_until, is_offer } => {
                assert_eq!(*is_offer, self.reservation(claim).is_offer(), "an event differs from its offer");
                self.hold(event, claim, *held_until);
            }
            Happening::WaitlistJoined { .. } | Happening::WaitlistOffered { .. } | Happening::WaitlistEnded { .. } => {}
            Happening::SeatsReleased { claim, ending } => self.release(event, claim, *ending),
            Happening::PaymentCompleted { claim, payment, paid_at } => {
                let reservation = self.reservation(claim);
                assert!(
                    matches!(reservation.status, Status::Paid | Status::Refunded),
                    "a payment for what is not paid"
                );
                assert_eq!(event.id.uuid(), payment.uuid(), "a payment is its event's name");
                assert!(
                    *paid_at == event.at || self.is_dated_before(event, *paid_at),
                    "the event of a payment has the time of the payment"
                );
                assert!(*paid_at < reservation.held_until, "a hold was paid after it lapsed");
                assert_eq!(self.ends.remove(&claim.reservation), Some(reservation.held_until), "another end");
                self.of(claim).for_each(|seat| seat.sold = true);
                self.ended += 1;
            }
            Happening::PaymentRefunded { refund } => self.refund(event, refund),
            Happening::TicketVoided { voided } => {
                assert!(self.tables.voided.contains(voided), "an event of a void ticket that is not there");
                assert_eq!((event.id, event.version), (voided.event, voided.version), "a void ticket names its event");
                assert!(!self.seats.contains_key(&voided.seat), "the ticket of a paid seat became void");
            }
            Happening::HoldsExtended { at, seconds, holds, .. } => self.extend(*at, *seconds, *holds),
            Happening::PerformanceCancelled { cancelled_at, .. } => {
                assert_eq!(self.cancelled_at.replace(*cancelled_at), None, "cancelled twice");
            }
            Happening::PerformanceChanged { performance } => {
                self.changed = Some(performance.clone());
                self.offer = Some((performance.starts_at, performance.seating.clone()));
            }
            Happening::SeatsBlocked { seats, .. } => {
                assert!(!seats.is_empty(), "an event of no change");
                for number in seats.iter() {
                    assert!(!self.seats.contains_key(number), "seat {number} has an owner and was blocked");
                    assert!(self.blocked.insert(*number), "seat {number} was blocked twice");
                }
            }
            Happening::SeatsUnblocked { seats, .. } => {
                assert!(!seats.is_empty(), "an event of no change");
                seats.iter().for_each(|number| assert!(self.blocked.remove(number), "seat {number} was not blocked"));
            }
            other => unreachable!("{other:?} is not a performance's"),
        }
    }

    /// Whether an event has the time of a clock that was ahead, as the history never goes back.
    fn is_dated_before(&self, event: &Event, at: Timestamp) -> bool {
        event.at.is_ahead_of(at) && event.at <= self.performance.updated_at
    }

    fn hold(&mut self, event: &Event, claim: &Claim, held_until: Timestamp) {
        let reservation = self.reservation(claim);
        assert_eq!(event.id.uuid(), claim.reservation.uuid(), "a hold is its event's name");
        let held_at = reservation.held_at;
        let extended = self.extensions;
        assert!(held_until <= reservation.held_until, "a hold never becomes shorter");
        self.ends.insert(claim.reservation, held_until);
        assert!(
            event.at == held_at || self.is_dated_before(event, held_at),
            "the event of a hold has the time of the hold"
        );
        if let Some((starts_at, seating)) = &self.offer {
            assert!(event.at < *starts_at, "a hold after the start");
            let price = |seat: &u32| seating.section_of(*seat).map(|section| section.price);
            let prices: Option<Vec<i64>> = claim.seats.iter().map(price).collect();
            assert_eq!(prices.as_deref(), Some(&*reservation.prices), "the price of each seat at the hold");
        }
        for number in claim.seats.iter() {
            let seat = Seat { reservation: claim.reservation, held_until, extended, sold: false };
            assert!(!self.blocked.contains(number), "seat {number} is blocked and was held");
            assert_eq!(self.seats.insert(*number, seat), None, "seat {number} has two owners");
        }
    }

    fn extend(&mut self, at: Timestamp, seconds: u32, holds: u64) {
        self.extensions += 1;
        let live = self.ends.values_mut().filter(|until| at < **until);
        let live = live.map(|until| *until = until.plus_seconds(seconds)).count();
        assert_eq!(holds, live as u64, "an extension counts the holds that were live");
        for seat in self.seats.values_mut().filter(|seat| !seat.sold) {
            let until = self.ends[&seat.reservation];
            (seat.held_until, seat.extended) = (until, self.extensions);
        }
    }

    fn refund(&mut self, event: &Event, refund: &Refund) {
        assert_eq!(event.id.uuid(), refund.id.uuid(), "a refund is its event's name");
        assert!(
            refund.refunded_at == event.at || self.is_dated_before(event, refund.refunded_at),
            "the event of a refund has the time of the refund"
        );
        assert!(self.tables.refunds.contains(refund), "an event of a refund that is not there");
        for number in refund.seats.iter() {
            let seat = self.seats.remove(number).expect("a refund of a seat without an owner");
            assert!(seat.sold && seat.reservation == refund.reservation, "a refund of another's seat");
        }
    }

    fn release(&mut self, event: &Event, claim: &Claim, ending: Ending) {
        let reservation = self.reservation(claim);
        assert_eq!(reservation.end_event, Some(event.id), "an end is its event's name");
        assert_eq!(self.ends.remove(&claim.reservation), Some(reservation.held_until), "another end");
        let (status, in_time) = match ending {
            Ending::Expired => (Status::Expired, event.at >= reservation.held_until),
            Ending::Released => (Status::Released, event.at < reservation.held_until),
            Ending::Cancelled => {
                assert!(self.cancelled_at.is_some(), "a hold ended by no cancellation");
                (Status::Released, event.at < reservation.held_until)
            }
        };
        assert_eq!(reservation.status, status, "the status differs from the event");
        assert!(in_time, "{ending:?} at the wrong time");
        assert!(self.of(claim).all(|seat| !seat.sold), "sold seats were released");
        claim.seats.iter().for_each(|number| assert!(self.seats.remove(number).is_some()));
        self.ended += 1;
    }

    /// The reservation of a claim. Fails if the two differ.
    fn reservation(&self, claim: &Claim) -> Reservation {
        let reservation = self.tables.reservation(claim.reservation).expect("an event has its reservation");
        let Reservation { id, performance, amount, .. } = reservation;
        let (user, seats) = (reservation.user.clone(), reservation.seats.clone());
        assert_eq!(claim, &Claim { reservation: id, performance, user, seats, amount });
        reservation
    }

    /// The seats of a claim, which must be its own.
    fn of(&mut self, claim: &Claim) -> impl Iterator<Item = &mut Seat> {
        let owned = claim.seats.iter().filter_map(|number| self.seats.get(number));
        assert_eq!(owned.filter(|seat| seat.reservation == claim.reservation).count(), claim.seats.len());
        self.seats.values_mut().filter(|seat| seat.reservation == claim.reservation)
    }
}

fn audit_reservation(tables: &Tables, reservation: &Reservation) {
    let seats = tables.seats.values().filter(|seat| seat.reservation == reservation.id);
    let (sold, held): (Vec<&Seat>, Vec<&Seat>) = seats.partition(|seat| seat.sold);
    let all = reservation.seats.len();
    let (expected_sold, expected_held) = match reservation.status {
        Status::Held => (0, all),
        Status::Paid | Status::Refunded => (all - reservation.refunded.len(), 0),
        Status::Expired | Status::Released => (0, 0),
    };
    assert_eq!((sold.len(), held.len()), (expected_sold, expected_held), "all seats or none: {reservation:?}");
    // Their rows may lack an extension, each by itself.
    let until = tables.reservation(reservation.id).map(|own| own.held_until);
    let lapse = reservation.seats.iter().filter_map(|number| tables.seat((reservation.performance, *number)));
    let mut lapse = lapse.filter(|seat| seat.reservation == reservation.id && !seat.sold);
    assert!(lapse.all(|seat| Some(seat.held_until) == until), "a seat lapses with its hold");

    let performance = tables.performances.get(&reservation.performance).expect("a reservation has its performance");
    assert_eq!(performance.concert, reservation.concert, "a reservation of another concert");
    let exists = |seat: &u32| performance.seating.section_of(*seat).is_some();
    assert!(reservation.seats.iter().all(exists), "a reservation of a seat that does not exist");
    assert_eq!(reservation.prices.iter().sum::<i64>(), reservation.amount, "the sum of its seats' prices");
    assert_eq!(reservation.status == Status::Refunded, reservation.refunded.len() == all, "refunded if all seats are");
    if reservation.is_offer() {
        let mut entries = tables.seat_waits.values();
        let own = |entry: &&SeatWait| entry.user == reservation.user && entry.performance == reservation.performance;
        assert!(entries.any(|entry| own(&entry)), "an offer to a user who did not wait");
    } else {
        let place = tables.places.get(&(reservation.concert, reservation.place));
        assert_eq!(place.map(|place| &place.user), Some(&reservation.user), "a hold by another's place");
    }
    let ended_by_event = matches!(reservation.status, Status::Expired | Status::Released);
    assert_eq!(reservation.end_event.is_some(), ended_by_event, "only an end without payment has its own event");
}

/// No user held or bought more seats of a performance than any limit allowed. A lower limit takes no seat away.
fn audit_limit(tables: &Tables, at: Timestamp) {
    let mut owned: BTreeMap<(PerformanceId, &UserId), usize> = BTreeMap::new();
    let all = tables.reservations.keys().filter_map(|id| tables.reservation(*id));
    let all: Vec<Reservation> = all.filter(|r| r.is_live(at) || r.status == Status::Paid).collect();
    for reservation in &all {
        let seats = reservation.seats.len() - reservation.refunded.len();
        *owned.entry((reservation.performance, &reservation.user)).or_default() += seats;
    }
    let limits = |id: &PerformanceId| {
        let of = tables.performances[id].concert;
        tables.events.iter().filter_map(move |event| match &event.happening {
            Happening::ConcertChanged { concert } if concert.id == of => Some(concert.seats_per_user),
            _ => None,
        })
    };
    let most = |id: &PerformanceId| limits(id).chain([SEATS_PER_USER_DEFAULT]).max().unwrap_or_default();
    let is_within = |((id, _), seats): (&(PerformanceId, &UserId), &usize)| *seats <= most(id) as usize;
    assert!(owned.iter().all(is_within), "one user has too many seats: {owned:?}");
}

/// A payment, a paid reservation and a ledger entry belong together, one of each.
fn audit_payments(tables: &Tables) {
    let paid: Vec<ReservationId> = tables.reservations.values().filter(|r| is_paid(r.status)).map(|r| r.id).collect();
    let mut bought: Vec<ReservationId> = tables.payments.iter().map(|payment| payment.reservation).collect();
    bought.sort_unstable();
    assert_eq!(paid, bought, "each paid reservation has exactly one payment");
    let named = tables.ledger.iter().filter(|entry| entry.reference.is_some());
    let (debits, credits): (Vec<&Entry>, Vec<&Entry>) = named.partition(|entry| entry.kind == EntryKind::Use);
    audit_refunds(tables, &credits);
    assert_eq!(debits.len(), tables.payments.len(), "each payment has exactly one ledger entry");

    for (payment, debit) in tables.payments.iter().zip(debits) {
        let reservation = tables.reservations.get(&payment.reservation).expect("a payment has its reservation");
        let expected = Payment {
            id: debit.reference.expect("filtered"),
            reservation: reservation.id,
            performance: reservation.performance,
            user: reservation.user.clone(),
            seats: reservation.seats.clone(),
            prices: reservation.prices.clone(),
            amount: reservation.amount,
            balance_after: debit.balance_after,
            paid_at: debit.created_at,
        };
        assert_eq!(payment, &expected);
        assert_eq!((debit.kind, debit.amount, &debit.user), (EntryKind::Use, payment.amount, &payment.user));
        let event = EventId::new(payment.id.uuid());
        assert!(tables.events.iter().any(|told| told.id == event), "a payment has its event");
    }
}

fn is_paid(status: Status) -> bool {
    matches!(status, Status::Paid | Status::Refunded)
}
