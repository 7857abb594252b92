//! Performances with the counts of their rows, and extensions of holds.

use std::collections::HashMap;

use onsale_app::audit::source::{EventRow, ExtendedRow, ExtensionRow, PerformanceRow};
use onsale_domain::cancellation::Cancellation;
use onsale_domain::ids::PerformanceId;
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::super::values::{Sql, instant, uuid};
use super::super::{cancellation, concert, concert_row, hall};
use super::{GROUP, cursor_after, event_by_id, ids_after, read_event};

/// Counts of the rows of performances.
struct Counted {
    sold: Counts,
    blocked: Counts,
    mixed: Counts,
    capacities: Counts,
    held: Counts,
    taken: Counts,
    failed: Counts,
    settled: Counts,
    paid: Counts,
    given: Counts,
    extended: Counts,
}

impl Counted {
    /// Counts each table once for a group of performances, of which these are the first and the last id.
    fn between(db: &Connection, first: [u8; 16], last: [u8; 16]) -> Sql<Self> {
        let of = |sql: &str| counts(db, sql, params![first, last]);
        Ok(Self {
            sold: of("SELECT performance_id, count(*), count(DISTINCT reservation_id) FROM seats
                 WHERE performance_id BETWEEN ?1 AND ?2 AND sold = 1 GROUP BY performance_id")?,
            blocked: of("SELECT performance_id, count(*), max(seat) FROM seats
                 WHERE performance_id BETWEEN ?1 AND ?2 AND block_reason IS NOT NULL GROUP BY performance_id")?,
            // A blocked seat has no reservation, and each other row has one.
            mixed: of("SELECT performance_id, count(*), 0 FROM seats WHERE performance_id BETWEEN ?1 AND ?2
                    AND ((reservation_id IS NULL) = (block_reason IS NULL) OR block_reason IS NOT NULL AND sold = 1)
                 GROUP BY performance_id")?,
            capacities: of("SELECT performance_id, capacity, 0 FROM performances
                 WHERE performance_id BETWEEN ?1 AND ?2")?,
            // The condition on the end matches the partial index of holds.
            held: of("SELECT performance_id, count(*), 0 FROM reservations WHERE status = 'HELD' AND held_until > 0
                    AND performance_id BETWEEN ?1 AND ?2
                 GROUP BY performance_id")?,
            taken: of(
                "SELECT performance_id, count(*), 0 FROM seats
                 WHERE performance_id BETWEEN ?1 AND ?2 AND sold = 0 AND block_reason IS NULL GROUP BY performance_id",
            )?,
            failed: of(
                "SELECT f.performance_id, count(*), 0 FROM failed_refunds f JOIN reservations USING (reservation_id)
                 WHERE f.performance_id BETWEEN ?1 AND ?2 AND status = 'PAID' GROUP BY f.performance_id",
            )?,
            settled: of(
                "SELECT f.performance_id, count(DISTINCT iif(f.made_by = 'cancellation', f.payment_id, NULL)),
                    count(DISTINCT f.payment_id)
                 FROM cancellations c JOIN refunds f ON f.performance_id = c.performance_id
                 JOIN reservations r ON r.reservation_id = f.reservation_id
                 WHERE c.performance_id BETWEEN ?1 AND ?2 AND r.status = 'REFUNDED' GROUP BY f.performance_id",
            )?,
            paid: of("SELECT performance_id, sum(amount), 0 FROM payments WHERE performance_id BETWEEN ?1 AND ?2
                 GROUP BY performance_id")?,
            given: of("SELECT performance_id, sum(amount), 0 FROM refunds WHERE performance_id BETWEEN ?1 AND ?2
                 GROUP BY performance_id")?,
            extended: of("SELECT performance_id, count(*), max(number) FROM hold_extensions
                 WHERE performance_id BETWEEN ?1 AND ?2 GROUP BY performance_id")?,
        })
    }
}

/// A group of performances with the counts of their rows.
pub(super) fn performances(db: &Connection, after: &[u8]) -> Sql<(Vec<PerformanceRow>, Option<Vec<u8>>)> {
    let sql = "SELECT performance_id FROM performances WHERE performance_id > ?1 ORDER BY performance_id LIMIT ?2";
    let ids = ids_after(db, sql, after)?;
    let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok((Vec::new(), None)) };
    let counted = Counted::between(db, *first, *last)?;
    let mut rows = Vec::with_capacity(ids.len());
    for id in &ids {
        let id = PerformanceId::new(Uuid::from_bytes(*id));
        let Some(performance) = concert::performance(db, id)? else { continue };
        let concert = concert_row::concert(db, performance.concert)?;
        let count = |of: &Counts| of.get(&id.uuid()).copied().unwrap_or_default();
        rows.push(PerformanceRow {
            performance,
            sold_seats: count(&counted.sold).0,
            blocked_seats: count(&counted.blocked).0,
            mixed_seats: count(&counted.mixed).0,
            stored_capacity: count(&counted.capacities).0,
            open_payments: count(&counted.sold).1,
            failed_open: count(&counted.failed).0,
            refunded_payments: count(&counted.settled),
            cancelled: cancelled(db, id)?,
            holds: count(&counted.held).0,
            extensions: count(&counted.extended),
            held_seats: count(&counted.taken).0,
            paid: points(count(&counted.paid).0),
            given_back: points(count(&counted.given).0),
            sale: concert.map(|concert| (concert.sale, concert.seats_per_user)),
            changed: last_change(db, id)?,
            layout: hall::layout(db, id)?,
        });
    }
    Ok((rows, cursor_after(&ids)))
}

fn points(sum: u64) -> i64 {
    i64::try_from(sum).unwrap_or(i64::MAX)
}

/// A count and a maximum, or another count, for each performance.
type Counts = HashMap<Uuid, (u64, u64)>;

fn counts(db: &Connection, sql: &str, values: &[&dyn rusqlite::ToSql]) -> Sql<Counts> {
    let mut statement = db.prepare_cached(sql)?;
    statement.query_map(values, |row| Ok((uuid(row, 0)?, (row.get(1)?, row.get(2)?))))?.collect()
}

/// The cancellation of a performance with the event that it names, if there is one.
fn cancelled(db: &Connection, id: PerformanceId) -> Sql<Option<(Cancellation, Option<EventRow>)>> {
    let Some(cancellation) = cancellation::one(db, id)? else { return Ok(None) };
    let event = event_by_id(db, cancellation.event.uuid())?;
    Ok(Some((cancellation, event)))
}

/// The event of the last change of a performance.
const LAST_CHANGE: &str = "SELECT type, subject, version, data FROM events
    WHERE type = 'onsale.performance.changed.v1' AND subject = ?1 ORDER BY version DESC LIMIT 1";

fn last_change(db: &Connection, id: PerformanceId) -> Sql<Option<EventRow>> {
    db.prepare_cached(LAST_CHANGE)?.query_row([id.to_string()], read_event).optional()
}

/// A group of extensions begins after this performance and number.
type After = (Vec<u8>, u64);

/// A group of extensions, with the events of their ids.
pub(super) fn extensions(db: &Connection, (performance, number): &After) -> Sql<(Vec<ExtendedRow>, Option<After>)> {
    let mut statement = db.prepare_cached(
        "SELECT performance_id, number, version, at, seconds, holds, reason, event_id FROM hold_extensions
         WHERE (performance_id, number) > (?1, ?2) ORDER BY performance_id, number LIMIT ?3",
    )?;
    let read = |row: &Row<'_>| {
        let (number, version, at) = (row.get(1)?, row.get(2)?, instant(row, 3)?);
        let extension = ExtensionRow { number, version, at, seconds: row.get(4)? };
        let performance = PerformanceId::new(uuid(row, 0)?);
        let found = ExtendedRow { performance, extension, holds: row.get(5)?, reason: row.get(6)?, event: None };
        Ok((found, uuid(row, 7)?))
    };
    let found = statement.query_map(params![performance, number, GROUP], read)?.collect::<Sql<Vec<_>>>()?;
    let mut rows = Vec::with_capacity(found.len());
    for (row, event) in found {
        rows.push(ExtendedRow { event: event_by_id(db, event)?, ..row });
    }
    let last = rows.last().filter(|_| rows.len() == GROUP);
    let after = last.map(|row| (row.performance.uuid().as_bytes().to_vec(), row.extension.number));
    Ok((rows, after))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed step ends the test")]
mod tests {
    use rusqlite::Connection;

    use super::super::CHANGE_OF_CONCERT;
    use super::LAST_CHANGE;
    use crate::sqlite::schema::migrate;

    /// The transaction of a group lasts as long as its slowest lookup, and a log may have ten million events.
    #[test]
    fn a_change_is_found_without_reading_the_log() {
        let mut db = Connection::open_in_memory().unwrap();
        migrate(&mut db).unwrap();
        for sql in [CHANGE_OF_CONCERT, LAST_CHANGE] {
            let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let values = rusqlite::params_from_iter(vec![None::<i64>; plan.parameter_count()]);
            let lines: Vec<String> = plan.query_map(values, |row| row.get(3)).unwrap().map(Result::unwrap).collect();
            assert!(
                matches!(&lines[..], [line] if line.starts_with("SEARCH events USING INDEX events_of_changes (subject=?")),
                "{lines:?}"
            );
        }
    }
}
