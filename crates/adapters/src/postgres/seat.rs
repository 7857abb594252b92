//! Rows of seats, as units of work write them: held, sold or blocked. A free seat has none.

use onsale_domain::rows::Rows;

use super::session::Pipeline;
use super::values::{big, columns, int};

pub(super) const FREE: &str = "DELETE FROM seats USING unnest($1::uuid[], $2::integer[]) v (performance_id, seat)
    WHERE seats.performance_id = v.performance_id AND seats.seat = v.seat";

pub(super) const TAKE: &str = "INSERT INTO seats (performance_id, seat, reservation_id, held_until, sold, extended)
    SELECT * FROM unnest($1::uuid[], $2::integer[], $3::uuid[], $4::bigint[], $5::boolean[], $6::bigint[])";

pub(super) const CHANGE: &str =
    "UPDATE seats SET reservation_id = v.reservation_id, held_until = v.held_until, sold = v.sold,
        extended = v.extended
    FROM unnest($1::uuid[], $2::integer[], $3::uuid[], $4::bigint[], $5::boolean[], $6::bigint[])
        v (performance_id, seat, reservation_id, held_until, sold, extended)
    WHERE seats.performance_id = v.performance_id AND seats.seat = v.seat";

pub(super) const BLOCK: &str = "INSERT INTO seats (performance_id, seat, held_until, sold, block_reason)
    SELECT performance_id, seat, 0, false, block_reason FROM unnest($1::uuid[], $2::integer[], $3::text[])
        v (performance_id, seat, block_reason)";

/// Writes the rows of seats that changed.
pub(super) fn save<'a>(pipeline: &mut Pipeline<'a, ()>, rows: &'a Rows) {
    // Freed and unblocked seats first: a seat that lapsed and was taken again in this unit is deleted and then inserted.
    let freed = rows.seats.outdated().filter(|key| rows.seats.get(key).is_none());
    let freed = freed.chain(rows.blocks.outdated());
    pipeline.write(FREE, columns!(freed, |(performance, seat)| performance.uuid(), int(*seat)));
    let changed = rows.seats.outdated().filter_map(|key| Some((key, rows.seats.get(key)?)));
    for (sql, seats) in [(TAKE, rows.seats.added().collect::<Vec<_>>()), (CHANGE, changed.collect())] {
        pipeline.write(
            sql,
            columns!(
                seats.into_iter(),
                |((performance, number), seat)| performance.uuid(),
                int(*number),
                seat.reservation.uuid(),
                seat.held_until.as_millis(),
                seat.sold,
                big(seat.extended),
            ),
        );
    }
    let blocked = rows.blocks.changed().filter_map(|(key, reason)| Some((key, reason?)));
    pipeline.write(
        BLOCK,
        columns!(blocked, |((performance, number), reason)| performance.uuid(), int(*number), &***reason),
    );
}
