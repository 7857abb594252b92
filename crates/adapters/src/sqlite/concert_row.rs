//! Rows of concerts themselves: title, venue, notice, and whether the sale is closed.

use std::sync::Arc;

use onsale_domain::concert::{Concert, Notice};
use onsale_domain::ids::ConcertId;
use onsale_domain::rows::Rows;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::values::{Sql, instant, optional_text, text, uuid};

/// Inserts and changes concerts. Called before rooms are saved, which refer to them.
pub(super) fn save(db: &Connection, rows: &Rows) -> Sql<()> {
    for (id, Concert { title, venue, created_at, notice, closed, version, .. }) in rows.concerts.added() {
        let (ko, en) = texts(notice.as_deref());
        db.prepare_cached(
            "INSERT INTO concerts (concert_id, title, venue, created_at, notice_ko, notice_en, closed, version)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            id.uuid().as_bytes(),
            &**title,
            &**venue,
            created_at.as_millis(),
            ko,
            en,
            closed,
            version,
        ])?;
    }
    for id in rows.concerts.outdated() {
        let Some(Concert { notice, closed, version, .. }) = rows.concerts.get(id) else { continue };
        let (ko, en) = texts(notice.as_deref());
        db.prepare_cached(
            "UPDATE concerts SET notice_ko = ?2, notice_en = ?3, closed = ?4, version = ?5 WHERE concert_id = ?1",
        )?
        .execute(params![id.uuid().as_bytes(), ko, en, closed, version])?;
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

const CONCERT: &str = "concert_id, title, venue, created_at, notice_ko, notice_en, closed, version";

fn read_concert(row: &Row<'_>) -> Sql<Concert> {
    let (ko, en) = (optional_text(row, 4)?, optional_text(row, 5)?);
    Ok(Concert {
        id: ConcertId::new(uuid(row, 0)?),
        title: text(row, 1)?,
        venue: text(row, 2)?,
        created_at: instant(row, 3)?,
        notice: (ko.is_some() || en.is_some()).then(|| Arc::new(Notice { ko, en })),
        closed: row.get(6)?,
        version: row.get(7)?,
    })
}
