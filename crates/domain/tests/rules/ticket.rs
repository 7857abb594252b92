//! Tickets without rows, and scans at the door in whatever order they arrive.

#![allow(clippy::unwrap_used, reason = "a failed step ends the test")]

use std::collections::BTreeSet;

use onsale_domain::concert::{Performance, Reservation, Schedule, Seat, Seating, Section, Status};
use onsale_domain::event::Happening;
use onsale_domain::ids::{ConcertId, Mint, PaymentId, PerformanceId, ReservationId, TicketId, UserId};
use onsale_domain::payment::Payment;
use onsale_domain::refund::Policy;
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::staff::Actor;
use onsale_domain::ticket::{
    Answer, CheckIn, REISSUES_MAX, Reissue, Reissued, Scan, Scans, Shown, Standing, Undo, Voided, Why, id_of, seat_of,
};
use onsale_domain::time::Timestamp;
use onsale_domain::{Command, Context, Refusal};
use proptest::prelude::*;
use uuid::Uuid;

use crate::support::Seeded;

/// The refusals that tests of this file provoke.
pub(crate) const PROVOKED: [&str; 5] =
    ["ticket-not-found", "ticket-void", "already-checked-in", "reissue-limit", "check-in-not-found"];

const START: i64 = 1_800_000_000;
const SEATS: [u32; 2] = [7, 100_000];

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis((START + seconds) * 1_000)
}

/// One performance that begins at second 0, and one payment of two seats.
struct Door {
    performance: Performance,
    reservation: Reservation,
    payment: Payment,
    voided: Vec<Voided>,
    check_ins: Vec<CheckIn>,
    mint: Mint<Seeded>,
}

impl Door {
    fn new() -> Self {
        let mut mint = Mint::new(Seeded(7));
        let id = |number: u128| Uuid::from_u128(0x019a_b3c0_a4c7_7000_8000_0000_0000_0000 | number);
        let (reservation, user) = (ReservationId::new(id(2)), UserId::parse("ann").unwrap());
        let section = Section { from: 1, to: 100_000, grade: "R".into(), price: 10 };
        let schedule = Schedule {
            concert: ConcertId::new(id(1)),
            starts_at: at(0),
            seating: Seating::new(vec![section]).unwrap(),
            layout: None,
            closed: false,
            refund_policy: Policy::default(),
        };
        let mut rows = Rows::default();
        let concert = onsale_domain::concert::Create {
            title: "t".into(),
            venue: "v".into(),
            room: onsale_domain::waiting_room::Settings::default(),
            seed: None,
            seats_per_user: 4,
            notice: None,
        };
        let mut cx = Context { at: at(-90_000), ids: &mut mint, hold_seconds: 300 };
        let concert = concert.decide(&mut rows, &mut cx).unwrap();
        let schedule = Schedule { concert: concert.id, ..schedule };
        let performance = schedule.decide(&mut rows, &mut cx).unwrap();
        let payment = Payment {
            id: PaymentId::new(id(4)),
            reservation,
            performance: performance.id,
            user: user.clone(),
            seats: SEATS.into(),
            prices: [10, 10].into(),
            amount: 20,
            balance_after: 0,
            paid_at: at(-80_000),
        };
        let reservation = Reservation {
            id: reservation,
            concert: concert.id,
            performance: performance.id,
            user,
            place: 1,
            seats: SEATS.into(),
            amount: 20,
            prices: [10, 10].into(),
            refund_policy: Policy::default(),
            held_at: at(-80_001),
            held_until: at(-79_000),
            extended: 0,
            status: Status::Paid,
            refunded: Vec::new(),
            end_event: None,
        };
        Self { performance, reservation, payment, voided: Vec::new(), check_ins: Vec::new(), mint }
    }

    /// Decides a command over the rows that it needs, and keeps what it changed.
    fn decide<C: Command>(&mut self, now: i64, command: &C) -> Result<C::Output, Refusal> {
        let mut keys = Keys::default();
        command.needs(&mut keys);
        let mut rows = self.load(&keys);
        let mut cx = Context { at: at(now), ids: &mut self.mint, hold_seconds: 300 };
        let decided = command.decide(&mut rows, &mut cx);
        let performance = rows.performances.get(&self.performance.id).unwrap().clone();
        assert_eq!(performance.version - self.performance.version, rows.events.len() as u64, "one event a version");
        for event in &rows.events {
            assert_eq!(event.happening.subject(), onsale_domain::event::Subject::Performance(performance.id));
        }
        if decided.is_err() {
            assert!(rows.events.is_empty() && rows.voided.is_empty() && rows.check_ins.changed().next().is_none());
        }
        self.performance = performance;
        self.voided.extend(rows.voided.iter().cloned());
        let changed: Vec<CheckIn> = rows.check_ins.changed().filter_map(|(_, row)| row.cloned()).collect();
        for row in changed {
            self.check_ins.retain(|known| known.id != row.id);
            self.check_ins.push(row);
        }
        self.audit();
        decided
    }

    fn load(&self, keys: &Keys) -> Rows {
        let mut rows = Rows::default();
        let reissues = |seat| {
            let of_seat = |voided: &&Voided| voided.seat == seat && voided.why == Why::Reissued;
            u32::try_from(self.voided.iter().filter(of_seat).count()).unwrap()
        };
        for id in &keys.performances {
            rows.performances.load(*id, Some(self.performance.clone()).filter(|own| own.id == *id));
        }
        for id in &keys.reservations {
            rows.reservations.load(*id, Some(self.reservation.clone()).filter(|own| own.id == *id));
        }
        for id in &keys.payments {
            rows.known_payments.load(*id, Some(self.payment.clone()).filter(|own| own.id == *id));
        }
        let has = |seat: &u32| SEATS.contains(seat) && !self.reservation.refunded.contains(seat);
        for (performance, seat) in &keys.seats {
            let own = Seat { reservation: self.reservation.id, held_until: at(0), extended: 0, sold: true };
            rows.seats.load((*performance, *seat), Some(own).filter(|_| has(seat)));
        }
        rows.paid_by.insert(self.reservation.id, self.payment.id);
        if !keys.reissues.is_empty() || !keys.tickets.is_empty() {
            rows.reissued.extend(SEATS.map(|seat| ((self.payment.id, seat), reissues(seat))));
        }
        for (_, ticket) in &keys.tickets {
            rows.known_voids.extend(self.voided.iter().map(|voided| voided.ticket).filter(|void| void == ticket));
            let seat = seat_of(*ticket);
            let counts = |scan: &&CheckIn| scan.seat == Some(seat) && scan.standing == Standing::Counts;
            if let Some(scan) = self.check_ins.iter().find(counts) {
                rows.checked_in.insert((self.payment.id, seat), scan.id);
                rows.check_ins.load(scan.id, Some(scan.clone()));
            }
        }
        for scan in &keys.scans {
            let found = self.check_ins.iter().find(|known| known.scan == *scan);
            rows.scans.load(scan.clone(), found.map(|found| found.id));
            found.into_iter().for_each(|found| rows.check_ins.load(found.id, Some(found.clone())));
        }
        for id in &keys.check_ins {
            rows.check_ins.load(*id, self.check_ins.iter().find(|known| known.id == *id).cloned());
        }
        rows
    }

    /// At most one check-in of a seat counts, and it has the earliest time of those that were admitted and not undone.
    fn audit(&self) {
        for seat in SEATS {
            let of_seat = || self.check_ins.iter().filter(move |scan| scan.seat == Some(seat));
            let counting: Vec<&CheckIn> = of_seat().filter(|scan| scan.standing == Standing::Counts).collect();
            assert!(counting.len() <= 1, "{counting:?}");
        }
        let ids: BTreeSet<_> = self.check_ins.iter().map(|scan| scan.scan.clone()).collect();
        assert_eq!(ids.len(), self.check_ins.len(), "each scan is kept once");
    }

    fn ticket(&self, seat: u32, reissues: u32) -> TicketId {
        id_of(self.payment.id, seat, reissues)
    }

    fn reissue(&mut self, ticket: TicketId) -> Result<Reissued, Refusal> {
        let Payment { id, reservation, performance, ref user, .. } = self.payment;
        let command = Reissue { payment: id, reservation, performance, user: user.clone(), ticket };
        self.decide(-1_000, &command)
    }

    fn scan(&self, ticket: TicketId, id: &str, scanned_at: i64, device_now: i64) -> Scan {
        Scan {
            actor: Actor::Root,
            performance: self.performance.id,
            shown: Shown::Code { ticket, performance: self.performance.id },
            device: "gate".into(),
            id: id.into(),
            scanned_at: at(scanned_at),
            device_now: at(device_now),
        }
    }

    /// A scan with a clock that is right.
    fn scans(&mut self, now: i64, ticket: TicketId, id: &str, scanned_at: i64) -> CheckIn {
        let scan = self.scan(ticket, id, scanned_at, now);
        self.decide(now, &scan).unwrap()
    }
}

proptest! {
    #[test]
    fn an_id_names_its_seat_and_no_other(payment: u128, seat in 1_u32..=100_000, other in 1_u32..=100_000, reissues in 0_u32..100) {
        let payment = PaymentId::new(Uuid::from_u128(payment));
        let id = id_of(payment, seat, reissues);
        prop_assert_eq!(seat_of(id), seat);
        prop_assert_eq!((id.uuid().get_version_num(), id.uuid().get_variant()), (7, uuid::Variant::RFC4122));
        prop_assert_eq!(id.uuid().as_u128() >> 80, payment.uuid().as_u128() >> 80);
        prop_assert_eq!(id == id_of(payment, other, reissues), seat == other);
        prop_assert_ne!(id, id_of(payment, seat, reissues + 1));
    }
}

/// Codes are printed: an id that changes with the program would close the door to its bearer.
#[test]
fn an_id_never_changes() {
    let payment = PaymentId::new(Uuid::from_u128(0x019a_b3c0_a4c7_7b1d_b2d4_0c9e_8f7a_6b04));
    let name = [b"onsale-ticket-1\0".as_slice(), &7_u32.to_be_bytes(), &0_u32.to_be_bytes()].concat();
    let hash = Uuid::new_v5(&payment.uuid(), &name).as_u128() & ((1 << 57) - 1);
    let id = id_of(payment, 7, 0).uuid().as_u128();
    assert_eq!(id & ((1 << 57) - 1), hash);
    assert_eq!(format!("{id:032x}")[..17].to_owned(), "019ab3c0a4c770008");
}

#[test]
fn judges_a_reissue_in_order() {
    let mut door = Door::new();
    let (first, second) = (door.ticket(7, 0), door.ticket(7, 1));
    assert_eq!(door.reissue(second), Err(Refusal::TicketNotFound), "not made yet");
    assert_eq!(door.reissue(door.ticket(8, 0)), Err(Refusal::TicketNotFound), "a seat of another payment");
    let new = door.reissue(first).unwrap();
    assert_eq!((new.ticket, new.seat), (second, 7));
    assert_eq!(
        door.voided.iter().map(|voided| (voided.ticket, voided.why)).collect::<Vec<_>>(),
        [(first, Why::Reissued)]
    );
    assert_eq!(door.reissue(first), Err(Refusal::TicketVoid));
    let scan = door.scans(-900, second, "1", -900);
    assert_eq!(scan.answer, Answer::Admitted);
    assert_eq!(door.reissue(second), Err(Refusal::AlreadyCheckedIn { at: at(-900), device: "gate".into() }));
    door.reservation.refunded.push(7);
    assert_eq!(door.reissue(second), Err(Refusal::TicketVoid), "refunded");
    let other = door.ticket(100_000, 0);
    for reissues in 0..REISSUES_MAX {
        assert_eq!(door.reissue(door.ticket(100_000, reissues)).unwrap().ticket, door.ticket(100_000, reissues + 1));
    }
    let last = door.ticket(100_000, REISSUES_MAX);
    assert_eq!(door.reissue(last), Err(Refusal::ReissueLimit));
    door.performance.cancelled_at = Some(at(-1_000));
    assert_eq!(door.reissue(last), Err(Refusal::TicketVoid), "cancelled");
    assert_eq!(door.reissue(other), Err(Refusal::TicketVoid));
}

#[test]
fn judges_a_scan_in_order() {
    let mut door = Door::new();
    let ticket = door.ticket(7, 0);
    let elsewhere = PerformanceId::new(Uuid::from_u128(9));
    let shown = [
        (Shown::Unreadable, Answer::Invalid),
        (Shown::Code { ticket, performance: elsewhere }, Answer::OtherPerformance),
        (Shown::Id(door.ticket(7, 1)), Answer::Invalid),
        (Shown::Code { ticket: door.ticket(7, 1), performance: door.performance.id }, Answer::Void),
        (Shown::Id(ticket), Answer::Admitted),
    ];
    for (number, (shown, answer)) in shown.into_iter().enumerate() {
        let scan = Scan { shown, ..door.scan(ticket, &number.to_string(), -60, -60) };
        let decided = door.decide(-60, &scan).unwrap();
        assert_eq!(decided.answer, answer, "{shown:?}");
        assert_eq!(decided.standing == Standing::Counts, answer == Answer::Admitted);
    }
    let again = door.scans(-50, ticket, "again", -50);
    assert_eq!(again.answer, Answer::AlreadyCheckedIn { at: at(-60), device: "gate".into() });
    door.performance.cancelled_at = Some(at(-40));
    for (id, shown) in [("c", Shown::Id(ticket)), ("d", Shown::Code { ticket, performance: door.performance.id })] {
        let scan = Scan { shown, ..door.scan(ticket, id, -30, -30) };
        assert_eq!(door.decide(-30, &scan).unwrap().answer, Answer::Void);
    }
    let scan = Scan { performance: elsewhere, ..door.scan(ticket, "e", 0, 0) };
    let mut keys = Keys::default();
    scan.needs(&mut keys);
    let mut rows = door.load(&keys);
    let mut cx = Context { at: at(0), ids: &mut door.mint, hold_seconds: 300 };
    assert_eq!(scan.decide(&mut rows, &mut cx), Err(Refusal::PerformanceNotFound));
}

/// A device that lost its network sends a scan again and again.
#[test]
fn the_same_scan_gets_the_first_answer_for_good() {
    let mut door = Door::new();
    let (ticket, other) = (door.ticket(7, 0), door.ticket(100_000, 0));
    let refused = Scan { shown: Shown::Unreadable, ..door.scan(ticket, "1", -9, -9) };
    let refused = door.decide(-9, &refused).unwrap();
    assert_eq!(door.scans(-8, ticket, "1", -8), refused, "although the ticket is good");
    let admitted = door.scans(-7, ticket, "2", -7);
    door.decide(-6, &Undo { check_in: admitted.id, performance: door.performance.id }).unwrap();
    let first = door.scans(-5, other, "2", -5);
    assert_eq!((first.id, first.answer, first.at), (admitted.id, Answer::Admitted, admitted.at));
    let all =
        Scans(vec![door.scan(other, "3", -4, -4), door.scan(ticket, "3", -4, -4), door.scan(ticket, "1", -4, -4)]);
    let answers = door.decide(-4, &all).unwrap();
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[2], Ok(refused));
}

#[test]
fn the_clock_of_the_device_is_corrected_or_doubted() {
    // The time received, the time of the scan and the time of sending by the device, and the time that counts.
    let cases = [
        (-60, -60, -60, -60, false),
        (-60, 1_000, 1_010, -70, false),
        (-60, -5_000, -4_000, -1_060, false),
        (-60, 20, 10, -60, true),
        (-60, -86_399, -60, -86_399, false),
        (-60, -86_401, -60, -60, true),
    ];
    for (received, scanned, device, counts, doubtful) in cases {
        let mut door = Door::new();
        let scan = door.scan(door.ticket(7, 0), "1", scanned, device);
        let decided = door.decide(received, &scan).unwrap();
        assert_eq!((decided.at, decided.clock_doubtful), (at(counts), doubtful), "{scanned} {device}");
        assert_eq!(decided.received_at, at(received));
    }
    let mut door = Door::new();
    let far = Timestamp::from_millis(i64::MAX);
    let scan = Scan {
        scanned_at: far,
        device_now: Timestamp::from_millis(i64::MIN),
        ..door.scan(door.ticket(7, 0), "1", 0, 0)
    };
    assert!(door.decide(-60, &scan).unwrap().clock_doubtful);
}

#[test]
fn an_earlier_scan_that_arrives_later_counts() {
    let mut door = Door::new();
    let ticket = door.ticket(7, 0);
    let late = door.scans(-60, ticket, "late", -60);
    let early = door.scans(-50, ticket, "early", -100);
    assert_eq!(early.answer, Answer::Admitted);
    let standing = |door: &Door, id| door.check_ins.iter().find(|scan| scan.id == id).unwrap().standing;
    assert_eq!((standing(&door, late.id), standing(&door, early.id)), (Standing::Superseded, Standing::Counts));
    assert_eq!(
        door.scans(-40, ticket, "same", -100).answer,
        Answer::AlreadyCheckedIn { at: at(-100), device: "gate".into() }
    );
    let undone = door.decide(-30, &Undo { check_in: early.id, performance: door.performance.id }).unwrap();
    assert!(undone.is_new && undone.check_in.undone_at == Some(at(-30)));
    let again = door.decide(-30, &Undo { check_in: early.id, performance: door.performance.id }).unwrap();
    assert!(!again.is_new);
    assert!(!door.decide(-30, &Undo { check_in: late.id, performance: door.performance.id }).unwrap().is_new);
    let refused = door.check_ins.iter().find(|scan| &*scan.scan == "same").unwrap().id;
    let undo = Undo { check_in: refused, performance: door.performance.id };
    assert_eq!(door.decide(-30, &undo), Err(Refusal::CheckInNotFound), "it was never admitted");
    assert_eq!(door.scans(-20, ticket, "new", -20).answer, Answer::Admitted);
}

proptest! {
    /// Two doors that were offline send their scans in any order: the earliest counts, whatever the order was.
    #[test]
    fn the_order_of_arrival_does_not_matter(times in prop::collection::vec((0_i64..50, 0_usize..2), 1..12)) {
        let mut door = Door::new();
        for (number, (time, seat)) in times.iter().enumerate() {
            door.scans(0, door.ticket(SEATS[*seat], 0), &number.to_string(), -100 + time);
        }
        for (index, seat) in SEATS.iter().enumerate() {
            let earliest = times.iter().filter(|(_, of)| *of == index).map(|(time, _)| at(-100 + time)).min();
            let counts = door.check_ins.iter().find(|scan| scan.seat == Some(*seat) && scan.standing == Standing::Counts);
            prop_assert_eq!(counts.map(|scan| scan.at), earliest);
        }
    }
}

#[test]
fn a_scan_has_an_event_of_its_version() {
    let mut door = Door::new();
    let ticket = door.ticket(7, 0);
    let mut keys = Keys::default();
    let scan = door.scan(ticket, "1", -60, -60);
    scan.needs(&mut keys);
    let mut rows = door.load(&keys);
    let mut cx = Context { at: at(-60), ids: &mut door.mint, hold_seconds: 300 };
    let scanned = scan.decide(&mut rows, &mut cx).unwrap();
    let [event] = &rows.events[..] else { panic!("{:?}", rows.events) };
    assert_eq!(event.id.uuid(), scanned.id.uuid());
    assert_eq!(event.version, scanned.version);
    let Happening::TicketCheckedIn { seat: 7, undone_at: None, .. } = event.happening else { panic!("{event:?}") };
}
