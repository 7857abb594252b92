//! Rows of concerts themselves: title, venue, notice, the hours of the sale, and the limit of seats.

use std::sync::Arc;

use onsale_domain::concert::{Concert, Notice, Sale};
use onsale_domain::ids::ConcertId;
use onsale_domain::rows::Rows;
use onsale_domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::values::{Sql, instant, optional_instant, optional_text, text, uuid};

/// Inserts and changes concerts. Called before rooms are saved, which refer to them.
pub(super) fn save(db: &Connection, rows: &Rows) -> Sql<()> {
    let insert = "INSERT INTO concerts
           (concert_id, title, venue, created_at, notice_ko, notice_en, closed, version, opens_at, closes_at, max_seats,
            codes_until)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    // The creation time never changes.
    let update =
        "UPDATE concerts SET title = ?2, venue = ?3, created_at = ?4, notice_ko = ?5, notice_en = ?6, closed = ?7,
            version = ?8, opens_at = ?9, closes_at = ?10, max_seats = ?11, codes_until = ?12 WHERE concert_id = ?1";
    let added = rows.concerts.added().map(|(_, concert)| (insert, concert));
    let changed = rows.concerts.outdated().filter_map(|id| Some((update, rows.concerts.get(id)?)));
    for (sql, concert) in added.chain(changed) {
        let Concert { id, title, venue, created_at, notice, sale, seats_per_user, version } = concert;
        let (ko, en) = texts(notice.as_deref());
        db.prepare_cached(sql)?.execute(params![
            id.uuid().as_bytes(),
            &**title,
            &**venue,
            created_at.as_millis(),
            ko,
            en,
            sale.closed,
            version,
            sale.opens_at.map(Timestamp::as_millis),
            sale.closes_at.map(Timestamp::as_millis),
            seats_per_user,
            sale.codes_until.map(Timestamp::as_millis),
        ])?;
    }
    Ok(())
}

/// The notice in Korean and in English.
fn texts(notice: Option<&Notice>) -> (Option<&str>, Option<&str>) {
    notice.map_or((None, None), |notice| (notice.ko.as_deref(), notice.en.as_deref()))
}

pub(super) fn concerts(db: &Connection) -> Sql<Vec<Concert>> {
    db.prepare_cached(&format!("SELECT {CONCERT} FROM concerts"))?.query_map([], read_concert)?.collect()
}

pub(super) fn concert(db: &Connection, id: ConcertId) -> Sql<Option<Concert>> {
    db.prepare_cached(&format!("SELECT {CONCERT} FROM concerts WHERE concert_id = ?1"))?
        .query_row([id.uuid().as_bytes()], read_concert)
        .optional()
}

const CONCERT: &str = "concert_id, title, venue, created_at, notice_ko, notice_en, closed, version, opens_at, \
                       closes_at, max_seats, codes_until";

fn read_concert(row: &Row<'_>) -> Sql<Concert> {
    let (ko, en) = (optional_text(row, 4)?, optional_text(row, 5)?);
    Ok(Concert {
        id: ConcertId::new(uuid(row, 0)?),
        title: text(row, 1)?,
        venue: text(row, 2)?,
        created_at: instant(row, 3)?,
        notice: (ko.is_some() || en.is_some()).then(|| Arc::new(Notice { ko, en })),
        sale: Sale {
            closed: row.get(6)?,
            opens_at: optional_instant(row, 8)?,
            closes_at: optional_instant(row, 9)?,
            codes_until: optional_instant(row, 11)?,
        },
        seats_per_user: row.get(10)?,
        version: row.get(7)?,
    })
}
