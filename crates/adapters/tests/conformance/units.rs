//! Units of work: each is committed as a whole or not at all, and the next one can follow.

use crate::mixed::{AnyCommand, Done};
use onsale_app::store::{LectureFilter, Page, StoreError, Wanted};
use onsale_domain::concert::{self, Reservation};
use onsale_domain::ids::{LectureId, PerformanceId};
use onsale_domain::lecture::{self, Lecture};
use onsale_domain::payment::Payment;
use onsale_domain::waiting_room::{self, Settings};
use onsale_domain::wallet::{self, Account, Entry};
use uuid::Uuid;

use crate::bed::{Bed, on_each_database};
use crate::lane::{Answer, Lane, Request};
use crate::pages::all;
use crate::picture::events;
use crate::stage::{OPEN_DOORS, Stage, charge, enter, held, hold, open_concert, open_lecture, pay, schedule, user};

/// A request of every kind that writes.
fn plenty(stage: &Stage) -> Vec<Request> {
    let apply = lecture::Apply { user: stage.bob.clone(), lecture: stage.lecture, waitlist: false };
    let enter = waiting_room::Enter { concert: stage.token.concert, user: user("eve"), pass: None, ended: None };
    let release = concert::Release { token: stage.token.clone(), reservation: stage.held.id };
    let all: [AnyCommand; 5] = [
        charge(&user("eve"), 5),
        apply.into(),
        enter.into(),
        hold(&stage.token, &stage.performance, &[4]),
        release.into(),
    ];
    all.into_iter().map(Request::from).collect()
}

async fn an_abandoned_unit_leaves_nothing(bed: Bed) {
    let store = bed.store().await;
    let mut stage = Stage::new(&*store).await;
    let before = stage.picture(&*store).await;
    let requests = plenty(&stage);
    let mut unit = stage.lane.load(&requests).await.unwrap();
    let answers = stage.lane.decide(&requests, &mut unit);
    assert_eq!(answers.into_iter().filter_map(Answer::decided).filter(Result::is_ok).count(), 5);
    stage.lane.writer.abandon().await;
    stage.picture(&*store).await.assert_same(&before, "after a unit that was abandoned");

    // The locks of the unit are released: neither this writer nor another waits.
    let wanted = stage.everything();
    let mut other = store.writer().await.unwrap();
    other.load(&wanted).await.unwrap();
    other.abandon().await;
    stage.lane.answer(&requests).await.unwrap();
    assert_eq!(store.reader().account(&user("eve")).await.unwrap().balance, 5);
}

async fn a_unit_of_a_lane_that_is_gone_leaves_nothing(bed: Bed) {
    let store = bed.store().await;
    let stage = Stage::new(&*store).await;
    let before = stage.picture(&*store).await;
    let mut lane = Lane::new(&*store, 2).await;
    let requests = plenty(&stage);
    let mut unit = lane.load(&requests).await.unwrap();
    lane.decide(&requests, &mut unit);
    drop(lane);
    let mut other = store.writer().await.unwrap();
    other.load(&stage.everything()).await.unwrap();
    other.abandon().await;
    stage.picture(&*store).await.assert_same(&before, "after a lane that is gone");
}

async fn a_unit_of_refusals_writes_nothing_even_to_prove_writability(bed: Bed) {
    let store = bed.store().await;
    let mut stage = Stage::new(&*store).await;
    let before = stage.picture(&*store).await;
    let again = pay(&stage.token, &stage.held);
    let poor: AnyCommand = wallet::Use { user: user("eve"), amount: 1 }.into();
    let outcomes = stage.lane.run([poor, charge(&stage.ann, 0)]).await.unwrap();
    assert!(outcomes.iter().all(Result::is_err), "{outcomes:?}");
    let mut unit = stage.lane.writer.load(&Wanted::default()).await.unwrap();
    unit.prove_writable = true;
    stage.lane.writer.save(&unit).await.unwrap();
    stage.picture(&*store).await.assert_same(&before, "after units in which nothing was decided");
    stage.lane.done(again).await;
}

/// A lane that works on a row makes other lanes wait for it, and they then read what it committed.
async fn a_unit_loads_what_the_last_unit_saved(bed: Bed) {
    let (one, other) = (bed.store().await, bed.store().await);
    let (mut first, mut second) = (Lane::new(&*one, 1).await, Lane::new(&*other, 2).await);
    for round in 1..=20_i64 {
        first.done(charge(&user("ann"), 1)).await;
        let requests = [Request::from(charge(&user("ann"), 1))];
        let unit = second.load(&requests).await.unwrap();
        let account = unit.rows.accounts.get(&user("ann")).unwrap();
        assert_eq!((account.balance, account.version), (round, round.unsigned_abs()));
        assert!(account.updated_at.unwrap() <= unit.at, "one clock for all");
        second.writer.abandon().await;
        assert_eq!(other.reader().account(&user("ann")).await.unwrap().balance, round, "who reads sees it too");
    }
}

/// User names are compared by bytes: upper case makes another user, and pages are in that order.
async fn user_names_differ_by_every_byte(bed: Bed) {
    let store = bed.store().await;
    let mut lane = Lane::new(&*store, 1).await;
    let names = ["ann", "Ann", "ANN", "an_n", "an-n", "a", "_", "-", "0"];
    lane.run(names.iter().zip(1..).map(|(name, amount)| charge(&user(name), amount))).await.unwrap();
    for (name, amount) in names.iter().zip(1..) {
        assert_eq!(store.reader().account(&user(name)).await.unwrap().balance, amount);
    }
    let concert = open_concert(&mut lane, OPEN_DOORS).await;
    for (name, number) in names.iter().zip(1..) {
        assert_eq!(enter(&mut lane, concert, &user(name)).await.place, number);
    }
}

/// Pages of any size follow each other without gaps.
async fn paging_neither_repeats_nor_skips(bed: Bed) {
    let store = bed.store().await;
    let reader = store.reader();
    let mut lane = Lane::new(&*store, 1).await;
    let ann = user("ann");
    lane.run((1..=23).map(|amount| charge(&ann, amount))).await.unwrap();
    // All of them start at the same time, so their ids give the order.
    let now = reader.now();
    let mut lectures = Vec::new();
    for _ in 0..7 {
        lectures.push(open_lecture(&mut lane, now, 30).await);
    }
    lectures.sort_unstable();
    let concert = open_concert(&mut lane, Settings { max_active: 9, ..OPEN_DOORS }).await;
    let performances = [schedule(&mut lane, now, concert, 4, 0).await, schedule(&mut lane, now, concert, 4, 0).await];
    let token = enter(&mut lane, concert, &ann).await;
    let seats = (1..=4).flat_map(|seat| performances.iter().map(move |performance| (performance, seat)));
    let mut reservations = Vec::new();
    let mut payments = Vec::new();
    for (performance, seat) in seats {
        reservations.push(held(lane.done(hold(&token, performance, &[seat])).await));
    }
    for reservation in &reservations {
        let Done::Pay(payment) = lane.done(pay(&token, reservation)).await else { unreachable!() };
        payments.push(payment.id);
    }
    let mut reservations: Vec<_> = reservations.iter().map(|reservation| reservation.id).collect();
    reservations.reverse();
    payments.reverse();

    for limit in [1, 2, 3, 7, 8, 23, 31, 100] {
        let ledger = all(limit, |entry: &Entry| entry.version, async |page| reader.ledger(&ann, page).await);
        let versions: Vec<u64> = ledger.await.iter().map(|entry| entry.version).collect();
        assert_eq!(versions, (1..=31).rev().collect::<Vec<_>>(), "newest first");
        let filter = LectureFilter { available_at: Some(now), ..LectureFilter::starting(now) };
        let cursor = |lecture: &Lecture| (lecture.starts_at, lecture.id);
        let found = all(limit, cursor, async |page| reader.lectures(filter, page).await).await;
        assert_eq!(found.iter().map(|lecture| lecture.id).collect::<Vec<_>>(), lectures, "by start and id");
        let cursor = |reservation: &Reservation| reservation.id;
        let found = all(limit, cursor, async |page| reader.reservations_of(&ann, page).await).await;
        assert_eq!(found.iter().map(|row| row.id).collect::<Vec<_>>(), reservations, "newest first");
        let cursor = |payment: &Payment| payment.id;
        let found = all(limit, cursor, async |page| reader.payments_of(&ann, page).await).await;
        assert_eq!(found.iter().map(|row| row.id).collect::<Vec<_>>(), payments, "newest first");
        // Points: 23 charges and 8 payments; concerts: 8 holds and 8 payments.
        assert_eq!(events(&*reader, 47, limit).await.len(), 47);
    }
    assert_eq!(reader.ledger(&ann, Page { after: None, limit: 0 }).await.unwrap(), [], "a page of nothing");
}

/// Of many processes that make a secret at once, all get the same one.
async fn a_secret_is_made_once(bed: Bed) {
    let (one, other) = (bed.store().await, bed.store().await);
    let mut asking = Vec::new();
    for number in 0..12_u8 {
        let store = if number % 2 == 0 { one.clone() } else { other.clone() };
        asking.push(tokio::spawn(async move { store.secret("tokens", &[number, 0, 255]).await }));
    }
    let mut made = Vec::new();
    for asked in asking {
        made.push(asked.await.unwrap().unwrap());
    }
    made.dedup();
    assert!(made.len() == 1 && made[0].len() == 3 && made[0][0] < 12, "{made:?}");
    assert_eq!(one.secret("tokens", b"later").await.unwrap(), made[0]);
    assert_eq!(one.secret("another", b"of its own").await.unwrap(), b"of its own");
}

/// A missing thing is returned as missing or as an error, never as an empty one.
async fn missing_things_are_not_returned(bed: Bed) {
    let store = bed.store().await;
    let reader = store.reader();
    reader.ping().await.unwrap();
    let nothing = Uuid::nil();
    let seats = reader.seats(PerformanceId::new(nothing)).await;
    assert!(matches!(seats, Err(StoreError::Unavailable(_) | StoreError::Rejected(_))), "{seats:?}");
    let page = Page { after: None, limit: 9 };
    assert_eq!(reader.lecture_history(LectureId::new(nothing), page).await.unwrap(), None);
    assert_eq!(reader.account(&user("ann")).await.unwrap(), Account::default());
    // A wallet that was loaded and never used does not exist.
    let mut lane = Lane::new(&*store, 1).await;
    let poor: AnyCommand = wallet::Use { user: user("ann"), amount: 1 }.into();
    assert!(lane.run([poor]).await.unwrap()[0].is_err());
    assert_eq!(reader.account(&user("ann")).await.unwrap(), Account::default());
    assert_eq!(reader.events(Page { after: None, limit: 9 }).await.unwrap().len(), 0);
}

on_each_database!(
    an_abandoned_unit_leaves_nothing,
    a_unit_of_a_lane_that_is_gone_leaves_nothing,
    a_unit_of_refusals_writes_nothing_even_to_prove_writability,
    a_unit_loads_what_the_last_unit_saved,
    user_names_differ_by_every_byte,
    paging_neither_repeats_nor_skips,
    a_secret_is_made_once,
    missing_things_are_not_returned,
);
