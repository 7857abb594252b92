//! What other transactions see of a running and of an abandoned unit of work.

use onsale_app::store::Page;
use onsale_domain::ids::EventId;
use onsale_testing::without;

use crate::bed::Bed;
use crate::lane::{Lane, Request};
use crate::picture::events;
use crate::stage::{Stage, charge, user};

/// An abandoned unit releases its locks at once, not only when the server's timeout ends its session.
#[tokio::test]
async fn an_abandoned_unit_leaves_no_transaction_behind() {
    if without("postgres") {
        return;
    }
    let bed = Bed::postgres().await;
    let Bed::Postgres(database) = &bed else { unreachable!("a database of the server") };
    let mut stage = Stage::new(&*bed.store().await).await;
    let sql = database.sql().await;
    let open = async || -> i64 {
        let open = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
        sql.query_one(open, &[]).await.unwrap().get(0)
    };
    let wanted = stage.everything();
    stage.lane.writer.load(&wanted).await.unwrap();
    assert_eq!(open().await, 1);
    stage.lane.writer.abandon().await;
    assert_eq!(open().await, 0);
}

/// Transactions may commit in another order than they began. A reader that reads the log to its end and continues from there misses
/// no event.
#[tokio::test]
async fn a_reader_of_the_log_misses_no_late_commit() {
    if without("postgres") {
        return;
    }
    let bed = Bed::postgres().await;
    let (one, other) = (bed.store().await, bed.store().await);
    let (mut slow, mut quick) = (Lane::new(&*one, 1).await, Lane::new(&*other, 2).await);
    slow.done(charge(&user("ann"), 1)).await;
    let reader = one.reader();
    let mut read: Vec<EventId> = events(&*reader, 1, 9).await.iter().map(|event| event.id).collect();
    let last = events(&*reader, 1, 9).await[0].position;

    let late = [Request::from(charge(&user("ann"), 2))];
    let mut unit = slow.load(&late).await.unwrap();
    quick.done(charge(&user("bob"), 3)).await;
    let page = Page { after: Some(last), limit: 9 };
    let early = reader.events(page).await.unwrap();
    let after = early.last().map_or(last, |event| event.position);
    read.extend(early.iter().map(|event| event.id));
    slow.decide(&late, &mut unit);
    slow.writer.save(&unit).await.unwrap();

    let whole = events(&*reader, 3, 9).await;
    let rest = reader.events(Page { after: Some(after), limit: 9 }).await.unwrap();
    read.extend(rest.iter().map(|event| event.id));
    assert_eq!(read, whole.iter().map(|event| event.id).collect::<Vec<_>>(), "each once, and in the order of the log");
}
