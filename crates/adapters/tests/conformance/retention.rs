//! Old rooms, places and events are retired and deleted. The rest stays, and the audit finds nothing.

use onsale_app::relay::{Marks, PartMark};
use onsale_app::store::news::RoomsKnown;
use onsale_app::store::{Store, Unit};
use onsale_domain::ids::ConcertId;
use onsale_domain::leaving::Leave;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{Settings, Step, Token};
use uuid::Uuid;

use crate::bed::{Bed, on_each_database};
use crate::forgetting::{events, in_order, open};
use crate::lane::Lane;
use crate::stage::{OPEN_DOORS, charge, enter, open_concert, schedule, user};

const DAY_MILLIS: i64 = 86_400_000;

/// A concert whose performance was 40 days ago, and whose room admitted these users then.
async fn past_concert(lane: &mut Lane, now: Timestamp, people: &[&str]) -> (ConcertId, Vec<Token>) {
    let then = now.plus_millis(-40 * DAY_MILLIS);
    lane.at = Some(then);
    let concert = open_concert(lane, Settings { active_seconds: 600, ..OPEN_DOORS }).await;
    schedule(lane, then, concert, 10, 100).await;
    let mut tokens = Vec::new();
    for name in people {
        tokens.push(enter(lane, concert, &user(name)).await);
    }
    lane.at = None;
    (concert, tokens)
}

/// Settles the turns of these places, which are over.
async fn settle(lane: &mut Lane, concert: ConcertId, due: Vec<u64>) {
    lane.done(Step { due, ..Step::of(concert) }).await;
}

async fn version(store: &dyn Store, concert: ConcertId) -> u64 {
    store.reader().room(concert).await.unwrap().expect("a room").0.room.version
}

/// Whether a process that starts now loads the room.
async fn is_read(store: &dyn Store, concert: ConcertId) -> bool {
    store.reader().rooms().await.unwrap().iter().any(|record| record.concert == concert)
}

async fn retired(store: &dyn Store, concert: ConcertId, version: u64) -> bool {
    let yesterday = store.reader().now().plus_millis(-DAY_MILLIS);
    store.retention().retire(&[(concert, version)], yesterday).await.unwrap() == [concert]
}

async fn an_idle_room_is_retired_and_returns_with_any_change(bed: Bed) {
    let store = bed.store().await;
    let (now, mut lane) = (store.reader().now(), Lane::new(&*store, 1).await);
    let (concert, tokens) = past_concert(&mut lane, now, &["ann", "bob"]).await;
    let first = version(&*store, concert).await;
    assert!(!retired(&*store, concert, first).await, "two turns are not settled");
    settle(&mut lane, concert, vec![1, 2]).await;
    assert!(!retired(&*store, concert, first).await, "the room has changed since");
    let second = version(&*store, concert).await;
    assert!(is_read(&*store, concert).await);
    assert!(retired(&*store, concert, second).await);
    assert!(retired(&*store, concert, second).await, "it is retired already");
    assert!(!is_read(&*store, concert).await);
    let (record, performances) = store.reader().room(concert).await.unwrap().expect("a retired room");
    assert_eq!((record.room.issued, record.turns.len(), performances.len()), (2, 0, 1));

    let again = enter(&mut lane, concert, &tokens[0].user).await;
    assert_eq!(again.place, 3, "a new place at the end");
    assert!(is_read(&*store, concert).await, "a process that starts now knows the turn that runs");
    if let Some(news) = store.news() {
        let known = RoomsKnown { versions: vec![(concert, second)], only_known: true, ..RoomsKnown::default() };
        assert_eq!(news.rooms(&known).await.unwrap().rooms.len(), 1, "as do processes that knew it");
    }
    // A concert with a coming performance keeps its room, however idle it is.
    let future = open_concert(&mut lane, OPEN_DOORS).await;
    schedule(&mut lane, now, future, 10, 100).await;
    assert!(!retired(&*store, future, version(&*store, future).await).await);
    in_order(&bed).await;
}

async fn old_places_are_deleted_after_their_turns(bed: Bed) {
    let store = bed.store().await;
    let (now, mut lane) = (store.reader().now(), Lane::new(&*store, 1).await);
    let people: Vec<String> = (0..7).map(|number| format!("user-{number}")).collect();
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    let (concert, tokens) = past_concert(&mut lane, now, &people).await;
    settle(&mut lane, concert, vec![1, 2, 3, 4, 5]).await;
    let (drop, month) = (store.retention(), now.plus_millis(-30 * DAY_MILLIS));
    assert_eq!(drop.drop_places(now.plus_millis(-50 * DAY_MILLIS), 100).await.unwrap(), 0, "nothing is so old");
    assert_eq!(drop.drop_places(month, 3).await.unwrap(), 3, "a small step");
    assert_eq!(drop.drop_places(month, 100).await.unwrap(), 2, "up to the first turn that is not settled");
    assert_eq!(drop.drop_places(month, 100).await.unwrap(), 0);
    in_order(&bed).await;
    settle(&mut lane, concert, vec![6, 7]).await;
    // One user entered later, and the turn is still running.
    let late = enter(&mut lane, concert, &user("late")).await;
    assert_eq!(drop.drop_places(month, 100).await.unwrap(), 2);
    assert_eq!(
        drop.drop_places(now.plus_millis(DAY_MILLIS), 100).await.unwrap(),
        0,
        "a turn that runs keeps its place"
    );
    in_order(&bed).await;

    // A token of a deleted place gives up nothing, and its user gets a new place at the end.
    lane.done(Leave(tokens[0].clone())).await;
    let again = enter(&mut lane, concert, &tokens[0].user).await;
    assert_eq!(again.place, late.place + 1);
    lane.done(Leave(tokens[0].clone())).await;
    let record = store.reader().room(concert).await.unwrap().expect("a room").0;
    assert!(record.turns.iter().any(|(place, _, ended)| *place == again.place && !ended), "{record:?}");
    in_order(&bed).await;
}

async fn old_events_are_deleted_without_a_relay_too(bed: Bed) {
    let store = bed.store().await;
    let (now, mut lane) = (store.reader().now(), Lane::new(&*store, 1).await);
    for (days, many) in [(3, 10), (0, 5)] {
        lane.at = Some(now.plus_millis(-days * DAY_MILLIS));
        let charges = (0..many).map(|number| charge(&user(&format!("user-{number}")), 1));
        lane.run(charges).await.expect("a unit of work");
    }
    let all = events(&*store, 15).await;
    let (retention, yesterday) = (store.retention(), now.plus_millis(-DAY_MILLIS));
    assert_eq!(retention.forget_events(yesterday, false, 7).await.unwrap(), 0, "they are to be sent");
    assert_eq!(retention.forget_events(yesterday, true, 7).await.unwrap(), 7, "no relay is expected");

    // From now on a relay sends them.
    let (outbox, _) = open(&bed).await;
    let relay = Uuid::from_u128(7);
    let leases = outbox.lease(relay).await.unwrap();
    assert_eq!(retention.forget_events(yesterday, true, 100).await.unwrap(), 0, "they were not sent");
    let parts = leases.into_iter().map(|lease| PartMark { lease, to: (&all[14]).into() }).collect();
    assert!(outbox.mark(relay, &Marks { parts, ..Marks::default() }).await.unwrap());
    assert_eq!(retention.forget_events(yesterday, false, 100).await.unwrap(), 3);
    assert_eq!(events(&*store, 5).await.len(), 5);
    in_order(&bed).await;
}

async fn a_store_reports_whether_old_answers_exist(bed: Bed) {
    let store = bed.store().await;
    let (now, mut lane) = (store.reader().now(), Lane::new(&*store, 1).await);
    assert!(!store.reader().has_old_answers(now).await.unwrap());
    let key =
        onsale_app::idempotency::KeyId { owner: onsale_app::idempotency::Owner::User(user("ann")), key: "k".into() };
    let request = crate::lane::Request { command: charge(&user("ann"), 1), key: Some(key) };
    lane.answer(&[request]).await.expect("a unit of work");
    assert!(!store.reader().has_old_answers(now.plus_millis(-DAY_MILLIS)).await.unwrap());
    assert!(store.reader().has_old_answers(now.plus_millis(DAY_MILLIS)).await.unwrap());
    let mut unit = Unit { forget_answers_before: Some(now.plus_millis(DAY_MILLIS)), ..lane.load(&[]).await.unwrap() };
    unit.at = now;
    lane.writer.save(&unit).await.unwrap();
    assert!(!store.reader().has_old_answers(now.plus_millis(DAY_MILLIS)).await.unwrap());
}

on_each_database!(
    an_idle_room_is_retired_and_returns_with_any_change,
    old_places_are_deleted_after_their_turns,
    old_events_are_deleted_without_a_relay_too,
    a_store_reports_whether_old_answers_exist,
);
