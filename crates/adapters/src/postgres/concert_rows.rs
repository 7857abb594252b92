//! Rows of performances, seats and reservations as values.

use onsale_domain::concert::{HoldEnd, Performance, Reservation, Seat};
use onsale_domain::ids::{ConcertId, EventId, PerformanceId, ReservationId};
use tokio_postgres::Row;

use super::error::DbError;
use super::room_rows::read_sale;
use super::values::{
    Sql, get, instant, number, optional_instant, policy, prices, seating, seats, small, some_seats, user, uuid, word,
};
use crate::stored::hold_end;

/// The columns of a reservation after those of its extensions: what is kept with the hold, and what was refunded.
macro_rules! kept_of {
    ($row:literal) => {
        concat!(", ", $row, ".prices, ", $row, ".refund_policy, ", $row, ".refunded")
    };
}
pub(super) use kept_of;

/// Number of columns of a performance.
pub(super) const PERFORMANCE_COLUMNS: usize = 26;

/// A performance from its columns.
pub(super) fn read_performance(row: &Row) -> Sql<Performance> {
    Ok(Performance {
        id: PerformanceId::new(uuid(row, 0)?),
        concert: ConcertId::new(uuid(row, 1)?),
        starts_at: instant(row, 2)?,
        seating: seating(row, 3)?,
        sold: small(row, 4)?,
        version: number(row, 5)?,
        updated_at: instant(row, 6)?,
        holds: get::<Option<i32>>(row, 7)?.map(|holds| u32::try_from(holds).unwrap_or(0)),
        extensions: number(row, 8)?,
        closed: get(row, 9)?,
        sale: read_sale(row, 10, 15, 22)?,
        refund_policy: policy(row, 11)?,
        held: small(row, 12)?,
        revenue: get(row, 13)?,
        refunded: get(row, 14)?,
        seats_per_user: small(row, 17)?,
        cancelled_at: optional_instant(row, 18)?,
        open_payments: small(row, 19)?,
        blocked: small(row, 20)?,
        revision: number(row, 21)?,
        waitlisted: small(row, 23)?,
        offered: small(row, 24)?,
        offer_seconds: small(row, 25)?,
    })
}

pub(super) fn read(row: &Row) -> Sql<Reservation> {
    read_from(row, 0)
}

/// A reservation from sixteen columns, the first of which is `from`.
pub(super) fn read_from(row: &Row, from: usize) -> Sql<Reservation> {
    let end = read_end(row, from + 8, from + 11)?;
    Ok(Reservation {
        id: ReservationId::new(uuid(row, from)?),
        concert: ConcertId::new(uuid(row, from + 1)?),
        performance: PerformanceId::new(uuid(row, from + 2)?),
        user: user(row, from + 3)?,
        place: number(row, from + 4)?,
        seats: seats(row, from + 5)?,
        amount: get(row, from + 6)?,
        held_at: instant(row, from + 7)?,
        held_until: end.until,
        extended: end.extended,
        status: word(row, from + 9)?,
        end_event: get::<Option<_>>(row, from + 10)?.map(EventId::new),
        prices: prices(row, from + 13)?,
        refund_policy: policy(row, from + 14)?,
        refunded: some_seats(row, from + 15)?,
    })
}

/// The end of a hold: of the row, and two columns with the number of its last extension and with the further ones.
pub(super) fn read_end(row: &Row, until: usize, extended: usize) -> Sql<HoldEnd> {
    let end = hold_end(instant(row, until)?, number(row, extended)?, get(row, extended + 1)?);
    end.ok_or(DbError::Broken("extensions that cannot be read"))
}

/// Whether the column with the extensions that a row lacks has any.
pub(super) fn lacks_extensions(row: &Row, further: usize) -> Sql<bool> {
    Ok(get::<Option<&str>>(row, further)?.is_some())
}

/// A seat from five columns, the first of which is `from`.
pub(super) fn read_seat(row: &Row, from: usize) -> Sql<Seat> {
    let end = read_end(row, from + 1, from + 3)?;
    Ok(Seat {
        reservation: ReservationId::new(uuid(row, from)?),
        held_until: end.until,
        extended: end.extended,
        sold: get(row, from + 2)?,
    })
}
