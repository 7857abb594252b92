//! Extensions of holds. The row of a hold may lack some: statements that read a hold also read those, in the column `further`.

use std::collections::BTreeSet;

use onsale_app::audit::source::ExtensionRow;
use onsale_domain::concert::{Dates, ENDING_WITHIN_MILLIS, HoldEnd, HoldsCounted, lapsed_up_to};
use onsale_domain::ids::{PerformanceId, ReservationId};
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::time::Timestamp;
use rusqlite::{Connection, Row, params};

use super::values::{Sql, broken, instant, uuid};
use super::{concert, concert_row, writer};
use crate::stored::hold_end;

/// Two columns of a row of `$table`: the number of its last extension, and the extensions that it lacks, if it is of a hold
/// (see [`crate::stored::extensions_from_text`]); null if it lacks none. The table has a row for each extension, so it is small.
macro_rules! further {
    ($table:literal, $held:literal) => {
        concat!(
            $table,
            ".extended, (SELECT group_concat(one) FROM (SELECT e.number || ' ' || e.version || ' ' || e.at || ' ' || e.seconds one
                FROM hold_extensions e WHERE e.performance_id = ",
            $table,
            ".performance_id AND e.number > ",
            $table,
            ".extended AND ",
            $table,
            ".",
            $held,
            " ORDER BY e.number)) further"
        )
    };
}
pub(super) use further;

/// The end of a hold: of the column `until`, and the two columns of [`further`].
pub(super) fn read_end(row: &Row<'_>, until: usize, extended: usize) -> Sql<HoldEnd> {
    let further = row.get_ref(extended + 1)?.as_str_or_null()?;
    let end = hold_end(instant(row, until)?, row.get(extended)?, further);
    end.ok_or_else(|| broken(extended + 1, "extensions that cannot be read"))
}

/// Whether a row of a hold lacks extensions, of the two columns of [`further`].
pub(super) fn lacks_extensions(row: &Row<'_>, extended: usize) -> Sql<bool> {
    Ok(row.get_ref(extended + 1)?.as_str_or_null()?.is_some())
}

/// Loads whole concerts and dates, and counts holds.
pub(super) fn load(db: &Connection, keys: &Keys, rows: &mut Rows) -> Sql<()> {
    for id in &keys.concerts {
        rows.concerts.load(*id, concert_row::concert(db, *id)?);
        let performances = concert::performances_of(db, *id)?;
        let ids: Vec<PerformanceId> = performances.iter().map(|performance| performance.id).collect();
        for performance in ids.iter().copied() {
            concert::load_performance(db, performance, rows)?;
        }
        rows.of_concerts.insert(*id, ids);
    }
    for id in &keys.dates {
        let (performances, revisions) = concert::performance_revisions(db, *id)?;
        rows.dates.insert(*id, Dates { performances, revisions });
    }
    let of_concerts = keys.counted_concerts.iter().filter_map(|id| rows.of_concerts.get(id)).flatten();
    let counted: BTreeSet<PerformanceId> = of_concerts.chain(&keys.counted_performances).copied().collect();
    for id in counted {
        rows.counted.insert(id, count_holds(db, id)?);
    }
    Ok(())
}

/// Holds of a performance that had ended: `?1` is the performance, `?2` the bound, `?3` the number of contained extensions.
const LAPSED: &str = "SELECT count(*) FROM reservations
    WHERE status = 'HELD' AND held_until <= ?2 AND performance_id = ?1 AND extended = ?3";

/// Holds of a performance that end after the bound `?2` and up to `?4`.
const ENDING: &str = concat!(
    "SELECT reservation_id, held_until, ",
    further!("reservations", "status = 'HELD'"),
    " FROM reservations WHERE status = 'HELD' AND held_until > ?2 AND held_until <= ?4
        AND performance_id = ?1 AND extended = ?3"
);

/// Counts the holds of a performance. All holds of the file that are over are read once by their end: the count is one scan of
/// the index of holds, and lists only those that end about now.
fn count_holds(db: &Connection, performance: PerformanceId) -> Sql<HoldsCounted> {
    let at = writer::now();
    let extensions = of_performance(db, performance)?;
    let pairs: Vec<(Timestamp, u32)> = extensions.iter().map(|extension| (extension.at, extension.seconds)).collect();
    let soon = at.plus_millis(ENDING_WITHIN_MILLIS);
    let bounds = lapsed_up_to(&pairs, at).into_iter().zip(lapsed_up_to(&pairs, soon));
    let id = performance.uuid().into_bytes();
    let mut counted = HoldsCounted { at, held: None, ..HoldsCounted::default() };
    for (extended, (lapsed_to, ending_to)) in bounds.enumerate() {
        counted.lapsed += db
            .prepare_cached(LAPSED)?
            .query_row(params![id, lapsed_to.as_millis(), extended], |row| row.get::<_, u64>(0))?;
        let mut ending = db.prepare_cached(ENDING)?;
        let ending = ending.query_map(params![id, lapsed_to.as_millis(), extended, ending_to.as_millis()], |row| {
            Ok((ReservationId::new(uuid(row, 0)?), read_end(row, 1, 2)?.until))
        })?;
        for hold in ending {
            counted.ending.push(hold?);
        }
    }
    Ok(counted)
}

pub(super) fn save(db: &Connection, rows: &Rows) -> Sql<()> {
    for extension in &rows.extensions {
        db.prepare_cached(
            "INSERT INTO hold_extensions
               (performance_id, number, concert_id, version, event_id, at, seconds, holds, reason)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            extension.performance.uuid().as_bytes(),
            extension.number,
            extension.concert.uuid().as_bytes(),
            extension.version,
            extension.event.uuid().as_bytes(),
            extension.at.as_millis(),
            extension.seconds,
            extension.holds,
            &*extension.reason,
        ])?;
    }
    for (performance, number) in &rows.rewritten {
        db.prepare_cached(
            "UPDATE hold_extensions SET written = 1 WHERE performance_id = ?1 AND number <= ?2 AND written = 0",
        )?
        .execute(params![performance.uuid().as_bytes(), number])?;
    }
    Ok(())
}

/// Performances that have holds whose rows may lack an extension, each with the number of its last one.
pub(super) fn unwritten(db: &Connection) -> Sql<Vec<(PerformanceId, u64)>> {
    db.prepare_cached(
        "SELECT performance_id, max(number) FROM hold_extensions WHERE written = 0 GROUP BY performance_id",
    )?
    .query_map([], |row| Ok((PerformanceId::new(uuid(row, 0)?), row.get(1)?)))?
    .collect()
}

/// Holds of a performance whose rows lack an extension up to this number, by seat.
pub(super) fn to_rewrite(
    db: &Connection,
    performance: PerformanceId,
    number: u64,
    after_seat: u32,
    limit: usize,
) -> Sql<Vec<(u32, ReservationId)>> {
    db.prepare_cached(
        "SELECT seat, reservation_id FROM seats
         WHERE performance_id = ?1 AND seat > ?3 AND sold = 0 AND extended < ?2 AND reservation_id IS NOT NULL
         ORDER BY seat LIMIT ?4",
    )?
    .query_map(params![performance.uuid().as_bytes(), number, after_seat, limit], |row| {
        Ok((row.get(0)?, ReservationId::new(uuid(row, 1)?)))
    })?
    .collect()
}

/// All extensions of a performance, in order.
pub(super) fn of_performance(db: &Connection, performance: PerformanceId) -> Sql<Vec<ExtensionRow>> {
    let mut statement = db.prepare_cached(
        "SELECT number, version, at, seconds FROM hold_extensions WHERE performance_id = ?1 ORDER BY number",
    )?;
    let read = |row: &Row<'_>| {
        Ok(ExtensionRow { number: row.get(0)?, version: row.get(1)?, at: instant(row, 2)?, seconds: row.get(3)? })
    };
    statement.query_map([performance.uuid().as_bytes()], read)?.collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed step ends the test")]
mod tests {
    use rusqlite::Connection;

    use super::{ENDING, LAPSED};
    use crate::sqlite::schema::migrate;

    /// The lock of the file is held meanwhile: what is paid must not count.
    #[test]
    fn holds_are_counted_by_the_index_that_contains_no_paid_reservation() {
        let mut db = Connection::open_in_memory().unwrap();
        migrate(&mut db).unwrap();
        for sql in [LAPSED, ENDING] {
            let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let values = rusqlite::params_from_iter(vec![None::<i64>; plan.parameter_count()]);
            let lines: Vec<String> = plan.query_map(values, |row| row.get(3)).unwrap().map(Result::unwrap).collect();
            let of_holds = lines.iter().filter(|line| line.contains(" reservations"));
            let of_holds: Vec<&String> = of_holds.collect();
            assert!(
                of_holds.iter().all(|line| line.contains("USING INDEX reservations_held (held_until")),
                "{lines:?}"
            );
            assert_eq!(of_holds.len(), 1, "{lines:?}");
        }
    }
}
