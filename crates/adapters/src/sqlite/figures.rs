//! Counters of performances for live figures.

use onsale_app::store::PerformanceFigures;
use onsale_domain::ids::{ConcertId, PerformanceId};
use onsale_domain::time::Timestamp;
use rusqlite::{Connection, Row};

use super::values::{Sql, instant, uuid};

/// The performances that start after an instant.
pub(super) fn performances(db: &Connection, after: Timestamp) -> Sql<Vec<PerformanceFigures>> {
    db.prepare_cached(
        "SELECT performance_id, concert_id, starts_at, capacity, sold, held, blocked, revenue, refunded,
            cancelled_at IS NOT NULL
         FROM performances WHERE starts_at > ?1",
    )?
    .query_map([after.as_millis()], read)?
    .collect()
}

fn read(row: &Row<'_>) -> Sql<PerformanceFigures> {
    Ok(PerformanceFigures {
        id: PerformanceId::new(uuid(row, 0)?),
        concert: ConcertId::new(uuid(row, 1)?),
        starts_at: instant(row, 2)?,
        capacity: row.get(3)?,
        sold: row.get(4)?,
        held: row.get(5)?,
        blocked: row.get(6)?,
        revenue: row.get(7)?,
        refunded: row.get(8)?,
        is_cancelled: row.get(9)?,
    })
}
