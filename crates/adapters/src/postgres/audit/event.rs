//! Events: each row's expected event, and each event's row.
//!
//! An event has the id of its row. An event that also has the row's key (subject and version) is found by that key. An event on
//! the wrong topic counts as missing: the consumers of its kind would not receive it.

use std::collections::{HashMap, HashSet};

use onsale_app::audit::source::{EventRow, ToldRow};
use onsale_app::draw_event;
use onsale_domain::ids::{ConcertId, EventId};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{closed_event, drawn_event};
use serde_json::Value;
use tokio_postgres::{Row, Transaction};
use uuid::Uuid;

use super::super::error::DbError;
use super::super::values::{Sql, get, number, uuid};
use super::Out;
use super::cursor::Cursor;
use super::snapshot::Connection;
use crate::stored_draw::list_from_bytes;

/// An event with its id, by subject and version.
pub(super) type Told = ((String, u64), (Uuid, EventRow));

/// The event of a row, if the one with its subject and version is of its id.
pub(super) async fn event_of(
    events: &mut Cursor<'_, Told>,
    subject: &str,
    version: u64,
    id: EventId,
) -> Sql<Option<EventRow>> {
    let found = events.of(&(subject.to_owned(), version)).await?;
    Ok(found.filter(|(of, _)| *of == id.uuid()).map(|(_, event)| event))
}

/// An event from type, subject, version, data and id.
pub(super) fn read_effect(row: &Row) -> Sql<Told> {
    let event = read_event(row, 0)?;
    Ok(((event.subject.clone(), event.version), (uuid(row, 4)?, event)))
}

/// An event by its id, from that, type, subject, version and data.
pub(super) fn read_by_id(row: &Row) -> Sql<(Uuid, EventRow)> {
    Ok((uuid(row, 0)?, read_event(row, 1)?))
}

/// The joined event, if there is one.
pub(super) fn read_joined(row: &Row, from: usize) -> Sql<Option<EventRow>> {
    get::<Option<&str>>(row, from)?.map(|_| read_event(row, from)).transpose()
}

pub(super) fn read_event(row: &Row, from: usize) -> Sql<EventRow> {
    Ok(EventRow {
        kind: get(row, from)?,
        subject: get(row, from + 1)?,
        version: number(row, from + 2)?,
        data: get(row, from + 3)?,
    })
}

/// In no order, so that no sort is needed. A ledger entry has the key of its event, so no entry has two events.
const OF_POINTS: &str = "SELECT e.event_id, e.type, e.subject, l.user_id IS NOT NULL
        AND e.type IN ('onsale.points.charged.v1', 'onsale.points.used.v1', 'onsale.points.refunded.v1',
            'onsale.points.adjusted.v1')
    FROM events e LEFT JOIN ledger l
        ON l.user_id = e.subject AND l.version = e.version AND l.entry_id = e.event_id
    WHERE e.topic = 'onsale.points'";

/// A version of a lecture is a line of history or a change by staff.
const OF_LECTURES: &str = "SELECT e.event_id, e.type, e.subject, CASE e.type
            WHEN 'onsale.lecture.changed.v1' THEN h.lecture_id IS NULL AND l.lecture_id IS NOT NULL
            ELSE e.type IN ('onsale.lecture.applied.v1', 'onsale.lecture.cancelled.v1', 'onsale.lecture.waitlisted.v1',
                'onsale.lecture.promoted.v1', 'onsale.lecture.left.v1')
                AND coalesce(h.line_id = e.event_id, false) END
    FROM events e LEFT JOIN lecture_history h ON h.lecture_id::text = e.subject AND h.version = e.version
    LEFT JOIN lectures l ON l.lecture_id::text = e.subject AND e.version BETWEEN 1 AND l.version
    WHERE e.topic = 'onsale.lectures'";

/// Events about holds and payments go by id alone, because their rows do not say of which version they are. Those of changes
/// have no rows of their own: their subject has had their version, and the last of each subject is compared with it.
const OF_CONCERTS: &str = "SELECT event_id, type, subject, data, version FROM events
    WHERE topic = 'onsale.concerts' ORDER BY event_id, subject, version";

const RESERVATIONS: &str = "SELECT reservation_id FROM reservations ORDER BY reservation_id";

const PAYMENTS: &str = "SELECT payment_id FROM payments ORDER BY payment_id";

const REFUNDS: &str = "SELECT refund_id FROM refunds ORDER BY refund_id";

const ENDS: &str = "SELECT end_event_id, reservation_id FROM reservations WHERE end_event_id IS NOT NULL
    ORDER BY end_event_id";

const EXTENSIONS: &str = "SELECT event_id FROM hold_extensions ORDER BY event_id";

const CANCELLATIONS: &str = "SELECT event_id FROM cancellations ORDER BY event_id";

const SCANS: &str = "SELECT check_in_id FROM check_ins WHERE answer = 'ADMITTED' ORDER BY check_in_id";

const UNDONE: &str = "SELECT performance_id::text, version FROM check_ins WHERE standing = 'UNDONE'";

/// Tickets of refunds before schema step 17 have version 0, and no event.
const VOIDED: &str = "SELECT event_id FROM void_tickets WHERE version > 0 ORDER BY event_id";

const PERFORMANCES: &str = "SELECT performance_id::text, version FROM performances";

const CONCERTS: &str = "SELECT concert_id::text, version FROM concerts";

const LISTS: &str = "SELECT concert_id, list FROM draws JOIN rooms USING (concert_id)
    WHERE list IS NOT NULL AND entries_hash IS NOT NULL";

/// By topic; those of concerts by id.
pub(super) async fn events(mut connection: Connection, out: Out<ToldRow>) -> Sql<()> {
    let transaction = connection.begin().await?;
    for sql in [OF_POINTS, OF_LECTURES] {
        let mut events = Cursor::open(&transaction, sql, read_row).await?;
        while let Some(event) = events.next().await? {
            out.row(event).await;
        }
    }
    of_concerts(&transaction, &out).await
}

pub(super) async fn forgotten(mut connection: Connection, out: Out<Timestamp>) -> Sql<()> {
    let transaction = connection.begin().await?;
    let row = transaction.query_one("SELECT before FROM events_forgotten", &[]).await?;
    out.row(Timestamp::from_millis(get(&row, 0)?)).await;
    Ok(())
}

fn read_row(row: &Row) -> Sql<ToldRow> {
    Ok(ToldRow { id: EventId::new(uuid(row, 0)?), kind: get(row, 1)?, subject: get(row, 2)?, has_source: get(row, 3)? })
}

/// A second event with the same id repeats an event: no row of its own belongs to it.
async fn of_concerts<'a>(transaction: &'a Transaction<'a>, out: &Out<ToldRow>) -> Sql<()> {
    let id = |row: &Row| Ok((uuid(row, 0)?, ()));
    let event = |row: &Row| Ok((uuid(row, 0)?, get(row, 1)?, get(row, 2)?, get(row, 3)?, get(row, 4)?));
    let mut events: Cursor<'_, (Uuid, String, String, String, i64)> =
        Cursor::open(transaction, OF_CONCERTS, event).await?;
    let (performances, concerts) = (versions(transaction, PERFORMANCES).await?, versions(transaction, CONCERTS).await?);
    let mut extensions = Cursor::open(transaction, EXTENSIONS, id).await?;
    let mut cancellations = Cursor::open(transaction, CANCELLATIONS, id).await?;
    let mut scans = Cursor::open(transaction, SCANS, id).await?;
    let mut voided = Cursor::open(transaction, VOIDED, id).await?;
    let undone = transaction.query(UNDONE, &[]).await?;
    let undone: HashSet<(String, i64)> =
        undone.iter().map(|row| Ok((get(row, 0)?, get(row, 1)?))).collect::<Sql<_>>()?;
    let mut reservations = Cursor::open(transaction, RESERVATIONS, id).await?;
    let mut payments = Cursor::open(transaction, PAYMENTS, id).await?;
    let mut refunds = Cursor::open(transaction, REFUNDS, id).await?;
    let mut ends = Cursor::open(transaction, ENDS, |row| Ok((uuid(row, 0)?, uuid(row, 1)?))).await?;
    let draws = draws(transaction).await?;
    let mut before = None;
    while let Some((id, kind, subject, data, version)) = events.next().await? {
        let told_already = before.replace(id) == Some(id);
        let has_source = !told_already
            && match kind.as_str() {
                "onsale.seats.held.v1" => reservations.of(&id).await?.is_some(),
                "onsale.payment.completed.v1" => payments.of(&id).await?.is_some(),
                "onsale.payment.refunded.v1" => refunds.of(&id).await?.is_some(),
                "onsale.seats.released.v1" => {
                    let reservation = named_reservation(&data);
                    let mut ended = false;
                    while let Some(by) = ends.of(&id).await? {
                        ended |= Some(by) == reservation;
                    }
                    ended
                }
                "onsale.holds.extended.v1" => extensions.of(&id).await?.is_some(),
                "onsale.ticket.checked-in.v1" => scans.of(&id).await?.is_some(),
                "onsale.ticket.check-in-undone.v1" => undone.contains(&(subject.clone(), version)),
                "onsale.ticket.voided.v1" => voided.of(&id).await?.is_some(),
                "onsale.performance.cancelled.v1" => cancellations.of(&id).await?.is_some(),
                "onsale.performance.changed.v1" | "onsale.seats.blocked.v1" | "onsale.seats.unblocked.v1" => {
                    is_among(&performances, &subject, version)
                }
                "onsale.concert.changed.v1" => is_among(&concerts, &subject, version),
                draw_event::CLOSED | draw_event::COMPLETED => draws.contains(&(id, kind.clone(), subject.clone())),
                _ => false,
            };
        out.row(ToldRow { id: EventId::new(id), kind, subject, has_source }).await;
    }
    Ok(())
}

/// The events that closed lists and drawn orders have: id, type and subject.
async fn draws<'a>(transaction: &'a Transaction<'a>) -> Sql<HashSet<(Uuid, String, String)>> {
    let mut told = HashSet::new();
    for row in &transaction.query(LISTS, &[]).await? {
        let concert = ConcertId::new(uuid(row, 0)?);
        let list = list_from_bytes(get(row, 1)?).ok_or(DbError::Broken("a list of a wrong length"))?;
        let closed = closed_event(concert, list.closed_at);
        told.insert((closed.uuid(), draw_event::CLOSED.to_owned(), concert.to_string()));
        if let Some(drawn_at) = list.drawn_at {
            let drawn = drawn_event(concert, drawn_at);
            told.insert((drawn.uuid(), draw_event::COMPLETED.to_owned(), concert.to_string()));
        }
    }
    Ok(told)
}

/// The versions of all rows of a table, by id.
async fn versions<'a>(transaction: &'a Transaction<'a>, sql: &'static str) -> Sql<HashMap<String, i64>> {
    let rows = transaction.query(sql, &[]).await?;
    rows.iter().map(|row| Ok((get(row, 0)?, get(row, 1)?))).collect()
}

/// Whether a row has had this version.
fn is_among(versions: &HashMap<String, i64>, subject: &str, version: i64) -> bool {
    versions.get(subject).is_some_and(|last| (1..=*last).contains(&version))
}

fn named_reservation(data: &str) -> Option<Uuid> {
    let data: Value = serde_json::from_str(data).ok()?;
    Uuid::try_parse(data["reservationId"].as_str()?).ok()
}
