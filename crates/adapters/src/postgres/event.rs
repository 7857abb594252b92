//! The outbox: one row for each event.

use std::collections::{HashMap, HashSet};

use onsale_app::event::{EventState, StoredEvent, data_of, kind_of, subject_of, topic_of};
use onsale_app::relay::part_of;
use onsale_app::store::{Page, Unit};
use onsale_app::trace::TraceContext;
use onsale_domain::ids::EventId;
use onsale_domain::time::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::session::{Pipeline, Session};
use super::values::{Sql, big, columns, get, instant, limit, number, params, small, uuid, word};

/// What is read of an event, in the order in which it is read.
macro_rules! COLUMNS_OF {
    () => {
        "position, event_id, type, subject, version, at, data, state, reason, trace"
    };
}
pub(super) use COLUMNS_OF;

/// The position is the transaction's id, with what this database adds to it (see [`super::positions`]), and the event's
/// rank in it: no sequence, and no event is ever numbered below one that a reader has passed (see [`LOG`]).
const TELL: &str = "INSERT INTO events (topic, subject, version, event_id, position, type, at, data, trace)
    SELECT topic, subject, version, event_id,
        (pg_current_xact_id()::text::bigint + (SELECT added FROM event_positions) << 16) + rank, type, at, data, trace
    FROM unnest($1::text[], $2::text[], $3::bigint[], $4::uuid[], $5::text[], $6::bigint[], $7::text[], $8::bytea[])
        WITH ORDINALITY v (topic, subject, version, event_id, type, at, data, trace, rank)";

pub(super) const WRITES: &[&str] = &[TELL];

pub(super) fn save<'a>(pipeline: &mut Pipeline<'a, ()>, unit: &'a Unit) {
    pipeline.write(
        TELL,
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

/// Only what was written before the oldest transaction that still runs: whatever commits later lies after it.
const LOG: &str = concat!(
    "SELECT ",
    COLUMNS_OF!(),
    " FROM events WHERE position > $1 AND position <
        (pg_snapshot_xmin(pg_current_snapshot())::text::bigint + (SELECT added FROM event_positions) << 16)
    ORDER BY position LIMIT $2"
);

/// How far each part of the outbox was sent.
const SENT: &str = "SELECT part, least(sent_to, checked_to) FROM relay_parts";

/// What of it was put back since.
const PUT_BACK: &str = "SELECT position FROM events_put_back WHERE position BETWEEN $1 AND $2";

const RETRY: &str = "WITH again AS (
        UPDATE events SET state = 'PENDING', reason = NULL
        WHERE state = 'DEAD' AND (cardinality($1::uuid[]) = 0 OR event_id = ANY ($1)) RETURNING position)
    INSERT INTO events_put_back SELECT position FROM again ON CONFLICT DO NOTHING RETURNING 1";

/// Back to just before the first event of that time. Whoever relays a part now loses it: what it is about to mark is not
/// so any more.
const REPLAY: &str =
    "UPDATE relay_parts SET sent_to = first.position - 1, fence = fence + 1, relay = NULL, leased_until = 0
    FROM (SELECT min(position) AS position FROM events WHERE at >= $1) first
    WHERE first.position IS NOT NULL AND sent_to >= first.position RETURNING 1";

pub(super) const READS: &[&str] = &[LOG, SENT, PUT_BACK];

pub(super) const TOOLS: &[&str] = &[RETRY, REPLAY];

/// In order.
pub(super) async fn log(session: &Session, page: Page<u64>) -> Sql<Vec<StoredEvent>> {
    let wanted = params![big(page.after.unwrap_or(0)), limit(page.limit)];
    session.query(LOG, wanted).await?.iter().map(read).collect()
}

/// In order, each with what became of it.
pub(super) async fn told(session: &Session, page: Page<u64>) -> Sql<Vec<StoredEvent>> {
    let mut events = log(session, page).await?;
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

/// Dead letters become pending again: those named, or all. Returns how many.
pub(super) async fn retry_dead(session: &Session, ids: &[EventId]) -> Sql<usize> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    Ok(session.query(RETRY, params![ids]).await?.len())
}

/// Everything since an instant is sent again. Returns whether there was anything.
pub(super) async fn replay(session: &Session, since: Timestamp) -> Sql<bool> {
    Ok(!session.query(REPLAY, params![since.as_millis()]).await?.is_empty())
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
