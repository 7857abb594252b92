//! Streams of rows for the audit. A server may go on writing meanwhile.
//!
//! A long read transaction would make the log grow, so rows are read in groups, each in a short transaction of its own. Rows that
//! must agree with each other, such as a wallet with its ledger, are read in one group.

use std::path::{Path, PathBuf};

use onsale_app::audit::source::{
    AuditSource, EventRow, FamilyRow, LectureRow, MarkRow, MisplacedRow, PaymentRow, PerformanceRow, ReservationRow,
    RoomRow, Rows, SeatRow, ToldRow, WalletRow,
};
use onsale_app::store::{Page, StoreError};
use onsale_domain::ids::{ConcertId, EventId, PerformanceId, ReservationId, UserId};
use onsale_domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use tokio::sync::mpsc::{Sender, channel};
use uuid::Uuid;

use super::connection::{Role, open, unavailable};
use super::values::{Sql, uuid};
use super::{concert, lecture, outbox, payment, waiting_room, wallet};
use crate::stored::{FAMILIES, Family};

/// Maximum number of rows that are read ahead. Beyond it reading waits for the check.
const AHEAD_MAX: usize = 1_024;

/// Number of keys in a group: wallets, seats, payments and so on.
const GROUP: usize = 500;

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

fn event(db: &Connection, id: Uuid) -> Sql<Option<EventRow>> {
    db.prepare_cached("SELECT type, subject, version, data FROM events WHERE event_id = ?1")?
        .query_row([id.as_bytes()], |row| {
            Ok(EventRow { kind: row.get(0)?, subject: row.get(1)?, version: row.get(2)?, data: row.get(3)? })
        })
        .optional()
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
        self.stream(String::new(), wallets)
    }

    fn lectures(&self) -> Rows<LectureRow> {
        self.stream(Vec::new(), |db, after| {
            let sql = "SELECT lecture_id FROM lectures WHERE lecture_id > ?1 ORDER BY lecture_id LIMIT min(?2, 1)";
            let ids = ids_after(db, sql, after)?;
            let Some(id) = ids.first() else { return Ok((Vec::new(), None)) };
            Ok((one_lecture(db, Uuid::from_bytes(*id))?, Some(id.to_vec())))
        })
    }

    fn performances(&self) -> Rows<PerformanceRow> {
        self.stream((), |db, ()| {
            let mut rows = Vec::new();
            for performance in concert::performances(db)? {
                let sold_seats = db
                    .prepare_cached("SELECT count(*) FROM seats WHERE performance_id = ?1 AND sold = 1")?
                    .query_row([performance.id.uuid().as_bytes()], |row| row.get(0))?;
                rows.push(PerformanceRow { performance, sold_seats });
            }
            Ok((rows, None))
        })
    }

    fn seats(&self) -> Rows<SeatRow> {
        self.stream((Vec::new(), 0), |db, (performance, seat): &(Vec<u8>, u32)| {
            let mut statement = db.prepare_cached(
                "SELECT reservation_id, held_until, sold, performance_id, seat FROM seats
                 WHERE (performance_id, seat) > (?1, ?2) ORDER BY performance_id, seat LIMIT ?3",
            )?;
            let read =
                |row: &Row<'_>| Ok((PerformanceId::new(uuid(row, 3)?), row.get(4)?, concert::read_seat(row, 0)?));
            let found = statement.query_map(params![performance, seat, GROUP], read)?.collect::<Sql<Vec<_>>>()?;
            let mut rows = Vec::with_capacity(found.len());
            for (performance, number, seat) in found {
                let owner = concert::reservation(db, seat.reservation)?;
                rows.push(SeatRow { performance, number, seat, owner });
            }
            let last = rows.last().filter(|_| rows.len() == GROUP);
            let after = last.map(|row| (row.performance.uuid().as_bytes().to_vec(), row.number));
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

    fn rooms(&self) -> Rows<RoomRow> {
        self.stream(Vec::new(), |db, after| {
            let sql = "SELECT concert_id FROM rooms WHERE concert_id > ?1 ORDER BY concert_id LIMIT min(?2, 1)";
            let ids = ids_after(db, sql, after)?;
            let Some(id) = ids.first() else { return Ok((Vec::new(), None)) };
            let row = one_room(db, ConcertId::new(Uuid::from_bytes(*id)))?;
            Ok((row.into_iter().collect(), Some(id.to_vec())))
        })
    }

    fn families(&self) -> Rows<FamilyRow> {
        self.stream(0, |db, number: &usize| {
            let Some(family) = FAMILIES.get(*number) else { return Ok((Vec::new(), None)) };
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

    fn events(&self) -> Rows<ToldRow> {
        self.stream(0, events)
    }
}

/// A group of wallets with their ledgers, and the entries of users without a wallet in between or after them.
fn wallets(db: &Connection, after: &String) -> Sql<(Vec<WalletRow>, Option<String>)> {
    let users: Vec<String> = db
        .prepare_cached("SELECT user_id FROM accounts WHERE user_id > ?1 ORDER BY user_id LIMIT ?2")?
        .query_map(params![after, GROUP], |row| row.get(0))?
        .collect::<Sql<_>>()?;
    // After the last wallet there may be entries of users without one: '~' sorts after every character of a user id.
    let last = users.last().filter(|_| users.len() == GROUP).cloned();
    let until = last.clone().unwrap_or_else(|| "~".to_owned());
    let mut rows = Vec::new();
    let mut wallets = users.into_iter().peekable();
    let mut add_wallets_up_to = |user: Option<&UserId>, rows: &mut Vec<WalletRow>| -> Sql<()> {
        while let Some(next) = wallets.next_if(|next| user.is_none_or(|user| next.as_str() <= user.as_str())) {
            let Some(next) = UserId::parse(&next) else { continue };
            let account = wallet::account(db, &next)?.unwrap_or_default();
            rows.push(WalletRow::Account(next, account));
        }
        Ok(())
    };
    let mut statement = db.prepare_cached(
        "SELECT user_id, version, entry_id, type, amount, balance_after, reference, created_at FROM ledger
         WHERE user_id > ?1 AND user_id <= ?2 ORDER BY user_id, version",
    )?;
    for entry in statement.query_map(params![after, until], wallet::entry)? {
        let entry = entry?;
        add_wallets_up_to(Some(&entry.user), &mut rows)?;
        let told = event(db, entry.id.uuid())?;
        let is_paid = match entry.reference {
            Some(payment) => exists(db, "SELECT 1 FROM payments WHERE payment_id = ?1", &[payment.uuid().as_bytes()])?,
            None => false,
        };
        rows.push(WalletRow::Entry(entry, told, is_paid));
    }
    add_wallets_up_to(None, &mut rows)?;
    Ok((rows, last))
}

fn one_lecture(db: &Connection, id: Uuid) -> Sql<Vec<LectureRow>> {
    let id = onsale_domain::ids::LectureId::new(id);
    let mut rows: Vec<LectureRow> = lecture::lecture(db, id)?.into_iter().map(LectureRow::Lecture).collect();
    let mut taken =
        db.prepare_cached("SELECT user_id, seat_number FROM applications WHERE lecture_id = ?1 ORDER BY seat_number")?;
    for found in taken.query_map([id.uuid().as_bytes()], |row| Ok((super::values::user(row, 0)?, row.get(1)?)))? {
        let (user, seat) = found?;
        rows.push(LectureRow::Application(user, seat));
    }
    let mut freed = db.prepare_cached("SELECT seat_number FROM freed_seats WHERE lecture_id = ?1")?;
    for seat in freed.query_map([id.uuid().as_bytes()], |row| row.get(0))? {
        rows.push(LectureRow::Freed(seat?));
    }
    for line in lecture::history(db, id, Page { after: None, limit: usize::MAX >> 1 })? {
        let told = event(db, line.id.uuid())?;
        rows.push(LectureRow::History(line, told));
    }
    Ok(rows)
}

fn one_reservation(db: &Connection, id: Uuid) -> Sql<Option<ReservationRow>> {
    let id = ReservationId::new(id);
    let Some(reservation) = concert::reservation(db, id)? else { return Ok(None) };
    let mut seats = Vec::new();
    for number in reservation.seats.iter() {
        let seat = concert::seat(db, reservation.performance, *number)?;
        seats.extend(seat.filter(|seat| seat.reservation == id).map(|seat| (*number, seat)));
    }
    let payments = db
        .prepare_cached("SELECT count(*) FROM payments WHERE reservation_id = ?1")?
        .query_row([id.uuid().as_bytes()], |row| row.get(0))?;
    let held_event = event(db, id.uuid())?;
    let end_event = reservation.end_event.map_or(Ok(None), |end| event(db, end.uuid()))?;
    Ok(Some(ReservationRow { reservation, seats, payments, held_event, end_event }))
}

fn one_payment(db: &Connection, id: Uuid) -> Sql<Option<PaymentRow>> {
    let Some(payment) = payment::payment(db, onsale_domain::ids::PaymentId::new(id))? else { return Ok(None) };
    let entries = db
        .prepare_cached(
            "SELECT user_id, version, entry_id, type, amount, balance_after, reference, created_at FROM ledger
             WHERE reference = ?1 AND reference IS NOT NULL",
        )?
        .query_map([id.as_bytes()], wallet::entry)?
        .collect::<Sql<_>>()?;
    let reservation = concert::reservation(db, payment.reservation)?;
    Ok(Some(PaymentRow { payment, reservation, entries, event: event(db, id)? }))
}

fn one_room(db: &Connection, concert: ConcertId) -> Sql<Option<RoomRow>> {
    let Some(room) = waiting_room::room(db, concert)? else { return Ok(None) };
    let id = concert.uuid().into_bytes();
    let count_past =
        |sql: &str, past: u64| db.prepare_cached(sql)?.query_row(params![id, past], |row| row.get::<_, u64>(0));
    let count = |sql: &str| count_past(sql, room.served);
    let dropped_to = count("SELECT places_dropped_to FROM rooms WHERE concert_id = ?1 AND ?2 >= 0")?;
    let past = |sql: &str| count_past(sql, dropped_to);
    Ok(Some(RoomRow {
        concert,
        dropped_to,
        places_undropped: past("SELECT count(*) FROM places WHERE concert_id = ?1 AND place <= ?2")?,
        places: past("SELECT count(DISTINCT place) FROM places WHERE concert_id = ?1 AND place > ?2")?,
        highest_place: count("SELECT coalesce(max(place), 0) FROM places WHERE concert_id = ?1 AND ?2 >= 0")?,
        given_up: count("SELECT count(*) FROM places WHERE concert_id = ?1 AND place > ?2 AND standing = 'GIVEN_UP'")?,
        turns: count("SELECT count(*) FROM turns WHERE concert_id = ?1 AND ?2 >= 0")?,
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

/// A group of events, each with whether the row that it is about exists.
fn events(db: &Connection, after: &u64) -> Sql<(Vec<ToldRow>, Option<u64>)> {
    let mut statement = db.prepare_cached(
        "SELECT position, event_id, type, subject, version, data FROM events
         WHERE position > ?1 ORDER BY position LIMIT ?2",
    )?;
    let mut last = None;
    let mut rows = Vec::new();
    let mut found = statement.query(params![after, GROUP])?;
    while let Some(row) = found.next()? {
        last = Some(row.get(0)?);
        let id = uuid(row, 1)?;
        let event = EventRow { kind: row.get(2)?, subject: row.get(3)?, version: row.get(4)?, data: row.get(5)? };
        let has_source = has_source(db, &event, id)?;
        rows.push(ToldRow { id: EventId::new(id), kind: event.kind, subject: event.subject, has_source });
    }
    let next = last.filter(|_| rows.len() == GROUP);
    Ok((rows, next))
}

fn exists(db: &Connection, sql: &str, values: &[&dyn ToSql]) -> Sql<bool> {
    db.prepare_cached(sql)?.exists(values)
}

/// The reservation that an event's data names, if it does.
fn named_reservation(data: &str) -> Option<[u8; 16]> {
    let data: serde_json::Value = serde_json::from_str(data).ok()?;
    Uuid::try_parse(data["reservationId"].as_str()?).ok().map(Uuid::into_bytes)
}

/// Whether the row that an event is about exists.
fn has_source(db: &Connection, event: &EventRow, id: Uuid) -> Sql<bool> {
    let EventRow { kind, subject, version, data } = event;
    let exists = |sql: &str, values: &[&dyn ToSql]| exists(db, sql, values);
    let id = id.into_bytes();
    match kind.as_str() {
        "onsale.points.charged.v1" | "onsale.points.used.v1" => exists(
            "SELECT 1 FROM ledger WHERE user_id = ?1 AND version = ?2 AND entry_id = ?3",
            &[subject, version, &id],
        ),
        "onsale.lecture.applied.v1" | "onsale.lecture.cancelled.v1" => {
            let Ok(lecture) = Uuid::try_parse(subject).map(Uuid::into_bytes) else { return Ok(false) };
            exists(
                "SELECT 1 FROM lecture_history WHERE lecture_id = ?1 AND version = ?2 AND line_id = ?3",
                &[&lecture, version, &id],
            )
        }
        "onsale.seats.held.v1" => exists("SELECT 1 FROM reservations WHERE reservation_id = ?1", &[&id]),
        "onsale.payment.completed.v1" => exists("SELECT 1 FROM payments WHERE payment_id = ?1", &[&id]),
        "onsale.seats.released.v1" => {
            // An event whose data names no reservation belongs to none: a finding of the audit, not an error.
            let Some(reservation) = named_reservation(data) else { return Ok(false) };
            exists("SELECT 1 FROM reservations WHERE reservation_id = ?1 AND end_event_id = ?2", &[&reservation, &id])
        }
        _ => Ok(false),
    }
}
