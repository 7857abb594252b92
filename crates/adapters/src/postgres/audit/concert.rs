//! Performances, seats and reservations.

use std::collections::BTreeMap;

use onsale_app::audit::source::{EventRow, ExtendedRow, ExtensionRow, PerformanceRow, ReservationRow, SeatRow};
use onsale_domain::cancellation::Cancellation;
use onsale_domain::concert::{Reservation, Seat};
use onsale_domain::ids::PerformanceId;
use tokio_postgres::Row;
use uuid::Uuid;

use super::super::cancellation;
use super::super::concert_rows::{self, PERFORMANCE_COLUMNS, kept_of};
use super::super::error::DbError;
use super::super::extension::{further, further_of_seat};
use super::super::hall::read_layout;
use super::super::room_rows::read_sale;
use super::super::values::{Sql, get, instant, number, small, uuid};
use super::Out;
use super::cursor::Cursor;
use super::event::{read_by_id, read_joined};
use super::snapshot::Connection;
use crate::stored::extensions_from_text;

/// The first column after those of a performance.
const FROM: usize = PERFORMANCE_COLUMNS;

/// Counts each table once for all performances.
const PERFORMANCES: &str = "SELECT p.performance_id, p.concert_id, starts_at, sections, sold, p.version, updated_at,
        CASE WHEN known_version = p.version THEN p.holds END, extensions, p.closed, sale_closed, refund_policy,
        p.held, revenue, p.refunded, p.opens_at, p.closes_at, p.max_seats, p.cancelled_at, open_payments, p.blocked, revision,
        p.codes_until, p.waitlisted, p.offered, p.offer_seconds,
        coalesce(counted.taken, 0), coalesce(counted.kept_back, 0),
        coalesce(held.reservations, 0), coalesce(extended.many, 0), coalesce(extended.last, 0), coalesce(counted.claimed, 0),
        coalesce(paid.points, 0)::bigint, coalesce(given.points, 0)::bigint,
        concerts.closed, concerts.opens_at, concerts.closes_at, concerts.max_seats, changed.type, changed.subject, changed.version, changed.data,
        coalesce(counted.payments, 0), announced.type, announced.subject, announced.version, announced.data,
        c.performance_id, c.concert_id, c.version, c.event_id, c.cancelled_at, c.reason, c.payments, c.refunded_before,
        c.settled_to, c.is_through, c.failed, c.is_done, c.retry_at, c.holder, c.leased_until,
        coalesce(counted.mixed, 0), p.capacity, coalesce(unrefunded.payments, 0), concerts.codes_until, layouts.layout,
        coalesce(settled.by_steps, 0), coalesce(settled.payments, 0)
    FROM performances p LEFT JOIN (
        SELECT performance_id, count(*) FILTER (WHERE sold) taken, count(block_reason) kept_back,
            count(*) FILTER (WHERE NOT sold AND block_reason IS NULL) claimed,
            count(*) FILTER (WHERE (reservation_id IS NULL) = (block_reason IS NULL) OR block_reason IS NOT NULL AND sold) mixed,
            count(DISTINCT reservation_id) FILTER (WHERE sold) payments FROM seats
        GROUP BY performance_id) counted USING (performance_id)
    LEFT JOIN (SELECT performance_id, sum(amount) points FROM payments GROUP BY performance_id) paid
        USING (performance_id)
    LEFT JOIN (SELECT performance_id, sum(amount) points FROM refunds GROUP BY performance_id) given
        USING (performance_id)
    LEFT JOIN (SELECT performance_id, count(*) reservations FROM reservations WHERE status = 'HELD'
        GROUP BY performance_id) held USING (performance_id)
    LEFT JOIN (SELECT performance_id, count(*) many, max(number) last FROM hold_extensions GROUP BY performance_id) extended
        USING (performance_id)
    LEFT JOIN (SELECT f.performance_id, count(*) payments FROM failed_refunds f JOIN reservations USING (reservation_id)
        WHERE status = 'PAID' GROUP BY f.performance_id) unrefunded ON unrefunded.performance_id = p.performance_id
    LEFT JOIN (SELECT f.performance_id, count(DISTINCT f.payment_id) FILTER (WHERE f.made_by = 'cancellation') by_steps,
            count(DISTINCT f.payment_id) payments
        FROM cancellations own JOIN refunds f ON f.performance_id = own.performance_id
        JOIN reservations r ON r.reservation_id = f.reservation_id WHERE r.status = 'REFUNDED'
        GROUP BY f.performance_id) settled ON settled.performance_id = p.performance_id
    LEFT JOIN cancellations c ON c.performance_id = p.performance_id
    LEFT JOIN layouts ON layouts.performance_id = p.performance_id
    LEFT JOIN events announced ON announced.topic = 'onsale.concerts' AND announced.subject = p.performance_id::text
        AND announced.version = c.version AND announced.event_id = c.event_id
    LEFT JOIN concerts ON concerts.concert_id = p.concert_id
    LEFT JOIN (SELECT DISTINCT ON (subject) type, subject, version, data FROM events
        WHERE topic = 'onsale.concerts' AND type = 'onsale.performance.changed.v1' ORDER BY subject, version DESC) changed
        ON changed.subject = p.performance_id::text
    ORDER BY p.performance_id";

/// With the events of their ids, on the topic of concerts.
const EXTENSIONS: &str = "SELECT performance_id, number, h.version, h.at, seconds, holds, h.reason, e.type, e.subject,
        e.version, e.data
    FROM hold_extensions h LEFT JOIN events e ON e.topic = 'onsale.concerts' AND e.subject = performance_id::text
        AND e.version = h.version AND e.event_id = h.event_id
    ORDER BY performance_id, number";

const SEATS: &str = concat!(
    "SELECT s.performance_id, s.seat, s.reservation_id, s.held_until, s.sold, s.extended, ",
    further_of_seat!("s"),
    ", r.reservation_id, r.concert_id, r.performance_id, r.user_id, r.place, r.seats, r.amount, r.held_at, r.held_until,
        r.status, r.end_event_id, r.extended, ",
    further!("r"),
    kept_of!("r"),
    " FROM seats s LEFT JOIN reservations r USING (reservation_id) WHERE s.reservation_id IS NOT NULL
    ORDER BY s.performance_id, s.seat"
);

/// With all extensions of the performance in the last column.
const RESERVATIONS: &str = concat!(
    "SELECT reservation_id, concert_id, performance_id, user_id, place, seats, amount, held_at, held_until, status,
        end_event_id, extended, ",
    further!("reservations"),
    kept_of!("reservations"),
    ", (SELECT string_agg(concat_ws(' ', e.number, e.version, e.at, e.seconds), ',' ORDER BY e.number)
            FROM hold_extensions e WHERE e.performance_id = reservations.performance_id)
    FROM reservations ORDER BY reservation_id"
);

const SEATS_BY_OWNER: &str = concat!(
    "SELECT performance_id, seat, reservation_id, held_until, sold, extended, ",
    further_of_seat!("seats"),
    " FROM seats WHERE reservation_id IS NOT NULL ORDER BY reservation_id"
);

const PAID: &str = "SELECT reservation_id FROM payments ORDER BY reservation_id";

/// An event of another kind does not belong to a hold, even with its id.
const HELD_EVENTS: &str = "SELECT event_id, type, subject, version, data FROM events
    WHERE topic = 'onsale.concerts' AND type = 'onsale.seats.held.v1' ORDER BY event_id, subject, version";

const END_EVENTS: &str = "SELECT r.reservation_id, e.type, e.subject, e.version, e.data
    FROM reservations r JOIN events e ON e.topic = 'onsale.concerts' AND e.event_id = r.end_event_id
    ORDER BY r.reservation_id, e.subject, e.version";

pub(super) async fn performances(mut connection: Connection, out: Out<PerformanceRow>) -> Sql<()> {
    let transaction = connection.begin().await?;
    let read = |row: &Row| {
        Ok(PerformanceRow {
            performance: concert_rows::read_performance(row)?,
            sold_seats: number(row, FROM)?,
            blocked_seats: number(row, FROM + 1)?,
            holds: number(row, FROM + 2)?,
            extensions: (number(row, FROM + 3)?, number(row, FROM + 4)?),
            held_seats: number(row, FROM + 5)?,
            paid: get(row, FROM + 6)?,
            given_back: get(row, FROM + 7)?,
            sale: match get::<Option<bool>>(row, FROM + 8)? {
                Some(_) => Some((read_sale(row, FROM + 8, FROM + 9, FROM + 39)?, small(row, FROM + 11)?)),
                None => None,
            },
            changed: read_joined(row, FROM + 12)?,
            open_payments: number(row, FROM + 16)?,
            cancelled: read_cancelled(row)?,
            mixed_seats: number(row, FROM + 36)?,
            stored_capacity: small(row, FROM + 37)?.into(),
            failed_open: number(row, FROM + 38)?,
            layout: get::<Option<&str>>(row, FROM + 40)?.map(read_layout).transpose()?,
            refunded_payments: (number(row, FROM + 41)?, number(row, FROM + 42)?),
        })
    };
    let mut performances = Cursor::open(&transaction, PERFORMANCES, read).await?;
    while let Some(performance) = performances.next().await? {
        out.row(performance).await;
    }
    Ok(())
}

/// The joined cancellation with its event, if there is one.
fn read_cancelled(row: &Row) -> Sql<Option<(Cancellation, Option<EventRow>)>> {
    let id = get::<Option<Uuid>>(row, FROM + 21)?;
    id.map(|_| Ok((cancellation::read_from(row, FROM + 21)?, read_joined(row, FROM + 17)?))).transpose()
}

pub(super) async fn extensions(mut connection: Connection, out: Out<ExtendedRow>) -> Sql<()> {
    let transaction = connection.begin().await?;
    let read = |row: &Row| {
        let (position, version, at) = (number(row, 1)?, number(row, 2)?, instant(row, 3)?);
        Ok(ExtendedRow {
            performance: PerformanceId::new(uuid(row, 0)?),
            extension: ExtensionRow { number: position, version, at, seconds: small(row, 4)? },
            holds: number(row, 5)?,
            reason: get(row, 6)?,
            event: read_joined(row, 7)?,
        })
    };
    let mut extensions = Cursor::open(&transaction, EXTENSIONS, read).await?;
    while let Some(extension) = extensions.next().await? {
        out.row(extension).await;
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
        seat: concert_rows::read_seat(row, 2)?,
        owner: owner(row, 7)?,
    })
}

/// The joined reservation, if there is one.
pub(super) fn owner(row: &Row, from: usize) -> Sql<Option<Reservation>> {
    get::<Option<Uuid>>(row, from)?.map(|_| concert_rows::read_from(row, from)).transpose()
}

pub(super) async fn reservations(mut connection: Connection, out: Out<ReservationRow>) -> Sql<()> {
    let transaction = connection.begin().await?;
    let mut reservations = Cursor::open(&transaction, RESERVATIONS, read_reservation).await?;
    let mut owned = Cursor::open(&transaction, SEATS_BY_OWNER, read_owned).await?;
    let mut paid = Cursor::open(&transaction, PAID, |row| Ok((uuid(row, 0)?, ()))).await?;
    let mut held = Cursor::open(&transaction, HELD_EVENTS, read_by_id).await?;
    let mut ended = Cursor::open(&transaction, END_EVENTS, read_by_id).await?;
    while let Some((reservation, extensions)) = reservations.next().await? {
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
            extensions,
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

/// A reservation and all extensions of its performance.
fn read_reservation(row: &Row) -> Sql<(Reservation, Vec<ExtensionRow>)> {
    let extensions = match get::<Option<&str>>(row, 16)? {
        Some(text) => extensions_from_text(text).ok_or(DbError::Broken("extensions that cannot be read"))?,
        None => Vec::new(),
    };
    Ok((concert_rows::read(row)?, extensions))
}

/// A seat, keyed by its reservation.
fn read_owned(row: &Row) -> Sql<(Uuid, (PerformanceId, u32, Seat))> {
    Ok((uuid(row, 2)?, (PerformanceId::new(uuid(row, 0)?), small(row, 1)?, concert_rows::read_seat(row, 2)?)))
}
