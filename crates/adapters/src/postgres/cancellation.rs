//! Cancellations of performances: loads and saves their rows, and finds what is left to settle.

use onsale_app::store::{Page, Unit, UnsettledSeat};
use onsale_domain::cancellation::{Cancellation, Cancelled, FailedRefund, Progress};
use onsale_domain::ids::{ConcertId, EventId, PaymentId, PerformanceId, ReservationId};
use onsale_domain::payment::Payment;
use onsale_domain::rows::{Keys, Rows};
use tokio_postgres::Row;
use uuid::Uuid;

use super::payment;
use super::session::{Pipeline, Session};
use super::values::{Sql, big, columns, get, instant, int, limit, number, params, small, some_seats, text, user, uuid};

const LOAD: &str =
    "SELECT performance_id, concert_id, version, event_id, cancelled_at, reason, payments, refunded_before,
        settled_to, is_through, failed, is_done, retry_at, holder, leased_until
    FROM cancellations WHERE performance_id = ANY ($1)";

const CANCEL: &str = "INSERT INTO cancellations
        (performance_id, concert_id, version, event_id, cancelled_at, reason, payments, refunded_before, settled_to,
         is_through, failed, is_done, retry_at, holder, leased_until)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::uuid[], $5::bigint[], $6::text[], $7::integer[],
        $8::bigint[], $9::integer[], $10::boolean[], $11::integer[], $12::boolean[], $13::bigint[], $14::bigint[],
        $15::bigint[])";

const PROGRESS: &str =
    "UPDATE cancellations SET settled_to = v.settled_to, is_through = v.is_through, failed = v.failed,
        is_done = v.is_done, retry_at = v.retry_at, holder = v.holder, leased_until = v.leased_until
    FROM unnest($1::uuid[], $2::integer[], $3::boolean[], $4::integer[], $5::boolean[], $6::bigint[], $7::bigint[],
            $8::bigint[])
        v (performance_id, settled_to, is_through, failed, is_done, retry_at, holder, leased_until)
    WHERE cancellations.performance_id = v.performance_id";

/// A payment is listed already if a request has refunded those of its seats that an earlier step has passed.
const FAILED: &str = "INSERT INTO failed_refunds (performance_id, payment_id, reservation_id, failed_at)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[]) ON CONFLICT DO NOTHING";

pub(super) const WRITES: &[&str] = &[LOAD, CANCEL, PROGRESS, FAILED];

const SHOWN: &str = "SELECT c.performance_id, c.concert_id, c.version, event_id, c.cancelled_at, reason, payments,
        refunded_before, settled_to, is_through, failed, is_done, retry_at, holder, leased_until, open_payments, refunded
    FROM cancellations c JOIN performances p ON p.performance_id = c.performance_id WHERE c.performance_id = $1";

const UNDER_WAY: &str = "SELECT performance_id, concert_id, version, event_id, cancelled_at, reason, payments,
        refunded_before, settled_to, is_through, failed, is_done, retry_at, holder, leased_until
    FROM cancellations WHERE NOT is_done ORDER BY performance_id";

/// `OFFSET 0` forces lookups by key: without statistics the planner would read all payments.
const UNSETTLED: &str = "SELECT own.seat, own.reservation_id, p.payment_id, p.user_id
    FROM (SELECT seat, reservation_id FROM seats
        WHERE performance_id = $1 AND seat > $2 AND reservation_id IS NOT NULL ORDER BY seat LIMIT $3) own
    LEFT JOIN LATERAL (SELECT payment_id, user_id FROM payments
        WHERE payments.reservation_id = own.reservation_id OFFSET 0) p ON true
    ORDER BY own.seat";

const FAILED_OF: &str = "SELECT p.payment_id, p.reservation_id, p.performance_id, p.user_id, p.seats, p.amount,
        p.balance_after, p.paid_at, p.prices, f.failed_at, r.refunded
    FROM (SELECT * FROM failed_refunds WHERE performance_id = $1 AND payment_id < $2) f
    CROSS JOIN LATERAL (SELECT refunded, status FROM reservations
        WHERE reservations.reservation_id = f.reservation_id OFFSET 0) r
    CROSS JOIN LATERAL (SELECT * FROM payments WHERE payments.payment_id = f.payment_id OFFSET 0) p
    WHERE r.status = 'PAID' ORDER BY f.payment_id DESC LIMIT $3";

#[cfg(test)]
pub(super) const READS: &[&str] = &[SHOWN, UNDER_WAY, UNSETTLED, FAILED_OF];

/// A cancellation from fifteen columns, the first of which is `from`.
pub(super) fn read_from(row: &Row, from: usize) -> Sql<Cancellation> {
    Ok(Cancellation {
        performance: PerformanceId::new(uuid(row, from)?),
        concert: ConcertId::new(uuid(row, from + 1)?),
        version: number(row, from + 2)?,
        event: EventId::new(uuid(row, from + 3)?),
        cancelled_at: instant(row, from + 4)?,
        reason: text(row, from + 5)?,
        payments: small(row, from + 6)?,
        refunded_before: get(row, from + 7)?,
        progress: Progress {
            settled_to: small(row, from + 8)?,
            is_through: get(row, from + 9)?,
            failed: small(row, from + 10)?,
            is_done: get(row, from + 11)?,
            retry_at: instant(row, from + 12)?,
            holder: get(row, from + 13)?,
            leased_until: instant(row, from + 14)?,
        },
    })
}

/// Loads cancellations. Their performances are locked by now.
pub(super) fn load<'a>(pipeline: &mut Pipeline<'a, Unit>, keys: &'a Keys) {
    if keys.cancellations.is_empty() {
        return;
    }
    let ids: Vec<Uuid> = keys.cancellations.iter().map(|id| id.uuid()).collect();
    pipeline.query(LOAD, params![ids], |found, unit| {
        for id in &keys.cancellations {
            unit.rows.cancellations.load(*id, None);
        }
        for row in found {
            let cancellation = read_from(row, 0)?;
            unit.rows.cancellations.load(cancellation.performance, Some(cancellation));
        }
        Ok(())
    });
}

pub(super) fn save<'a>(pipeline: &mut Pipeline<'a, ()>, rows: &'a Rows) {
    pipeline.write(
        CANCEL,
        columns!(
            rows.cancellations.added(),
            |(id, own)| id.uuid(),
            own.concert.uuid(),
            big(own.version),
            own.event.uuid(),
            own.cancelled_at.as_millis(),
            &*own.reason,
            int(own.payments),
            own.refunded_before,
            int(own.progress.settled_to),
            own.progress.is_through,
            int(own.progress.failed),
            own.progress.is_done,
            own.progress.retry_at.as_millis(),
            own.progress.holder,
            own.progress.leased_until.as_millis(),
        ),
    );
    let changed = rows.cancellations.outdated().filter_map(|id| Some((id, rows.cancellations.get(id)?)));
    pipeline.write(
        PROGRESS,
        columns!(
            changed,
            |(id, own)| id.uuid(),
            int(own.progress.settled_to),
            own.progress.is_through,
            int(own.progress.failed),
            own.progress.is_done,
            own.progress.retry_at.as_millis(),
            own.progress.holder,
            own.progress.leased_until.as_millis(),
        ),
    );
    pipeline.write(
        FAILED,
        columns!(
            rows.failed_refunds.iter(),
            |failed| failed.performance.uuid(),
            failed.payment.uuid(),
            failed.reservation.uuid(),
            failed.failed_at.as_millis(),
        ),
    );
}

/// A cancellation with the counters of its performance.
pub(super) async fn shown(session: &Session, performance: PerformanceId) -> Sql<Option<Cancelled>> {
    let found = session.query(SHOWN, params![performance.uuid()]).await?;
    let read = |row: &Row| Ok(Cancelled::known(read_from(row, 0)?, small(row, 15)?, get(row, 16)?));
    found.first().map(read).transpose()
}

/// Cancellations of which steps are left.
pub(super) async fn under_way(session: &Session) -> Sql<Vec<Cancellation>> {
    session.query(UNDER_WAY, Vec::new()).await?.iter().map(|row| read_from(row, 0)).collect()
}

/// Held and sold seats after a number, each with its payment.
pub(super) async fn unsettled_seats(
    session: &Session,
    performance: PerformanceId,
    after_seat: u32,
    most: usize,
) -> Sql<Vec<UnsettledSeat>> {
    let found = session.query(UNSETTLED, params![performance.uuid(), int(after_seat), limit(most)]).await?;
    let read = |row: &Row| {
        let payment = get::<Option<Uuid>>(row, 2)?.map(PaymentId::new);
        Ok(UnsettledSeat {
            number: small(row, 0)?,
            reservation: ReservationId::new(uuid(row, 1)?),
            paid: payment.map(|payment| Ok::<_, super::error::DbError>((payment, user(row, 3)?))).transpose()?,
        })
    };
    found.iter().map(read).collect()
}

/// A page of the failed refunds whose payment is still open, newest payment first.
pub(super) async fn failed_refunds(
    session: &Session,
    performance: PerformanceId,
    page: Page<PaymentId>,
) -> Sql<Vec<(FailedRefund, Payment, Vec<u32>)>> {
    let before = page.after.map_or(Uuid::max(), PaymentId::uuid);
    let found = session.query(FAILED_OF, params![performance.uuid(), before, limit(page.limit)]).await?;
    let read = |row: &Row| {
        let paid = payment::read(row)?;
        let (payment, reservation, failed_at) = (paid.id, paid.reservation, instant(row, 9)?);
        Ok((FailedRefund { payment, performance, reservation, failed_at }, paid, some_seats(row, 10)?))
    };
    found.iter().map(read).collect()
}
