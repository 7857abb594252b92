//! Old events are deleted after they were sent. Dead letters and events that were put back stay, and the audit agrees.

use std::sync::Arc;

use onsale_adapters::postgres::{PostgresAudit, PostgresOutbox, PostgresUrl};
use onsale_adapters::sqlite::{SqliteAudit, SqliteOutbox};
use onsale_app::audit::audit;
use onsale_app::audit::source::AuditSource;
use onsale_app::event::{EventState, StoredEvent};
use onsale_app::relay::{Delivery, Marks, Outbox, PartMark};
use onsale_app::store::{Page, Store};
use onsale_domain::ids::EventId;
use uuid::Uuid;

use crate::bed::{Bed, on_each_database};
use crate::lane::Lane;
use crate::stage::{charge, user};
use crate::waiting::until;

const DAY_MILLIS: i64 = 86_400_000;

pub(crate) async fn open(bed: &Bed) -> (Arc<dyn Outbox>, Box<dyn AuditSource>) {
    match bed {
        Bed::Sqlite { folder, .. } => {
            let path = folder.path().join("sale.db");
            (Arc::new(SqliteOutbox::new(&path)), Box::new(SqliteAudit::new(&path)))
        }
        Bed::Postgres(database) => {
            let url = PostgresUrl::parse(&database.url()).expect("a URL");
            let source = PostgresAudit::open(&url).await.expect("a database that was migrated");
            (Arc::new(PostgresOutbox::new(&url)), Box::new(source))
        }
    }
}

/// All events, as soon as this many are visible.
pub(crate) async fn events(store: &dyn Store, many: usize) -> Vec<StoredEvent> {
    until("events that were committed are seen", || async {
        let events = store.reader().events(Page { after: None, limit: 100 }).await.expect("events");
        (events.len() == many).then_some(events)
    })
    .await
}

async fn sent_events_are_deleted_after_their_time(bed: Bed) {
    let store = bed.store().await;
    let (now, mut lane) = (store.reader().now(), Lane::new(&*store, 1).await);
    for (days, many) in [(3, 10), (2, 10), (0, 5)] {
        lane.at = Some(now.plus_millis(-days * DAY_MILLIS));
        let charges = (0..many).map(|number| charge(&user(&format!("user-{number}")), 1));
        lane.run(charges).await.expect("a unit of work");
    }
    let all = events(&*store, 25).await;
    let (outbox, _) = open(&bed).await;
    let yesterday = now.plus_millis(-DAY_MILLIS);
    assert_eq!(outbox.forget(yesterday, 100).await.unwrap(), 0, "nothing was sent");

    let relay = Uuid::from_u128(7);
    let leases = outbox.lease(relay).await.unwrap();
    let parts = leases.into_iter().map(|lease| PartMark { lease, to: (&all[24]).into() }).collect();
    let dead = vec![((&all[0]).into(), "too large".to_owned())];
    assert!(outbox.mark(relay, &Marks { parts, dead, ..Marks::default() }).await.unwrap());
    assert_eq!(outbox.forget(now.plus_millis(-4 * DAY_MILLIS), 100).await.unwrap(), 0, "nothing is so old");
    assert_eq!(outbox.forget(yesterday, 7).await.unwrap(), 7, "a small step");
    assert_eq!(outbox.forget(yesterday, 100).await.unwrap(), 12, "all that is old, but the dead one");
    assert_eq!(outbox.forget(yesterday, 100).await.unwrap(), 0);
    let left: Vec<u64> = events(&*store, 6).await.iter().map(|event| event.position).collect();
    let wanted: Vec<u64> = all[..1].iter().chain(&all[20..]).map(|event| event.position).collect();
    assert_eq!(left, wanted);
    in_order(&bed).await;
    // The last event stays however old it is, and the next event comes after it.
    assert_eq!(outbox.forget(now.plus_millis(DAY_MILLIS), 100).await.unwrap(), 4);
    lane.at = None;
    lane.run([charge(&user("user-1"), 1)]).await.expect("a unit of work");
    let left = events(&*store, 3).await;
    assert!(all[24].position < left[2].position);
    in_order(&bed).await;
}

pub(crate) async fn in_order(bed: &Bed) {
    let (_, source) = open(bed).await;
    for finding in audit(&*source).await.unwrap() {
        assert_eq!(finding.broken, 0, "{finding:?}");
    }
}

async fn retry(bed: &Bed, ids: &[EventId]) -> usize {
    let mut put_back = 0;
    match bed {
        Bed::Sqlite { folder, .. } => {
            let path = folder.path().join("sale.db");
            onsale_adapters::sqlite::retry_dead_events(&path, ids, |more| put_back += more).unwrap();
        }
        Bed::Postgres(database) => {
            let url = PostgresUrl::parse(&database.url()).expect("a URL");
            onsale_adapters::postgres::retry_dead_events(&url, ids, |more| put_back += more).await.unwrap();
        }
    }
    put_back
}

async fn a_dead_letter_outlives_its_event(bed: Bed) {
    let store = bed.store().await;
    let (now, mut lane) = (store.reader().now(), Lane::new(&*store, 1).await);
    lane.at = Some(now.plus_millis(-3 * DAY_MILLIS));
    let charges = (0..6).map(|number| charge(&user(&format!("user-{number}")), 1));
    lane.run(charges).await.expect("a unit of work");
    let all = events(&*store, 6).await;
    let (outbox, _) = open(&bed).await;
    let relay = Uuid::from_u128(7);
    let parts = outbox.lease(relay).await.unwrap().into_iter().map(|lease| PartMark { lease, to: (&all[5]).into() });
    assert!(outbox.mark(relay, &Marks { parts: parts.collect(), ..Marks::default() }).await.unwrap());
    assert_eq!(outbox.forget(now, 100).await.unwrap(), 5, "all but the last");

    // The platform refuses two of them after their events were deleted.
    let refused = [&all[1], &all[3]];
    for event in refused {
        outbox.set_aside(&Delivery::from(event), "422 Unprocessable Entity").await.unwrap();
    }
    let page = Page { after: None, limit: 100 };
    let dead = store.reader().dead_events(page).await.unwrap();
    let shown: Vec<_> = dead.iter().map(|event| (event.to_json(), event.state, event.reason.as_deref())).collect();
    let wanted = refused.map(|event| (event.to_json(), EventState::Dead, Some("422 Unprocessable Entity")));
    assert_eq!(shown, wanted, "whole, with the reason");
    assert_eq!(store.reader().events(page).await.unwrap().len(), 3, "beside the log");
    assert_eq!(store.reader().events(Page { after: Some(0), limit: 100 }).await.unwrap().len(), 1);

    // Put back one by id, then all. They are sent again unchanged.
    assert_eq!(retry(&bed, &[all[1].id]).await, 1);
    assert_eq!(retry(&bed, &[all[1].id]).await, 0, "it is no dead letter now");
    assert!(outbox.has_work().await.unwrap());
    assert_eq!(retry(&bed, &[]).await, 1);
    let again = outbox.put_back(100).await.unwrap();
    assert_eq!(again.iter().map(StoredEvent::to_json).collect::<Vec<_>>(), refused.map(StoredEvent::to_json));
    // One is refused again before the relay records that it was sent.
    outbox.set_aside(&Delivery::from(&again[1]), "400 Bad Request").await.unwrap();
    let sent_again = again.iter().map(Into::into).collect();
    outbox.mark(relay, &Marks { sent_again, ..Marks::default() }).await.unwrap();
    assert!(outbox.put_back(100).await.unwrap().is_empty());
    let dead = store.reader().dead_events(page).await.unwrap();
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert_eq!((dead[0].id, dead[0].reason.as_deref()), (all[3].id, Some("400 Bad Request")));
    in_order(&bed).await;
}

on_each_database!(sent_events_are_deleted_after_their_time, a_dead_letter_outlives_its_event);
