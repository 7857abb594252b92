//! Tickets and check-ins, as they are shown; and what the schema step of tickets fills in.

use std::collections::HashMap;

use onsale_app::store::{Conflict, Manifest, Page, SigningKey, TicketsOf};
use onsale_domain::ids::{CheckInId, PaymentId, PerformanceId, TicketId};
use onsale_domain::ticket::{CheckIn, Standing, id_of};
use onsale_domain::time::Timestamp;
use tokio_postgres::Client;
use uuid::Uuid;

use super::error::DbError;
use super::session::Session;
use super::ticket::{columns_of_scan, read, read_voided};
use super::values::{Sql, big, get, instant, int, limit, number, params, small, uuid, word};

const KEYS: &str = "SELECT since, public_key, signs FROM ticket_keys ORDER BY since, public_key, signs";

const CANCELLED: &str = "SELECT p.payment_id FROM payments p CROSS JOIN LATERAL (SELECT cancelled_at FROM performances
        WHERE performances.performance_id = p.performance_id OFFSET 0) own
    WHERE p.payment_id = ANY ($1) AND own.cancelled_at IS NOT NULL";

const VOIDED: &str =
    "SELECT ticket_id, event_id, payment_id, performance_id, seat, why, version, voided_at FROM void_tickets
    WHERE payment_id = ANY ($1)";

const CHECKED_IN: &str =
    "SELECT payment_id, seat, at FROM check_ins WHERE payment_id = ANY ($1) AND standing = 'COUNTS'";

const ONE: &str = concat!("SELECT ", columns_of_scan!(), " FROM check_ins WHERE check_in_id = $1");

const LIST: &str = concat!(
    "SELECT ",
    columns_of_scan!(),
    " FROM check_ins WHERE performance_id = $1 AND check_in_id < $2 ORDER BY check_in_id DESC LIMIT $3"
);

// The second part finds tickets that became void after their check-in, if a later ticket of the seat was checked in too.
const IN_CONFLICT: &str =
    "SELECT ticket_id, seat FROM check_ins WHERE performance_id = $1 AND ticket_id > $2 AND seat IS NOT NULL
        AND (standing = 'SUPERSEDED' OR answer = 'VOID' OR answer = 'ALREADY_CHECKED_IN')
    UNION
    SELECT v.ticket_id, v.seat FROM void_tickets v
        CROSS JOIN LATERAL (SELECT version FROM check_ins WHERE payment_id = v.payment_id AND seat = v.seat
            AND standing = 'COUNTS' AND ticket_id = v.ticket_id OFFSET 0) old
        CROSS JOIN LATERAL (SELECT standing, version FROM check_ins
            WHERE performance_id = v.performance_id AND seat = v.seat OFFSET 0) later
    WHERE v.performance_id = $1 AND v.ticket_id > $2 AND later.standing = 'COUNTS' AND later.version > old.version
    ORDER BY ticket_id LIMIT $3";

const OF_SEATS: &str =
    concat!("SELECT ", columns_of_scan!(), " FROM check_ins WHERE performance_id = $1 AND seat = ANY ($2)");

const VERSION: &str = "SELECT version, starts_at, cancelled_at IS NOT NULL FROM performances WHERE performance_id = $1";

const VOID_SINCE: &str = "SELECT ticket_id FROM void_tickets WHERE performance_id = $1 AND version > $2
    ORDER BY version, ticket_id";

const SCANNED_SINCE: &str = "SELECT ticket_id, standing FROM check_ins
    WHERE performance_id = $1 AND version > $2 AND version > 0 ORDER BY version";

#[cfg(test)]
pub(super) const READS: &[&str] =
    &[KEYS, CANCELLED, VOIDED, CHECKED_IN, ONE, LIST, IN_CONFLICT, OF_SEATS, VERSION, VOID_SINCE, SCANNED_SINCE];

pub(super) async fn keys(session: &Session) -> Sql<Vec<SigningKey>> {
    let found = session.query(KEYS, Vec::new()).await?;
    let read = |row| {
        let public: &[u8] = get(row, 1)?;
        let public = public.try_into().map_err(|_| DbError::Broken("a key of another length"))?;
        Ok(SigningKey { since: instant(row, 0)?, public, signs: get(row, 2)? })
    };
    found.iter().map(read).collect()
}

/// Notes which key signs, and which only verify, unless it is noted. Two instances that start at once may both note the same,
/// which is no harm.
pub(super) async fn note_keys(client: &Client, keys: &[[u8; 32]], at: Timestamp) -> Sql<()> {
    let signs = "INSERT INTO ticket_keys (since, public_key, signs) SELECT $1, $2, true WHERE $2 IS DISTINCT FROM
        (SELECT public_key FROM ticket_keys WHERE signs ORDER BY since DESC, public_key DESC LIMIT 1) ON CONFLICT DO NOTHING";
    let verifies = "INSERT INTO ticket_keys (since, public_key, signs) SELECT $1, $2, false WHERE NOT EXISTS
        (SELECT FROM ticket_keys WHERE public_key = $2) ON CONFLICT DO NOTHING";
    for (number, key) in keys.iter().enumerate() {
        let sql = if number == 0 { signs } else { verifies };
        client.execute(sql, &[&at.as_millis(), &key.as_slice()]).await?;
    }
    Ok(())
}

pub(super) async fn of_payments(session: &Session, payments: &[PaymentId]) -> Sql<Vec<TicketsOf>> {
    let ids = || payments.iter().map(|id| id.uuid()).collect::<Vec<Uuid>>();
    let mut known: HashMap<PaymentId, TicketsOf> = HashMap::new();
    for row in session.query(CANCELLED, params![ids()]).await? {
        known.entry(PaymentId::new(uuid(&row, 0)?)).or_default().is_cancelled = true;
    }
    for row in session.query(VOIDED, params![ids()]).await? {
        let voided = read_voided(&row)?;
        known.entry(voided.payment).or_default().voided.push(voided);
    }
    for row in session.query(CHECKED_IN, params![ids()]).await? {
        let payment = PaymentId::new(uuid(&row, 0)?);
        known.entry(payment).or_default().checked_in.push((small(&row, 1)?, instant(&row, 2)?));
    }
    Ok(payments.iter().map(|payment| known.get(payment).cloned().unwrap_or_default()).collect())
}

pub(super) async fn one(session: &Session, id: CheckInId) -> Sql<Option<CheckIn>> {
    session.query(ONE, params![id.uuid()]).await?.first().map(read).transpose()
}

pub(super) async fn list(session: &Session, performance: PerformanceId, page: Page<CheckInId>) -> Sql<Vec<CheckIn>> {
    let before = page.after.map_or(Uuid::max(), CheckInId::uuid);
    session.query(LIST, params![performance.uuid(), before, limit(page.limit)]).await?.iter().map(read).collect()
}

pub(super) async fn conflicts(
    session: &Session,
    performance: PerformanceId,
    page: Page<TicketId>,
) -> Sql<Vec<Conflict>> {
    let after = page.after.map_or(Uuid::nil(), TicketId::uuid);
    let found = session.query(IN_CONFLICT, params![performance.uuid(), after, limit(page.limit)]).await?;
    let tickets: Vec<(TicketId, u32)> =
        found.iter().map(|row| Ok((TicketId::new(uuid(row, 0)?), small(row, 1)?))).collect::<Sql<_>>()?;
    let seats: Vec<i32> = tickets.iter().map(|(_, seat)| int(*seat)).collect();
    let scans = session.query(OF_SEATS, params![performance.uuid(), seats]).await?;
    let scans: Vec<CheckIn> = scans.iter().map(read).collect::<Sql<_>>()?;
    Ok(Conflict::of(&tickets, &scans))
}

/// The version is read first: what is saved after that read may be in the manifest, and is sent again with the next one.
pub(super) async fn manifest(
    session: &Session,
    performance: PerformanceId,
    after: Option<u64>,
) -> Sql<Option<Manifest>> {
    let found = session.query(VERSION, params![performance.uuid()]).await?;
    let Some(row) = found.first() else { return Ok(None) };
    let (version, starts_at, is_cancelled) = (number(row, 0)?, instant(row, 1)?, get(row, 2)?);
    let mut manifest = Manifest { version, starts_at, is_cancelled, ..Manifest::default() };
    // Tickets of refunds before the schema step have version 0.
    let after = after.map_or(-1, big);
    let void = session.query(VOID_SINCE, params![performance.uuid(), after]).await?;
    manifest.void = void.iter().map(|row| uuid(row, 0).map(TicketId::new)).collect::<Sql<_>>()?;
    for row in session.query(SCANNED_SINCE, params![performance.uuid(), after]).await? {
        let standing: Standing = word(&row, 1)?;
        // The scan that replaced a superseded one has a later version.
        if standing != Standing::Superseded {
            manifest.add(TicketId::new(uuid(&row, 0)?), standing == Standing::Counts);
        }
    }
    Ok(Some(manifest))
}

/// Makes the tickets of all refunds void that were there before the schema step of tickets. They have no event, and version 0.
pub(super) async fn fill(client: &Client) -> Sql<()> {
    let refunded = "SELECT r.payment_id, s.seat, r.refund_id, r.performance_id, r.made_by, r.refunded_at
        FROM refunded_seats s JOIN refunds r ON r.refund_id = s.refund_id";
    let void = "INSERT INTO void_tickets (ticket_id, event_id, payment_id, performance_id, seat, why, version, voided_at)
        SELECT ticket_id, refund_id, payment_id, performance_id, seat,
            CASE made_by WHEN 'cancellation' THEN 'cancelled' ELSE 'refunded' END, 0, refunded_at
        FROM unnest($1::uuid[], $2::integer[], $3::uuid[]) v (ticket_id, seat, refund_id) JOIN refunds USING (refund_id)";
    let (mut tickets, mut seats, mut refunds) = (Vec::new(), Vec::new(), Vec::new());
    for row in client.query(refunded, &[]).await? {
        let seat = small(&row, 1)?;
        tickets.push(id_of(PaymentId::new(uuid(&row, 0)?), seat, 0).uuid());
        seats.push(int(seat));
        refunds.push(uuid(&row, 2)?);
    }
    if !tickets.is_empty() {
        client.execute(void, &[&tickets, &seats, &refunds]).await?;
    }
    Ok(())
}
