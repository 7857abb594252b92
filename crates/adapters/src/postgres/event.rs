//! The outbox: one row for each event.

use onsale_app::event::{StoredEvent, data_of, kind_of, subject_of, topic_of};
use onsale_app::store::Page;
use onsale_domain::ids::EventId;
use onsale_domain::rows::Rows;
use tokio_postgres::Row;

use super::session::{Pipeline, Session};
use super::values::{Sql, big, columns, get, instant, limit, number, params, uuid, word};

/// The position is the transaction's id and the event's rank in it: no sequence, and no event is ever numbered below
/// one that a reader has passed (see [`LOG`]).
const TELL: &str = "INSERT INTO events (topic, subject, version, event_id, position, type, at, data)
    SELECT topic, subject, version, event_id, (pg_current_xact_id()::text::bigint << 16) + rank, type, at, data
    FROM unnest($1::text[], $2::text[], $3::bigint[], $4::uuid[], $5::text[], $6::bigint[], $7::text[])
        WITH ORDINALITY v (topic, subject, version, event_id, type, at, data, rank)";

pub(super) const WRITES: &[&str] = &[TELL];

pub(super) fn save<'a>(pipeline: &mut Pipeline<'a, ()>, rows: &'a Rows) {
    pipeline.write(
        TELL,
        columns!(
            rows.events.iter(),
            |event| topic_of(&event.happening),
            subject_of(event),
            big(event.version),
            event.id.uuid(),
            kind_of(&event.happening),
            event.at.as_millis(),
            data_of(&event.happening),
        ),
    );
}

/// Only what was written before the oldest transaction that still runs: whatever commits later lies after it.
const LOG: &str = "SELECT position, event_id, type, subject, version, at, data, state, reason FROM events
    WHERE position > $1 AND position < (pg_snapshot_xmin(pg_current_snapshot())::text::bigint << 16)
    ORDER BY position LIMIT $2";

const RETRY: &str = "UPDATE events SET state = 'PENDING', reason = NULL WHERE state = 'DEAD' RETURNING 1";

pub(super) const READS: &[&str] = &[LOG];

pub(super) const TOOLS: &[&str] = &[RETRY];

/// In order.
pub(super) async fn log(session: &Session, page: Page<u64>) -> Sql<Vec<StoredEvent>> {
    let wanted = params![big(page.after.unwrap_or(0)), limit(page.limit)];
    session.query(LOG, wanted).await?.iter().map(read).collect()
}

/// Dead letters become pending again. Returns how many.
pub(super) async fn retry_dead(session: &Session) -> Sql<usize> {
    Ok(session.query(RETRY, Vec::new()).await?.len())
}

fn read(row: &Row) -> Sql<StoredEvent> {
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
    })
}
