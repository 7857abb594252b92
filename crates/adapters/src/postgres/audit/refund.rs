//! Refunds, each with the rows that must agree with it.

use onsale_app::audit::source::RefundRow;
use onsale_domain::refund::Refund;
use tokio_postgres::Row;
use uuid::Uuid;

use super::super::refund::columns_of_refund;
use super::super::values::{Sql, get, number, seats, uuid};
use super::super::{refund, wallet};
use super::Out;
use super::cursor::Cursor;
use super::event::read_by_id;
use super::snapshot::Connection;

/// With the ledger entry of the wallet and version. The log is searched by an index, and only for refunds by staff.
const REFUNDS: &str = "SELECT l.user_id, l.version, l.entry_id, l.type, l.amount, l.balance_after, l.reference, l.created_at,
        f.refund_id, f.payment_id, f.reservation_id, f.performance_id, f.user_id, f.seats, f.amount, f.fee, f.made_by, f.reason,
        f.balance_after, f.entry_version, f.refunded_at,
        CASE f.made_by WHEN 'staff' THEN (SELECT count(*) FROM admin_log a WHERE a.subject = 'payment:' || f.payment_id
            AND a.action = 'payment.refunded' AND a.after::json ->> 'refundId' = f.refund_id::text) ELSE 0 END,
        marked.seats
    FROM refunds f LEFT JOIN ledger l ON l.user_id = f.user_id AND l.version = f.entry_version
    LEFT JOIN (SELECT reservation_id, refund_id, array_agg(seat) seats FROM refunded_seats GROUP BY 1, 2) marked
        ON marked.reservation_id = f.reservation_id AND marked.refund_id = f.refund_id
    ORDER BY f.refund_id";

/// An event of another kind does not belong to a refund, even with its id.
const EVENTS: &str = "SELECT event_id, type, subject, version, data FROM events
    WHERE topic = 'onsale.concerts' AND type = 'onsale.payment.refunded.v1' ORDER BY event_id, subject, version";

/// All refunds in the order of their payments.
pub(super) const OF_PAYMENTS: &str =
    concat!("SELECT ", columns_of_refund!("seats"), " FROM refunds ORDER BY payment_id, refund_id");

pub(super) async fn refunds(mut connection: Connection, out: Out<RefundRow>) -> Sql<()> {
    let transaction = connection.begin().await?;
    let mut refunds = Cursor::open(&transaction, REFUNDS, read).await?;
    let mut events = Cursor::open(&transaction, EVENTS, read_by_id).await?;
    while let Some(row) = refunds.next().await? {
        let event = events.of(&row.refund.id.uuid()).await?;
        out.row(RefundRow { event, ..row }).await;
    }
    Ok(())
}

/// A refund without its event.
fn read(row: &Row) -> Sql<RefundRow> {
    let entry = get::<Option<&str>>(row, 0)?.map(|_| wallet::entry(row)).transpose()?;
    let marked = match get::<Option<Vec<i32>>>(row, 22)? {
        Some(_) => seats(row, 22)?.to_vec(),
        None => Vec::new(),
    };
    Ok(RefundRow { refund: refund::read_from(row, 8)?, entry, event: None, logged: number(row, 21)?, marked })
}

/// A refund, keyed by its payment.
pub(super) fn read_of_payment(row: &Row) -> Sql<(Uuid, Refund)> {
    Ok((uuid(row, 1)?, refund::read_from(row, 0)?))
}
