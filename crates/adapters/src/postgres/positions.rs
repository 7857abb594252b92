//! Positions of events: none is ever given that the log has passed.
//!
//! A position is the id of the writing transaction plus a number that the database keeps (`event_positions`), times
//! 65,536, plus the event's rank in the transaction. A cluster that a dump was restored into counts its transactions
//! anew, and so does one that another was replicated into: its ids are lower than those in the log. Without the added
//! number new events would lie behind the relay's marks, and would count as sent.
//!
//! What is compared is the log itself with the ids that this cluster has given. This needs no identity of the cluster
//! and no rights that an ordinary owner of the tables does not have.

use tokio_postgres::Client;

use super::connection::Role;
use super::error::DbError;
use super::session::Session;
use super::url::PostgresUrl;
use super::values::{Sql, get};

/// Whether the log holds a position that no transaction of this cluster can have written. It reads one row of an index.
pub(super) const IS_AHEAD: &str = "SELECT coalesce(max(position), 0) >> 16
        >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint + (SELECT added FROM event_positions)
    FROM events";

/// Each event with the transaction that its position names, and the one that wrote its row (`xmin`, of which 32 bits are
/// kept). They are the same, unless the row was restored, or updated since.
macro_rules! placed {
    () => {
        "placed AS NOT MATERIALIZED (
            SELECT events.ctid AS lies, event_id, position, state, (position >> 16) - added AS named,
                newest - ((newest - events.xmin::text::bigint) & 4294967295) AS wrote
            FROM events, (SELECT added, pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1 AS newest
                FROM event_positions) now),
        restored AS (SELECT max(wrote) AS wrote, max(position) AS position FROM placed WHERE named > wrote)"
    };
}
pub(super) use placed;

/// Whether an event was written by this cluster after others were restored into it, and below these.
macro_rules! is_misplaced {
    () => {
        "state = 'PENDING' AND named = placed.wrote AND placed.wrote > restored.wrote
            AND placed.position < restored.position"
    };
}
pub(super) use is_misplaced;

/// Writers hold a weaker lock until they commit: each has written all of its events, or will place them anew.
const LOCK: &str = "LOCK TABLE events IN SHARE ROW EXCLUSIVE MODE";

/// Moves misplaced events behind the log, in their order.
const MOVE: &str = concat!(
    "WITH ",
    placed!(),
    ", misplaced AS (SELECT lies, placed.position FROM placed, restored WHERE ",
    is_misplaced!(),
    " AND placed.position NOT IN (SELECT position FROM events_put_back))
    UPDATE events SET position = ((last >> 16) + 1 << 16) + rank
    FROM (SELECT lies, row_number() OVER (ORDER BY position) AS rank FROM misplaced) moved,
        (SELECT max(position) AS last FROM events) log
    WHERE events.ctid = moved.lies"
);

/// The oldest transaction that still runs may yet write events: its position, too, is to be behind the log.
const RAISE: &str = "UPDATE event_positions
    SET added = (last >> 16) + 1 - pg_snapshot_xmin(pg_current_snapshot())::text::bigint
    FROM (SELECT max(position) AS last FROM events) log
    WHERE last >> 16 >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint + added";

/// Lets positions go on behind the log, if the log is ahead of this cluster.
///
/// # Errors
/// If the server does not answer, or the lock is not had within 30 s.
pub(super) async fn settle(client: &Client) -> Sql<()> {
    if client.query_one(IS_AHEAD, &[]).await?.get(0) { raise(client).await } else { Ok(()) }
}

/// The same for a session: it does not wait for locks itself.
///
/// # Errors
/// As above.
pub(super) async fn settle_for(session: &Session, url: &PostgresUrl) -> Sql<()> {
    let found = session.query(IS_AHEAD, Vec::new()).await?;
    if get(found.first().ok_or(DbError::Broken("no log"))?, 0)? {
        let (client, _driver) = url.connect(Role::Tool).await?;
        settle(&client).await?;
    }
    Ok(())
}

/// Lets positions go on behind the log, in a transaction of its own.
async fn raise(client: &Client) -> Sql<()> {
    client.batch_execute("BEGIN").await?;
    let raised = async {
        client.batch_execute(LOCK).await?;
        // Another connection may have been first.
        if client.query_one(IS_AHEAD, &[]).await?.get(0) { repair(client).await } else { Ok(()) }
    };
    let raised = raised.await;
    client.batch_execute(if raised.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
    raised
}

/// The same within a transaction. Also finds events that were written where the log had passed, by a program that did
/// not compare, and moves them behind the log: they were never sent. Reads all events.
pub(super) async fn repair(client: &Client) -> Sql<()> {
    client.batch_execute(LOCK).await?;
    let moved = client.execute(MOVE, &[]).await?;
    if client.execute(RAISE, &[]).await? > 0 {
        tracing::warn!("the event log is ahead of this server's transactions (a restore?); positions go on behind it");
    }
    if moved > 0 {
        tracing::warn!(events = moved, "events had been written where the log had passed; they are sent now");
    }
    Ok(())
}
