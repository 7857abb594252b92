//! Performances, seats and reservations.

use std::collections::BTreeMap;

use onsale_app::audit::source::{PerformanceRow, ReservationRow, SeatRow};
use onsale_domain::concert::{Reservation, Seat};
use onsale_domain::ids::PerformanceId;
use tokio_postgres::Row;
use uuid::Uuid;

use super::super::concert;
use super::super::values::{Sql, get, number, small, uuid};
use super::Out;
use super::cursor::Cursor;
use super::event::read_by_id;
use super::snapshot::Connection;

const PERFORMANCES: &str = "SELECT performance_id, concert_id, starts_at, sections, sold, version, updated_at,
        coalesce(counted.seats, 0)
    FROM performances LEFT JOIN (
        SELECT performance_id, count(*) seats FROM seats WHERE sold GROUP BY performance_id) counted
        USING (performance_id)
    ORDER BY performance_id";

const SEATS: &str = "SELECT s.performance_id, s.seat, s.reservation_id, s.held_until, s.sold, r.reservation_id,
        r.concert_id, r.performance_id, r.user_id, r.place, r.seats, r.amount, r.held_at, r.held_until, r.status,
        r.end_event_id
    FROM seats s LEFT JOIN reservations r USING (reservation_id) ORDER BY s.performance_id, s.seat";

const RESERVATIONS: &str = "SELECT reservation_id, concert_id, performance_id, user_id, place, seats, amount, held_at,
        held_until, status, end_event_id
    FROM reservations ORDER BY reservation_id";

const SEATS_BY_OWNER: &str = "SELECT performance_id, seat, reservation_id, held_until, sold FROM seats
    ORDER BY reservation_id";

const PAID: &str = "SELECT reservation_id FROM payments ORDER BY reservation_id";

/// An event of another kind does not belong to a hold, even with its id.
const HELD_EVENTS: &str = "SELECT event_id, type, subject, version, data FROM events
    WHERE topic = 'onsale.concerts' AND type = 'onsale.seats.held.v1' ORDER BY event_id, subject, version";

const END_EVENTS: &str = "SELECT r.reservation_id, e.type, e.subject, e.version, e.data
    FROM reservations r JOIN events e ON e.topic = 'onsale.concerts' AND e.event_id = r.end_event_id
    ORDER BY r.reservation_id, e.subject, e.version";

pub(super) async fn performances(mut connection: Connection, out: Out<PerformanceRow>) -> Sql<()> {
    let transaction = connection.begin().await?;
    let read =
        |row: &Row| Ok(PerformanceRow { performance: concert::read_performance(row)?, sold_seats: number(row, 7)? });
    let mut performances = Cursor::open(&transaction, PERFORMANCES, read).await?;
    while let Some(performance) = performances.next().await? {
        out.row(performance).await;
    }
    Ok(())
}

pub(super) async fn seats(mut connection: Connection, out: Out<SeatRow>) -> Sql<()> {
    let transaction = connection.begin().await?;
    let mut seats = Cursor::open(&transaction, SEATS, read_seat).await?;
    while let Some(seat) = seats.next().await? {
        out.row(seat).await;
    }
    Ok(())
}

fn read_seat(row: &Row) -> Sql<SeatRow> {
    Ok(SeatRow {
        performance: PerformanceId::new(uuid(row, 0)?),
        number: small(row, 1)?,
        seat: concert::read_seat(row, 2)?,
        owner: owner(row, 5)?,
    })
}

/// The joined reservation, if there is one.
pub(super) fn owner(row: &Row, from: usize) -> Sql<Option<Reservation>> {
    get::<Option<Uuid>>(row, from)?.map(|_| concert::read_from(row, from)).transpose()
}

pub(super) async fn reservations(mut connection: Connection, out: Out<ReservationRow>) -> Sql<()> {
    let transaction = connection.begin().await?;
    let mut reservations = Cursor::open(&transaction, RESERVATIONS, concert::read).await?;
    let mut owned = Cursor::open(&transaction, SEATS_BY_OWNER, read_owned).await?;
    let mut paid = Cursor::open(&transaction, PAID, |row| Ok((uuid(row, 0)?, ()))).await?;
    let mut held = Cursor::open(&transaction, HELD_EVENTS, read_by_id).await?;
    let mut ended = Cursor::open(&transaction, END_EVENTS, read_by_id).await?;
    while let Some(reservation) = reservations.next().await? {
        let id = reservation.id.uuid();
        let mut seats = BTreeMap::new();
        while let Some((performance, number, seat)) = owned.of(&id).await? {
            // Seats beyond the reservation's own are found by the check of seats.
            if performance == reservation.performance && reservation.seats.contains(&number) {
                seats.insert(number, seat);
            }
        }
        let mut payments = 0;
        while paid.of(&id).await?.is_some() {
            payments += 1;
        }
        out.row(ReservationRow {
            seats: seats.into_iter().collect(),
            payments,
            held_event: held.of(&id).await?,
            end_event: ended.of(&id).await?,
            reservation,
        })
        .await;
    }
    Ok(())
}

/// A seat, keyed by its reservation.
fn read_owned(row: &Row) -> Sql<(Uuid, (PerformanceId, u32, Seat))> {
    Ok((uuid(row, 2)?, (PerformanceId::new(uuid(row, 0)?), small(row, 1)?, concert::read_seat(row, 2)?)))
}
