//! The outbox as the relay sees it: leases of its parts, marks of progress, and records of deliveries.

use async_trait::async_trait;
use onsale_app::event::StoredEvent;
use onsale_app::relay::{Backlog, Delivery, EventRef, Lease, Marks, Outbox, PARTS};
use onsale_app::store::{Page, StoreError};
use onsale_domain::ids::EventId;
use onsale_domain::time::Timestamp;
use tokio::sync::{Mutex, MutexGuard};
use tokio_postgres::Row;
use uuid::Uuid;

use super::connection::Role;
use super::dead_letters;
use super::error::DbError;
use super::event::{self, COLUMNS_OF};
use super::liveness::Liveness;
use super::positions;
use super::session::Session;
use super::url::PostgresUrl;
use super::values::{Sql, big, get, limit, number, params, small, uuid};

/// How long a relay without a heartbeat keeps its parts, in milliseconds.
const LEASED_MILLIS: i64 = 4_000;

/// How long a delivery is remembered to recognize duplicates, in milliseconds.
const REMEMBERED_MILLIS: i64 = 14 * 86_400_000;

const NOW: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/// Records a heartbeat, and deletes relays without one. A heartbeat that is valid for longer than a new one was written while the
/// clock was ahead, and counts as expired.
const HEARTBEAT: &str = "WITH gone AS (DELETE FROM relays WHERE heard_until < $2 OR heard_until > $2 + $3 + $3)
    INSERT INTO relays (relay, heard_until) VALUES ($1, $2 + $3)
    ON CONFLICT (relay) DO UPDATE SET heard_until = EXCLUDED.heard_until";

/// Maximum number of parts per relay, if all relays with a heartbeat get about as many.
macro_rules! share {
    () => {
        "(SELECT ceil((SELECT count(*) FROM relay_parts)::float / greatest(count(*), 1))::bigint FROM relays
            WHERE heard_until >= $2)"
    };
}

const RENEW: &str = "UPDATE relay_parts SET leased_until = $2 + $3 WHERE relay = $1 AND leased_until >= $2";

const GIVE_UP: &str = concat!(
    "UPDATE relay_parts SET relay = NULL, leased_until = 0 WHERE part IN (
        SELECT part FROM relay_parts WHERE relay = $1 ORDER BY part OFFSET ",
    share!(),
    ")"
);

const TAKE: &str = concat!(
    "UPDATE relay_parts SET relay = $1, fence = fence + 1, leased_until = $2 + $3 WHERE part IN (
        SELECT part FROM relay_parts WHERE leased_until < $2 OR leased_until > $2 + $3 + $3 ORDER BY part
        LIMIT greatest(0, ",
    share!(),
    " - (SELECT count(*) FROM relay_parts WHERE relay = $1 AND leased_until >= $2)) FOR UPDATE SKIP LOCKED)"
);

const OWN: &str = "SELECT part, sent_to, fence FROM relay_parts WHERE relay = $1 AND leased_until >= $2 ORDER BY part";

const RELEASE: &str = "WITH gone AS (DELETE FROM relays WHERE relay = $1)
    UPDATE relay_parts SET relay = NULL, leased_until = 0 WHERE relay = $1";

/// Whether a relay has anything to do: send events, or correct marks.
const HAS_WORK: &str = "SELECT EXISTS (SELECT FROM events
        WHERE position > (SELECT min(least(sent_to, checked_to)) FROM relay_parts))
    OR EXISTS (SELECT FROM events_put_back) OR EXISTS (SELECT FROM dead_letters WHERE reason IS NULL)
    OR EXISTS (SELECT FROM relay_parts WHERE checked_to IS DISTINCT FROM sent_to
        OR sent_to > (SELECT coalesce(max(position), 0) FROM events))";

const PUT_BACK: &str = concat!(
    "SELECT ",
    COLUMNS_OF!(),
    " FROM (SELECT position again FROM events_put_back ORDER BY position LIMIT $1) back
        CROSS JOIN LATERAL (SELECT * FROM events WHERE events.position = again OFFSET 0) event ORDER BY position"
);

/// Moves marks. Commits without waiting for the disk: if a crash undoes it, events are sent again.
///
/// Moves a mark only if it still has the value from which the events were read, and the last event that was read is still at its
/// position. Otherwise another server, or an older state of the database, answers now.
const MARK: &str = "WITH unsynced AS (SELECT set_config('synchronous_commit', 'off', true))
    UPDATE relay_parts SET sent_to = v.sent_to, checked_to = v.sent_to, checked_id = v.event_id
    FROM unsynced, unnest($2::integer[], $3::bigint[], $4::bigint[], $5::bigint[], $6::uuid[])
            v (part, fence, sent_from, sent_to, event_id)
        CROSS JOIN LATERAL (SELECT FROM events
            WHERE events.position = v.sent_to AND events.event_id = v.event_id OFFSET 0) still_there
    WHERE relay_parts.part = v.part AND relay_parts.fence = v.fence AND relay = $1
        AND relay_parts.sent_to = v.sent_from
    RETURNING 1";

/// Corrects marks that do not fit the log. A mark goes back to the last checked position if an older version moved it, and to the
/// beginning if it is beyond the log or its event is not the one at that position. A mark without a checked position is
/// trusted if it is within the log.
const CORRECT: &str = "UPDATE relay_parts SET sent_to = v.sent_to, checked_to = v.sent_to,
        checked_id = CASE WHEN v.sent_to = v.checked_to THEN v.checked_id END
    FROM (SELECT part, was, checked_to, checked_id, CASE
                WHEN mark > last OR mark = checked_to AND checked_id IS NOT NULL AND EXISTS (
                    SELECT FROM events WHERE events.position = mark AND events.event_id <> checked_id)
                THEN 0 ELSE mark END AS sent_to
            FROM (SELECT part, sent_to AS was, least(sent_to, checked_to) AS mark, checked_to, checked_id
                    FROM relay_parts WHERE relay = $1) own,
                (SELECT coalesce(max(position), 0) AS last FROM events) log) v
    WHERE relay_parts.part = v.part AND (v.sent_to <> v.was OR v.checked_to IS DISTINCT FROM v.sent_to)
    RETURNING v.part, v.was, v.sent_to";

const DEAD: &str = "UPDATE events SET state = 'DEAD', reason = v.reason
    FROM unnest($1::bigint[], $2::uuid[], $3::text[]) v (position, event_id, reason)
    WHERE events.position = v.position AND events.event_id = v.event_id";

const SENT_AGAIN: &str = "DELETE FROM events_put_back USING unnest($1::bigint[], $2::uuid[]) v (position, event_id)
        CROSS JOIN LATERAL (SELECT FROM events
            WHERE events.position = v.position AND events.event_id = v.event_id OFFSET 0) still_there
    WHERE events_put_back.position = v.position";

/// Deletes old events. Reads the oldest in order of position, so that newer events are never read, and deletes rows by their
/// address.
const FORGET: &str = "WITH gone AS (DELETE FROM events WHERE ctid = ANY (ARRAY(
        SELECT address FROM (SELECT ctid address, at FROM events
            WHERE position < (SELECT min(least(sent_to, checked_to)) FROM relay_parts)
                AND state <> 'DEAD' AND position NOT IN (SELECT position FROM events_put_back)
            ORDER BY position LIMIT $2) oldest WHERE at < $1)) RETURNING 1),
    noted AS (UPDATE events_forgotten SET before = $1 WHERE before < $1 AND EXISTS (SELECT FROM gone))
    SELECT count(*) FROM gone";

const BACKLOG: &str = "SELECT count(*), coalesce(min(at), 0) FROM (SELECT at FROM events
    WHERE position > (SELECT min(least(sent_to, checked_to)) FROM relay_parts) ORDER BY position LIMIT 10000) waiting";

const DELIVERED: &str = "SELECT event_id FROM deliveries WHERE event_id = ANY ($1::uuid[])";

const NOTE_DELIVERED: &str = "WITH noted AS (
        INSERT INTO deliveries (event_id, at) SELECT id, $2 FROM unnest($1::uuid[]) id ON CONFLICT DO NOTHING),
    old AS (DELETE FROM deliveries WHERE event_id IN (
        SELECT event_id FROM deliveries WHERE at < $3 ORDER BY at LIMIT 1000 FOR UPDATE SKIP LOCKED))
    INSERT INTO delivery_files (file, length) SELECT * FROM unnest($4::text[], $5::bigint[])
    ON CONFLICT (file) DO UPDATE SET length = EXCLUDED.length";

const LENGTH: &str = "SELECT length FROM delivery_files WHERE file = $1";

const OWN_STATEMENTS: &[&str] = &[
    NOW,
    HEARTBEAT,
    RENEW,
    GIVE_UP,
    TAKE,
    OWN,
    RELEASE,
    HAS_WORK,
    PUT_BACK,
    MARK,
    CORRECT,
    positions::IS_AHEAD,
    DEAD,
    SENT_AGAIN,
    FORGET,
    BACKLOG,
    DELIVERED,
    NOTE_DELIVERED,
    LENGTH,
];

pub(super) const STATEMENTS: &[&[&str]] = &[OWN_STATEMENTS, event::READS, dead_letters::STATEMENTS];

/// An outbox over a connection of its own.
pub struct PostgresOutbox {
    url: PostgresUrl,
    /// Held for one operation, so that the statements of two operations never mix on the connection.
    session: Mutex<Option<Session>>,
}

impl PostgresOutbox {
    /// Connects at the first operation, and again after every fault.
    pub fn new(url: &PostgresUrl) -> Self {
        Self { url: url.clone(), session: Mutex::default() }
    }

    /// Locks the connection; opens one if there is none, or if it must be replaced.
    async fn session(&self) -> Sql<Locked<'_>> {
        let mut session = self.session.lock().await;
        if session.as_ref().is_none_or(Session::is_closed) {
            *session = None;
            let opened = self.url.open(Role::Outbox, &Liveness::default(), STATEMENTS).await?;
            // Before any mark is read on it: it may lead to a server that was restored from a dump.
            positions::settle_for(&opened, &self.url).await?;
            *session = Some(opened);
        }
        Ok(Locked(session))
    }

    /// Locks the connection on which leases were read. A new connection may lead to another server, or to an older state of the
    /// database, where the marks of these leases are wrong.
    ///
    /// # Errors
    /// `Away` if that connection was closed: the relay then takes its leases again.
    async fn same_session(&self) -> Sql<Locked<'_>> {
        let session = self.session.lock().await;
        match session.as_ref().is_none_or(Session::is_closed) {
            true => Err(DbError::Away("the connection was lost; reading the marks of the outbox again".to_owned())),
            false => Ok(Locked(session)),
        }
    }

    /// Corrects the marks of a relay's parts that do not fit the log, as after a restore.
    async fn correct(&self, session: &Session, relay: Uuid) -> Sql<()> {
        positions::settle_for(session, &self.url).await?;
        for row in session.query(CORRECT, params![relay]).await? {
            let (part, sent_to, corrected): (u32, u64, u64) = (small(&row, 0)?, number(&row, 1)?, number(&row, 2)?);
            if sent_to != corrected {
                tracing::error!(
                    part,
                    sent_to,
                    corrected,
                    "a mark of the outbox does not fit the event log; sending events again from the corrected mark"
                );
            }
        }
        Ok(())
    }
}

/// Positions and ids of events, as two columns.
fn refs<'a>(events: impl Iterator<Item = &'a EventRef>) -> (Vec<i64>, Vec<Uuid>) {
    events.map(|event| (big(event.position), event.id.uuid())).unzip()
}

/// The locked connection, for one operation.
struct Locked<'a>(MutexGuard<'a, Option<Session>>);

impl Locked<'_> {
    fn session(&self) -> Sql<&Session> {
        self.0.as_ref().ok_or(DbError::Broken("no connection"))
    }

    /// The database's time in milliseconds. All relays date their leases by it.
    async fn now(&self) -> Sql<i64> {
        let found = self.session()?.query(NOW, Vec::new()).await?;
        get(found.first().ok_or(DbError::Broken("no clock"))?, 0)
    }
}

fn lease(row: &Row) -> Sql<Lease> {
    Ok(Lease { part: small(row, 0)?, sent_to: number(row, 1)?, fence: number(row, 2)? })
}

#[async_trait]
impl Outbox for PostgresOutbox {
    async fn lease(&self, relay: Uuid) -> Result<Vec<Lease>, StoreError> {
        let locked = self.session().await?;
        let (session, now) = (locked.session()?, locked.now().await?);
        // In this order: with the heartbeat this relay counts in the shares; it gives parts up before it takes any, so that two
        // relays never wait for each other's parts.
        session.query(HEARTBEAT, params![relay, now, LEASED_MILLIS]).await?;
        session.query(RENEW, params![relay, now, LEASED_MILLIS]).await?;
        session.query(GIVE_UP, params![relay, now]).await?;
        session.query(TAKE, params![relay, now, LEASED_MILLIS]).await?;
        // After the parts are taken and before their marks are read: no events are read from a mark that does not fit.
        self.correct(session, relay).await?;
        let own = session.query(OWN, params![relay, now]).await?;
        Ok(own.iter().map(lease).collect::<Sql<_>>()?)
    }

    async fn release(&self, relay: Uuid) -> Result<(), StoreError> {
        self.session().await?.session()?.query(RELEASE, params![relay]).await?;
        Ok(())
    }

    async fn after(&self, position: u64, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        let locked = self.same_session().await?;
        Ok(event::log(locked.session()?, Page { after: Some(position), limit }).await?)
    }

    async fn has_work(&self) -> Result<bool, StoreError> {
        let locked = self.session().await?;
        let found = locked.session()?.query(HAS_WORK, Vec::new()).await?;
        Ok(get(found.first().ok_or(DbError::Broken("no answer"))?, 0)?)
    }

    async fn put_back(&self, most: usize) -> Result<Vec<StoredEvent>, StoreError> {
        let locked = self.session().await?;
        let found = locked.session()?.query(PUT_BACK, params![limit(most)]).await?;
        let mut again = found.iter().map(event::read).collect::<Sql<Vec<_>>>()?;
        again.extend(dead_letters::put_back(locked.session()?, most).await?);
        Ok(again)
    }

    async fn mark(&self, relay: Uuid, marks: &Marks) -> Result<bool, StoreError> {
        let locked = self.session().await?;
        let session = locked.session()?;
        // Dead letters before the marks: after a crash in between, their events are sent and refused again. In the other
        // order they would count as sent.
        if !marks.dead.is_empty() {
            let (positions, ids) = refs(marks.dead.iter().map(|(event, _)| event));
            let reasons: Vec<&str> = marks.dead.iter().map(|(_, reason)| reason.as_str()).collect();
            session.query(DEAD, params![positions.clone(), ids.clone(), reasons]).await?;
            session.query(SENT_AGAIN, params![positions, ids]).await?;
            let dead: Vec<_> = marks.dead.iter().map(|(event, reason)| (event.id, reason.as_str())).collect();
            dead_letters::died(session, &dead).await?;
        }
        // First the copy of a dead letter, then the note: after a crash in between the event is sent once more.
        if !marks.sent_again.is_empty() {
            let again: Vec<EventId> = marks.sent_again.iter().map(|event| event.id).collect();
            dead_letters::sent(session, &again).await?;
            let (positions, ids) = refs(marks.sent_again.iter());
            session.query(SENT_AGAIN, params![positions, ids]).await?;
        }
        let moved: Vec<_> = marks.parts.iter().filter(|mark| mark.lease.part < PARTS).collect();
        if moved.is_empty() {
            return Ok(true);
        }
        let parts: Vec<i32> = moved.iter().map(|mark| i32::try_from(mark.lease.part).unwrap_or(0)).collect();
        let fences: Vec<i64> = moved.iter().map(|mark| big(mark.lease.fence)).collect();
        let from: Vec<i64> = moved.iter().map(|mark| big(mark.lease.sent_to)).collect();
        let (to, ids) = refs(moved.iter().map(|mark| &mark.to));
        // Fewer rows than marks: another relay has taken a part, or the log was replaced. The caller then takes its leases
        // again.
        let marked = session.query(MARK, params![relay, parts, fences, from, to, ids]).await?;
        Ok(marked.len() == moved.len())
    }

    async fn forget(&self, before: Timestamp, most: usize) -> Result<usize, StoreError> {
        let locked = self.session().await?;
        let found = locked.session()?.query(FORGET, params![before.as_millis(), limit(most)]).await?;
        let gone: i64 = get(found.first().ok_or(DbError::Broken("no count"))?, 0)?;
        Ok(usize::try_from(gone).unwrap_or(0))
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        let locked = self.session().await?;
        let now = locked.now().await?;
        let found = locked.session()?.query(BACKLOG, Vec::new()).await?;
        let row = found.first().ok_or(DbError::Broken("no count"))?;
        let (events, oldest): (u64, i64) = (number(row, 0)?, get(row, 1)?);
        let oldest_millis = if events == 0 { 0 } else { u64::try_from(now - oldest).unwrap_or(0) };
        Ok(Backlog { events, oldest_millis })
    }

    async fn delivered(&self, ids: &[EventId]) -> Result<Vec<EventId>, StoreError> {
        let locked = self.session().await?;
        let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
        let found = locked.session()?.query(DELIVERED, params![ids]).await?;
        Ok(found.iter().map(|row| uuid(row, 0).map(EventId::new)).collect::<Sql<_>>()?)
    }

    async fn note_delivered(&self, ids: &[EventId], files: &[(String, u64)]) -> Result<(), StoreError> {
        let locked = self.session().await?;
        let now = locked.now().await?;
        let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
        let (names, lengths): (Vec<&str>, Vec<i64>) =
            files.iter().map(|(file, length)| (file.as_str(), big(*length))).unzip();
        let noted = params![ids, now, now - REMEMBERED_MILLIS, names, lengths];
        locked.session()?.query(NOTE_DELIVERED, noted).await?;
        Ok(())
    }

    async fn length_of(&self, file: &str) -> Result<u64, StoreError> {
        let locked = self.session().await?;
        let found = locked.session()?.query(LENGTH, params![file]).await?;
        Ok(found.first().map(|row| number(row, 0)).transpose()?.unwrap_or(0))
    }

    async fn set_aside(&self, event: &Delivery, reason: &str) -> Result<(), StoreError> {
        let locked = self.session().await?;
        Ok(dead_letters::set_aside(locked.session()?, event, reason).await?)
    }
}
