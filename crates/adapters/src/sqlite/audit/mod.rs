//! Streams of rows for the audit. A server may go on writing meanwhile.
//!
//! A long read transaction would make the log grow, so rows are read in groups, each in a short transaction of its own. Rows that
//! must agree with each other are read in one group. A ledger or a history may be longer than a group: its lines never change,
//! so the rest is read in later groups, up to the line that was the last in the first one.

mod code;
mod draw;
mod event;
mod lecture;
mod performance;
mod refund;
mod staff;
mod ticket;
mod wallet;

use std::path::{Path, PathBuf};

use onsale_app::audit::source::{
    AuditSource, CodeRow, DrawRow, EventRow, ExtendedRow, ExternalRow, FamilyRow, LectureRow, MarkRow, MisplacedRow,
    PaymentRow, PerformanceRow, RefundRow, ReservationRow, RoomRow, Rows, SeatRow, StaffRow, TicketsRow, ToldRow,
    WalletRow,
};
use onsale_app::store::StoreError;
use onsale_domain::ids::{ConcertId, PerformanceId, ReservationId};
use onsale_domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use tokio::sync::mpsc::{Sender, channel};
use uuid::Uuid;

use super::connection::{Role, open, unavailable};
use super::values::{Sql, uuid};
use super::{cancellation, concert_row, extension, outbox, payment, reservation, seat as seats, waiting_room};
use crate::stored::{ADJUSTED, COUNT_ADJUSTED, FAMILIES, Family};

/// Maximum number of rows that are read ahead. Beyond it reading waits for the check.
const AHEAD_MAX: usize = 1_024;

/// Number of keys in a group: wallets, seats, payments and so on.
const GROUP: usize = 500;

/// Maximum number of lines of ledgers or histories in a group.
const LINES_MAX: usize = 2_000;

/// The rest of a ledger or history that did not fit into a group.
#[derive(Clone, Copy, Debug)]
struct Rest {
    /// The version of the last line that was read.
    after: u64,
    /// The version of the last line when the first group was read. Later lines belong to a later state of their owner.
    last: u64,
}

/// Reads rows for the audit.
pub struct SqliteAudit {
    path: PathBuf,
}

impl SqliteAudit {
    /// The file must have this binary's schema.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Reads group after group in a thread of its own. `read` returns the rows after a cursor and the cursor of the next group, or
    /// `None` after the last. The thread ends when the receiver is dropped.
    fn stream<T: Send + 'static, C: Send + 'static>(
        &self,
        first: C,
        read: impl Fn(&Connection, &C) -> Sql<(Vec<T>, Option<C>)> + Send + 'static,
    ) -> Rows<T> {
        let (sender, rows) = channel(AHEAD_MAX);
        let path = self.path.clone();
        std::thread::spawn(move || {
            if let Err(error) = groups(&path, first, read, &sender) {
                let _ = sender.blocking_send(Err(error));
            }
        });
        rows
    }
}

fn groups<T, C>(
    path: &Path,
    first: C,
    read: impl Fn(&Connection, &C) -> Sql<(Vec<T>, Option<C>)>,
    sender: &Sender<Result<T, StoreError>>,
) -> Result<(), StoreError> {
    let db = open(path, Role::Reader)?;
    let mut next = Some(first);
    while let Some(cursor) = next.take() {
        let transaction = db.unchecked_transaction().map_err(unavailable)?;
        let (rows, after) = read(&transaction, &cursor).map_err(unavailable)?;
        // Ended before the rows are sent: sending waits for the check, for as long as that takes.
        drop(transaction);
        for row in rows {
            if sender.blocking_send(Ok(row)).is_err() {
                return Ok(());
            }
        }
        next = after;
    }
    Ok(())
}

/// The event with this id.
fn event_by_id(db: &Connection, id: Uuid) -> Sql<Option<EventRow>> {
    db.prepare_cached("SELECT type, subject, version, data FROM events WHERE event_id = ?1")?
        .query_row([id.as_bytes()], read_event)
        .optional()
}

/// The change of a concert that gave it a version.
const CHANGE_OF_CONCERT: &str = "SELECT type, subject, version, data FROM events
    WHERE type = 'onsale.concert.changed.v1' AND subject = ?1 AND version = ?2";

fn change_of_concert(db: &Connection, concert: ConcertId, version: u64) -> Sql<Option<EventRow>> {
    db.prepare_cached(CHANGE_OF_CONCERT)?.query_row(params![concert.to_string(), version], read_event).optional()
}

fn read_event(row: &Row<'_>) -> Sql<EventRow> {
    Ok(EventRow { kind: row.get(0)?, subject: row.get(1)?, version: row.get(2)?, data: row.get(3)? })
}

/// The next ids of a table.
fn ids_after(db: &Connection, sql: &str, after: &[u8]) -> Sql<Vec<[u8; 16]>> {
    db.prepare_cached(sql)?.query_map(params![after, GROUP], |row| row.get(0))?.collect()
}

/// The cursor of the next group; `None` if this group was not full.
fn cursor_after(ids: &[[u8; 16]]) -> Option<Vec<u8>> {
    ids.last().filter(|_| ids.len() == GROUP).map(|id| id.to_vec())
}

impl AuditSource for SqliteAudit {
    fn wallets(&self) -> Rows<WalletRow> {
        self.stream(wallet::Cursor::default(), wallet::wallets)
    }

    fn lectures(&self) -> Rows<LectureRow> {
        self.stream(lecture::Cursor::default(), lecture::lectures)
    }

    fn performances(&self) -> Rows<PerformanceRow> {
        self.stream(Vec::new(), |db, after| performance::performances(db, after))
    }

    fn extensions(&self) -> Rows<ExtendedRow> {
        self.stream((Vec::new(), 0), performance::extensions)
    }

    fn seats(&self) -> Rows<SeatRow> {
        self.stream((Vec::new(), 0), |db, (performance, seat): &(Vec<u8>, u32)| {
            let mut statement = db.prepare_cached(&format!(
                "SELECT {}, performance_id, seat FROM seats
                     WHERE (performance_id, seat) > (?1, ?2) ORDER BY performance_id, seat LIMIT ?3",
                seats::SEAT
            ))?;
            let read = |row: &Row<'_>| Ok((PerformanceId::new(uuid(row, 6)?), row.get(7)?, seats::read_row(row, 0)?));
            let found = statement.query_map(params![performance, seat, GROUP], read)?.collect::<Sql<Vec<_>>>()?;
            let last = found.last().filter(|_| found.len() == GROUP);
            let after = last.map(|(performance, number, _)| (performance.uuid().as_bytes().to_vec(), *number));
            let mut rows = Vec::with_capacity(found.len());
            for (performance, number, row) in found {
                let Some(seat) = row.owned() else { continue };
                let owner = reservation::reservation(db, seat.reservation)?;
                rows.push(SeatRow { performance, number, seat, owner });
            }
            Ok((rows, after))
        })
    }

    fn reservations(&self) -> Rows<ReservationRow> {
        self.stream(Vec::new(), |db, after| {
            let sql = "SELECT reservation_id FROM reservations WHERE reservation_id > ?1
                       ORDER BY reservation_id LIMIT ?2";
            let ids = ids_after(db, sql, after)?;
            let rows = ids.iter().filter_map(|id| one_reservation(db, Uuid::from_bytes(*id)).transpose());
            Ok((rows.collect::<Sql<_>>()?, cursor_after(&ids)))
        })
    }

    fn payments(&self) -> Rows<PaymentRow> {
        self.stream(Vec::new(), |db, after| {
            let sql = "SELECT payment_id FROM payments WHERE payment_id > ?1 ORDER BY payment_id LIMIT ?2";
            let ids = ids_after(db, sql, after)?;
            let rows = ids.iter().filter_map(|id| one_payment(db, Uuid::from_bytes(*id)).transpose());
            Ok((rows.collect::<Sql<_>>()?, cursor_after(&ids)))
        })
    }

    fn refunds(&self) -> Rows<RefundRow> {
        self.stream(Vec::new(), |db, after| {
            let sql = "SELECT refund_id FROM refunds WHERE refund_id > ?1 ORDER BY refund_id LIMIT ?2";
            let ids = ids_after(db, sql, after)?;
            let rows = ids.iter().map(|id| refund::one(db, Uuid::from_bytes(*id)));
            Ok((rows.collect::<Sql<_>>()?, cursor_after(&ids)))
        })
    }

    fn codes(&self) -> Rows<CodeRow> {
        self.stream((Vec::new(), String::new()), code::codes)
    }

    fn tickets(&self) -> Rows<TicketsRow> {
        self.stream(Vec::new(), |db, after| {
            let ids = ids_after(db, ticket::PAYMENTS, after)?;
            let rows = ids.iter().filter_map(|id| ticket::one(db, Uuid::from_bytes(*id)).transpose());
            Ok((rows.collect::<Sql<_>>()?, cursor_after(&ids)))
        })
    }

    fn rooms(&self) -> Rows<RoomRow> {
        self.stream(Vec::new(), |db, after| {
            let sql = "SELECT concert_id FROM rooms WHERE concert_id > ?1 ORDER BY concert_id LIMIT min(?2, 1)";
            let ids = ids_after(db, sql, after)?;
            let Some(id) = ids.first() else { return Ok((Vec::new(), None)) };
            let row = one_room(db, ConcertId::new(Uuid::from_bytes(*id)))?;
            Ok((row.into_iter().collect(), Some(id.to_vec())))
        })
    }

    fn draws(&self) -> Rows<DrawRow> {
        self.stream(Vec::new(), |db, after| {
            let sql = "SELECT concert_id FROM draws WHERE concert_id > ?1 ORDER BY concert_id LIMIT min(?2, 1)";
            let ids = ids_after(db, sql, after)?;
            let Some(id) = ids.first() else { return Ok((Vec::new(), None)) };
            let row = draw::one(db, ConcertId::new(Uuid::from_bytes(*id)))?;
            Ok((row.into_iter().collect(), Some(id.to_vec())))
        })
    }

    fn families(&self) -> Rows<FamilyRow> {
        self.stream(0, |db, number: &usize| {
            let Some(family) = FAMILIES.get(*number) else {
                let (rows, orphans) = db.query_row(COUNT_ADJUSTED, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
                let (children, parents) = ADJUSTED;
                return Ok((vec![FamilyRow { children, parents, rows, missing: Vec::new(), orphans }], None));
            };
            let (rows, orphans) = db.query_row(&family.count_orphans(), [], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let mut missing = db.prepare(&family.missing_parents())?;
            let missing = missing.query_map([], |row| uuid(row, 0))?.collect::<Sql<_>>()?;
            let Family { children, parents, .. } = *family;
            Ok((vec![FamilyRow { children, parents, rows, missing, orphans }], Some(number + 1)))
        })
    }

    fn forgotten(&self) -> Rows<Timestamp> {
        self.stream((), |db, ()| {
            let before = db.query_row("SELECT before FROM events_forgotten", [], |row| row.get(0))?;
            Ok((vec![Timestamp::from_millis(before)], None))
        })
    }

    fn marks(&self) -> Rows<MarkRow> {
        self.stream((), |db, ()| Ok((outbox::marks(db)?, None)))
    }

    /// Counts events. None is misplaced: SQLite gives each event the position after the last.
    fn misplaced(&self) -> Rows<MisplacedRow> {
        self.stream((), |db, ()| {
            let events = db.query_row("SELECT count(*) FROM events", [], |row| row.get(0))?;
            Ok((vec![MisplacedRow { events, misplaced: 0, examples: Vec::new() }], None))
        })
    }

    fn external_charges(&self) -> Rows<ExternalRow> {
        self.stream(String::new(), staff::external_charges)
    }

    fn staff(&self) -> Rows<StaffRow> {
        self.stream(staff::Cursor::default(), staff::subjects)
    }

    fn events(&self) -> Rows<ToldRow> {
        self.stream(0, event::events)
    }
}

fn one_reservation(db: &Connection, id: Uuid) -> Sql<Option<ReservationRow>> {
    let id = ReservationId::new(id);
    let Some(reservation) = reservation::reservation(db, id)? else { return Ok(None) };
    let mut seats = Vec::new();
    for number in reservation.seats.iter() {
        let seat = seats::seat(db, reservation.performance, *number)?;
        seats.extend(seat.filter(|seat| seat.reservation == id).map(|seat| (*number, seat)));
    }
    let payments = db
        .prepare_cached("SELECT count(*) FROM payments WHERE reservation_id = ?1")?
        .query_row([id.uuid().as_bytes()], |row| row.get(0))?;
    let held_event = event_by_id(db, id.uuid())?;
    let end_event = reservation.end_event.map_or(Ok(None), |end| event_by_id(db, end.uuid()))?;
    let extensions = extension::of_performance(db, reservation.performance)?;
    Ok(Some(ReservationRow { reservation, extensions, seats, payments, held_event, end_event }))
}

fn one_payment(db: &Connection, id: Uuid) -> Sql<Option<PaymentRow>> {
    let Some(payment) = payment::payment(db, onsale_domain::ids::PaymentId::new(id))? else { return Ok(None) };
    let entries = db
        .prepare_cached(
            "SELECT user_id, version, entry_id, type, amount, balance_after, reference, created_at FROM ledger
             WHERE reference = ?1 AND reference IS NOT NULL",
        )?
        .query_map([id.as_bytes()], super::wallet::entry)?
        .collect::<Sql<_>>()?;
    let reservation = reservation::reservation(db, payment.reservation)?;
    let refunds = refund::of_payment(db, id)?;
    let cancelled = cancellation::one(db, payment.performance)?.map(|own| (own.cancelled_at, own.version));
    Ok(Some(PaymentRow { payment, reservation, entries, refunds, cancelled, event: event_by_id(db, id)? }))
}

/// Turns from before the opening of a room with early entry, and after the last change of `earlyFrom`.
const TURNS_EARLY: &str = "SELECT count(*) FROM turns JOIN rooms USING (concert_id)
    WHERE concert_id = ?1 AND early_from IS NOT NULL AND (opened_at IS NULL OR admitted_at < opened_at)
        AND admitted_at > coalesce((SELECT max(at) FROM admin_log
            WHERE subject = ?2 AND action = 'queue.changed' AND before LIKE '%\"earlyFrom\"%'), 0)";

fn one_room(db: &Connection, concert: ConcertId) -> Sql<Option<RoomRow>> {
    let Some(room) = waiting_room::room(db, concert)? else { return Ok(None) };
    let id = concert.uuid().into_bytes();
    let count_past =
        |sql: &str, past: u64| db.prepare_cached(sql)?.query_row(params![id, past], |row| row.get::<_, u64>(0));
    let count = |sql: &str| count_past(sql, room.served);
    let dropped_to = count("SELECT places_dropped_to FROM rooms WHERE concert_id = ?1 AND ?2 >= 0")?;
    let past = |sql: &str| count_past(sql, dropped_to);
    let concert_row = concert_row::concert(db, concert)?;
    let changed = concert_row.as_ref().map(|row| change_of_concert(db, concert, row.version));
    Ok(Some(RoomRow {
        concert,
        concert_row,
        changed: changed.transpose()?.flatten(),
        dropped_to,
        places_undropped: past("SELECT count(*) FROM places WHERE concert_id = ?1 AND place <= ?2")?,
        places: past("SELECT count(DISTINCT place) FROM places WHERE concert_id = ?1 AND place > ?2")?,
        highest_place: count("SELECT coalesce(max(place), 0) FROM places WHERE concert_id = ?1 AND ?2 >= 0")?,
        given_up: count("SELECT count(*) FROM places WHERE concert_id = ?1 AND place > ?2 AND standing = 'GIVEN_UP'")?,
        turns: count("SELECT count(*) FROM turns WHERE concert_id = ?1 AND ?2 >= 0")?,
        first_turn: count("SELECT coalesce(min(place), 0) FROM turns WHERE concert_id = ?1 AND ?2 >= 0")?,
        turns_early: db
            .prepare_cached(TURNS_EARLY)?
            .query_row(params![id, format!("concert:{concert}")], |row| row.get(0))?,
        turns_uncalled: count("SELECT count(*) FROM turns WHERE concert_id = ?1 AND place > ?2")?,
        disputes: count("SELECT count(*) FROM place_disputes WHERE concert_id = ?1 AND ?2 >= 0")?,
        disputed_place: count("SELECT coalesce(min(place), 0) FROM place_disputes WHERE concert_id = ?1 AND ?2 >= 0")?,
        users_twice: count(
            "SELECT count(*) FROM (SELECT user_id FROM places WHERE concert_id = ?1 AND ?2 >= 0
                AND standing = 'CURRENT' GROUP BY user_id HAVING count(*) > 1)",
        )?,
        room,
    }))
}

fn exists(db: &Connection, sql: &str, values: &[&dyn ToSql]) -> Sql<bool> {
    db.prepare_cached(sql)?.exists(values)
}
