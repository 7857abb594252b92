//! Rows of seats: held, sold or blocked. A free seat has none.

use std::ops::RangeInclusive;
use std::sync::Arc;

use onsale_app::store::{SeatRecord, SeatRows, SeatTaken};
use onsale_domain::concert::Seat;
use onsale_domain::ids::{PaymentId, PerformanceId, ReservationId};
use onsale_domain::rows::Rows;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::concert::note_lack;
use super::extension::{further, lacks_extensions, read_end};
use super::values::{Sql, optional_uuid, user, uuid};

/// Loads the row of a seat, unless the unit has it.
pub(super) fn load(db: &Connection, performance: PerformanceId, number: u32, rows: &mut Rows) -> Sql<()> {
    if !rows.seats.is_loaded(&(performance, number)) {
        let key = (performance, number);
        let found = db
            .prepare_cached(&format!("SELECT {SEAT} FROM seats WHERE performance_id = ?1 AND seat = ?2"))?
            .query_row(params![performance.uuid().as_bytes(), number], |row| {
                Ok((read_row(row, 0)?, lacks_extensions(row, 3)?))
            })
            .optional()?;
        let seat = match found {
            Some((SeatRow::Owned(seat), lacks)) => {
                note_lack(rows, seat.reservation, lacks);
                Some(seat)
            }
            Some((SeatRow::Blocked(reason), _)) => {
                rows.blocks.load(key, Some(reason));
                None
            }
            None => None,
        };
        rows.seats.load(key, seat);
    }
    Ok(())
}

/// Writes the rows of seats that changed.
pub(super) fn save(db: &Connection, rows: &Rows) -> Sql<()> {
    // Freed and unblocked seats first: a hold may have taken the seat again in this unit, or a block a lapsed one.
    let freed = rows.seats.changed().filter(|(_, seat)| seat.is_none()).map(|(key, _)| key);
    for (performance, number) in freed.chain(rows.blocks.outdated()) {
        db.prepare_cached("DELETE FROM seats WHERE performance_id = ?1 AND seat = ?2")?
            .execute(params![performance.uuid().as_bytes(), number])?;
    }
    for ((performance, number), seat) in rows.seats.changed() {
        let Some(Seat { reservation, held_until, extended, sold }) = seat else { continue };
        db.prepare_cached(
            "INSERT INTO seats (performance_id, seat, reservation_id, held_until, sold, extended)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO UPDATE SET reservation_id = ?3, held_until = ?4, sold = ?5, extended = ?6",
        )?
        .execute(params![
            performance.uuid().as_bytes(),
            number,
            reservation.uuid().as_bytes(),
            held_until.as_millis(),
            sold,
            extended,
        ])?;
    }
    for ((performance, number), reason) in rows.blocks.changed() {
        let Some(reason) = reason else { continue };
        db.prepare_cached(
            "INSERT INTO seats (performance_id, seat, held_until, sold, block_reason) VALUES (?1, ?2, 0, 0, ?3)",
        )?
        .execute(params![performance.uuid().as_bytes(), number, &**reason])?;
    }
    Ok(())
}

/// The columns of a row of a seat.
pub(super) const SEAT: &str =
    concat!("reservation_id, held_until, sold, ", further!("seats", "sold = 0"), ", block_reason");

/// A row of a seat: held or sold, or blocked for a reason.
pub(super) enum SeatRow {
    Owned(Seat),
    Blocked(Arc<str>),
}

impl SeatRow {
    /// The seat, if it is held or sold.
    pub(super) fn owned(self) -> Option<Seat> {
        match self {
            Self::Owned(seat) => Some(seat),
            Self::Blocked(_) => None,
        }
    }
}

/// A row of a seat from the columns [`SEAT`], the first of which is `from`.
pub(super) fn read_row(row: &Row<'_>, from: usize) -> Sql<SeatRow> {
    match row.get::<_, Option<Arc<str>>>(from + 5)? {
        Some(reason) => Ok(SeatRow::Blocked(reason)),
        None => read_seat(row, from).map(SeatRow::Owned),
    }
}

fn read_seat(row: &Row<'_>, from: usize) -> Sql<Seat> {
    let end = read_end(row, from + 1, from + 3)?;
    Ok(Seat {
        reservation: ReservationId::new(uuid(row, from)?),
        held_until: end.until,
        extended: end.extended,
        sold: row.get(from + 2)?,
    })
}

pub(super) fn seat(db: &Connection, performance: PerformanceId, number: u32) -> Sql<Option<Seat>> {
    let found = db
        .prepare_cached(&format!("SELECT {SEAT} FROM seats WHERE performance_id = ?1 AND seat = ?2"))?
        .query_row(params![performance.uuid().as_bytes(), number], |row| read_row(row, 0))
        .optional()?;
    Ok(found.and_then(SeatRow::owned))
}

/// The seats of a performance that no extension concerns. It has up to 100,000 seats, and extensions are rare.
const SEATS: &str =
    "SELECT reservation_id, held_until, sold, extended, NULL, block_reason, seat FROM seats WHERE performance_id = ?1";

/// The seats of a performance with extensions.
const EXTENDED_SEATS: &str = concat!(
    "SELECT reservation_id, held_until, sold, ",
    further!("seats", "sold = 0"),
    ", block_reason, seat FROM seats WHERE performance_id = ?1"
);

pub(super) fn seat_rows(db: &Connection, performance: PerformanceId) -> Sql<SeatRows> {
    let id = performance.uuid().into_bytes();
    let (version, closed, cancelled, is_extended, waited_for) = db
        .prepare_cached(
            "SELECT version, closed, cancelled_at IS NOT NULL, extensions > 0, waitlisted > 0 FROM performances
             WHERE performance_id = ?1",
        )?
        .query_row([&id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))?;
    let mut rows = SeatRows { version, closed, cancelled, waited_for, ..SeatRows::default() };
    let mut statement = db.prepare_cached(if is_extended { EXTENDED_SEATS } else { SEATS })?;
    for found in statement.query_map([&id], |row| Ok((row.get(6)?, read_row(row, 0)?)))? {
        match found? {
            (number, SeatRow::Owned(seat)) => rows.seats.push((number, seat)),
            (number, SeatRow::Blocked(_)) => rows.blocked.push(number),
        }
    }
    Ok(rows)
}

/// Seats of a range of numbers, each with its user and its payment.
const TAKEN: &str = concat!(
    "SELECT seats.reservation_id, seats.held_until, seats.sold, ",
    further!("seats", "sold = 0"),
    ", block_reason, seat, user_id, payment_id FROM seats
        LEFT JOIN (SELECT reservation_id AS owner, user_id FROM reservations) ON owner = seats.reservation_id
        LEFT JOIN (SELECT reservation_id AS paid, payment_id FROM payments) ON paid = seats.reservation_id AND seats.sold = 1
     WHERE seats.performance_id = ?1 AND seat BETWEEN ?2 AND ?3 ORDER BY seat"
);

pub(super) fn taken(
    db: &Connection,
    performance: PerformanceId,
    numbers: &RangeInclusive<u32>,
) -> Sql<Vec<SeatRecord>> {
    let read = |row: &Row<'_>| {
        let taken = match read_row(row, 0)? {
            SeatRow::Owned(seat) => SeatTaken::Owned(seat, optional_uuid(row, 8)?.map(PaymentId::new)),
            SeatRow::Blocked(reason) => SeatTaken::Blocked(reason),
        };
        let user = row.get_ref(7)?.as_str_or_null()?.map(|_| user(row, 7)).transpose()?;
        Ok(SeatRecord { number: row.get(6)?, user, taken })
    };
    db.prepare_cached(TAKEN)?
        .query_map(params![performance.uuid().as_bytes(), numbers.start(), numbers.end()], read)?
        .collect()
}
