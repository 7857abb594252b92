//! Positions of events. A new position is always above every position in the log.
//!
//! A position is `(transaction id + added) * 65536 + rank`: the id of the writing transaction, plus a number that the
//! database keeps (`event_positions`), and the event's rank in the transaction. A server that a dump was restored into, or
//! that data was replicated into, has lower transaction ids than the log. Without the added number, new events would get
//! positions below the relay's marks and count as sent.
//!
//! To find that out, the highest position of the log is compared with the transaction ids of this server. That needs no
//! identity of the server, and no rights beyond those of the tables' owner.

use tokio_postgres::Client;

use super::connection::Role;
use super::error::DbError;
use super::session::Session;
use super::url::PostgresUrl;
use super::values::{Sql, get};

/// Whether the log has a position that no transaction of this server can have written. Reads one row of an index.
pub(super) const IS_AHEAD: &str = "SELECT coalesce(max(position), 0) >> 16
        >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint + (SELECT added FROM event_positions)
    FROM events";

/// Each event with the transaction that its position names, and the transaction that wrote its row (`xmin`, which has 32 bits).
/// They are the same unless the row was restored or updated since.
macro_rules! placed {
    () => {
        "placed AS NOT MATERIALIZED (
            SELECT events.ctid AS address, event_id, position, state, (position >> 16) - added AS named,
                newest - ((newest - events.xmin::text::bigint) & 4294967295) AS wrote
            FROM events, (SELECT added, pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1 AS newest
                FROM event_positions) now),
        restored AS (SELECT max(wrote) AS wrote, max(position) AS position FROM placed WHERE named > wrote)"
    };
}
pub(super) use placed;

/// Whether this server wrote an event after a restore, at a position below those of restored events.
macro_rules! is_misplaced {
    () => {
        "state = 'PENDING' AND named = placed.wrote AND placed.wrote > restored.wrote
            AND placed.position < restored.position"
    };
}
pub(super) use is_misplaced;

/// Conflicts with the lock that writers hold until they commit. After it is granted, each writer either has committed its events or
/// computes their positions with the raised number.
const LOCK: &str = "LOCK TABLE events IN SHARE ROW EXCLUSIVE MODE";

/// Moves misplaced events to the end of the log, in their order.
const MOVE: &str = concat!(
    "WITH ",
    placed!(),
    ", misplaced AS (SELECT address, placed.position FROM placed, restored WHERE ",
    is_misplaced!(),
    " AND placed.position NOT IN (SELECT position FROM events_put_back))
    UPDATE events SET position = ((last >> 16) + 1 << 16) + rank
    FROM (SELECT address, row_number() OVER (ORDER BY position) AS rank FROM misplaced) moved,
        (SELECT max(position) AS last FROM events) log
    WHERE events.ctid = moved.address"
);

/// Raises the added number by the oldest running transaction: it may still write events, and their positions must be above the
/// log too.
const RAISE: &str = "UPDATE event_positions
    SET added = (last >> 16) + 1 - pg_snapshot_xmin(pg_current_snapshot())::text::bigint
    FROM (SELECT max(position) AS last FROM events) log
    WHERE last >> 16 >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint + added";

/// Raises the added number if the log is ahead of this server's transactions.
///
/// # Errors
/// If the server does not answer, or the lock is not had within 30 s.
pub(super) async fn settle(client: &Client) -> Sql<()> {
    if client.query_one(IS_AHEAD, &[]).await?.get(0) { raise(client).await } else { Ok(()) }
}

/// The same, checked on a session. Raises over a connection of its own, because sessions have short lock timeouts.
///
/// # Errors
/// As [`settle`].
pub(super) async fn settle_for(session: &Session, url: &PostgresUrl) -> Sql<()> {
    let found = session.query(IS_AHEAD, Vec::new()).await?;
    if get(found.first().ok_or(DbError::Broken("no log"))?, 0)? {
        let (client, _driver) = url.connect(Role::Tool).await?;
        settle(&client).await?;
    }
    Ok(())
}

/// Raises the added number in a transaction of its own.
async fn raise(client: &Client) -> Sql<()> {
    client.batch_execute("BEGIN").await?;
    let raised = async {
        client.batch_execute(LOCK).await?;
        // Checked again under the lock: another connection may have raised it while this one waited.
        if client.query_one(IS_AHEAD, &[]).await?.get(0) { repair(client).await } else { Ok(()) }
    };
    let raised = raised.await;
    client.batch_execute(if raised.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
    raised
}

/// Raises the added number within the caller's transaction. Also moves misplaced events to the end of the log: an older version of
/// this program wrote them below the relay's marks, so they were never sent. Reads all events.
pub(super) async fn repair(client: &Client) -> Sql<()> {
    // The lock first: an event that is written between the move and the raise would be misplaced again.
    client.batch_execute(LOCK).await?;
    let moved = client.execute(MOVE, &[]).await?;
    if client.execute(RAISE, &[]).await? > 0 {
        tracing::warn!(
            "the event log is ahead of this server's transactions, as after a restore; positions continue after the log"
        );
    }
    if moved > 0 {
        tracing::warn!(
            events = moved,
            "events had positions below the relay's marks and were never sent; they are sent now"
        );
    }
    Ok(())
}
