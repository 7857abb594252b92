//! Waiting lists of performances.

use async_trait::async_trait;
use onsale_app::store::{ListedEntry, SeatLists, StoreError};
use onsale_domain::concert::Wish;
use onsale_domain::ids::{ConcertId, PerformanceId, ReservationId, UserId, WaitlistId};
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::seat_list::{Entry, FRONT_LOADED, OFFERED_TOGETHER_MAX};
use onsale_domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::reader::ReaderPool;
use super::values::{Sql, instant, optional_uuid, seats, some_seats, user, uuid, word};
use crate::stored::{Word, wish_from, wish_text};

/// The columns of an entry.
const ENTRY: &str = "e.performance_id, e.user_id, e.waitlist_id, e.concert_id, e.seats, e.section, e.grade, e.number, \
                     e.joined_at, e.state, e.reservation_id";

#[async_trait]
impl SeatLists for ReaderPool {
    async fn seat_waits_of(
        &self,
        user: &UserId,
        concert: Option<ConcertId>,
        since: Timestamp,
    ) -> Result<Vec<ListedEntry>, StoreError> {
        let user = user.clone();
        self.read(move |db| of_user(db, &user, concert, since)).await
    }

    async fn performances_to_serve(&self, at: Timestamp) -> Result<Vec<PerformanceId>, StoreError> {
        self.read(move |db| to_serve(db, at)).await
    }
}

/// Loads entries. After the performances.
pub(super) fn load(db: &Connection, keys: &Keys, rows: &mut Rows) -> Sql<()> {
    for (id, user) in &keys.seat_waits {
        let found = db
            .prepare_cached(&format!("SELECT {ENTRY} FROM seat_waits e WHERE performance_id = ?1 AND user_id = ?2"))?
            .query_row(params![id.uuid().as_bytes(), user.as_str()], read)
            .optional()?;
        rows.seat_waits.load((*id, user.clone()), found);
    }
    Ok(())
}

/// The loaded performances that have a list.
pub(super) fn listed(rows: &Rows) -> Vec<PerformanceId> {
    rows.performances.values().filter(|(_, own)| own.waitlisted > 0).map(|(id, _)| *id).collect()
}

/// Loads the front of the list of a performance.
pub(super) fn load_list(db: &Connection, id: PerformanceId, keys: &Keys, rows: &mut Rows) -> Sql<()> {
    let many = if keys.seat_lists.contains(&id) { OFFERED_TOGETHER_MAX } else { FRONT_LOADED };
    let mut list = rows.seat_lists.remove(&id).unwrap_or_default();
    let wishes: Vec<(Wish, u64)> = db
        .prepare_cached(
            "SELECT seats, section, grade, waiting FROM seat_wishes WHERE performance_id = ?1 AND waiting > 0",
        )?
        .query_map([id.uuid().as_bytes()], |row| Ok((read_wish(row, 0)?, row.get(3)?)))?
        .collect::<Sql<_>>()?;
    for (wish, waiting) in wishes {
        let mut statement = db.prepare_cached(&format!(
            "SELECT {ENTRY} FROM seat_waits e WHERE performance_id = ?1 AND seats = ?2 AND section = ?3 AND grade = ?4
                AND state = 'WAITING' ORDER BY number LIMIT ?5"
        ))?;
        let front = statement.query_map(
            params![id.uuid().as_bytes(), wish.count, wish_text(&wish.section), wish_text(&wish.grade), many],
            read,
        )?;
        let front = front.collect::<Sql<Vec<Entry>>>()?;
        list.load_wish(wish, waiting);
        for entry in front {
            for (reservation, seats) in owned(db, &entry)? {
                list.load_owned(entry.user.clone(), reservation, seats);
            }
            list.load_entry(&entry);
            rows.seat_waits.load((id, entry.user.clone()), Some(entry));
        }
    }
    rows.seat_lists.insert(id, list);
    Ok(())
}

/// The open reservations of a user in a performance, each with its number of seats that are not refunded.
fn owned(db: &Connection, entry: &Entry) -> Sql<Vec<(ReservationId, usize)>> {
    db.prepare_cached(
        "SELECT reservation_id, seats, refunded FROM reservations
         WHERE concert_id = ?1 AND user_id = ?2 AND status IN ('HELD', 'PAID') AND +performance_id = ?3",
    )?
    .query_map(
        params![entry.concert.uuid().as_bytes(), entry.user.as_str(), entry.performance.uuid().as_bytes()],
        |row| {
            let left = seats(row, 1)?.len().saturating_sub(some_seats(row, 2)?.len());
            Ok((ReservationId::new(uuid(row, 0)?), left))
        },
    )?
    .collect()
}

/// A wish from three columns.
fn read_wish(row: &Row<'_>, from: usize) -> Sql<Wish> {
    Ok(wish_from(row.get(from)?, row.get_ref(from + 1)?.as_str()?, row.get_ref(from + 2)?.as_str()?))
}

/// An entry from the columns [`ENTRY`].
fn read(row: &Row<'_>) -> Sql<Entry> {
    Ok(Entry {
        performance: PerformanceId::new(uuid(row, 0)?),
        user: user(row, 1)?,
        id: WaitlistId::new(uuid(row, 2)?),
        concert: ConcertId::new(uuid(row, 3)?),
        wish: read_wish(row, 4)?,
        number: row.get(7)?,
        joined_at: instant(row, 8)?,
        state: word(row, 9)?,
        reservation: optional_uuid(row, 10)?.map(ReservationId::new),
    })
}

/// Saves entries, and the numbers of users of each wish.
pub(super) fn save(db: &Connection, rows: &Rows) -> Sql<()> {
    for (_, entry) in rows.seat_waits.changed() {
        let Some(entry) = entry else { continue };
        db.prepare_cached(
            "INSERT INTO seat_waits (performance_id, user_id, waitlist_id, concert_id, seats, section, grade, number,
                joined_at, state, reservation_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
             ON CONFLICT DO UPDATE SET waitlist_id = ?3, seats = ?5, section = ?6, grade = ?7, number = ?8, joined_at = ?9,
                state = ?10, reservation_id = ?11",
        )?
        .execute(params![
            entry.performance.uuid().as_bytes(),
            entry.user.as_str(),
            entry.id.uuid().as_bytes(),
            entry.concert.uuid().as_bytes(),
            entry.wish.count,
            wish_text(&entry.wish.section),
            wish_text(&entry.wish.grade),
            entry.number,
            entry.joined_at.as_millis(),
            entry.state.word(),
            entry.reservation.map(|id| id.uuid().into_bytes()),
        ])?;
    }
    for own in rows.changed_wishes() {
        // An insert with fewer than no users would fail before its conflict is found.
        let statement = if own.change > 0 {
            "INSERT INTO seat_wishes (performance_id, seats, section, grade, waiting) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET waiting = waiting + ?5"
        } else {
            "UPDATE seat_wishes SET waiting = waiting + ?5
             WHERE performance_id = ?1 AND seats = ?2 AND section = ?3 AND grade = ?4"
        };
        db.prepare_cached(statement)?.execute(params![
            own.performance.uuid().as_bytes(),
            own.wish.count,
            wish_text(&own.wish.section),
            wish_text(&own.wish.grade),
            own.change,
        ])?;
    }
    Ok(())
}

fn of_user(db: &Connection, user: &UserId, concert: Option<ConcertId>, since: Timestamp) -> Sql<Vec<ListedEntry>> {
    let concert = concert.map(|id| id.uuid().into_bytes());
    db.prepare_cached(&format!(
        "SELECT {ENTRY}, CASE WHEN e.state = 'WAITING' THEN (SELECT count(*) FROM seat_waits other
                WHERE other.performance_id = e.performance_id AND other.state = 'WAITING' AND other.number <= e.number) END,
            p.starts_at, p.cancelled_at IS NOT NULL
         FROM seat_waits e JOIN performances p ON p.performance_id = e.performance_id
         WHERE e.user_id = ?1 AND ((?2 IS NULL AND p.starts_at >= ?3) OR e.concert_id = ?2)
         ORDER BY e.waitlist_id DESC"
    ))?
    .query_map(params![user.as_str(), concert, since.as_millis()], |row| {
        Ok(ListedEntry {
            entry: read(row)?,
            position: row.get(11)?,
            starts_at: instant(row, 12)?,
            is_cancelled: row.get(13)?,
        })
    })?
    .collect()
}

fn to_serve(db: &Connection, at: Timestamp) -> Sql<Vec<PerformanceId>> {
    db.prepare_cached(
        "SELECT performance_id FROM performances WHERE waitlisted > 0
            AND (starts_at <= ?1 OR cancelled_at IS NOT NULL OR (sold + blocked + held < capacity AND NOT closed
                AND NOT sale_closed AND (opens_at IS NULL OR opens_at <= ?1) AND (closes_at IS NULL OR closes_at > ?1)))
         ORDER BY starts_at, performance_id",
    )?
    .query_map([at.as_millis()], |row| Ok(PerformanceId::new(uuid(row, 0)?)))?
    .collect()
}
