//! Refunds: saves their rows, and lists them.

use std::collections::HashMap;

use onsale_app::store::{GivenBack, Page, RefundsOf};
use onsale_domain::ids::{PaymentId, PerformanceId, RefundId, ReservationId, UserId};
use onsale_domain::refund::Refund;
use onsale_domain::rows::Rows;
use rusqlite::{Connection, Row, params};

use super::values::{Sql, instant, numbers_to_text, optional_text, seats, user, uuid, word};
use crate::stored::Word;

/// Saves refunds with a row for each seat. Called before the rows of seats and reservations, which depend on these.
pub(super) fn save(db: &Connection, rows: &Rows) -> Sql<()> {
    for refund in &rows.refunds {
        db.prepare_cached(
            "INSERT INTO refunds
               (refund_id, payment_id, reservation_id, performance_id, user_id, seats, amount, fee, made_by, reason,
                balance_after, entry_version, refunded_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )?
        .execute(params![
            refund.id.uuid().as_bytes(),
            refund.payment.uuid().as_bytes(),
            refund.reservation.uuid().as_bytes(),
            refund.performance.uuid().as_bytes(),
            refund.user.as_str(),
            numbers_to_text(&refund.seats),
            refund.amount,
            refund.fee,
            refund.by.word(),
            refund.reason.as_deref(),
            refund.balance_after,
            refund.entry_version,
            refund.refunded_at.as_millis(),
        ])?;
        for seat in refund.seats.iter() {
            db.prepare_cached("INSERT INTO refunded_seats (reservation_id, seat, refund_id) VALUES (?1, ?2, ?3)")?
                .execute(params![refund.reservation.uuid().as_bytes(), seat, refund.id.uuid().as_bytes()])?;
        }
    }
    Ok(())
}

/// The columns of a refund.
pub(super) const REFUND: &str = "refund_id, payment_id, reservation_id, performance_id, user_id, seats, amount, fee, \
                                 made_by, reason, balance_after, entry_version, refunded_at";

pub(super) fn read(row: &Row<'_>) -> Sql<Refund> {
    Ok(Refund {
        id: RefundId::new(uuid(row, 0)?),
        payment: PaymentId::new(uuid(row, 1)?),
        reservation: ReservationId::new(uuid(row, 2)?),
        performance: PerformanceId::new(uuid(row, 3)?),
        user: user(row, 4)?,
        seats: seats(row, 5)?,
        amount: row.get(6)?,
        fee: row.get(7)?,
        by: word(row, 8)?,
        reason: optional_text(row, 9)?,
        balance_after: row.get(10)?,
        entry_version: row.get(11)?,
        refunded_at: instant(row, 12)?,
    })
}

/// A page of the refunds of a payment or a performance, newest first.
/// Newest first.
pub(super) fn of_user(db: &Connection, user: &UserId, limit: usize) -> Sql<Vec<Refund>> {
    db.prepare_cached(&format!("SELECT {REFUND} FROM refunds WHERE user_id = ?1 ORDER BY entry_version DESC LIMIT ?2"))?
        .query_map(params![user.as_str(), limit], read)?
        .collect()
}

pub(super) fn list(db: &Connection, of: RefundsOf, page: Page<RefundId>) -> Sql<Vec<Refund>> {
    let (column, id) = match of {
        RefundsOf::Payment(id) => ("payment_id", id.uuid()),
        RefundsOf::Performance(id) => ("performance_id", id.uuid()),
    };
    let before = page.after.map_or([0xff; 16], |id| id.uuid().into_bytes());
    db.prepare_cached(&format!(
        "SELECT {REFUND} FROM refunds WHERE {column} = ?1 AND refund_id < ?2 ORDER BY refund_id DESC LIMIT ?3"
    ))?
    .query_map(params![id.as_bytes(), before, page.limit], read)?
    .collect()
}

/// What was given back of payments. Payments without a refund are left out.
pub(super) fn given_back(db: &Connection, payments: &[PaymentId]) -> Sql<HashMap<PaymentId, GivenBack>> {
    let mut given: HashMap<PaymentId, GivenBack> = HashMap::new();
    let sql = format!("SELECT {REFUND} FROM refunds WHERE payment_id = ?1 ORDER BY refund_id");
    for payment in payments {
        for refund in db.prepare_cached(&sql)?.query_map([payment.uuid().as_bytes()], read)? {
            given.entry(*payment).or_default().add(&refund?);
        }
    }
    Ok(given)
}
