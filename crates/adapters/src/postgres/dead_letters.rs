//! Copies of dead letters whose events were deleted from the log.

use onsale_app::event::StoredEvent;
use onsale_app::relay::Delivery;
use onsale_domain::ids::EventId;
use tokio_postgres::Client;
use uuid::Uuid;

use super::event::read;
use super::session::Session;
use super::values::{Sql, limit, params};

/// The columns of an event of the log; position and version are 0.
macro_rules! copies {
    ($condition:literal) => {
        concat!(
            "SELECT 0::bigint, event_id, type, subject, 0::bigint, at, data,
                CASE WHEN reason IS NULL THEN 'PENDING' ELSE 'DEAD' END, reason, NULL::bytea
            FROM dead_letters WHERE ",
            $condition,
            " ORDER BY at, event_id LIMIT $1"
        )
    };
}

pub(super) const ALL: &str = copies!("true");

pub(super) const DEAD: &str = copies!("reason IS NOT NULL");

const PUT_BACK: &str = copies!("reason IS NULL");

/// Marks an event as dead if it is in the log.
const SET_ASIDE: &str = "UPDATE events SET state = 'DEAD', reason = $4
    WHERE topic = $1 AND subject = $2 AND event_id = $3 RETURNING 1";

const KEEP: &str =
    "INSERT INTO dead_letters (event_id, type, subject, at, data, reason) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (event_id) DO UPDATE SET reason = EXCLUDED.reason";

/// Deletes copies that were sent, except those that were refused again meanwhile.
const SENT: &str = "DELETE FROM dead_letters WHERE event_id = ANY ($1::uuid[]) AND reason IS NULL";

const DIED: &str = "UPDATE dead_letters SET reason = v.reason FROM unnest($1::uuid[], $2::text[]) v (event_id, reason)
    WHERE dead_letters.event_id = v.event_id";

const RETRY: &str = "UPDATE dead_letters SET reason = NULL WHERE event_id IN (
    SELECT event_id FROM dead_letters WHERE reason IS NOT NULL AND (cardinality($1::uuid[]) = 0 OR event_id = ANY ($1))
    ORDER BY event_id LIMIT $2 FOR UPDATE)";

pub(super) const STATEMENTS: &[&str] = &[PUT_BACK, SET_ASIDE, KEEP, SENT, DIED];

/// Sets an event aside as a dead letter: in the log if it is there, else as a copy.
pub(super) async fn set_aside(session: &Session, event: &Delivery, reason: &str) -> Sql<()> {
    let Delivery { topic, subject, id, json, .. } = event;
    let found = session.query(SET_ASIDE, params![topic, subject, id.uuid(), reason]).await?;
    if let (true, Some(copy)) = (found.is_empty(), StoredEvent::from_json(json)) {
        let StoredEvent { kind, subject, at, data, .. } = copy;
        session.query(KEEP, params![id.uuid(), kind, subject, at.as_millis(), data, reason]).await?;
    }
    Ok(())
}

/// Up to `most` copies, oldest first.
pub(super) async fn all(session: &Session, most: usize) -> Sql<Vec<StoredEvent>> {
    session.query(ALL, params![limit(most)]).await?.iter().map(read).collect()
}

/// Up to `most` copies that are dead letters, oldest first.
pub(super) async fn dead(session: &Session, most: usize) -> Sql<Vec<StoredEvent>> {
    session.query(DEAD, params![limit(most)]).await?.iter().map(read).collect()
}

/// Up to `most` copies that were put back, oldest first.
pub(super) async fn put_back(session: &Session, most: usize) -> Sql<Vec<StoredEvent>> {
    session.query(PUT_BACK, params![limit(most)]).await?.iter().map(read).collect()
}

/// Puts up to `most` copies back: the named ones, or all. Returns how many.
pub(super) async fn retry(client: &Client, ids: &[Uuid], most: usize) -> Sql<usize> {
    let put_back = client.execute(RETRY, &[&ids, &limit(most)]).await?;
    Ok(usize::try_from(put_back).unwrap_or(0))
}

/// Deletes the copies of events that were sent.
pub(super) async fn sent(session: &Session, ids: &[EventId]) -> Sql<()> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    session.query(SENT, params![ids]).await.map(drop)
}

/// Records why copies can never be sent.
pub(super) async fn died(session: &Session, dead: &[(EventId, &str)]) -> Sql<()> {
    let (ids, reasons): (Vec<Uuid>, Vec<&str>) = dead.iter().map(|(id, reason)| (id.uuid(), *reason)).unzip();
    session.query(DIED, params![ids, reasons]).await.map(drop)
}
