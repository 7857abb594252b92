//! Payments, each with the rows that must agree with it.

use onsale_app::audit::source::PaymentRow;
use onsale_domain::concert::Reservation;
use onsale_domain::payment::Payment;
use onsale_domain::time::Timestamp;
use tokio_postgres::Row;

use super::super::concert_rows::kept_of;
use super::super::error::DbError;
use super::super::extension::further;
use super::super::values::{Sql, number, optional_instant, uuid};
use super::super::{payment, wallet};
use super::concert::owner;
use super::cursor::Cursor;
use super::event::read_by_id;
use super::snapshot::Connection;
use super::{Out, refund};

const PAYMENTS: &str = concat!(
    "SELECT p.payment_id, p.reservation_id, p.performance_id, p.user_id, p.seats, p.amount,
        p.balance_after, p.paid_at, p.prices, r.reservation_id, r.concert_id, r.performance_id, r.user_id, r.place, r.seats,
        r.amount, r.held_at, r.held_until, r.status, r.end_event_id, r.extended, ",
    further!("r"),
    kept_of!("r"),
    ", c.cancelled_at, c.version FROM payments p LEFT JOIN reservations r USING (reservation_id)
        LEFT JOIN cancellations c ON c.performance_id = p.performance_id ORDER BY p.payment_id"
);

const ENTRIES: &str =
    "SELECT user_id, version, entry_id, type, amount, balance_after, reference, created_at FROM ledger
    WHERE reference IS NOT NULL ORDER BY reference, user_id, version";

/// An event of another kind does not belong to a payment, even with its id.
const EVENTS: &str = "SELECT event_id, type, subject, version, data FROM events
    WHERE topic = 'onsale.concerts' AND type = 'onsale.payment.completed.v1' ORDER BY event_id, subject, version";

pub(super) async fn payments(mut connection: Connection, out: Out<PaymentRow>) -> Sql<()> {
    let transaction = connection.begin().await?;
    let mut payments = Cursor::open(&transaction, PAYMENTS, read).await?;
    let mut used = Cursor::open(&transaction, ENTRIES, |row| Ok((uuid(row, 6)?, wallet::entry(row)?))).await?;
    let mut events = Cursor::open(&transaction, EVENTS, read_by_id).await?;
    let mut refunded = Cursor::open(&transaction, refund::OF_PAYMENTS, refund::read_of_payment).await?;
    while let Some((payment, reservation, cancelled)) = payments.next().await? {
        let id = payment.id.uuid();
        let mut entries = Vec::new();
        while let Some(entry) = used.of(&id).await? {
            entries.push(entry);
        }
        let mut refunds = Vec::new();
        while let Some(refund) = refunded.of(&id).await? {
            refunds.push(refund);
        }
        let event = events.of(&id).await?;
        out.row(PaymentRow { payment, reservation, entries, refunds, cancelled, event }).await;
    }
    Ok(())
}

/// A payment with its reservation, and the instant and the version of the cancellation of its performance.
type Paid = (Payment, Option<Reservation>, Option<(Timestamp, u64)>);

fn read(row: &Row) -> Sql<Paid> {
    let cancelled = optional_instant(row, 25)?.map(|at| Ok::<_, DbError>((at, number(row, 26)?))).transpose()?;
    Ok((payment::read(row)?, owner(row, 9)?, cancelled))
}
