//! Payments: loads and saves their rows, and lists them.

use onsale_app::store::Page;
use onsale_domain::ids::{PaymentId, PerformanceId, ReservationId, UserId};
use onsale_domain::payment::Payment;
use onsale_domain::rows::{Keys, Rows};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::values::{Sql, instant, numbers_to_text, prices, seats, user, uuid};

pub(super) fn load(db: &Connection, keys: &Keys, rows: &mut Rows) -> Sql<()> {
    for id in &keys.payments {
        rows.known_payments.load(*id, payment(db, *id)?);
    }
    Ok(())
}

pub(super) fn save(db: &Connection, rows: &Rows) -> Sql<()> {
    for payment in &rows.payments {
        db.prepare_cached(
            "INSERT INTO payments
               (payment_id, reservation_id, performance_id, user_id, seats, amount, balance_after, paid_at, prices)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            payment.id.uuid().as_bytes(),
            payment.reservation.uuid().as_bytes(),
            payment.performance.uuid().as_bytes(),
            payment.user.as_str(),
            numbers_to_text(&payment.seats),
            payment.amount,
            payment.balance_after,
            payment.paid_at.as_millis(),
            numbers_to_text(&payment.prices),
        ])?;
    }
    Ok(())
}

/// The columns of a payment, separated by a comma and a space.
pub(super) const COLUMNS: &str = "payment_id, reservation_id, performance_id, user_id, seats, amount, balance_after, paid_at, \
                       prices";

pub(super) fn read(row: &Row<'_>) -> Sql<Payment> {
    Ok(Payment {
        id: PaymentId::new(uuid(row, 0)?),
        reservation: ReservationId::new(uuid(row, 1)?),
        performance: PerformanceId::new(uuid(row, 2)?),
        user: user(row, 3)?,
        seats: seats(row, 4)?,
        amount: row.get(5)?,
        balance_after: row.get(6)?,
        paid_at: instant(row, 7)?,
        prices: prices(row, 8)?,
    })
}

pub(super) fn payment(db: &Connection, id: PaymentId) -> Sql<Option<Payment>> {
    db.prepare_cached(&format!("SELECT {COLUMNS} FROM payments WHERE payment_id = ?1"))?
        .query_row([id.uuid().as_bytes()], read)
        .optional()
}

/// A page of a user's payments, newest first.
pub(super) fn payments_of(db: &Connection, user: &UserId, page: Page<PaymentId>) -> Sql<Vec<Payment>> {
    let before = page.after.map_or([0xff; 16], |id| id.uuid().into_bytes());
    db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM payments WHERE user_id = ?1 AND payment_id < ?2 ORDER BY payment_id DESC LIMIT ?3"
    ))?
    .query_map(params![user.as_str(), before, page.limit], read)?
    .collect()
}
