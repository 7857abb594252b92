//! The open seats of a performance, for a choice of the best ones, and layouts.

use std::ops::RangeInclusive;
use std::sync::Arc;

use onsale_domain::concert::{LAPSED_WITHIN_MILLIS, Layout, Performance, SEATS_MAX, Taken};
use onsale_domain::ids::{PerformanceId, ReservationId};
use onsale_domain::rows::{Keys, Rows};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::extension::{further, read_end};
use super::values::{Sql, broken, uuid};
use super::{concert, writer};
use crate::open_seats::OpenSeats;
use crate::stored_layout::{layout_from_text, layout_to_text};

/// Rows of seats of a range, without extensions: a performance has up to 100,000 seats, and extensions are rare.
const SEATS: &str = "SELECT seat, sold = 1 OR block_reason IS NOT NULL, held_until, extended, NULL FROM seats
    WHERE performance_id = ?1 AND seat BETWEEN ?2 AND ?3";

/// The same of a performance with extensions.
const EXTENDED_SEATS: &str = concat!(
    "SELECT seat, sold = 1 OR block_reason IS NOT NULL, held_until, ",
    further!("seats", "sold = 0"),
    " FROM seats WHERE performance_id = ?1 AND seat BETWEEN ?2 AND ?3"
);

/// Holds of a performance that have ended by an instant and are not settled.
const LAPSED: &str = "SELECT reservation_id FROM reservations
    WHERE status = 'HELD' AND held_until <= ?2 AND performance_id = ?1";

/// Loads layouts and halls. After the performances.
pub(super) fn load(db: &Connection, keys: &Keys, open: &mut OpenSeats, rows: &mut Rows) -> Sql<()> {
    for id in &keys.layouts {
        rows.layouts.load(*id, layout(db, *id)?);
    }
    for id in &keys.halls {
        load_hall(db, *id, open, rows)?;
    }
    Ok(())
}

/// Loads the layout and the hall of a performance, unless they are loaded.
pub(super) fn load_one(db: &Connection, id: PerformanceId, open: &mut OpenSeats, rows: &mut Rows) -> Sql<()> {
    if !rows.layouts.is_loaded(&id) {
        rows.layouts.load(id, layout(db, id)?);
    }
    if rows.halls.contains_key(&id) { Ok(()) } else { load_hall(db, id, open, rows) }
}

fn load_hall(db: &Connection, id: PerformanceId, open: &mut OpenSeats, rows: &mut Rows) -> Sql<()> {
    load_lapsed(db, id, rows)?;
    let Some(performance) = rows.performances.get(&id) else { return Ok(()) };
    let mut taken = Vec::new();
    for range in open.of(id) {
        read(db, performance, range, &mut taken)?;
    }
    let hall = match open.part(performance, &taken) {
        Some(hall) => hall,
        None => {
            taken.clear();
            read(db, performance, &(0..=SEATS_MAX), &mut taken)?;
            open.whole(performance, &taken)
        }
    };
    rows.halls.insert(id, hall);
    Ok(())
}

/// Loads the holds that have lapsed or lapse in a moment, with their seats: a choice that takes one of these seats settles them.
fn load_lapsed(db: &Connection, id: PerformanceId, rows: &mut Rows) -> Sql<()> {
    let until = writer::now().plus_millis(LAPSED_WITHIN_MILLIS).as_millis();
    let mut statement = db.prepare_cached(LAPSED)?;
    let lapsed = statement.query_map(params![id.uuid().as_bytes(), until], |row| uuid(row, 0))?;
    for reservation in lapsed.collect::<Sql<Vec<_>>>()? {
        concert::load_whole(db, ReservationId::new(reservation), rows)?;
    }
    Ok(())
}

fn read(
    db: &Connection,
    performance: &Performance,
    range: &RangeInclusive<u32>,
    into: &mut Vec<(u32, Taken)>,
) -> Sql<()> {
    let mut statement = db.prepare_cached(if performance.extensions > 0 { EXTENDED_SEATS } else { SEATS })?;
    let id = performance.id.uuid();
    for row in statement.query_map(params![id.as_bytes(), range.start(), range.end()], taken)? {
        into.push(row?);
    }
    Ok(())
}

fn taken(row: &Row<'_>) -> Sql<(u32, Taken)> {
    let is_closed = row.get(1)?;
    Ok((row.get(0)?, if is_closed { Taken::Closed } else { Taken::Held(read_end(row, 2, 3)?.until) }))
}

/// The layout of a performance, if it has one.
pub(super) fn layout(db: &Connection, id: PerformanceId) -> Sql<Option<Arc<Layout>>> {
    db.prepare_cached("SELECT layout FROM layouts WHERE performance_id = ?1")?
        .query_row([id.uuid().as_bytes()], |row| read_layout(row, 0))
        .optional()
}

fn read_layout(row: &Row<'_>, column: usize) -> Sql<Arc<Layout>> {
    layout_from_text(row.get_ref(column)?.as_str()?).ok_or_else(|| broken(column, "a layout that cannot be read"))
}

/// The layouts of performances, or of all.
pub(super) fn layouts(db: &Connection, of: Option<&[PerformanceId]>) -> Sql<Vec<(PerformanceId, Arc<Layout>)>> {
    let Some(ids) = of else {
        return db
            .prepare_cached("SELECT performance_id, layout FROM layouts")?
            .query_map([], |row| Ok((PerformanceId::new(uuid(row, 0)?), read_layout(row, 1)?)))?
            .collect();
    };
    let found = ids.iter().map(|id| Ok(layout(db, *id)?.map(|layout| (*id, layout))));
    found.filter_map(Result::transpose).collect()
}

/// Writes layouts. After the performances, to which they belong.
pub(super) fn save(db: &Connection, rows: &Rows) -> Sql<()> {
    for (id, layout) in rows.layouts.changed() {
        let Some(layout) = layout else { continue };
        db.prepare_cached(
            "INSERT INTO layouts (performance_id, layout) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET layout = ?2",
        )?
        .execute(params![id.uuid().as_bytes(), layout_to_text(layout)])?;
    }
    Ok(())
}
