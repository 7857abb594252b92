//! Tickets and check-ins: loads and saves their rows, as units of work see them.

use std::sync::Arc;

use onsale_app::store::Unit;
use onsale_domain::ids::{CheckInId, EventId, PaymentId, PerformanceId, ReservationId, TicketId};
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::ticket::{CheckIn, Voided, seat_of};
use tokio_postgres::Row;
use uuid::Uuid;

use super::error::DbError;
use super::session::Pipeline;
use super::values::{
    Sql, big, columns, get, instant, int, number, optional_instant, optional_text, params, small, text, uuid, word,
};
use crate::stored::{Word, answer_of, answer_word};

/// The columns of a scan.
macro_rules! columns_of_scan {
    () => {
        "check_in_id, performance_id, ticket_id, seat, payment_id, scan_id, device, at, received_at, clock_doubtful, answer, \
         first_at, first_device, standing, version, undone_at, made_by"
    };
}
pub(super) use columns_of_scan;

const REISSUES: &str = "SELECT payment_id, seat, count(*) FROM void_tickets
    WHERE payment_id = ANY ($1) AND why = 'reissued' GROUP BY payment_id, seat";

/// Tickets with the payment of their seat, how often its ticket was reissued, and whether the ticket is void. `OFFSET 0` forces
/// lookups by key: without statistics the planner would read whole tables.
const SHOWN: &str = "SELECT wanted.ticket_id, wanted.seat, s.reservation_id, p.payment_id,
        (SELECT count(*) FROM void_tickets v WHERE v.payment_id = p.payment_id AND v.seat = wanted.seat AND v.why = 'reissued'),
        EXISTS (SELECT FROM void_tickets v WHERE v.ticket_id = wanted.ticket_id OFFSET 0)
    FROM unnest($1::uuid[], $2::integer[], $3::uuid[]) wanted (performance_id, seat, ticket_id)
    LEFT JOIN LATERAL (SELECT reservation_id FROM seats WHERE seats.performance_id = wanted.performance_id
        AND seats.seat = wanted.seat AND sold OFFSET 0) s ON true
    LEFT JOIN LATERAL (SELECT payment_id FROM payments WHERE payments.reservation_id = s.reservation_id OFFSET 0) p ON true";

/// The check-ins that count, of the owners of seats.
const COUNTED: &str = concat!(
    "SELECT c.* FROM unnest($1::uuid[], $2::integer[]) wanted (performance_id, seat)
    CROSS JOIN LATERAL (SELECT reservation_id FROM seats WHERE seats.performance_id = wanted.performance_id
        AND seats.seat = wanted.seat AND sold OFFSET 0) s
    CROSS JOIN LATERAL (SELECT payment_id FROM payments WHERE payments.reservation_id = s.reservation_id OFFSET 0) p
    CROSS JOIN LATERAL (SELECT ",
    columns_of_scan!(),
    " FROM check_ins WHERE check_ins.payment_id = p.payment_id AND check_ins.seat = wanted.seat AND standing = 'COUNTS'
        OFFSET 0) c"
);

/// The check-ins that count, of payments.
const COUNTED_OF_PAYMENTS: &str =
    concat!("SELECT ", columns_of_scan!(), " FROM check_ins WHERE payment_id = ANY ($1) AND standing = 'COUNTS'");

const BY_SCAN: &str = concat!("SELECT ", columns_of_scan!(), " FROM check_ins WHERE scan_id = ANY ($1)");

const NAMED: &str = concat!("SELECT ", columns_of_scan!(), " FROM check_ins WHERE check_in_id = ANY ($1)");

const VOID: &str =
    "INSERT INTO void_tickets (ticket_id, event_id, payment_id, performance_id, seat, why, version, voided_at)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::integer[], $6::text[], $7::bigint[], $8::bigint[])";

const CHANGE: &str = "UPDATE check_ins SET standing = v.standing, version = v.version, undone_at = v.undone_at
    FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[]) v (check_in_id, standing, version, undone_at)
    WHERE check_ins.check_in_id = v.check_in_id";

/// Sorted by the id of the scan: two units that insert the same ids in different orders would deadlock at the index. Of two
/// units with one id the later one fails with a unique violation, is run again, and finds the scan of the first.
const SCAN: &str = concat!(
    "INSERT INTO check_ins (",
    columns_of_scan!(),
    ") SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::integer[], $5::uuid[], $6::text[], $7::text[], $8::bigint[],
        $9::bigint[], $10::boolean[], $11::text[], $12::bigint[], $13::text[], $14::text[], $15::bigint[], $16::bigint[],
        $17::text[])"
);

pub(super) const WRITES: &[&str] = &[REISSUES, SHOWN, COUNTED, COUNTED_OF_PAYMENTS, BY_SCAN, NAMED, VOID, CHANGE, SCAN];

/// Loads void tickets and scans. Their performances are locked by now.
pub(super) fn load<'a>(pipeline: &mut Pipeline<'a, Unit>, keys: &'a Keys) {
    if !keys.reissues.is_empty() {
        let payments: Vec<Uuid> = keys.reissues.iter().map(|id| id.uuid()).collect();
        pipeline.query(REISSUES, params![payments], |found, unit| {
            for row in found {
                let seat = (PaymentId::new(uuid(row, 0)?), small(row, 1)?);
                unit.rows.reissued.insert(seat, u32::try_from(number(row, 2)?).unwrap_or(u32::MAX));
            }
            Ok(())
        });
        let payments: Vec<Uuid> = keys.reissues.iter().map(|id| id.uuid()).collect();
        pipeline.query(COUNTED_OF_PAYMENTS, params![payments], note_counting);
    }
    load_tickets(pipeline, keys);
    if !keys.scans.is_empty() {
        let scans: Vec<&str> = keys.scans.iter().map(|scan| &**scan).collect();
        pipeline.query(BY_SCAN, params![scans], |found, unit| {
            for scan in &keys.scans {
                unit.rows.scans.load(scan.clone(), None);
            }
            for row in found {
                let check_in = read(row)?;
                unit.rows.scans.load(check_in.scan.clone(), Some(check_in.id));
                unit.rows.check_ins.load(check_in.id, Some(check_in));
            }
            Ok(())
        });
    }
    if !keys.check_ins.is_empty() {
        let ids: Vec<Uuid> = keys.check_ins.iter().map(|id| id.uuid()).collect();
        pipeline.query(NAMED, params![ids], |found, unit| {
            for id in &keys.check_ins {
                unit.rows.check_ins.load(*id, None);
            }
            for row in found {
                let check_in = read(row)?;
                unit.rows.check_ins.load(check_in.id, Some(check_in));
            }
            Ok(())
        });
    }
}

fn load_tickets<'a>(pipeline: &mut Pipeline<'a, Unit>, keys: &'a Keys) {
    if keys.tickets.is_empty() {
        return;
    }
    let performances = || keys.tickets.iter().map(|(performance, _)| performance.uuid()).collect::<Vec<Uuid>>();
    let seats = || keys.tickets.iter().map(|(_, ticket)| int(seat_of(*ticket))).collect::<Vec<i32>>();
    let tickets: Vec<Uuid> = keys.tickets.iter().map(|(_, ticket)| ticket.uuid()).collect();
    pipeline.query(SHOWN, params![performances(), seats(), tickets], |found, unit| {
        for row in found {
            if get(row, 5)? {
                unit.rows.known_voids.insert(TicketId::new(uuid(row, 0)?));
            }
            let owner = get::<Option<Uuid>>(row, 2)?.zip(get::<Option<Uuid>>(row, 3)?);
            let Some((reservation, payment)) = owner else { continue };
            let payment = PaymentId::new(payment);
            unit.rows.paid_by.insert(ReservationId::new(reservation), payment);
            let reissues = u32::try_from(number(row, 4)?).unwrap_or(u32::MAX);
            unit.rows.reissued.insert((payment, small(row, 1)?), reissues);
        }
        Ok(())
    });
    pipeline.query(COUNTED, params![performances(), seats()], note_counting);
}

/// Check-ins that count are loaded, also by their seats.
fn note_counting(found: &[Row], unit: &mut Unit) -> Sql<()> {
    for row in found {
        let check_in = read(row)?;
        unit.rows.checked_in.extend(check_in.payment.zip(check_in.seat).map(|owner| (owner, check_in.id)));
        unit.rows.check_ins.load(check_in.id, Some(check_in));
    }
    Ok(())
}

/// Saves void tickets and scans.
pub(super) fn save<'a>(pipeline: &mut Pipeline<'a, ()>, rows: &'a Rows) {
    pipeline.write(
        VOID,
        columns!(
            rows.voided.iter(),
            |voided| voided.ticket.uuid(),
            voided.event.uuid(),
            voided.payment.uuid(),
            voided.performance.uuid(),
            int(voided.seat),
            voided.why.word(),
            big(voided.version),
            voided.at.as_millis(),
        ),
    );
    // Scans that do not count any more first: at most one of a paid seat may count.
    let changed = rows.check_ins.outdated().filter_map(|id| rows.check_ins.get(id));
    pipeline.write(
        CHANGE,
        columns!(
            changed,
            |scan| scan.id.uuid(),
            scan.standing.word(),
            big(scan.version),
            scan.undone_at.map(|at| at.as_millis()),
        ),
    );
    let mut added: Vec<&CheckIn> = rows.check_ins.added().map(|(_, scan)| scan).collect();
    added.sort_by(|one, other| one.scan.cmp(&other.scan));
    pipeline.write(
        SCAN,
        columns!(
            added.into_iter(),
            |scan| scan.id.uuid(),
            scan.performance.uuid(),
            scan.ticket.map(TicketId::uuid),
            scan.seat.map(int),
            scan.payment.map(PaymentId::uuid),
            &*scan.scan,
            &*scan.device,
            scan.at.as_millis(),
            scan.received_at.as_millis(),
            scan.clock_doubtful,
            answer_word(&scan.answer).0,
            answer_word(&scan.answer).1.map(|(at, _)| at.as_millis()),
            answer_word(&scan.answer).1.map(|(_, device)| &**device),
            scan.standing.word(),
            big(scan.version),
            scan.undone_at.map(|at| at.as_millis()),
            &*scan.made_by,
        ),
    );
}

/// A scan from its seventeen columns.
pub(super) fn read(row: &Row) -> Sql<CheckIn> {
    let first: Option<Arc<str>> = optional_text(row, 12)?;
    let first = optional_instant(row, 11)?.zip(first);
    Ok(CheckIn {
        id: CheckInId::new(uuid(row, 0)?),
        performance: PerformanceId::new(uuid(row, 1)?),
        ticket: get::<Option<Uuid>>(row, 2)?.map(TicketId::new),
        seat: get::<Option<i32>>(row, 3)?.and_then(|seat| u32::try_from(seat).ok()),
        payment: get::<Option<Uuid>>(row, 4)?.map(PaymentId::new),
        scan: text(row, 5)?,
        device: text(row, 6)?,
        at: instant(row, 7)?,
        received_at: instant(row, 8)?,
        clock_doubtful: get(row, 9)?,
        answer: answer_of(get(row, 10)?, first).ok_or(DbError::Broken("an unknown answer to a scan"))?,
        standing: word(row, 13)?,
        version: number(row, 14)?,
        undone_at: optional_instant(row, 15)?,
        made_by: text(row, 16)?,
    })
}

/// A void ticket from eight columns.
pub(super) fn read_voided(row: &Row) -> Sql<Voided> {
    Ok(Voided {
        ticket: TicketId::new(uuid(row, 0)?),
        event: EventId::new(uuid(row, 1)?),
        payment: PaymentId::new(uuid(row, 2)?),
        performance: PerformanceId::new(uuid(row, 3)?),
        seat: small(row, 4)?,
        why: word(row, 5)?,
        version: number(row, 6)?,
        at: instant(row, 7)?,
    })
}
