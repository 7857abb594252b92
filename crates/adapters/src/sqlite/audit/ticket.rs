//! Payments with their refunded seats, void tickets and scans.

use onsale_app::audit::source::TicketsRow;
use rusqlite::Connection;
use uuid::Uuid;

use super::super::payment;
use super::super::ticket::{CHECK_IN, VOIDED, read, read_voided};
use super::super::values::Sql;
use super::refund;
use onsale_domain::ids::PaymentId;

/// Payments that have a refund, a void ticket or a scan.
pub(super) const PAYMENTS: &str =
    "SELECT payment_id FROM (SELECT payment_id FROM refunds UNION SELECT payment_id FROM void_tickets
        UNION SELECT payment_id FROM check_ins WHERE payment_id IS NOT NULL)
    WHERE payment_id > ?1 ORDER BY payment_id LIMIT ?2";

/// `None` if there is no such payment, which is a finding of another check.
pub(super) fn one(db: &Connection, id: Uuid) -> Sql<Option<TicketsRow>> {
    let Some(payment) = payment::payment(db, PaymentId::new(id))? else { return Ok(None) };
    let refunds = refund::of_payment(db, id)?;
    let refunded = refunds.iter().flat_map(|refund| refund.seats.iter().copied()).collect();
    let voided = db
        .prepare_cached(&format!("SELECT {VOIDED} FROM void_tickets WHERE payment_id = ?1"))?
        .query_map([id.as_bytes()], read_voided)?
        .collect::<Sql<_>>()?;
    let scans = db
        .prepare_cached(&format!("SELECT {CHECK_IN} FROM check_ins WHERE payment_id = ?1"))?
        .query_map([id.as_bytes()], read)?
        .collect::<Sql<_>>()?;
    Ok(Some(TicketsRow { payment, refunded, voided, scans }))
}
