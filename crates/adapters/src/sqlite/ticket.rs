//! Tickets and check-ins: loads and saves their rows, as units of work see them.

use std::sync::Arc;

use onsale_domain::ids::{CheckInId, EventId, PaymentId, PerformanceId, ReservationId, TicketId};
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::ticket::{Answer, CheckIn, Voided, id_of, seat_of};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::values::{Sql, broken, instant, optional_instant, optional_text, optional_uuid, text, uuid, word};
use crate::stored::{Word, answer_of, answer_word};

/// The columns of a scan.
pub(super) const CHECK_IN: &str = "check_in_id, performance_id, ticket_id, seat, payment_id, scan_id, device, at, received_at, \
                                   clock_doubtful, answer, first_at, first_device, standing, version, undone_at, made_by";

/// The columns of a void ticket.
pub(super) const VOIDED: &str = "ticket_id, event_id, payment_id, performance_id, seat, why, version, voided_at";

pub(super) fn load(db: &Connection, keys: &Keys, rows: &mut Rows) -> Sql<()> {
    for payment in &keys.reissues {
        let mut reissues = db.prepare_cached(
            "SELECT seat, count(*) FROM void_tickets WHERE payment_id = ?1 AND why = 'reissued' GROUP BY seat",
        )?;
        for found in reissues.query_map([payment.uuid().as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))? {
            let (seat, many) = found?;
            rows.reissued.insert((*payment, seat), many);
        }
        let sql = format!("SELECT {CHECK_IN} FROM check_ins WHERE payment_id = ?1 AND standing = 'COUNTS'");
        let mut counting = db.prepare_cached(&sql)?;
        for found in counting.query_map([payment.uuid().as_bytes()], read)? {
            note_counting(found?, rows);
        }
    }
    for (performance, ticket) in &keys.tickets {
        load_ticket(db, *performance, *ticket, rows)?;
    }
    for scan in &keys.scans {
        let sql = format!("SELECT {CHECK_IN} FROM check_ins WHERE scan_id = ?1");
        let found = db.prepare_cached(&sql)?.query_row([&**scan], read).optional()?;
        rows.scans.load(scan.clone(), found.as_ref().map(|found| found.id));
        if let Some(found) = found {
            rows.check_ins.load(found.id, Some(found));
        }
    }
    for id in &keys.check_ins {
        rows.check_ins.load(*id, one(db, *id)?);
    }
    Ok(())
}

/// Loads what decides on a ticket: the payment of its seat with its reissues and its check-in, and whether the ticket is void.
fn load_ticket(db: &Connection, performance: PerformanceId, ticket: TicketId, rows: &mut Rows) -> Sql<()> {
    let seat = seat_of(ticket);
    let owner = db
        .prepare_cached(
            "SELECT s.reservation_id, p.payment_id FROM seats s JOIN payments p ON p.reservation_id = s.reservation_id
             WHERE s.performance_id = ?1 AND s.seat = ?2 AND s.sold = 1",
        )?
        .query_row(params![performance.uuid().as_bytes(), seat], |row| {
            Ok((ReservationId::new(uuid(row, 0)?), PaymentId::new(uuid(row, 1)?)))
        })
        .optional()?;
    let is_void = "SELECT 1 FROM void_tickets WHERE ticket_id = ?1";
    if db.prepare_cached(is_void)?.exists([ticket.uuid().as_bytes()])? {
        rows.known_voids.insert(ticket);
    }
    let Some((reservation, payment)) = owner else { return Ok(()) };
    rows.paid_by.insert(reservation, payment);
    let is_first = id_of(payment, seat, 0) == ticket && !rows.known_voids.contains(&ticket);
    // Most tickets are the first of their seat, and valid: then it was never reissued.
    if !is_first {
        let reissues: u32 = db
            .prepare_cached(
                "SELECT count(*) FROM void_tickets WHERE payment_id = ?1 AND seat = ?2 AND why = 'reissued'",
            )?
            .query_row(params![payment.uuid().as_bytes(), seat], |row| row.get(0))?;
        rows.reissued.insert((payment, seat), reissues);
    }
    let sql = format!("SELECT {CHECK_IN} FROM check_ins WHERE payment_id = ?1 AND seat = ?2 AND standing = 'COUNTS'");
    let counts = db.prepare_cached(&sql)?.query_row(params![payment.uuid().as_bytes(), seat], read).optional()?;
    counts.into_iter().for_each(|check_in| note_counting(check_in, rows));
    Ok(())
}

/// A check-in that counts is loaded, also by its seat.
fn note_counting(check_in: CheckIn, rows: &mut Rows) {
    rows.checked_in.extend(check_in.payment.zip(check_in.seat).map(|owner| (owner, check_in.id)));
    rows.check_ins.load(check_in.id, Some(check_in));
}

/// Saves void tickets and scans. Called after the payments and performances to which they refer.
pub(super) fn save(db: &Connection, rows: &Rows) -> Sql<()> {
    for voided in &rows.voided {
        insert_voided(db, voided)?;
    }
    // Scans that do not count any more first: at most one of a paid seat may count.
    for id in rows.check_ins.outdated() {
        let Some(check_in) = rows.check_ins.get(id) else { continue };
        db.prepare_cached("UPDATE check_ins SET standing = ?2, version = ?3, undone_at = ?4 WHERE check_in_id = ?1")?
            .execute(params![
            id.uuid().as_bytes(),
            check_in.standing.word(),
            check_in.version,
            check_in.undone_at.map(|at| at.as_millis()),
        ])?;
    }
    for (_, check_in) in rows.check_ins.added() {
        insert(db, check_in)?;
    }
    Ok(())
}

pub(super) fn insert_voided(db: &Connection, voided: &Voided) -> Sql<()> {
    db.prepare_cached(
        "INSERT INTO void_tickets (ticket_id, event_id, payment_id, performance_id, seat, why, version, voided_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        voided.ticket.uuid().as_bytes(),
        voided.event.uuid().as_bytes(),
        voided.payment.uuid().as_bytes(),
        voided.performance.uuid().as_bytes(),
        voided.seat,
        voided.why.word(),
        voided.version,
        voided.at.as_millis(),
    ])?;
    Ok(())
}

fn insert(db: &Connection, check_in: &CheckIn) -> Sql<()> {
    let bytes = |id: Option<Uuid>| id.map(Uuid::into_bytes);
    let (answer, first) = answer_word(&check_in.answer);
    db.prepare_cached(
        "INSERT INTO check_ins
           (check_in_id, performance_id, ticket_id, seat, payment_id, scan_id, device, at, received_at, clock_doubtful, answer,
            first_at, first_device, standing, version, undone_at, made_by)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
    )?
    .execute(params![
        check_in.id.uuid().as_bytes(),
        check_in.performance.uuid().as_bytes(),
        bytes(check_in.ticket.map(TicketId::uuid)),
        check_in.seat,
        bytes(check_in.payment.map(PaymentId::uuid)),
        &*check_in.scan,
        &*check_in.device,
        check_in.at.as_millis(),
        check_in.received_at.as_millis(),
        check_in.clock_doubtful,
        answer,
        first.map(|(at, _)| at.as_millis()),
        first.map(|(_, device)| &**device),
        check_in.standing.word(),
        check_in.version,
        check_in.undone_at.map(|at| at.as_millis()),
        &*check_in.made_by,
    ])?;
    Ok(())
}

pub(super) fn one(db: &Connection, id: CheckInId) -> Sql<Option<CheckIn>> {
    db.prepare_cached(&format!("SELECT {CHECK_IN} FROM check_ins WHERE check_in_id = ?1"))?
        .query_row([id.uuid().as_bytes()], read)
        .optional()
}

/// A scan from the columns [`CHECK_IN`].
pub(super) fn read(row: &Row<'_>) -> Sql<CheckIn> {
    let first: Option<Arc<str>> = optional_text(row, 12)?;
    let first = optional_instant(row, 11)?.zip(first);
    let answer: Answer =
        answer_of(row.get_ref(10)?.as_str()?, first).ok_or_else(|| broken(10, "an unknown answer to a scan"))?;
    Ok(CheckIn {
        id: CheckInId::new(uuid(row, 0)?),
        performance: PerformanceId::new(uuid(row, 1)?),
        ticket: optional_uuid(row, 2)?.map(TicketId::new),
        seat: row.get(3)?,
        payment: optional_uuid(row, 4)?.map(PaymentId::new),
        scan: text(row, 5)?,
        device: text(row, 6)?,
        at: instant(row, 7)?,
        received_at: instant(row, 8)?,
        clock_doubtful: row.get(9)?,
        answer,
        standing: word(row, 13)?,
        version: row.get(14)?,
        undone_at: optional_instant(row, 15)?,
        made_by: text(row, 16)?,
    })
}

/// A void ticket from the columns [`VOIDED`].
pub(super) fn read_voided(row: &Row<'_>) -> Sql<Voided> {
    Ok(Voided {
        ticket: TicketId::new(uuid(row, 0)?),
        event: EventId::new(uuid(row, 1)?),
        payment: PaymentId::new(uuid(row, 2)?),
        performance: PerformanceId::new(uuid(row, 3)?),
        seat: row.get(4)?,
        why: word(row, 5)?,
        version: row.get(6)?,
        at: instant(row, 7)?,
    })
}
