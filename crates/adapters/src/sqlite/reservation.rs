//! Reservations, as reads and background tasks see them.

use onsale_app::store::Page;
use onsale_domain::concert::Reservation;
use onsale_domain::ids::{PerformanceId, ReservationId, UserId};
use onsale_domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::concert::{RESERVATION, read};
use super::values::{Sql, uuid};

pub(super) fn reservation(db: &Connection, id: ReservationId) -> Sql<Option<Reservation>> {
    db.prepare_cached(&format!("SELECT {RESERVATION} FROM reservations WHERE reservation_id = ?1"))?
        .query_row([id.uuid().as_bytes()], read)
        .optional()
}

/// A page of a user's reservations, newest first.
pub(super) fn reservations_of(db: &Connection, user: &UserId, page: Page<ReservationId>) -> Sql<Vec<Reservation>> {
    let before = page.after.map_or([0xff; 16], |id| id.uuid().into_bytes());
    db.prepare_cached(&format!(
        "SELECT {RESERVATION} FROM reservations WHERE user_id = ?1 AND reservation_id < ?2
         ORDER BY reservation_id DESC LIMIT ?3"
    ))?
    .query_map(params![user.as_str(), before, page.limit], read)?
    .collect()
}

/// Holds that began after an instant, each with its duration in milliseconds.
pub(super) fn holds_after(
    db: &Connection,
    after: Timestamp,
    limit: usize,
) -> Sql<Vec<(PerformanceId, ReservationId, u64)>> {
    db.prepare_cached(
        "SELECT performance_id, reservation_id, held_until - held_at FROM reservations
         WHERE status = 'HELD' AND held_until > ?1 AND held_at > ?1
           AND NOT EXISTS (SELECT 1 FROM hold_extensions e
               WHERE e.performance_id = reservations.performance_id AND e.number > reservations.extended)
         ORDER BY held_until LIMIT ?2",
    )?
    .query_map(params![after.as_millis(), limit], |row| {
        Ok((PerformanceId::new(uuid(row, 0)?), ReservationId::new(uuid(row, 1)?), row.get(2)?))
    })?
    .collect()
}

/// Holds that have expired, the longest expired first.
pub(super) fn lapsed_holds(
    db: &Connection,
    before: Timestamp,
    limit: usize,
) -> Sql<Vec<(PerformanceId, ReservationId)>> {
    db.prepare_cached(
        "SELECT performance_id, reservation_id FROM reservations WHERE status = 'HELD' AND held_until <= ?1
           AND NOT EXISTS (SELECT 1 FROM hold_extensions e
               WHERE e.performance_id = reservations.performance_id AND e.number > reservations.extended)
         ORDER BY held_until LIMIT ?2",
    )?
    .query_map(params![before.as_millis(), limit], |row| {
        Ok((PerformanceId::new(uuid(row, 0)?), ReservationId::new(uuid(row, 1)?)))
    })?
    .collect()
}
