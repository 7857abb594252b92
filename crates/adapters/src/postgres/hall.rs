//! The open seats of a performance, for a choice of the best ones, and layouts.

use std::sync::Arc;

use onsale_app::store::Unit;
use onsale_domain::concert::{LAPSED_WITHIN_MILLIS, Layout, Taken};
use onsale_domain::ids::PerformanceId;
use onsale_domain::rows::{Keys, Rows};
use tokio_postgres::Row;
use uuid::Uuid;

use super::concert::take_whole;
use super::concert_rows::{kept_of, read_end};
use super::error::DbError;
use super::extension::{further, further_of_seat};
use super::session::{Pipeline, Session};
use super::values::{Sql, columns, get, int, params, small, uuid};
use crate::open_seats::{OpenSeats, seats_in};
use crate::stored_layout::{layout_from_text, layout_to_text};

/// The rows of the remembered ranges (`$1` to `$3`); and of each performance (`$4`) all rows, unless the open seats among its
/// remembered ones, of which there are `$5` open or closed, are as many as its counters say. Extensions are only looked up for a
/// hold that lacks one.
const SEATS: &str = concat!(
    "WITH halls AS MATERIALIZED (
        SELECT p.performance_id, p.extensions, p.open, known.seats FROM unnest($4::uuid[], $5::bigint[]) known (id, seats)
        CROSS JOIN LATERAL (SELECT performance_id, extensions, capacity - sold - blocked AS open FROM performances
            WHERE performances.performance_id = known.id OFFSET 0) p),
    remembered AS MATERIALIZED (
        SELECT halls.performance_id, s.seat, s.is_closed, s.held_until, s.extended, s.further
        FROM unnest($1::uuid[], $2::integer[], $3::integer[]) own (id, first, last)
        JOIN halls ON halls.performance_id = own.id
        CROSS JOIN LATERAL (SELECT seat, sold OR block_reason IS NOT NULL AS is_closed, held_until, extended,
            CASE WHEN NOT sold AND seats.extended < halls.extensions THEN ",
    further_of_seat!("seats"),
    " END AS further
            FROM seats WHERE seats.performance_id = own.id AND seat BETWEEN own.first AND own.last OFFSET 0) s)
    SELECT performance_id, seat, is_closed, held_until, extended, further FROM remembered
    UNION ALL
    SELECT lacking.performance_id, s.seat, s.is_closed, s.held_until, s.extended, s.further
    FROM (SELECT halls.performance_id, halls.extensions FROM halls WHERE halls.open <> halls.seats
            - (SELECT count(*) FROM remembered r WHERE r.performance_id = halls.performance_id AND r.is_closed)) lacking
        CROSS JOIN LATERAL (SELECT seat, sold OR block_reason IS NOT NULL AS is_closed, held_until, extended,
            CASE WHEN NOT sold AND seats.extended < lacking.extensions THEN ",
    further_of_seat!("seats"),
    " END AS further
            FROM seats WHERE seats.performance_id = lacking.performance_id OFFSET 0) s"
);

/// Holds of performances that have ended or end within `$2` milliseconds and are not settled, then all of their seats: rows as
/// those of a whole reservation.
const LAPSED: &str = concat!(
    "WITH whole AS MATERIALIZED (
        SELECT reservation_id, concert_id, performance_id, user_id, place, seats, amount, held_at, held_until, status,
            end_event_id, extended, ",
    further!("r"),
    " further",
    kept_of!("r"),
    "
        FROM (SELECT * FROM reservations WHERE status = 'HELD' AND held_until
                <= (SELECT (extract(epoch FROM statement_timestamp()) * 1000)::bigint + $2::bigint) OFFSET 0) r
        WHERE r.performance_id = ANY ($1))
    SELECT *, NULL::uuid, NULL::integer, NULL::uuid, NULL::bigint, NULL::boolean, NULL::bigint, NULL::text, NULL::text
    FROM whole
    UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
        wanted.performance_id, wanted.seat, s.reservation_id, s.held_until, s.sold, s.extended, s.further, s.block_reason
    FROM (SELECT performance_id, unnest(seats) FROM whole) wanted (performance_id, seat)
    LEFT JOIN LATERAL (SELECT reservation_id, held_until, sold, extended, block_reason, ",
    further_of_seat!("seats"),
    " further FROM seats
        WHERE seats.performance_id = wanted.performance_id AND seats.seat = wanted.seat OFFSET 0) s ON true"
);

const LAYOUTS: &str = "SELECT performance_id, layout FROM layouts WHERE performance_id = ANY ($1)";

const LAY_OUT: &str = "INSERT INTO layouts (performance_id, layout) SELECT * FROM unnest($1::uuid[], $2::text[])
    ON CONFLICT (performance_id) DO UPDATE SET layout = excluded.layout";

pub(super) const WRITES: &[&str] = &[SEATS, LAPSED, LAYOUTS, LAY_OUT];

/// Loads layouts and halls. After the performances are locked.
pub(super) fn load<'a>(pipeline: &mut Pipeline<'a, Unit>, keys: &'a Keys, open: &'a mut OpenSeats) {
    if !keys.layouts.is_empty() {
        let ids: Vec<Uuid> = keys.layouts.iter().map(|id| id.uuid()).collect();
        pipeline.query(LAYOUTS, params![ids], |found, unit| {
            for id in &keys.layouts {
                unit.rows.layouts.load(*id, None);
            }
            for row in found {
                let (id, layout) = read_row(row)?;
                unit.rows.layouts.load(id, Some(layout));
            }
            Ok(())
        });
    }
    if keys.halls.is_empty() {
        return;
    }
    let ids: Vec<Uuid> = keys.halls.iter().map(|id| id.uuid()).collect();
    pipeline.query(LAPSED, params![ids.clone(), LAPSED_WITHIN_MILLIS], take_whole);
    let remembered = || keys.halls.iter().flat_map(|id| open.of(*id).iter().map(move |range| (id, range)));
    let of: Vec<Uuid> = remembered().map(|(id, _)| id.uuid()).collect();
    let first: Vec<i32> = remembered().map(|(_, range)| int(*range.start())).collect();
    let last: Vec<i32> = remembered().map(|(_, range)| int(*range.end())).collect();
    let seats: Vec<i64> = keys.halls.iter().map(|id| seats_in(open.of(*id))).collect();
    pipeline.query(SEATS, params![of, first, last, ids, seats], move |found, unit| {
        let taken = found.iter().map(taken).collect::<Sql<Vec<_>>>()?;
        for id in &keys.halls {
            let Some(performance) = unit.rows.performances.get(id) else { continue };
            let own: Vec<(u32, Taken)> =
                taken.iter().filter(|(of, ..)| of == id).map(|(_, seat, taken)| (*seat, *taken)).collect();
            // If an open seat is missing among those remembered, the server has sent all rows.
            let hall = match open.part(performance, &own) {
                Some(hall) => hall,
                None => open.whole(performance, &own),
            };
            unit.rows.halls.insert(*id, hall);
        }
        Ok(())
    });
}

fn taken(row: &Row) -> Sql<(PerformanceId, u32, Taken)> {
    let is_closed = get(row, 2)?;
    let taken = if is_closed { Taken::Closed } else { Taken::Held(read_end(row, 3, 4)?.until) };
    Ok((PerformanceId::new(uuid(row, 0)?), small(row, 1)?, taken))
}

const ALL_LAYOUTS: &str = "SELECT performance_id, layout FROM layouts";

#[cfg(test)]
pub(super) const READS: &[&str] = &[ALL_LAYOUTS];

/// The layouts of performances, or of all.
pub(super) async fn layouts(session: &Session, of: Option<&[PerformanceId]>) -> Sql<Vec<(PerformanceId, Arc<Layout>)>> {
    let found = match of {
        None => session.query(ALL_LAYOUTS, Vec::new()).await?,
        Some(ids) => {
            let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
            session.query(LAYOUTS, params![ids]).await?
        }
    };
    found.iter().map(read_row).collect()
}

fn read_row(row: &Row) -> Sql<(PerformanceId, Arc<Layout>)> {
    Ok((PerformanceId::new(uuid(row, 0)?), read_layout(get(row, 1)?)?))
}

/// A layout from its column.
pub(super) fn read_layout(text: &str) -> Sql<Arc<Layout>> {
    layout_from_text(text).ok_or(DbError::Broken("a layout that cannot be read"))
}

/// Writes the layouts that changed.
pub(super) fn save<'a>(pipeline: &mut Pipeline<'a, ()>, rows: &'a Rows) {
    let changed = rows.layouts.changed().filter_map(|(id, layout)| Some((id, layout?)));
    pipeline.write(LAY_OUT, columns!(changed, |(id, layout)| id.uuid(), layout_to_text(layout)));
}
