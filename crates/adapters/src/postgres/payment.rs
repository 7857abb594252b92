//! Payments: loads and saves their rows, and lists them.

use onsale_app::store::{Page, Unit};
use onsale_domain::ids::{PaymentId, PerformanceId, ReservationId, UserId};
use onsale_domain::payment::Payment;
use onsale_domain::rows::{Keys, Rows};
use tokio_postgres::Row;
use uuid::Uuid;

use super::session::{Pipeline, Session};
use super::values::{Sql, columns, get, instant, limit, numbers_to_text, params, prices, seats, user, uuid};

const PAY: &str = "INSERT INTO payments
        (payment_id, reservation_id, performance_id, user_id, seats, amount, balance_after, paid_at, prices)
    SELECT payment_id, reservation_id, performance_id, user_id, seats::integer[], amount, balance_after, paid_at,
        prices::bigint[]
    FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[],
            $9::text[])
        v (payment_id, reservation_id, performance_id, user_id, seats, amount, balance_after, paid_at, prices)";

const NAMED: &str =
    "SELECT payment_id, reservation_id, performance_id, user_id, seats, amount, balance_after, paid_at, prices
    FROM payments WHERE payment_id = ANY ($1)";

pub(super) const WRITES: &[&str] = &[PAY, NAMED];

/// Loads payments, which never change. Sends nothing if no command names one.
pub(super) fn load<'a>(pipeline: &mut Pipeline<'a, Unit>, keys: &'a Keys) {
    if keys.payments.is_empty() {
        return;
    }
    let ids: Vec<Uuid> = keys.payments.iter().map(|id| id.uuid()).collect();
    pipeline.query(NAMED, params![ids], |found, unit| {
        for id in &keys.payments {
            unit.rows.known_payments.load(*id, None);
        }
        for row in found {
            let payment = read(row)?;
            unit.rows.known_payments.load(payment.id, Some(payment));
        }
        Ok(())
    });
}

pub(super) fn save<'a>(pipeline: &mut Pipeline<'a, ()>, rows: &'a Rows) {
    pipeline.write(
        PAY,
        columns!(
            rows.payments.iter(),
            |payment| payment.id.uuid(),
            payment.reservation.uuid(),
            payment.performance.uuid(),
            payment.user.as_str(),
            numbers_to_text(&payment.seats),
            payment.amount,
            payment.balance_after,
            payment.paid_at.as_millis(),
            numbers_to_text(&payment.prices),
        ),
    );
}

const ONE: &str =
    "SELECT payment_id, reservation_id, performance_id, user_id, seats, amount, balance_after, paid_at, prices
    FROM payments WHERE payment_id = $1";

const OF_USER: &str =
    "SELECT payment_id, reservation_id, performance_id, user_id, seats, amount, balance_after, paid_at, prices
    FROM payments WHERE user_id = $1 AND payment_id < $2 ORDER BY payment_id DESC LIMIT $3";

#[cfg(test)]
pub(super) const READS: &[&str] = &[ONE, OF_USER];

pub(super) fn read(row: &Row) -> Sql<Payment> {
    Ok(Payment {
        id: PaymentId::new(uuid(row, 0)?),
        reservation: ReservationId::new(uuid(row, 1)?),
        performance: PerformanceId::new(uuid(row, 2)?),
        user: user(row, 3)?,
        seats: seats(row, 4)?,
        amount: get(row, 5)?,
        balance_after: get(row, 6)?,
        paid_at: instant(row, 7)?,
        prices: prices(row, 8)?,
    })
}

pub(super) async fn one(session: &Session, id: PaymentId) -> Sql<Option<Payment>> {
    session.query(ONE, params![id.uuid()]).await?.first().map(read).transpose()
}

/// A page of a user's payments, newest first.
pub(super) async fn of_user(session: &Session, user: &UserId, page: Page<PaymentId>) -> Sql<Vec<Payment>> {
    let before = page.after.map_or(Uuid::max(), PaymentId::uuid);
    let wanted = params![user.as_str(), before, limit(page.limit)];
    session.query(OF_USER, wanted).await?.iter().map(read).collect()
}
