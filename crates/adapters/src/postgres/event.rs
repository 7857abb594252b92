//! The event log (outbox): one row per event.

use std::collections::{HashMap, HashSet};

use onsale_app::event::{EventState, StoredEvent, data_of, kind_of, subject_of, topic_of};
use onsale_app::relay::part_of;
use onsale_app::store::{Page, Unit};
use onsale_app::trace::TraceContext;
use onsale_domain::ids::EventId;
use onsale_domain::time::Timestamp;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::dead_letters;
use super::session::{Pipeline, Session};
use super::values::{Sql, big, columns, get, instant, limit, number, params, small, uuid, word};

/// The columns of an event, in the order of [`read`].
macro_rules! COLUMNS_OF {
    () => {
        "position, event_id, type, subject, version, at, data, state, reason, trace"
    };
}
pub(super) use COLUMNS_OF;

/// Inserts events. A position is made of the transaction's id (see [`super::positions`]) and the event's rank in the transaction.
/// A sequence would not do: a transaction that commits late would get a number that readers have passed (see [`LOG`]).
const INSERT: &str = "INSERT INTO events (topic, subject, version, event_id, position, type, at, data, trace)
    SELECT topic, subject, version, event_id,
        (pg_current_xact_id()::text::bigint + (SELECT added FROM event_positions) << 16) + rank, type, at, data, trace
    FROM unnest($1::text[], $2::text[], $3::bigint[], $4::uuid[], $5::text[], $6::bigint[], $7::text[], $8::bytea[])
        WITH ORDINALITY v (topic, subject, version, event_id, type, at, data, trace, rank)";

pub(super) const WRITES: &[&str] = &[INSERT];

pub(super) fn save<'a>(pipeline: &mut Pipeline<'a, ()>, unit: &'a Unit) {
    pipeline.write(
        INSERT,
        columns!(
            unit.events(),
            |(event, trace)| topic_of(&event.happening),
            subject_of(event),
            big(event.version),
            event.id.uuid(),
            kind_of(&event.happening),
            event.at.as_millis(),
            data_of(&event.happening),
            trace.map(TraceContext::to_bytes),
        ),
    );
}

/// Only events before the oldest running transaction: every transaction that commits later has higher positions, so a reader that
/// continues after the last event misses none.
const LOG: &str = concat!(
    "SELECT ",
    COLUMNS_OF!(),
    " FROM events WHERE position > $1 AND position <
        (pg_snapshot_xmin(pg_current_snapshot())::text::bigint + (SELECT added FROM event_positions) << 16)
    ORDER BY position LIMIT $2"
);

/// The position up to which each part of the outbox was sent.
const SENT: &str = "SELECT part, least(sent_to, checked_to) FROM relay_parts";

/// Events of a range that were put back to be sent again.
const PUT_BACK: &str = "SELECT position FROM events_put_back WHERE position BETWEEN $1 AND $2";

/// Dead letters, by their partial index.
pub(super) const DEAD: &str =
    concat!("SELECT ", COLUMNS_OF!(), " FROM events WHERE state = 'DEAD' AND position > $1 ORDER BY position LIMIT $2");

/// The position up to which all parts of the outbox were sent.
const PASSED: &str = "SELECT coalesce(min(least(sent_to, checked_to)), 0) FROM relay_parts";

const PUT_BACK_AFTER: &str = concat!(
    "SELECT ",
    COLUMNS_OF!(),
    " FROM (SELECT position again FROM events_put_back WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3) back
        CROSS JOIN LATERAL (SELECT * FROM events WHERE events.position = again OFFSET 0) event ORDER BY position"
);

pub(super) const LAST: &str = concat!(
    "SELECT * FROM (SELECT ",
    COLUMNS_OF!(),
    " FROM events WHERE position <
        (pg_snapshot_xmin(pg_current_snapshot())::text::bigint + (SELECT added FROM event_positions) << 16)
        ORDER BY position DESC LIMIT $1) last ORDER BY position"
);

const RETRY: &str = "WITH again AS (
        UPDATE events SET state = 'PENDING', reason = NULL WHERE position IN (
            SELECT position FROM events WHERE state = 'DEAD' AND (cardinality($1::uuid[]) = 0 OR event_id = ANY ($1))
            ORDER BY position LIMIT $2 FOR UPDATE) RETURNING position),
    noted AS (INSERT INTO events_put_back SELECT position FROM again ON CONFLICT DO NOTHING)
    SELECT count(*) FROM again";

/// Set before [`FIRST_SINCE`], so that the planner uses the index on time even without statistics.
pub(super) const BY_INDEX: &str = "SET enable_seqscan = off";

/// `OFFSET 0` keeps the planner from searching in the order of positions, which reads all earlier events.
pub(super) const FIRST_SINCE: &str =
    "SELECT min(position) FROM (SELECT position FROM events WHERE at >= $1 OFFSET 0) since";

/// Moves the marks back to before that event, and takes the parts from their relays: the marks that they are about to write are
/// wrong now.
pub(super) const REPLAY: &str =
    "UPDATE relay_parts SET sent_to = $1 - 1, fence = fence + 1, relay = NULL, leased_until = 0
    WHERE sent_to >= $1";

pub(super) const READS: &[&str] = &[LOG, SENT, PUT_BACK, dead_letters::ALL, dead_letters::DEAD];

/// Statements of the command line.
#[cfg(test)]
pub(super) const LOG_READS: &[&str] = &[DEAD, PASSED, PUT_BACK_AFTER, LAST];

/// A page of the log in the order of positions.
pub(super) async fn log(session: &Session, page: Page<u64>) -> Sql<Vec<StoredEvent>> {
    let wanted = params![big(page.after.unwrap_or(0)), limit(page.limit)];
    session.query(LOG, wanted).await?.iter().map(read).collect()
}

/// A page of the log with the state of each event. The first page begins with the copies of dead letters.
pub(super) async fn list(session: &Session, page: Page<u64>) -> Sql<Vec<StoredEvent>> {
    let copies = if page.after.is_none() { dead_letters::all(session, page.limit).await? } else { Vec::new() };
    let events = with_states(session, log(session, page).await?).await?;
    Ok(copies.into_iter().chain(events).collect())
}

/// A page of dead letters.
pub(super) async fn dead(session: &Session, page: Page<u64>) -> Sql<Vec<StoredEvent>> {
    let mut dead = if page.after.is_none() { dead_letters::dead(session, page.limit).await? } else { Vec::new() };
    let wanted = params![big(page.after.unwrap_or(0)), limit(page.limit)];
    dead.extend(session.query(DEAD, wanted).await?.iter().map(read).collect::<Sql<Vec<_>>>()?);
    Ok(dead)
}

/// Events that were put back, then all events after the position up to which every part was sent.
pub(super) async fn unsent(session: &Session, page: Page<u64>) -> Sql<Vec<StoredEvent>> {
    let found = session.query(PASSED, Vec::new()).await?;
    let (passed, after) = (found.first().map_or(Ok(0), |row| number(row, 0))?, page.after.unwrap_or(0));
    let put_back = session.query(PUT_BACK_AFTER, params![big(after), big(passed), limit(page.limit)]).await?;
    let mut events = put_back.iter().map(read).collect::<Sql<Vec<_>>>()?;
    let rest = page.limit.saturating_sub(events.len());
    if rest > 0 {
        events.extend(log(session, Page { after: Some(after.max(passed)), limit: rest }).await?);
    }
    with_states(session, events).await
}

/// The last events, oldest first.
pub(super) async fn last(session: &Session, most: usize) -> Sql<Vec<StoredEvent>> {
    let found = session.query(LAST, params![limit(most)]).await?;
    with_states(session, found.iter().map(read).collect::<Sql<_>>()?).await
}

/// Sets the state of sent events: it is recorded in the parts of the outbox, not in the events' rows.
async fn with_states(session: &Session, mut events: Vec<StoredEvent>) -> Sql<Vec<StoredEvent>> {
    let (Some(first), Some(last)) = (events.first(), events.last()) else { return Ok(events) };
    let put_back = session.query(PUT_BACK, params![big(first.position), big(last.position)]).await?;
    let put_back = put_back.iter().map(|row| number(row, 0)).collect::<Sql<HashSet<u64>>>()?;
    let sent = session.query(SENT, Vec::new()).await?;
    let sent = sent.iter().map(|row| Ok((small(row, 0)?, number(row, 1)?))).collect::<Sql<HashMap<u32, u64>>>()?;
    for event in &mut events {
        let passed = sent.get(&part_of(event)).is_some_and(|to| event.position <= *to);
        if event.state == EventState::Pending && passed && !put_back.contains(&event.position) {
            event.state = EventState::Sent;
        }
    }
    Ok(events)
}

/// Makes up to `most` dead letters pending again: the named ones, or all. Returns how many.
///
/// Has no time limit, like [`replay`]: a command that is abandoned here could still be carried out by the server.
pub(super) async fn retry_dead(client: &Client, ids: &[EventId], most: usize) -> Sql<usize> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let put_back: i64 = client.query_one(RETRY, &[&ids, &limit(most)]).await?.get(0);
    let put_back = usize::try_from(put_back).unwrap_or(0);
    Ok(put_back + dead_letters::retry(client, &ids, most.saturating_sub(put_back)).await?)
}

/// Has all events since an instant sent again. Returns whether any of them had been sent.
pub(super) async fn replay(client: &Client, since: Timestamp) -> Sql<bool> {
    client.batch_execute(BY_INDEX).await?;
    let first: Option<i64> = client.query_one(FIRST_SINCE, &[&since.as_millis()]).await?.get(0);
    let Some(first) = first else { return Ok(false) };
    Ok(client.execute(REPLAY, &[&first]).await? > 0)
}

pub(super) fn read(row: &Row) -> Sql<StoredEvent> {
    Ok(StoredEvent {
        position: number(row, 0)?,
        id: EventId::new(uuid(row, 1)?),
        kind: get(row, 2)?,
        subject: get(row, 3)?,
        version: number(row, 4)?,
        at: instant(row, 5)?,
        data: get(row, 6)?,
        state: word(row, 7)?,
        reason: get(row, 8)?,
        trace: get::<Option<&[u8]>>(row, 9)?.and_then(TraceContext::from_bytes),
    })
}
