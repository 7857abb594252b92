//! Refunds: saves their rows, and lists them.

use std::collections::HashMap;

use onsale_app::store::{GivenBack, Page, RefundsOf};
use onsale_domain::ids::{PaymentId, PerformanceId, RefundId, ReservationId, UserId};
use onsale_domain::refund::Refund;
use onsale_domain::rows::Rows;
use tokio_postgres::Row;
use uuid::Uuid;

use super::session::{Pipeline, Session};
use super::values::{
    Sql, big, columns, get, instant, int, limit, number, numbers_to_text, optional_text, params, seats, user, uuid,
    word,
};
use crate::stored::Word;

/// The columns of a refund, with this text in the place of the seats.
macro_rules! columns_of_refund {
    ($seats:literal) => {
        concat!(
            "refund_id, payment_id, reservation_id, performance_id, user_id, ",
            $seats,
            ", amount, fee, made_by, reason, balance_after, entry_version, refunded_at"
        )
    };
}
pub(super) use columns_of_refund;

const REFUND: &str = concat!(
    "INSERT INTO refunds (",
    columns_of_refund!("seats"),
    ") SELECT ",
    columns_of_refund!("seats::integer[]"),
    " FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::bigint[], $8::bigint[],
            $9::text[], $10::text[], $11::bigint[], $12::bigint[], $13::bigint[]) v (",
    columns_of_refund!("seats"),
    ")"
);

const REFUND_SEATS: &str = "INSERT INTO refunded_seats (reservation_id, seat, refund_id)
    SELECT * FROM unnest($1::uuid[], $2::integer[], $3::uuid[])";

pub(super) const WRITES: &[&str] = &[REFUND, REFUND_SEATS];

/// Saves refunds with a row for each seat. Sent before the statements about seats and reservations: their triggers look for these
/// rows.
pub(super) fn save<'a>(pipeline: &mut Pipeline<'a, ()>, rows: &'a Rows) {
    pipeline.write(
        REFUND,
        columns!(
            rows.refunds.iter(),
            |refund| refund.id.uuid(),
            refund.payment.uuid(),
            refund.reservation.uuid(),
            refund.performance.uuid(),
            refund.user.as_str(),
            numbers_to_text(&refund.seats),
            refund.amount,
            refund.fee,
            refund.by.word(),
            refund.reason.as_deref(),
            refund.balance_after,
            big(refund.entry_version),
            refund.refunded_at.as_millis(),
        ),
    );
    let seats = rows.refunds.iter().flat_map(|refund| refund.seats.iter().map(move |seat| (refund, *seat)));
    pipeline
        .write(REFUND_SEATS, columns!(seats, |(refund, seat)| refund.reservation.uuid(), int(*seat), refund.id.uuid()));
}

/// Selects refunds by the rest of the statement.
macro_rules! refunds_by {
    ($rest:literal) => {
        concat!("SELECT ", columns_of_refund!("seats"), " FROM refunds ", $rest)
    };
}

const OF_PAYMENT: &str = refunds_by!("WHERE payment_id = $1 AND refund_id < $2 ORDER BY refund_id DESC LIMIT $3");

const OF_PERFORMANCE: &str =
    refunds_by!("WHERE performance_id = $1 AND refund_id < $2 ORDER BY refund_id DESC LIMIT $3");

const OF_USER: &str = refunds_by!("WHERE user_id = $1 ORDER BY entry_version DESC LIMIT $2");

const OF_PAYMENTS: &str = refunds_by!("WHERE payment_id = ANY ($1) ORDER BY payment_id, refund_id");

#[cfg(test)]
pub(super) const READS: &[&str] = &[OF_PAYMENT, OF_PERFORMANCE, OF_USER, OF_PAYMENTS];

/// Newest first.
pub(super) async fn of_user(session: &Session, user: &UserId, many: usize) -> Sql<Vec<Refund>> {
    session.query(OF_USER, params![user.as_str(), limit(many)]).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Sql<Refund> {
    read_from(row, 0)
}

/// A refund from thirteen columns, the first of which is `from`.
pub(super) fn read_from(row: &Row, from: usize) -> Sql<Refund> {
    Ok(Refund {
        id: RefundId::new(uuid(row, from)?),
        payment: PaymentId::new(uuid(row, from + 1)?),
        reservation: ReservationId::new(uuid(row, from + 2)?),
        performance: PerformanceId::new(uuid(row, from + 3)?),
        user: user(row, from + 4)?,
        seats: seats(row, from + 5)?,
        amount: get(row, from + 6)?,
        fee: get(row, from + 7)?,
        by: word(row, from + 8)?,
        reason: optional_text(row, from + 9)?,
        balance_after: get(row, from + 10)?,
        entry_version: number(row, from + 11)?,
        refunded_at: instant(row, from + 12)?,
    })
}

/// A page of the refunds of a payment or a performance, newest first.
pub(super) async fn list(session: &Session, of: RefundsOf, page: Page<RefundId>) -> Sql<Vec<Refund>> {
    let (sql, id) = match of {
        RefundsOf::Payment(id) => (OF_PAYMENT, id.uuid()),
        RefundsOf::Performance(id) => (OF_PERFORMANCE, id.uuid()),
    };
    let before = page.after.map_or(Uuid::max(), RefundId::uuid);
    session.query(sql, params![id, before, limit(page.limit)]).await?.iter().map(read).collect()
}

/// What was given back of payments. Payments without a refund are left out.
pub(super) async fn given_back(session: &Session, payments: &[PaymentId]) -> Sql<HashMap<PaymentId, GivenBack>> {
    let ids: Vec<Uuid> = payments.iter().map(|id| id.uuid()).collect();
    let mut given: HashMap<PaymentId, GivenBack> = HashMap::new();
    for row in session.query(OF_PAYMENTS, params![ids]).await? {
        let refund = read(&row)?;
        given.entry(refund.payment).or_default().add(&refund);
    }
    Ok(given)
}
