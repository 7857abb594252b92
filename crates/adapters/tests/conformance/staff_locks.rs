//! The locks of keys of staff on Postgres: no change outlives the deletion of its key, and none of them keeps others waiting.

use std::sync::Arc;
use std::time::{Duration, Instant};

use onsale_app::store::locks::Lock;
use onsale_app::store::{LogFilter, Store, StoreError, Wanted, Writer};
use onsale_domain::staff::{DeleteKey, Key, Role};
use onsale_domain::{Command, Refusal};
use onsale_testing::postgres::Database;
use onsale_testing::postgres::driver::Client;
use onsale_testing::{PATIENCE, without};

use crate::bed::Bed;
use crate::forgetting::in_order;
use crate::mixed::by;
use crate::staff::{decide, log_of, make, of, run, rust, wanted};

/// Returns when this many sessions of the database wait for a lock.
async fn until_waiting(database: &Database, many: i64) {
    let sql = database.sql().await;
    let waiting = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let asked = Instant::now();
    while sql.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) != many {
        assert!(asked.elapsed() < PATIENCE, "{many} sessions do not wait for a lock");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The writer of a store of its own. Opened before any lock is taken: a unit of work must not be open for long.
async fn writer(bed: &Bed) -> (Arc<dyn Store>, Box<dyn Writer>) {
    let store = bed.store().await;
    let writer = store.writer().await.unwrap();
    (store, writer)
}

/// Loads, decides and saves in a task of its own.
fn spawn<C: Command + Send + Sync + 'static>(
    (store, mut writer): (Arc<dyn Store>, Box<dyn Writer>),
    command: C,
) -> tokio::task::JoinHandle<Result<(), Refusal>>
where
    C::Output: Send,
{
    tokio::spawn(async move {
        // A lock that is waited for too long ends the unit: it is run again, as the desk does.
        loop {
            let mut unit = match writer.load(&Wanted { is_patient: true, ..wanted(&command) }).await {
                Ok(unit) => unit,
                Err(StoreError::Locked(_)) => continue,
                Err(error) => panic!("{error}"),
            };
            let decided = decide(&command, &mut unit);
            writer.save(&unit).await.unwrap();
            drop(store);
            return decided.map(drop);
        }
    })
}

/// A session that holds the locks of a change by the owner of a key, as long as a test needs them.
async fn acting(database: &Database, key: &Key) -> Client {
    let sql = database.sql().await;
    let [.., a, b, c, d, e, f, g, h] = key.id.uuid().into_bytes();
    let number = i64::from_be_bytes([a, b, c, d, e, f, g, h]);
    let locks = format!(
        "BEGIN; SELECT pg_advisory_xact_lock_shared({number}); SELECT FROM staff_keys WHERE key_id = '{}' FOR SHARE",
        key.id
    );
    sql.batch_execute(&locks).await.unwrap();
    sql
}

#[tokio::test]
async fn a_deletion_waits_for_changes_that_run_and_later_ones_wait_for_it() {
    if without("postgres") {
        return;
    }
    let bed = Bed::postgres().await;
    let Bed::Postgres(database) = &bed else { unreachable!("a database of the server") };
    let (store, mut one) = writer(&bed).await;
    let (deleting, changing) = (writer(&bed).await, writer(&bed).await);
    let ann = make(&mut *one, "ann", Role::Owner).await;
    let bob = make(&mut *one, "bob", Role::Owner).await;
    let change = by(of(&ann), rust());
    run(&mut *one, &change).await.expect("the key lives");
    // Two changes run at once: they share the lock of the key.
    let (first, second) = (acting(database, &ann).await, acting(database, &ann).await);
    run(&mut *one, &change).await.expect("a third shares it too");
    let deletion = spawn(deleting, by(of(&bob), DeleteKey { key: ann.id }));
    until_waiting(database, 1).await;
    // A change that comes after the deletion queues behind it: a flood of changes cannot keep the deletion waiting.
    let late = spawn(changing, change.clone());
    until_waiting(database, 2).await;
    first.batch_execute("COMMIT").await.unwrap();
    until_waiting(database, 2).await;
    second.batch_execute("COMMIT").await.unwrap();
    assert_eq!(deletion.await.unwrap(), Ok(()));
    // On a machine so slow that the deletion gave up its place in the queue once, the late change may come first.
    let late = late.await.unwrap();
    assert!(matches!(late, Ok(()) | Err(Refusal::StaffKeyEnded)), "{late:?}");
    let log = log_of(&*store, LogFilter { actor: Some("ann".into()), ..LogFilter::default() }).await;
    assert_eq!(log.len(), 2 + usize::from(late.is_ok()), "the changes before");
    assert_eq!(run(&mut *one, &change).await.map(drop), Err(Refusal::StaffKeyEnded));
    in_order(&bed).await;
    assert_eq!(database.deadlocks(), 0, "deadlocks");
}

#[tokio::test]
async fn owners_who_delete_each_other_do_not_wait_for_each_other() {
    if without("postgres") {
        return;
    }
    let bed = Bed::postgres().await;
    let Bed::Postgres(database) = &bed else { unreachable!("a database of the server") };
    let (_store, mut one) = writer(&bed).await;
    for round in 0..10 {
        let ann = make(&mut *one, &format!("ann {round}"), Role::Owner).await;
        let bob = make(&mut *one, &format!("bob {round}"), Role::Owner).await;
        let both = [
            spawn(writer(&bed).await, by(of(&ann), DeleteKey { key: bob.id })),
            spawn(writer(&bed).await, by(of(&bob), DeleteKey { key: ann.id })),
            spawn(writer(&bed).await, by(of(&ann), DeleteKey { key: ann.id })),
        ];
        let mut done = 0;
        for deletion in both {
            done += usize::from(deletion.await.unwrap().is_ok());
        }
        assert!((1..=2).contains(&done), "{done} deletions: who is deleted deletes no more");
    }
    in_order(&bed).await;
    assert_eq!(database.deadlocks(), 0, "deadlocks");
}

/// A lane parks a command by these locks instead of waiting for it, together with the commands of users.
#[tokio::test]
async fn the_locks_that_keep_staff_waiting_are_found() {
    if without("postgres") {
        return;
    }
    let bed = Bed::postgres().await;
    let Bed::Postgres(database) = &bed else { unreachable!("a database of the server") };
    let (_store, mut one) = writer(&bed).await;
    let deleting = writer(&bed).await;
    let ann = make(&mut *one, "ann", Role::Owner).await;
    let bob = make(&mut *one, "bob", Role::Owner).await;
    let change = wanted(&by(of(&ann), rust()));
    let deletion = by(of(&bob), DeleteKey { key: ann.id });
    let both = |held: onsale_app::store::locks::HeldLocks| {
        (held.contains_key(&Lock::StaffKey(ann.id)), held.contains_key(&Lock::StaffKeyEnd(ann.id)))
    };
    for wanted in [&change, &wanted(&deletion)] {
        assert_eq!(both(one.held(wanted).await.unwrap()), (false, false), "nothing is locked");
    }
    // A change by ann keeps her deletion waiting, and no other change of hers.
    let acting = acting(database, &ann).await;
    assert_eq!(both(one.held(&change).await.unwrap()), (false, false));
    assert_eq!(both(one.held(&wanted(&deletion)).await.unwrap()), (false, true));
    // Once the deletion queues, later changes of hers wait too.
    let waiting = spawn(deleting, deletion.clone());
    let asked = Instant::now();
    while !both(one.held(&change).await.unwrap()).0 {
        assert!(asked.elapsed() < PATIENCE, "the queued deletion is not found");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    acting.batch_execute("COMMIT").await.unwrap();
    assert_eq!(waiting.await.unwrap(), Ok(()));
    // A session that locks the row alone.
    let sql = database.sql().await;
    let lock = format!("BEGIN; SELECT FROM staff_keys WHERE key_id = '{}' FOR NO KEY UPDATE", ann.id);
    sql.batch_execute(&lock).await.unwrap();
    assert_eq!(both(one.held(&change).await.unwrap()), (true, false));
    assert_eq!(both(one.held(&wanted(&deletion)).await.unwrap()), (false, true));
    sql.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(both(one.held(&wanted(&deletion)).await.unwrap()), (false, false));
}
