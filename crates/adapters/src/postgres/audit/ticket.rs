//! Payments with their refunded seats, void tickets and scans.

use onsale_app::audit::source::TicketsRow;
use onsale_domain::payment::Payment;
use onsale_domain::refund::Refund;
use onsale_domain::ticket::{CheckIn, Voided};
use tokio_postgres::Row;
use uuid::Uuid;

use super::super::payment;
use super::super::ticket::{columns_of_scan, read, read_voided};
use super::super::values::{Sql, uuid};
use super::Out;
use super::cursor::Cursor;
use super::refund::{OF_PAYMENTS, read_of_payment};
use super::snapshot::Connection;

/// Payments that have a refund, a void ticket or a scan.
const PAYMENTS: &str =
    "SELECT p.payment_id, p.reservation_id, p.performance_id, p.user_id, p.seats, p.amount, p.balance_after,
        p.paid_at, p.prices
    FROM payments p JOIN (SELECT payment_id FROM refunds UNION SELECT payment_id FROM void_tickets
        UNION SELECT payment_id FROM check_ins WHERE payment_id IS NOT NULL) own ON own.payment_id = p.payment_id
    ORDER BY p.payment_id";

const VOIDED: &str =
    "SELECT ticket_id, event_id, payment_id, performance_id, seat, why, version, voided_at FROM void_tickets
    ORDER BY payment_id, ticket_id";

const SCANS: &str = concat!(
    "SELECT ",
    columns_of_scan!(),
    " FROM check_ins WHERE payment_id IS NOT NULL ORDER BY payment_id, check_in_id"
);

pub(super) async fn tickets(mut connection: Connection, out: Out<TicketsRow>) -> Sql<()> {
    let transaction = connection.begin().await?;
    let mut payments = Cursor::open(&transaction, PAYMENTS, payment::read).await?;
    let mut refunds: Cursor<'_, (Uuid, Refund)> = Cursor::open(&transaction, OF_PAYMENTS, read_of_payment).await?;
    let mut voided: Cursor<'_, (Uuid, Voided)> = Cursor::open(&transaction, VOIDED, keyed_void).await?;
    let mut scans: Cursor<'_, (Uuid, CheckIn)> = Cursor::open(&transaction, SCANS, keyed_scan).await?;
    while let Some(payment) = payments.next().await? {
        let payment: Payment = payment;
        let id = payment.id.uuid();
        let mut row = TicketsRow { payment, refunded: Vec::new(), voided: Vec::new(), scans: Vec::new() };
        while let Some(refund) = refunds.of(&id).await? {
            row.refunded.extend_from_slice(&refund.seats);
        }
        while let Some(void) = voided.of(&id).await? {
            row.voided.push(void);
        }
        while let Some(scan) = scans.of(&id).await? {
            row.scans.push(scan);
        }
        out.row(row).await;
    }
    Ok(())
}

fn keyed_void(row: &Row) -> Sql<(Uuid, Voided)> {
    Ok((uuid(row, 2)?, read_voided(row)?))
}

fn keyed_scan(row: &Row) -> Sql<(Uuid, CheckIn)> {
    Ok((uuid(row, 4)?, read(row)?))
}
