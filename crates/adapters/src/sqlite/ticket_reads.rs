//! Tickets and check-ins, as they are shown; and what the schema step of tickets fills in.

use async_trait::async_trait;
use onsale_app::store::{Conflict, Manifest, Page, SigningKey, StoreError, Tickets, TicketsOf};
use onsale_domain::ids::{CheckInId, EventId, PaymentId, PerformanceId, TicketId};
use onsale_domain::refund::By;
use onsale_domain::ticket::{CheckIn, Standing, Voided, Why, id_of};
use onsale_domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::reader::ReaderPool;
use super::ticket::{CHECK_IN, VOIDED, insert_voided, one, read, read_voided};
use super::values::{Sql, big, instant, uuid, word};

#[async_trait]
impl Tickets for ReaderPool {
    async fn ticket_keys(&self) -> Result<Vec<SigningKey>, StoreError> {
        self.read(keys).await
    }

    async fn tickets_of(&self, payments: &[PaymentId]) -> Result<Vec<TicketsOf>, StoreError> {
        let payments = payments.to_vec();
        self.read(move |db| payments.iter().map(|payment| of_payment(db, *payment)).collect()).await
    }

    async fn check_in(&self, id: CheckInId) -> Result<Option<CheckIn>, StoreError> {
        self.read(move |db| one(db, id)).await
    }

    async fn check_ins(&self, performance: PerformanceId, page: Page<CheckInId>) -> Result<Vec<CheckIn>, StoreError> {
        self.read(move |db| list(db, performance, page)).await
    }

    async fn conflicts(&self, performance: PerformanceId, page: Page<TicketId>) -> Result<Vec<Conflict>, StoreError> {
        self.read(move |db| conflicts(db, performance, page)).await
    }

    async fn manifest(&self, performance: PerformanceId, after: Option<u64>) -> Result<Option<Manifest>, StoreError> {
        self.read(move |db| manifest(db, performance, after)).await
    }
}

fn keys(db: &Connection) -> Sql<Vec<SigningKey>> {
    db.prepare_cached("SELECT since, public_key, signs FROM ticket_keys ORDER BY since, public_key, signs")?
        .query_map([], |row| Ok(SigningKey { since: instant(row, 0)?, public: row.get(1)?, signs: row.get(2)? }))?
        .collect()
}

/// Notes which key signs, and which only verify, unless it is noted.
pub(super) fn note_keys(db: &Connection, keys: &[[u8; 32]], at: Timestamp) -> Sql<()> {
    for (number, key) in keys.iter().enumerate() {
        let is_noted = match number {
            0 => {
                "SELECT 1 FROM (SELECT public_key FROM ticket_keys WHERE signs = 1 ORDER BY since DESC, public_key DESC LIMIT 1)
                 WHERE public_key = ?1"
            }
            _ => "SELECT 1 FROM ticket_keys WHERE public_key = ?1",
        };
        if !db.prepare_cached(is_noted)?.exists([key])? {
            db.execute(
                "INSERT INTO ticket_keys (since, public_key, signs) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                params![at.as_millis(), key, number == 0],
            )?;
        }
    }
    Ok(())
}

fn of_payment(db: &Connection, payment: PaymentId) -> Sql<TicketsOf> {
    let id = payment.uuid().into_bytes();
    let is_cancelled = db
        .prepare_cached(
            "SELECT cancelled_at IS NOT NULL FROM payments JOIN performances USING (performance_id) WHERE payment_id = ?1",
        )?
        .query_row([&id], |row| row.get(0))
        .optional()?
        .unwrap_or(false);
    let voided = db
        .prepare_cached(&format!("SELECT {VOIDED} FROM void_tickets WHERE payment_id = ?1"))?
        .query_map([&id], read_voided)?
        .collect::<Sql<_>>()?;
    let checked_in = db
        .prepare_cached("SELECT seat, at FROM check_ins WHERE payment_id = ?1 AND standing = 'COUNTS'")?
        .query_map([&id], |row| Ok((row.get(0)?, instant(row, 1)?)))?
        .collect::<Sql<_>>()?;
    Ok(TicketsOf { is_cancelled, voided, checked_in })
}

fn list(db: &Connection, performance: PerformanceId, page: Page<CheckInId>) -> Sql<Vec<CheckIn>> {
    let before = page.after.map_or([0xff; 16], |id| id.uuid().into_bytes());
    db.prepare_cached(&format!(
        "SELECT {CHECK_IN} FROM check_ins WHERE performance_id = ?1 AND check_in_id < ?2 ORDER BY check_in_id DESC LIMIT ?3"
    ))?
    .query_map(params![performance.uuid().as_bytes(), before, page.limit], read)?
    .collect()
}

fn conflicts(db: &Connection, performance: PerformanceId, page: Page<TicketId>) -> Sql<Vec<Conflict>> {
    let after = page.after.map_or([0; 16], |id| id.uuid().into_bytes());
    // The second part finds tickets that became void after their check-in, if a later ticket of the seat was checked in too.
    let tickets: Vec<(TicketId, u32)> = db
        .prepare_cached(
            "SELECT ticket_id, seat FROM check_ins WHERE performance_id = ?1 AND ticket_id > ?2 AND seat IS NOT NULL
                AND (standing = 'SUPERSEDED' OR answer = 'VOID' OR answer = 'ALREADY_CHECKED_IN')
             UNION
             SELECT v.ticket_id, v.seat FROM void_tickets v
                CROSS JOIN check_ins old ON old.payment_id = v.payment_id AND old.seat = v.seat
                    AND old.standing = 'COUNTS' AND old.ticket_id = v.ticket_id
             WHERE v.performance_id = ?1 AND v.ticket_id > ?2
                AND EXISTS (SELECT 1 FROM check_ins WHERE performance_id = v.performance_id AND seat = v.seat
                    AND standing = 'COUNTS' AND version > old.version)
             ORDER BY ticket_id LIMIT ?3",
        )?
        .query_map(params![performance.uuid().as_bytes(), after, page.limit], |row| {
            Ok((TicketId::new(uuid(row, 0)?), row.get(1)?))
        })?
        .collect::<Sql<_>>()?;
    let mut seats: Vec<u32> = tickets.iter().map(|(_, seat)| *seat).collect();
    seats.sort_unstable();
    seats.dedup();
    let mut scans = Vec::new();
    let sql = format!("SELECT {CHECK_IN} FROM check_ins WHERE performance_id = ?1 AND seat = ?2");
    for seat in seats {
        let mut of_seat = db.prepare_cached(&sql)?;
        for scan in of_seat.query_map(params![performance.uuid().as_bytes(), seat], read)? {
            scans.push(scan?);
        }
    }
    Ok(Conflict::of(&tickets, &scans))
}

fn manifest(db: &Connection, performance: PerformanceId, after: Option<u64>) -> Sql<Option<Manifest>> {
    let id = performance.uuid().into_bytes();
    let found = db
        .prepare_cached(
            "SELECT version, starts_at, cancelled_at IS NOT NULL FROM performances WHERE performance_id = ?1",
        )?
        .query_row([&id], |row| {
            let (version, starts_at, is_cancelled) = (row.get(0)?, instant(row, 1)?, row.get(2)?);
            Ok(Manifest { version, starts_at, is_cancelled, ..Manifest::default() })
        })
        .optional()?;
    let Some(mut manifest) = found else { return Ok(None) };
    // Tickets of refunds before the schema step have version 0.
    let after = after.map_or(-1, big);
    manifest.void = db
        .prepare_cached(
            "SELECT ticket_id FROM void_tickets WHERE performance_id = ?1 AND version > ?2 ORDER BY version, ticket_id",
        )?
        .query_map(params![id, after], |row| Ok(TicketId::new(uuid(row, 0)?)))?
        .collect::<Sql<_>>()?;
    let mut check_ins = db.prepare_cached(
        "SELECT ticket_id, standing FROM check_ins WHERE performance_id = ?1 AND version > ?2 AND version > 0
         ORDER BY version",
    )?;
    let read = |row: &Row<'_>| Ok((TicketId::new(uuid(row, 0)?), word::<Standing>(row, 1)?));
    for found in check_ins.query_map(params![id, after], read)? {
        let (ticket, standing) = found?;
        // The scan that replaced a superseded one has a later version.
        if standing != Standing::Superseded {
            manifest.add(ticket, standing == Standing::Counts);
        }
    }
    Ok(Some(manifest))
}

/// Makes the tickets of all refunds void that were there before the schema step of tickets. They have no event, and version 0.
pub(super) fn fill(db: &Connection) -> Sql<()> {
    let mut refunded = db.prepare(
        "SELECT r.payment_id, r.performance_id, r.refund_id, s.seat, r.made_by, r.refunded_at
         FROM refunded_seats s JOIN refunds r ON r.refund_id = s.refund_id",
    )?;
    let read = |row: &Row<'_>| {
        let (payment, seat) = (PaymentId::new(uuid(row, 0)?), row.get(3)?);
        Ok(Voided {
            ticket: id_of(payment, seat, 0),
            event: EventId::new(uuid(row, 2)?),
            payment,
            performance: PerformanceId::new(uuid(row, 1)?),
            seat,
            why: if word::<By>(row, 4)? == By::Cancellation { Why::Cancelled } else { Why::Refunded },
            version: 0,
            at: instant(row, 5)?,
        })
    };
    for voided in refunded.query_map([], read)? {
        insert_voided(db, &voided?)?;
    }
    Ok(())
}
