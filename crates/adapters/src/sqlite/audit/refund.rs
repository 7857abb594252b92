//! Refunds, each with the rows that must agree with it.

use onsale_app::audit::source::RefundRow;
use onsale_domain::refund::{By, Refund};
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::super::refund::{REFUND, read};
use super::super::values::Sql;
use super::super::wallet;
use super::event_by_id;

/// A refund with its ledger entry, its event and the number of its entries in the log.
pub(super) fn one(db: &Connection, id: Uuid) -> Sql<RefundRow> {
    let sql = format!("SELECT {REFUND} FROM refunds WHERE refund_id = ?1");
    let refund = db.prepare_cached(&sql)?.query_row([id.as_bytes()], read)?;
    let entry = db
        .prepare_cached(
            "SELECT user_id, version, entry_id, type, amount, balance_after, reference, created_at FROM ledger
             WHERE user_id = ?1 AND version = ?2",
        )?
        .query_row(params![refund.user.as_str(), refund.entry_version], wallet::entry)
        .optional()?;
    let logged = match refund.by {
        By::Buyer | By::Cancellation => 0,
        By::Staff => db
            .prepare_cached(
                "SELECT count(*) FROM admin_log WHERE subject = ?1 AND action = 'payment.refunded'
                    AND json_extract(after, '$.refundId') = ?2",
            )?
            .query_row([format!("payment:{}", refund.payment), refund.id.to_string()], |row| row.get(0))?,
    };
    let marked = db
        .prepare_cached("SELECT seat FROM refunded_seats WHERE reservation_id = ?1 AND refund_id = ?2")?
        .query_map([refund.reservation.uuid().as_bytes(), id.as_bytes()], |row| row.get(0))?
        .collect::<Sql<_>>()?;
    Ok(RefundRow { refund, entry, event: event_by_id(db, id)?, logged, marked })
}

/// The refunds of a payment.
pub(super) fn of_payment(db: &Connection, payment: Uuid) -> Sql<Vec<Refund>> {
    let sql = format!("SELECT {REFUND} FROM refunds WHERE payment_id = ?1 ORDER BY refund_id");
    db.prepare_cached(&sql)?.query_map([payment.as_bytes()], read)?.collect()
}
