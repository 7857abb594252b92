//! The database is replaced by another or an older one: no event counts as sent that was not sent.

use std::sync::Arc;

use onsale_adapters::postgres::{PostgresAudit, PostgresOutbox, PostgresStore, PostgresUrl};
use onsale_adapters::sqlite::{SqliteAudit, SqliteOutbox};
use onsale_app::audit::audit;
use onsale_app::audit::source::AuditSource;
use onsale_app::event::StoredEvent;
use onsale_app::relay::{Lease, Marks, Outbox, PartMark};
use onsale_app::store::Store;
use onsale_testing::postgres::Database;
use onsale_testing::without;
use uuid::Uuid;

use crate::bed::{Bed, on_each_database};
use crate::forgetting::events;
use crate::lane::Lane;
use crate::stage::{charge, user};

const RELAY: Uuid = Uuid::from_u128(7);

/// How far the log is ahead of this server's transactions, in transactions.
const AHEAD: &str = "UPDATE events SET position = position + (1000000::bigint << 16)";

pub(crate) fn outbox(bed: &Bed) -> Arc<dyn Outbox> {
    match bed {
        Bed::Sqlite { folder, .. } => Arc::new(SqliteOutbox::new(&folder.path().join("sale.db"))),
        Bed::Postgres(database) => Arc::new(PostgresOutbox::new(&PostgresUrl::parse(&database.url()).unwrap())),
    }
}

/// Changes the data as a restore would.
pub(crate) async fn sql(bed: &Bed, text: &str) {
    match bed {
        Bed::Sqlite { folder, .. } => {
            let db = rusqlite::Connection::open(folder.path().join("sale.db")).unwrap();
            db.execute_batch(text).unwrap();
        }
        Bed::Postgres(database) => database.sql().await.batch_execute(text).await.unwrap(),
    }
}

/// The invariants that the audit finds broken.
async fn broken(bed: &Bed) -> Vec<&'static str> {
    let source: Box<dyn AuditSource> = match bed {
        Bed::Sqlite { folder, .. } => Box::new(SqliteAudit::new(&folder.path().join("sale.db"))),
        Bed::Postgres(database) => {
            Box::new(PostgresAudit::open(&PostgresUrl::parse(&database.url()).unwrap()).await.unwrap())
        }
    };
    let findings = audit(&*source).await.unwrap();
    findings.iter().filter(|finding| finding.broken > 0).map(|finding| finding.invariant).collect()
}

pub(crate) async fn charges(store: &dyn Store, seed: u64, many: usize) {
    let mut lane = Lane::new(store, seed).await;
    for number in 0..many {
        assert!(lane.run([charge(&user(&format!("user-{number}")), 1)]).await.unwrap().iter().all(Result::is_ok));
    }
}

fn marks(leases: &[Lease], to: &StoredEvent) -> Marks {
    let parts = leases.iter().map(|lease| PartMark { lease: *lease, to: to.into() }).collect();
    Marks { parts, ..Marks::default() }
}

fn sent_to(leases: &[Lease]) -> Vec<u64> {
    leases.iter().map(|lease| lease.sent_to).collect()
}

async fn events_read_from_another_history_move_no_mark(bed: Bed) {
    let store = bed.store().await;
    charges(&*store, 1, 4).await;
    let all = events(&*store, 4).await;
    let outbox = outbox(&bed);
    let leases = outbox.lease(RELAY).await.unwrap();
    // Another event is at the position of the last event that was read.
    let id = match &bed {
        Bed::Sqlite { .. } => "x'000000000000000000000000000000ff'",
        Bed::Postgres(_) => "'00000000-0000-0000-0000-0000000000ff'",
    };
    let position = all[3].position;
    sql(&bed, &format!("UPDATE events SET event_id = {id} WHERE position = {position}")).await;
    assert!(!outbox.mark(RELAY, &marks(&leases, &all[3])).await.unwrap());
    let mut dead = Marks { dead: vec![((&all[3]).into(), "too large".to_owned())], ..Marks::default() };
    dead.sent_again.push((&all[3]).into());
    sql(&bed, &format!("INSERT INTO events_put_back VALUES ({position})")).await;
    assert!(outbox.mark(RELAY, &dead).await.unwrap());
    assert_eq!(outbox.put_back(9).await.unwrap().len(), 1, "it is not the one that was put back and sent");
    assert!(events(&*store, 4).await.iter().all(|event| event.reason.is_none()), "nor the one that is dead");
    assert_eq!(sent_to(&outbox.lease(RELAY).await.unwrap()), [0; 8]);
    // The backup has an older mark.
    assert!(outbox.mark(RELAY, &marks(&leases, &all[1])).await.unwrap());
    let leases = outbox.lease(RELAY).await.unwrap();
    sql(&bed, "UPDATE relay_parts SET sent_to = 0, checked_to = 0, checked_id = NULL").await;
    assert!(!outbox.mark(RELAY, &marks(&leases, &all[2])).await.unwrap());
    assert_eq!(sent_to(&outbox.lease(RELAY).await.unwrap()), [0; 8]);
}

async fn a_mark_that_no_relay_checked_is_corrected(bed: Bed) {
    let store = bed.store().await;
    charges(&*store, 1, 4).await;
    let all = events(&*store, 4).await;
    let outbox = outbox(&bed);
    let leases = outbox.lease(RELAY).await.unwrap();
    assert!(outbox.mark(RELAY, &marks(&leases, &all[1])).await.unwrap());
    assert_eq!(broken(&bed).await, [""; 0]);
    let within = format!("UPDATE relay_parts SET sent_to = {}", all[3].position);
    for wrong in [within.as_str(), "UPDATE relay_parts SET sent_to = 1000000000000000000"] {
        sql(&bed, wrong).await;
        assert_eq!(broken(&bed).await, ["every mark of the outbox is one that a relay made on this log"], "{wrong}");
        assert!(outbox.has_work().await.unwrap(), "{wrong}");
        assert_eq!(sent_to(&outbox.lease(RELAY).await.unwrap()), [all[1].position; 8], "{wrong}");
        assert_eq!(broken(&bed).await, [""; 0], "{wrong}");
    }
    // A mark of an older version, which checked nothing: trusted within the log, corrected beyond it.
    sql(&bed, &format!("UPDATE relay_parts SET sent_to = {}, checked_to = NULL", all[2].position)).await;
    assert_eq!(broken(&bed).await, [""; 0]);
    assert_eq!(sent_to(&outbox.lease(RELAY).await.unwrap()), [all[2].position; 8]);
    sql(&bed, "UPDATE relay_parts SET sent_to = 1000000000000000000, checked_to = NULL").await;
    assert!(!broken(&bed).await.is_empty());
    assert_eq!(sent_to(&outbox.lease(RELAY).await.unwrap()), [0; 8], "nothing of it is known to be sent");
    assert_eq!(broken(&bed).await, [""; 0]);
}

on_each_database!(events_read_from_another_history_move_no_mark, a_mark_that_no_relay_checked_is_corrected);

async fn database() -> Option<(Bed, Arc<dyn Store>)> {
    if without("postgres") {
        return None;
    }
    let bed = Bed::postgres().await;
    let store = bed.store().await;
    Some((bed, store))
}

fn positions(events: &[StoredEvent]) -> Vec<u64> {
    events.iter().map(|event| event.position).collect()
}

#[tokio::test]
async fn new_events_get_positions_above_a_log_that_is_ahead() {
    let Some((bed, store)) = database().await else { return };
    charges(&*store, 1, 4).await;
    events(&*store, 4).await;
    sql(&bed, AHEAD).await;
    assert_eq!(broken(&bed).await, [""; 0], "restored, and nothing is wrong yet");
    charges(&*store, 2, 6).await;
    let all = events(&*store, 10).await;
    assert!(positions(&all).is_sorted());
    assert!(all[4].position > all[3].position + (1 << 15), "{:?}", positions(&all));
    assert!(all[4].position < all[3].position + (1000 << 16), "no leap: {:?}", positions(&all));
    assert_eq!(broken(&bed).await, [""; 0]);
}

#[tokio::test]
async fn every_part_of_the_program_raises_positions() {
    let Some((bed, store)) = database().await else { return };
    let Bed::Postgres(database) = &bed else { return };
    let url = PostgresUrl::parse(&database.url()).unwrap();
    charges(&*store, 1, 4).await;
    events(&*store, 4).await;
    for round in 0..4 {
        sql(&bed, AHEAD).await;
        match round {
            0 => drop(PostgresStore::open(&url, 1).await.unwrap()),
            1 => drop(PostgresStore::open_beside(&url).await.unwrap()),
            2 => drop(PostgresOutbox::new(&url).has_work().await.unwrap()),
            _ => drop(PostgresOutbox::new(&url).lease(RELAY).await.unwrap()),
        }
        let is_seen = "SELECT max(position) >> 16 < pg_snapshot_xmax(pg_current_snapshot())::text::bigint + added
            FROM events, event_positions GROUP BY added";
        let seen: bool = database.sql().await.query_one(is_seen, &[]).await.unwrap().get(0);
        assert!(seen, "round {round}");
    }
}

/// Writes an event as an older version would, which does not compare positions: over a lane that was connected before.
async fn write_behind(database: &Database, lane: &mut Lane, user_name: &str) {
    let added = "UPDATE event_positions SET added = 0";
    database.sql().await.batch_execute(added).await.unwrap();
    assert!(lane.run([charge(&user(user_name), 1)]).await.unwrap().iter().all(Result::is_ok));
}

#[tokio::test]
async fn misplaced_events_are_moved_to_the_end_in_their_order() {
    let Some((bed, store)) = database().await else { return };
    let Bed::Postgres(database) = &bed else { return };
    let mut lane = Lane::new(&*store, 3).await;
    for number in 0..4 {
        lane.run([charge(&user(&format!("user-{number}")), 1)]).await.unwrap();
    }
    let all = events(&*store, 4).await;
    let outbox = outbox(&bed);
    let leases = outbox.lease(RELAY).await.unwrap();
    assert!(outbox.mark(RELAY, &marks(&leases, &all[3])).await.unwrap());
    sql(
        &bed,
        &format!(
            "{AHEAD}; UPDATE relay_parts SET sent_to = sent_to + (1000000::bigint << 16),
        checked_to = checked_to + (1000000::bigint << 16)"
        ),
    )
    .await;
    for name in ["user-1", "user-2", "user-1"] {
        write_behind(database, &mut lane, name).await;
    }
    assert_eq!(broken(&bed).await, ["no event was written where the log had passed"]);
    let leases = outbox.lease(RELAY).await.unwrap();
    assert_eq!(broken(&bed).await, [""; 0]);
    let unsent = outbox.after(leases[0].sent_to, 9).await.unwrap();
    let found: Vec<(&str, u64)> = unsent.iter().map(|event| (event.subject.as_str(), event.version)).collect();
    assert_eq!(found, [("user-1", 2), ("user-2", 2), ("user-1", 3)]);
    lane.run([charge(&user("user-2"), 1)]).await.unwrap();
    let found = events(&*store, 8).await;
    assert_eq!((found[7].subject.as_str(), found[7].version), ("user-2", 3));
    assert_eq!(broken(&bed).await, [""; 0]);
}
