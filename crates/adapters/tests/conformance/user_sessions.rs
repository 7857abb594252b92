//! Ends of users' sessions: numbered in the order of commits, listed, and deleted when no cookie of theirs is valid.

use onsale_app::store::{Store, Wanted};
use onsale_domain::ids::UserSessionId;
use onsale_domain::session::{ENDED_KEPT_SECONDS, EndSession, EndedSession};
use uuid::Uuid;

use crate::bed::{Bed, on_each_database};
use crate::forgetting::in_order;
use crate::staff::run;

fn id(number: u128) -> UserSessionId {
    UserSessionId::new(Uuid::from_u128(number))
}

/// The numbers and ids of the ends from a number on.
async fn listed(store: &dyn Store, from: u64, limit: usize) -> Vec<(u64, UserSessionId)> {
    let found = store.reader().ended_sessions(from, limit).await.unwrap();
    found.into_iter().map(|(number, ended)| (number, ended.id)).collect()
}

async fn ends_are_listed_in_order(bed: Bed) {
    let store = bed.store().await;
    let mut writer = store.writer().await.unwrap();
    assert!(listed(&*store, 0, 10).await.is_empty());
    for number in [7, 3, 5] {
        let at = writer.load(&Wanted::default()).await.unwrap().at;
        writer.abandon().await;
        let ended = run(&mut *writer, &EndSession { session: id(number) }).await.expect("an end");
        assert!(ended.kept_until >= at.plus_seconds(ENDED_KEPT_SECONDS), "longer than a cookie lasts");
    }
    // A repeated end changes nothing.
    run(&mut *writer, &EndSession { session: id(3) }).await.expect("an end");
    let all = listed(&*store, 0, 10).await;
    assert_eq!(all.iter().map(|(_, id)| *id).collect::<Vec<_>>(), [id(7), id(3), id(5)]);
    assert!(all.is_sorted_by(|one, next| one.0 < next.0), "{all:?}");
    assert_eq!(listed(&*store, all[1].0, 10).await, all[1..], "the row of the number too");
    assert_eq!(listed(&*store, all[0].0, 2).await, all[..2]);
    assert!(listed(&*store, all[2].0 + 1, 10).await.is_empty());
    // Several in one unit of work.
    let mut unit = writer.load(&Wanted::default()).await.unwrap();
    for number in [20, 10] {
        unit.rows.ended_sessions.push(EndedSession { id: id(number), kept_until: unit.at });
    }
    writer.save(&unit).await.unwrap();
    let last: Vec<_> = listed(&*store, all[2].0 + 1, 10).await.into_iter().map(|(_, id)| id).collect();
    assert_eq!(last, [id(20), id(10)]);
    in_order(&bed).await;
}

async fn ends_that_are_over_are_deleted_but_the_last(bed: Bed) {
    let store = bed.store().await;
    let mut writer = store.writer().await.unwrap();
    let mut unit = writer.load(&Wanted::default()).await.unwrap();
    for number in 0..150_u32 {
        let kept_until = unit.at.plus_millis(i64::from(number) - 1_000_000);
        unit.rows.ended_sessions.push(EndedSession { id: id(u128::from(number) + 1), kept_until });
    }
    writer.save(&unit).await.unwrap();
    // This unit has deleted the first hundred of its own.
    let left = listed(&*store, 0, 1_000).await;
    assert_eq!((left.len(), left[0].1, left[49].1), (50, id(101), id(150)), "the oldest first");
    let mut unit = writer.load(&Wanted::default()).await.unwrap();
    unit.rows.ended_sessions.push(EndedSession { id: id(999), kept_until: unit.at.plus_millis(-1) });
    writer.save(&unit).await.unwrap();
    let last = listed(&*store, 0, 1_000).await;
    assert_eq!(last, [(left[49].0 + 1, id(999))], "the last one stays, so that no number is used twice");
    run(&mut *writer, &EndSession { session: id(1_000) }).await.expect("an end");
    let new = listed(&*store, 0, 1_000).await;
    assert_eq!(new, [(last[0].0 + 1, id(1_000))]);
}

on_each_database! {
    ends_are_listed_in_order,
    ends_that_are_over_are_deleted_but_the_last,
}
