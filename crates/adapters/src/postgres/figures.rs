//! Live figures: counters of performances, and the table in which instances publish theirs.

use async_trait::async_trait;
use onsale_app::store::{FigureBoard, PerformanceFigures, Published, StoreError};
use onsale_domain::ids::{ConcertId, PerformanceId};
use onsale_domain::time::Timestamp;
use tokio_postgres::Row;

use super::reader::PostgresReader;
use super::session::Session;
use super::values::{Sql, get, instant, params, small, uuid};

const PERFORMANCES: &str =
    "SELECT performance_id, concert_id, starts_at, capacity, sold, held, blocked, revenue, refunded,
        cancelled_at IS NOT NULL
    FROM performances WHERE starts_at > $1";

/// One statement, and so one commit: the row of this instance, without the rows of instances that ended long ago. It waits for no
/// other row: an instance that publishes again after a while has a row that looks old, and would wait for this one in turn.
const PUBLISH: &str = "WITH old AS (DELETE FROM instance_figures WHERE instance_id IN (
        SELECT instance_id FROM instance_figures WHERE seen_at < $5 AND instance_id <> $1 FOR UPDATE SKIP LOCKED))
    INSERT INTO instance_figures (instance_id, seen_at, viewed_at, figures) VALUES ($1, $2, $3, $4)
    ON CONFLICT (instance_id) DO UPDATE SET seen_at = $2, viewed_at = $3, figures = $4";

const PUBLISHED: &str = "SELECT instance_id, seen_at, viewed_at, figures FROM instance_figures WHERE seen_at > $1";

#[cfg(test)]
pub(super) const READS: &[&str] = &[PERFORMANCES, PUBLISH, PUBLISHED];

/// The performances that start after an instant.
pub(super) async fn performances(session: &Session, after: Timestamp) -> Sql<Vec<PerformanceFigures>> {
    session.query(PERFORMANCES, params![after.as_millis()]).await?.iter().map(read_performance).collect()
}

fn read_performance(row: &Row) -> Sql<PerformanceFigures> {
    Ok(PerformanceFigures {
        id: PerformanceId::new(uuid(row, 0)?),
        concert: ConcertId::new(uuid(row, 1)?),
        starts_at: instant(row, 2)?,
        capacity: small(row, 3)?,
        sold: small(row, 4)?,
        held: small(row, 5)?,
        blocked: small(row, 6)?,
        revenue: get(row, 7)?,
        refunded: get(row, 8)?,
        is_cancelled: get(row, 9)?,
    })
}

pub(super) async fn publish(session: &Session, published: &Published, old: Timestamp) -> Sql<()> {
    let Published { instance, seen_at, viewed_at, figures } = published;
    let row = params![*instance, seen_at.as_millis(), viewed_at.as_millis(), &**figures, old.as_millis()];
    session.query(PUBLISH, row).await.map(drop)
}

pub(super) async fn published(session: &Session, since: Timestamp) -> Sql<Vec<Published>> {
    session.query(PUBLISHED, params![since.as_millis()]).await?.iter().map(read_published).collect()
}

fn read_published(row: &Row) -> Sql<Published> {
    Ok(Published {
        instance: uuid(row, 0)?,
        seen_at: instant(row, 1)?,
        viewed_at: instant(row, 2)?,
        figures: get(row, 3)?,
    })
}

#[async_trait]
impl FigureBoard for PostgresReader {
    async fn publish(&self, published: &Published, old: Timestamp) -> Result<(), StoreError> {
        self.publish_figures(published, old).await
    }

    async fn published(&self, since: Timestamp) -> Result<Vec<Published>, StoreError> {
        self.published_figures(since).await
    }
}
