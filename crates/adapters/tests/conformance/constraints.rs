//! Writes that no rule allows: the database refuses the whole unit, and the next unit succeeds.

use onsale_app::store::{StoreError, Unit};
use onsale_domain::concert::{Concert, Extension, Reservation, Sale, Seat, Status};
use onsale_domain::event::{Event, Happening};
use onsale_domain::ids::{EventId, PaymentId, RefundId, ReservationId, TokenId, UserId};
use onsale_domain::lecture::{Application, Cancellation, HistoryKind, HistoryLine, Lecture, Waiting};
use onsale_domain::payment::Payment;
use onsale_domain::refund::{By, Refund};
use onsale_domain::table::Table;
use onsale_domain::waiting_room::{Place, PlaceStanding, Room};
use onsale_domain::wallet::{Account, BALANCE_MAX, Entry, EntryKind};
use uuid::Uuid;

use crate::bed::{Bed, on_each_database};
use crate::stage::{Stage, charge, user};

/// An id that no row has.
const OTHER: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);

/// Names of wrong writes, each with a function that makes it from loaded rows.
type Wrong = (&'static str, fn(&Stage, &mut Unit));

const WALLETS: &[Wrong] = &[
    ("a balance below 0", |stage, unit| balance(stage, unit, -1)),
    ("a balance above its limit", |stage, unit| balance(stage, unit, BALANCE_MAX + 1)),
    ("a second ledger entry of one version", |stage, unit| unit.rows.ledger.push(entry(stage, 1))),
    ("an entry that left less than nothing", |stage, unit| {
        unit.rows.ledger.push(Entry { balance_after: -1, ..entry(stage, 9) });
    }),
    ("an entry of less than nothing", |stage, unit| {
        unit.rows.ledger.push(Entry { amount: -1, ..entry(stage, 9) });
    }),
    ("a second ledger entry of one payment", |stage, unit| {
        unit.rows.ledger.push(Entry { reference: Some(stage.paid.id), ..entry(stage, 9) });
    }),
    ("an entry of refund that names no payment", |stage, unit| {
        unit.rows.ledger.push(Entry { kind: EntryKind::Refund, ..entry(stage, 9) });
    }),
    ("an event saved twice", |stage, unit| {
        let user = stage.ann.clone();
        let (kind, amount, balance_after, reference) = (EntryKind::Charge, 1, 1, None);
        let happening = Happening::PointsMoved { user, kind, amount, balance_after, reference };
        let event = Event { id: EventId::new(OTHER), at: unit.at, version: 9, happening };
        unit.rows.events.extend([event.clone(), event]);
    }),
];

const LECTURES: &[Wrong] = &[
    ("more places taken than there are", |stage, unit| {
        lecture(stage, unit, |lecture| (lecture.enrolled, lecture.seats_given) = (3, 3));
    }),
    ("a seat number above the highest capacity", |stage, unit| lecture(stage, unit, |lecture| lecture.seats_given = 3)),
    ("a capacity above the highest", |stage, unit| {
        unit.rows.changed_lectures.insert(stage.lecture);
        lecture(stage, unit, |lecture| lecture.capacity = 3);
    }),
    ("a capacity below the places taken", |stage, unit| {
        unit.rows.changed_lectures.insert(stage.lecture);
        lecture(stage, unit, |lecture| (lecture.capacity, lecture.enrolled, lecture.seats_given) = (1, 2, 2));
    }),
    ("an application after the end", |stage, unit| {
        unit.rows.changed_lectures.insert(stage.lecture);
        lecture(stage, unit, |lecture| {
            let at = lecture.updated_at;
            lecture.cancellation = Some(Cancellation { at, reason: "ill".into(), applications: 0 });
        });
    }),
    ("more places taken than seats opened", |stage, unit| lecture(stage, unit, |lecture| lecture.enrolled = 2)),
    ("a seat number given twice", |stage, unit| {
        let application = Application { seat_number: 1, applied_at: unit.at };
        unit.rows.applications.put((stage.lecture, stage.bob.clone()), application);
    }),
    ("seat number 0", |stage, unit| {
        let application = Application { seat_number: 0, applied_at: unit.at };
        unit.rows.applications.put((stage.lecture, stage.bob.clone()), application);
    }),
    ("a place and an entry of the waiting list of one user", |stage, unit| {
        let waiting = Waiting { number: 9, applied_at: unit.at };
        unit.rows.waiting.put((stage.lecture, stage.ann.clone()), waiting);
    }),
    ("two entries of one number", |stage, unit| {
        for name in ["eve", "fay"] {
            let waiting = Waiting { number: 9, applied_at: unit.at };
            unit.rows.waiting.put((stage.lecture, user(name)), waiting);
        }
    }),
    ("a waiting list above its limit", |stage, unit| lecture(stage, unit, |lecture| lecture.waitlisted = 100_001)),
    ("a second line of history of one version", |stage, unit| {
        unit.rows.lecture_history.push(HistoryLine {
            id: EventId::new(OTHER),
            lecture: stage.lecture,
            version: 1,
            user: stage.bob.clone(),
            kind: HistoryKind::Applied { seat_number: 2 },
            created_at: unit.at,
        });
    }),
];

const ROOMS: &[Wrong] = &[
    ("two current places of one user", |stage, unit| place(stage, unit, 3, &stage.waiting.user.clone())),
    ("a place given twice", |stage, unit| {
        place(stage, unit, 2, &user("eve"));
    }),
    ("more called than have come", |stage, unit| room(stage, unit, |room| room.served = 3)),
    ("more turns than were called", |stage, unit| room(stage, unit, |room| room.active = 2)),
    ("more given up than wait", |stage, unit| room(stage, unit, |room| room.given_up = 2)),
    ("a room with no active places", |stage, unit| room(stage, unit, |room| room.settings.max_active = 0)),
];

const CONCERTS: &[Wrong] = &[
    ("a sold seat that changes hands", |stage, unit| {
        let seat = Seat { reservation: stage.held.id, held_until: unit.at.plus_seconds(9), extended: 0, sold: false };
        unit.rows.seats.put((stage.performance.id, 1), seat);
    }),
    ("a held seat that is blocked", |stage, unit| {
        unit.rows.blocks.put((stage.performance.id, 2), "a camera".into());
    }),
    ("a sold seat that is blocked", |stage, unit| {
        unit.rows.blocks.put((stage.performance.id, 1), "a camera".into());
    }),
    ("a seat that is blocked and held", |stage, unit| {
        unit.rows.blocks.put((stage.performance.id, 4), "a camera".into());
        let seat = Seat { reservation: stage.held.id, held_until: unit.at.plus_seconds(9), extended: 0, sold: false };
        unit.rows.seats.put((stage.performance.id, 4), seat);
    }),
    ("a sold seat that is free again", |stage, unit| unit.rows.seats.remove(&(stage.performance.id, 1))),
    ("more seats sold than there are", |stage, unit| {
        unit.rows.performances.change(&stage.performance.id).into_iter().for_each(|row| row.sold = 5);
    }),
    ("a paid reservation that is held again", |stage, unit| {
        unit.rows.reservations.change(&stage.paid.reservation).into_iter().for_each(|row| row.status = Status::Held);
    }),
    ("a hold that ends without an event", |stage, unit| {
        unit.rows.reservations.change(&stage.held.id).into_iter().for_each(|row| row.status = Status::Released);
    }),
    ("a hold that ended before it began", |stage, unit| {
        let id = ReservationId::new(OTHER);
        let held_until = stage.held.held_at;
        let reservation = Reservation { id, held_until, ..stage.held.clone() };
        unit.rows.reservations.put(id, reservation);
    }),
    ("an extension of no holds", |stage, unit| {
        let extension = extension(stage, unit);
        unit.rows.extensions.push(Extension { holds: 0, ..extension });
    }),
    ("two extensions of one number", |stage, unit| {
        let extension = extension(stage, unit);
        unit.rows.extensions.extend([extension.clone(), extension]);
    }),
    ("a hold without prices", |stage, unit| {
        let id = ReservationId::new(OTHER);
        unit.rows.reservations.put(id, Reservation { id, prices: [].into(), ..stage.held.clone() });
    }),
    ("a paid seat that counts as refunded without a refund", |stage, unit| {
        if let Some(row) = unit.rows.reservations.change(&stage.paid.reservation) {
            (row.status, row.refunded) = (Status::Refunded, vec![1]);
        }
    }),
    ("a reservation that is refunded with a seat left", |stage, unit| {
        unit.rows
            .reservations
            .change(&stage.paid.reservation)
            .into_iter()
            .for_each(|row| row.status = Status::Refunded);
    }),
    ("a refund that frees another seat", |stage, unit| {
        unit.rows.refunds.push(Refund { seats: [2].into(), ..refund(stage, unit) });
        unit.rows.seats.remove(&(stage.performance.id, 1));
    }),
    ("a seat that is refunded twice", |stage, unit| {
        let refund = refund(stage, unit);
        let again = Refund { id: RefundId::new(stage.paid.id.uuid()), entry_version: 2, ..refund.clone() };
        unit.rows.refunds.extend([refund, again]);
    }),
    ("two refunds of one ledger entry", |stage, unit| {
        let refund = refund(stage, unit);
        let again = Refund { id: RefundId::new(stage.paid.id.uuid()), seats: [2].into(), ..refund.clone() };
        unit.rows.refunds.extend([refund, again]);
    }),
    ("a refund of less than nothing", |stage, unit| {
        unit.rows.refunds.push(Refund { amount: -1, ..refund(stage, unit) });
    }),
    ("a refund with a fee of less than nothing", |stage, unit| {
        unit.rows.refunds.push(Refund { fee: -1, ..refund(stage, unit) });
    }),
    ("a refund by staff without a reason", |stage, unit| {
        unit.rows.refunds.push(Refund { by: By::Staff, ..refund(stage, unit) });
    }),
    ("a second payment of a reservation", |stage, unit| {
        unit.rows.payments.push(Payment { id: PaymentId::new(OTHER), ..stage.paid.clone() });
    }),
    ("a payment under the id of another", |stage, unit| {
        unit.rows.payments.push(Payment { reservation: stage.held.id, ..stage.paid.clone() });
    }),
    ("a concert made twice", |stage, unit| {
        let (id, title, venue) = (stage.token.concert, "Gala".into(), "Hall".into());
        let (sale, created_at) = (Sale::default(), unit.at);
        let concert = Concert { id, title, venue, created_at, notice: None, sale, seats_per_user: 4, version: 0 };
        unit.rows.concerts.put(id, concert);
    }),
];

/// A refund of the paid seat, without the other rows of one.
fn refund(stage: &Stage, unit: &Unit) -> Refund {
    Refund {
        id: RefundId::new(OTHER),
        payment: stage.paid.id,
        reservation: stage.paid.reservation,
        performance: stage.performance.id,
        user: stage.ann.clone(),
        seats: [1].into(),
        amount: 100,
        fee: 0,
        by: By::Buyer,
        reason: None,
        balance_after: 9_000,
        entry_version: 1,
        refunded_at: unit.at,
    }
}

fn extension(stage: &Stage, unit: &Unit) -> Extension {
    Extension {
        concert: stage.token.concert,
        performance: stage.performance.id,
        number: 7,
        version: 9,
        event: EventId::new(OTHER),
        at: unit.at,
        seconds: 60,
        holds: 1,
        reason: "an outage".into(),
    }
}

fn balance(stage: &Stage, unit: &mut Unit, balance: i64) {
    unit.rows.accounts.put(stage.ann.clone(), Account { balance, version: 9, updated_at: Some(unit.at) });
}

fn entry(stage: &Stage, version: u64) -> Entry {
    Entry {
        id: EventId::new(OTHER),
        user: stage.ann.clone(),
        version,
        kind: EntryKind::Use,
        amount: 1,
        balance_after: 1,
        reference: None,
        created_at: stage.now,
    }
}

fn lecture(stage: &Stage, unit: &mut Unit, edit: fn(&mut Lecture)) {
    unit.rows.lectures.change(&stage.lecture).into_iter().for_each(edit);
}

fn room(stage: &Stage, unit: &mut Unit, edit: fn(&mut Room)) {
    unit.rows.rooms.change(&stage.token.concert).into_iter().for_each(edit);
}

fn place(stage: &Stage, unit: &mut Unit, number: u64, user: &UserId) {
    let standing = PlaceStanding::Current;
    let place = Place { user: user.clone(), token: TokenId::new(OTHER), issued_at: unit.at, standing };
    // As if no place had been found, although there is one.
    unit.rows.places = Table::default();
    unit.rows.places.put((stage.token.concert, number), place);
}

async fn a_wrong_write_rolls_the_whole_unit_back(bed: Bed) {
    let store = bed.store().await;
    let mut stage = Stage::new(&*store).await;
    let mut points = 0;
    for (what, wrong) in [WALLETS, LECTURES, ROOMS, CONCERTS].concat() {
        let before = stage.picture(&*store).await;
        let wanted = stage.everything();
        let mut unit = stage.lane.writer.load(&wanted).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        // A valid change in the same unit is rolled back too.
        let right = Account { balance: 7, version: 9, updated_at: Some(unit.at) };
        unit.rows.accounts.put(stage.bob.clone(), right);
        wrong(&stage, &mut unit);
        let refused = stage.lane.writer.save(&unit).await;
        assert!(matches!(refused, Err(StoreError::Rejected(_) | StoreError::Conflict(_))), "{what}: {refused:?}");
        stage.picture(&*store).await.assert_same(&before, what);

        stage.lane.done(charge(&stage.bob, 1)).await;
        points += 1;
        let account = store.reader().account(&stage.bob).await.expect("an account");
        assert_eq!(account.balance, 10_000 + points, "the writer goes on after {what}");
    }
}

on_each_database!(a_wrong_write_rolls_the_whole_unit_back);
