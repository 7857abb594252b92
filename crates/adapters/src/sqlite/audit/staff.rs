//! What staff may change, each with the log entries about it, read in one group.

use onsale_app::audit::source::{ExternalRow, StaffRow, StaffSubject};
use onsale_app::store::{LogFilter, LogRow, Page};
use onsale_domain::ids::{ConcertId, LectureId, PerformanceId, SessionId};
use onsale_domain::staff::ExternalCharge;
use onsale_domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::super::staff::{self, KEY};
use super::super::values::{Sql, instant, user};
use super::super::{concert, concert_row, lecture, waiting_room, wallet};

/// Number of subjects in a group. Each needs a search in the log.
const GROUP: usize = 100;

/// Number of log entries that are read at once.
const PAGE: usize = 10_000;

/// The tables of the subjects with the columns of their ids, in the order in which they are read.
const KINDS: [(&str, &str, &str); 5] = [
    ("key", "staff_keys", "key_id"),
    ("lecture", "lectures", "lecture_id"),
    ("concert", "concerts", "concert_id"),
    ("performance", "performances", "performance_id"),
    ("session", "staff_sessions", "session_id"),
];

/// The beginning of a group: the number of the kind, and the last id of it.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    kind: usize,
    after: Vec<u8>,
}

/// The next group of subjects.
pub(super) fn subjects(db: &Connection, cursor: &Cursor) -> Sql<(Vec<StaffRow>, Option<Cursor>)> {
    let Some((kind, table, id)) = KINDS.get(cursor.kind) else { return Ok((vec![directory(db)?], None)) };
    let since = since(db)?;
    let sql = format!("SELECT {id} FROM {table} WHERE {id} > ?1 ORDER BY {id} LIMIT {GROUP}");
    let ids: Vec<[u8; 16]> =
        db.prepare_cached(&sql)?.query_map([&cursor.after], |row| row.get(0))?.collect::<Sql<_>>()?;
    let mut rows = Vec::with_capacity(ids.len());
    for id in &ids {
        let id = Uuid::from_bytes(*id);
        if let Some(subject) = subject(db, kind, id, since)? {
            rows.push(StaffRow { subject, entries: entries(db, format!("{kind}:{id}"), None)?, since });
        }
    }
    let next = match ids.last().filter(|_| ids.len() == GROUP) {
        Some(last) => Cursor { kind: cursor.kind, after: last.to_vec() },
        None => Cursor { kind: cursor.kind + 1, after: Vec::new() },
    };
    Ok((rows, Some(next)))
}

fn since(db: &Connection) -> Sql<Timestamp> {
    db.prepare_cached("SELECT since FROM staff_directory")?.query_row([], |row| instant(row, 0))
}

fn directory(db: &Connection) -> Sql<StaffRow> {
    let sql = "SELECT count(*) FROM staff_keys WHERE deleted_at IS NULL";
    let subject = StaffSubject::Directory(staff::directory(db)?, db.query_row(sql, [], |row| row.get(0))?);
    Ok(StaffRow { subject, entries: Vec::new(), since: since(db)? })
}

fn subject(db: &Connection, kind: &str, id: Uuid, since: Timestamp) -> Sql<Option<StaffSubject>> {
    Ok(match kind {
        "key" => {
            let sql = format!("SELECT {KEY} FROM staff_keys WHERE key_id = ?1");
            Some(StaffSubject::Key(db.prepare_cached(&sql)?.query_row([id.as_bytes()], staff::read)?))
        }
        "lecture" => lecture::lecture(db, LectureId::new(id))?.map(StaffSubject::Lecture),
        "session" => Some(StaffSubject::Session(SessionId::new(id))),
        "concert" => {
            let concert = concert_row::concert(db, ConcertId::new(id))?;
            let room = waiting_room::room(db, ConcertId::new(id))?;
            concert.zip(room).map(|(concert, room)| StaffSubject::Concert(concert, room.settings))
        }
        _ => {
            let Some(performance) = concert::performance(db, PerformanceId::new(id))? else { return Ok(None) };
            let extended_at = db
                .prepare_cached("SELECT at FROM hold_extensions WHERE performance_id = ?1 AND at >= ?2")?
                .query_map(params![id.as_bytes(), since.as_millis()], |row| instant(row, 0))?
                .collect::<Sql<Vec<_>>>()?;
            let of_concert = match extended_at.is_empty() {
                true => Vec::new(),
                false => entries(db, format!("concert:{}", performance.concert), Some("holds.extended"))?,
            };
            let blocks = db
                .prepare_cached(
                    "SELECT seat, block_reason FROM seats WHERE performance_id = ?1 AND block_reason IS NOT NULL",
                )?
                .query_map([id.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Sql<Vec<_>>>()?;
            Some(StaffSubject::Performance { performance, extended_at, of_concert, blocks })
        }
    })
}

fn entries(db: &Connection, subject: String, action: Option<&str>) -> Sql<Vec<LogRow>> {
    let filter = LogFilter { subject: Some(subject.into()), action: action.map(Into::into), ..LogFilter::default() };
    let mut all = Vec::new();
    loop {
        let found = staff::log(db, &filter, Page { after: all.last().map(|row: &LogRow| row.id), limit: PAGE })?;
        let is_last = found.len() < PAGE;
        all.extend(found);
        if is_last {
            return Ok(all);
        }
    }
}

/// The next group of charges under an external id.
pub(super) fn external_charges(db: &Connection, after: &String) -> Sql<(Vec<ExternalRow>, Option<String>)> {
    let sql = format!(
        "SELECT external_id, user_id, version, amount, balance_after, charged_at,
            (SELECT count(*) FROM admin_log WHERE subject = 'user:' || user_id AND action = 'points.charged'
                AND json_extract(after, '$.externalId') = external_id)
         FROM external_charges WHERE external_id > ?1 ORDER BY external_id LIMIT {GROUP}"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = Vec::new();
    let mut found = statement.query([after])?;
    while let Some(row) = found.next()? {
        let charge = ExternalCharge {
            user: user(row, 1)?,
            version: row.get(2)?,
            amount: row.get(3)?,
            balance_after: row.get(4)?,
            charged_at: instant(row, 5)?,
        };
        let sql = "SELECT user_id, version, entry_id, type, amount, balance_after, reference, created_at FROM ledger
             WHERE user_id = ?1 AND version = ?2";
        let entry = db
            .prepare_cached(sql)?
            .query_row(params![charge.user.as_str(), charge.version], wallet::entry)
            .optional()?;
        rows.push(ExternalRow { external_id: row.get(0)?, charge, entry, logged: row.get(6)? });
    }
    let next = rows.last().filter(|_| rows.len() == GROUP).map(|row| row.external_id.clone());
    Ok((rows, next))
}
