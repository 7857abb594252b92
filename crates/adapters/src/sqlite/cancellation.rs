//! Cancellations of performances: loads and saves their rows, and finds what is left to settle.

use onsale_app::store::{Page, UnsettledSeat};
use onsale_domain::cancellation::{Cancellation, Cancelled, FailedRefund, Progress};
use onsale_domain::ids::{ConcertId, EventId, PaymentId, PerformanceId, ReservationId};
use onsale_domain::payment::Payment;
use onsale_domain::rows::{Keys, Rows};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::payment;
use super::values::{Sql, instant, optional_uuid, some_seats, text, user, uuid};

/// The columns of a cancellation.
const CANCELLATION: &str = "c.performance_id, c.concert_id, c.version, c.event_id, c.cancelled_at, c.reason, c.payments, c.refunded_before, \
     c.settled_to, c.is_through, c.failed, c.is_done, c.retry_at, c.holder, c.leased_until";

pub(super) fn read(row: &Row<'_>) -> Sql<Cancellation> {
    Ok(Cancellation {
        performance: PerformanceId::new(uuid(row, 0)?),
        concert: ConcertId::new(uuid(row, 1)?),
        version: row.get(2)?,
        event: EventId::new(uuid(row, 3)?),
        cancelled_at: instant(row, 4)?,
        reason: text(row, 5)?,
        payments: row.get(6)?,
        refunded_before: row.get(7)?,
        progress: Progress {
            settled_to: row.get(8)?,
            is_through: row.get(9)?,
            failed: row.get(10)?,
            is_done: row.get(11)?,
            retry_at: instant(row, 12)?,
            holder: row.get(13)?,
            leased_until: instant(row, 14)?,
        },
    })
}

pub(super) fn one(db: &Connection, performance: PerformanceId) -> Sql<Option<Cancellation>> {
    db.prepare_cached(&format!("SELECT {CANCELLATION} FROM cancellations c WHERE performance_id = ?1"))?
        .query_row([performance.uuid().as_bytes()], read)
        .optional()
}

pub(super) fn load(db: &Connection, keys: &Keys, rows: &mut Rows) -> Sql<()> {
    for performance in &keys.cancellations {
        rows.cancellations.load(*performance, one(db, *performance)?);
    }
    Ok(())
}

/// Saves cancellations and failed refunds. Called after their performances, to which they refer.
pub(super) fn save(db: &Connection, rows: &Rows) -> Sql<()> {
    for (performance, cancellation) in rows.cancellations.changed() {
        let Some(Cancellation { concert, version, event, cancelled_at, reason, .. }) = cancellation else { continue };
        let Some(Cancellation { payments, refunded_before, progress, .. }) = cancellation else { continue };
        let Progress { settled_to, is_through, failed, is_done, retry_at, holder, leased_until } = progress;
        db.prepare_cached(
            "INSERT INTO cancellations
               (performance_id, concert_id, version, event_id, cancelled_at, reason, payments, refunded_before, settled_to,
                is_through, failed, is_done, retry_at, holder, leased_until)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
             ON CONFLICT (performance_id) DO UPDATE SET settled_to = ?9, is_through = ?10, failed = ?11, is_done = ?12,
                retry_at = ?13, holder = ?14, leased_until = ?15",
        )?
        .execute(params![
            performance.uuid().as_bytes(),
            concert.uuid().as_bytes(),
            version,
            event.uuid().as_bytes(),
            cancelled_at.as_millis(),
            &**reason,
            payments,
            refunded_before,
            settled_to,
            is_through,
            failed,
            is_done,
            retry_at.as_millis(),
            holder,
            leased_until.as_millis(),
        ])?;
    }
    for FailedRefund { payment, performance, reservation, failed_at } in &rows.failed_refunds {
        // A payment is listed already if a request has refunded those of its seats that an earlier step has passed.
        db.prepare_cached(
            "INSERT INTO failed_refunds (performance_id, payment_id, reservation_id, failed_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            performance.uuid().as_bytes(),
            payment.uuid().as_bytes(),
            reservation.uuid().as_bytes(),
            failed_at.as_millis(),
        ])?;
    }
    Ok(())
}

/// A cancellation with the counters of its performance.
pub(super) fn shown(db: &Connection, performance: PerformanceId) -> Sql<Option<Cancelled>> {
    db.prepare_cached(&format!(
        "SELECT {CANCELLATION}, p.open_payments, p.refunded
         FROM cancellations c JOIN performances p USING (performance_id) WHERE c.performance_id = ?1"
    ))?
    .query_row([performance.uuid().as_bytes()], |row| Ok(Cancelled::known(read(row)?, row.get(15)?, row.get(16)?)))
    .optional()
}

/// Cancellations of which steps are left.
pub(super) fn under_way(db: &Connection) -> Sql<Vec<Cancellation>> {
    db.prepare_cached(&format!("SELECT {CANCELLATION} FROM cancellations c WHERE is_done = 0 ORDER BY performance_id"))?
        .query_map([], read)?
        .collect()
}

/// Held and sold seats after a number, each with its payment.
pub(super) fn unsettled_seats(
    db: &Connection,
    performance: PerformanceId,
    after_seat: u32,
    limit: usize,
) -> Sql<Vec<UnsettledSeat>> {
    db.prepare_cached(
        "SELECT s.seat, s.reservation_id, p.payment_id, p.user_id
         FROM seats s LEFT JOIN payments p ON p.reservation_id = s.reservation_id
         WHERE s.performance_id = ?1 AND s.seat > ?2 AND s.reservation_id IS NOT NULL ORDER BY s.seat LIMIT ?3",
    )?
    .query_map(params![performance.uuid().as_bytes(), after_seat, limit], |row| {
        let payment = optional_uuid(row, 2)?.map(PaymentId::new);
        Ok(UnsettledSeat {
            number: row.get(0)?,
            reservation: ReservationId::new(uuid(row, 1)?),
            paid: payment.map(|payment| Ok::<_, rusqlite::Error>((payment, user(row, 3)?))).transpose()?,
        })
    })?
    .collect()
}

/// A page of the failed refunds whose payment is still open, newest payment first.
pub(super) fn failed_refunds(
    db: &Connection,
    performance: PerformanceId,
    page: Page<PaymentId>,
) -> Sql<Vec<(FailedRefund, Payment, Vec<u32>)>> {
    let before = page.after.map_or([0xff; 16], |id| id.uuid().into_bytes());
    let columns = payment::COLUMNS.split(", ").map(|column| format!("p.{}", column.trim()));
    let columns = columns.collect::<Vec<_>>().join(", ");
    db.prepare_cached(&format!(
        "SELECT {columns}, f.failed_at, r.refunded
         FROM failed_refunds f JOIN payments p USING (payment_id)
             JOIN reservations r ON r.reservation_id = f.reservation_id
         WHERE f.performance_id = ?1 AND f.payment_id < ?2 AND r.status = 'PAID'
         ORDER BY f.payment_id DESC LIMIT ?3"
    ))?
    .query_map(params![performance.uuid().as_bytes(), before, page.limit], |row| {
        let paid = payment::read(row)?;
        let (payment, reservation, failed_at) = (paid.id, paid.reservation, instant(row, 9)?);
        Ok((FailedRefund { payment, performance, reservation, failed_at }, paid, some_seats(row, 10)?))
    })?
    .collect()
}
