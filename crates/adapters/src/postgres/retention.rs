//! Retires rooms and deletes old places and events, in steps. Each step opens a connection of its own.

use async_trait::async_trait;
use onsale_app::store::Retention;
use onsale_app::store::StoreError;
use onsale_domain::ids::ConcertId;
use onsale_domain::time::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::connection::Role;
use super::error::DbError;
use super::liveness::Liveness;
use super::session::Session;
use super::url::PostgresUrl;
use super::values::{Sql, big, limit, number, params, uuid};

/// Maximum number of rooms whose places one step deletes. Most rooms of a year have few places.
const ROOMS_AT_ONCE: usize = 16;

const BEGIN: &str = "BEGIN";
const COMMIT: &str = "COMMIT";

/// Retires rooms without open turns, holds and coming performances. Skips rooms that a sale has locked: the next step tries them
/// again. `held_until > 0` matches the partial index of open holds, which are few.
const RETIRE: &str = "UPDATE rooms SET retired_version = version WHERE concert_id IN (
    SELECT concert_id FROM rooms JOIN unnest($1::uuid[], $2::bigint[]) over (concert_id, known) USING (concert_id)
    WHERE version = known AND retired_version <> version
        AND NOT EXISTS (SELECT FROM turns WHERE turns.concert_id = rooms.concert_id AND settled_at IS NULL)
        AND concert_id <> ALL (ARRAY(SELECT concert_id FROM reservations WHERE status = 'HELD' AND held_until > 0))
        AND NOT EXISTS (SELECT FROM performances WHERE performances.concert_id = rooms.concert_id AND starts_at >= $3)
    FOR NO KEY UPDATE OF rooms SKIP LOCKED)";

const RETIRED: &str = "SELECT concert_id FROM rooms WHERE concert_id = ANY ($1::uuid[]) AND version = retired_version";

/// Locks a room whose first remaining place is old, was admitted, and is before every turn that is not settled. The lock comes
/// first, so that the next statement sees all of the room's turns and places.
const WITH_OLD_PLACES: &str = "SELECT concert_id FROM rooms WHERE served > places_dropped_to AND (
        SELECT issued_at < $1 AND NOT EXISTS (SELECT FROM turns
            WHERE turns.concert_id = rooms.concert_id AND turns.place <= line.place AND settled_at IS NULL)
        FROM places line WHERE line.concert_id = rooms.concert_id AND place > places_dropped_to AND place <= served
        ORDER BY place LIMIT 1)
    LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED";

/// Deletes the room's next places up to the first that is not old or whose turn is not settled. If all of them are old, also
/// passes the numbers after the last one that have no row.
const DROP_PLACES: &str = "WITH room AS MATERIALIZED (SELECT concert_id, places_dropped_to dropped, least(served, (
            SELECT min(place) - 1 FROM turns WHERE turns.concert_id = $1 AND settled_at IS NULL)) called
        FROM rooms WHERE concert_id = $1),
    next AS MATERIALIZED (SELECT place, issued_at < $2 is_old FROM room CROSS JOIN LATERAL (
        SELECT place, issued_at FROM places WHERE places.concert_id = room.concert_id
            AND place > dropped AND place <= called ORDER BY place LIMIT $3) line),
    up_to AS MATERIALIZED (SELECT coalesce(
        (SELECT min(place) - 1 FROM next WHERE NOT is_old),
        (SELECT max(place) FROM next HAVING count(*) >= $3),
        (SELECT called FROM room)) place),
    gone AS (DELETE FROM places USING room, up_to WHERE places.concert_id = room.concert_id
        AND places.place > dropped AND places.place <= up_to.place RETURNING 1),
    noted AS (UPDATE rooms SET places_dropped_to = up_to.place FROM up_to
        WHERE concert_id = $1 AND places_dropped_to < up_to.place)
    SELECT count(*) FROM gone";

/// Deletes old events. `$3` allows unsent ones, but only if no relay ever took a part of the outbox (every fence is 0): then no
/// relay is meant to send them.
const FORGET: &str = "WITH sent AS MATERIALIZED (SELECT CASE WHEN $3 AND max(fence) = 0 THEN 9223372036854775807
            ELSE min(least(sent_to, checked_to)) END up_to FROM relay_parts),
    gone AS (DELETE FROM events WHERE ctid = ANY (ARRAY(
        SELECT address FROM (SELECT ctid address, at FROM events
            WHERE position < (SELECT up_to FROM sent) AND position < (SELECT max(position) FROM events)
                AND state <> 'DEAD' AND position NOT IN (SELECT position FROM events_put_back)
            ORDER BY position LIMIT $2) oldest WHERE at < $1)) RETURNING 1),
    noted AS (UPDATE events_forgotten SET before = $1 WHERE before < $1 AND EXISTS (SELECT FROM gone))
    SELECT count(*) FROM gone";

/// A process that is stopped inside a step loses its locks after 2 s, as a lane does.
const BOUND: &str = "SELECT set_config('idle_in_transaction_session_timeout', '2000', false)";

pub(super) const STATEMENTS: &[&str] = &[BOUND, BEGIN, COMMIT, RETIRE, RETIRED, WITH_OLD_PLACES, DROP_PLACES, FORGET];

/// [`Retention`] on Postgres.
pub(super) struct PostgresRetention {
    url: PostgresUrl,
}

impl PostgresRetention {
    pub(super) fn new(url: &PostgresUrl) -> Self {
        Self { url: url.clone() }
    }

    async fn session(&self) -> Sql<Session> {
        let session = self.url.open(Role::Outbox, &Liveness::default(), &[STATEMENTS]).await?;
        session.query(BOUND, Vec::new()).await?;
        Ok(session)
    }
}

fn count(found: &[Row]) -> Sql<usize> {
    let gone: u64 = number(found.first().ok_or(DbError::Broken("no count"))?, 0)?;
    Ok(usize::try_from(gone).unwrap_or(0))
}

async fn drop_places(session: &Session, before: Timestamp, most: usize) -> Sql<usize> {
    session.query(BEGIN, Vec::new()).await?;
    let mut gone = 0;
    for _ in 0..ROOMS_AT_ONCE {
        let found = session.query(WITH_OLD_PLACES, params![before.as_millis()]).await?;
        // The row lock is held to the end of the transaction: no unit of work changes the room meanwhile.
        let Some(room) = found.first().filter(|_| gone < most) else { break };
        let wanted = params![uuid(room, 0)?, before.as_millis(), limit(most - gone)];
        gone += count(&session.query(DROP_PLACES, wanted).await?)?;
    }
    // One commit for all rooms: fewer syncs, and the locks of up to 16 idle rooms hurt no sale.
    session.query(COMMIT, Vec::new()).await?;
    Ok(gone)
}

#[async_trait]
impl Retention for PostgresRetention {
    async fn retire(
        &self,
        rooms: &[(ConcertId, u64)],
        started_before: Timestamp,
    ) -> Result<Vec<ConcertId>, StoreError> {
        let session = self.session().await?;
        let (ids, versions): (Vec<Uuid>, Vec<i64>) =
            rooms.iter().map(|(id, version)| (id.uuid(), big(*version))).unzip();
        // Two statements: which rooms are retired now includes those that an earlier, interrupted step retired.
        session.query(RETIRE, params![ids.clone(), versions, started_before.as_millis()]).await?;
        let found = session.query(RETIRED, params![ids]).await?;
        Ok(found.iter().map(|row| uuid(row, 0).map(ConcertId::new)).collect::<Sql<_>>()?)
    }

    async fn drop_places(&self, before: Timestamp, most: usize) -> Result<usize, StoreError> {
        Ok(drop_places(&self.session().await?, before, most).await?)
    }

    async fn forget_events(&self, before: Timestamp, even_unsent: bool, most: usize) -> Result<usize, StoreError> {
        let session = self.session().await?;
        Ok(count(&session.query(FORGET, params![before.as_millis(), limit(most), even_unsent]).await?)?)
    }
}
