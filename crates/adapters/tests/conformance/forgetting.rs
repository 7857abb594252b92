//! Old events are forgotten once they were sent; what is dead or put back stays, and the audit knows.

use std::sync::Arc;

use onsale_adapters::postgres::{PostgresAudit, PostgresOutbox, PostgresUrl};
use onsale_adapters::sqlite::{SqliteAudit, SqliteOutbox};
use onsale_app::audit::audit;
use onsale_app::audit::source::AuditSource;
use onsale_app::event::StoredEvent;
use onsale_app::relay::{Marks, Outbox, PartMark};
use onsale_app::store::{Page, Store};
use uuid::Uuid;

use crate::bed::{Bed, on_each_database};
use crate::lane::Lane;
use crate::stage::{charge, user};
use crate::waiting::until;

const DAY_MILLIS: i64 = 86_400_000;

async fn open(bed: &Bed) -> (Arc<dyn Outbox>, Box<dyn AuditSource>) {
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

/// All events, once so many can be seen.
pub(crate) async fn events(store: &dyn Store, many: usize) -> Vec<StoredEvent> {
    until("events that were committed are seen", || async {
        let events = store.reader().events(Page { after: None, limit: 100 }).await.expect("events");
        (events.len() == many).then_some(events)
    })
    .await
}

async fn old_events_are_forgotten_once_they_were_sent(bed: Bed) {
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
    // Whatever is old: the last stays, and what comes next stands behind it.
    assert_eq!(outbox.forget(now.plus_millis(DAY_MILLIS), 100).await.unwrap(), 4);
    lane.at = None;
    lane.run([charge(&user("user-1"), 1)]).await.expect("a unit of work");
    let left = events(&*store, 3).await;
    assert!(all[24].position < left[2].position);
    in_order(&bed).await;
}

async fn in_order(bed: &Bed) {
    let (_, source) = open(bed).await;
    for finding in audit(&*source).await.unwrap() {
        assert_eq!(finding.broken, 0, "{finding:?}");
    }
}

on_each_database!(old_events_are_forgotten_once_they_were_sent);
