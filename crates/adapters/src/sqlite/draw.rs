//! Records of draws, their lists and their orders.

use async_trait::async_trait;
use onsale_app::store::{Draws, EntryRow, Page, StoreError};
use onsale_domain::ids::{ConcertId, TokenId, UserId};
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{Draw, List, Token};
use rusqlite::{Connection, OptionalExtension, params};

use super::reader::ReaderPool;
use super::values::{Sql, broken, instant, optional_instant, user, uuid};
use crate::stored_draw::{
    beacon_of, changes_from_text, changes_to_text, digest_from_bytes, order_from_bytes, order_to_bytes, seed_from_bytes,
};

pub(super) fn load(db: &Connection, keys: &Keys, rows: &mut Rows) -> Sql<()> {
    for concert in &keys.draws {
        rows.draws.load(*concert, one(db, *concert)?);
    }
    Ok(())
}

pub(super) fn one(db: &Connection, concert: ConcertId) -> Sql<Option<Draw>> {
    db.prepare_cached(
        "SELECT seed, beacon_name, beacon_at, beacon, entries_hash, changes FROM draws WHERE concert_id = ?1",
    )?
    .query_row([concert.uuid().as_bytes()], |row| {
        let hash: Option<Vec<u8>> = row.get(4)?;
        let changes: String = row.get(5)?;
        let (name, value): (Option<String>, Option<String>) = (row.get(1)?, row.get(3)?);
        Ok(Draw {
            seed: seed_from_bytes(row.get_ref(0)?.as_blob()?).ok_or_else(|| broken(0, "a seed of a wrong length"))?,
            beacon: beacon_of(name, optional_instant(row, 2)?),
            value: value.map(Into::into),
            entries_hash: hash
                .map(|bytes| digest_from_bytes(&bytes).ok_or_else(|| broken(4, "a hash of a wrong length")))
                .transpose()?,
            changes: changes_from_text(&changes).ok_or_else(|| broken(5, "changes of a draw that are no JSON"))?,
        })
    })
    .optional()
}

/// Saves records and orders. Called after the rooms, to which they refer.
pub(super) fn save(db: &Connection, rows: &Rows) -> Sql<()> {
    for (concert, draw) in rows.draws.changed() {
        let Some(draw) = draw else { continue };
        db.prepare_cached(
            "INSERT INTO draws (concert_id, seed, beacon_name, beacon_at, beacon, entries_hash, changes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET seed = ?2, beacon_name = ?3, beacon_at = ?4,
                beacon = ?5, entries_hash = ?6, changes = ?7",
        )?
        .execute(params![
            concert.uuid().as_bytes(),
            draw.seed.reveal().0,
            draw.beacon.as_ref().map(|beacon| &*beacon.name),
            draw.beacon.as_ref().map(|beacon| beacon.at.as_millis()),
            draw.value.as_deref(),
            draw.entries_hash.map(|hash| hash.0),
            changes_to_text(&draw.changes),
        ])?;
    }
    for (concert, order) in &rows.orders {
        db.prepare_cached("UPDATE draws SET drawn_order = ?2 WHERE concert_id = ?1")?
            .execute(params![concert.uuid().as_bytes(), order_to_bytes(order)])?;
    }
    Ok(())
}

/// The entries of a closed list that follow a number, in ascending order of numbers.
pub(super) fn entries(db: &Connection, concert: ConcertId, list: List, page: Page<u64>) -> Sql<Vec<EntryRow>> {
    db.prepare_cached(
        "SELECT place, token_id, user_id, issued_at, standing = 'REPLACED' FROM places
         WHERE concert_id = ?1 AND place > ?2 AND place <= ?3 AND standing <> 'GIVEN_UP' ORDER BY place LIMIT ?4",
    )?
    .query_map(params![concert.uuid().as_bytes(), page.after.unwrap_or(0), list.issued, page.limit], |row| {
        let token = Token {
            id: TokenId::new(uuid(row, 1)?),
            concert,
            user: user(row, 2)?,
            place: row.get(0)?,
            issued_at: instant(row, 3)?,
        };
        Ok(EntryRow { token, is_replaced: row.get(4)? })
    })?
    .collect()
}

/// The entry numbers in drawn order; `None` before the draw.
pub(super) fn order(db: &Connection, concert: ConcertId) -> Sql<Option<Vec<u32>>> {
    let bytes: Option<Option<Vec<u8>>> = db
        .prepare_cached("SELECT drawn_order FROM draws WHERE concert_id = ?1")?
        .query_row([concert.uuid().as_bytes()], |row| row.get(0))
        .optional()?;
    let read = |bytes: Vec<u8>| order_from_bytes(&bytes).ok_or_else(|| broken(0, "an order of a wrong length"));
    bytes.flatten().map(read).transpose()
}

/// The entry of a user in a closed list, if the user's current place is an entry or was drawn.
fn entry_of(db: &Connection, concert: ConcertId, of: &UserId, list: List) -> Sql<Option<Token>> {
    let found: Option<(u64, TokenId, Timestamp)> = db
        .prepare_cached(
            "SELECT place, token_id, issued_at FROM places
             WHERE concert_id = ?1 AND user_id = ?2 AND standing = 'CURRENT' AND place <= ?3",
        )?
        .query_row(params![concert.uuid().as_bytes(), of.as_str(), list.issued + list.entries], |row| {
            Ok((row.get(0)?, TokenId::new(uuid(row, 1)?), instant(row, 2)?))
        })
        .optional()?;
    let Some((mut place, id, issued_at)) = found else { return Ok(None) };
    if list.is_drawn_place(place) {
        let start = (place - list.issued - 1) * 4 + 1;
        let bytes: Option<Vec<u8>> = db
            .prepare_cached("SELECT substr(drawn_order, ?2, 4) FROM draws WHERE concert_id = ?1")?
            .query_row(params![concert.uuid().as_bytes(), start], |row| row.get(0))
            .optional()?
            .flatten();
        let number = bytes.and_then(|bytes| order_from_bytes(&bytes)).and_then(|numbers| numbers.first().copied());
        let Some(number) = number else { return Ok(None) };
        place = number.into();
    }
    Ok(Some(Token { id, concert, user: of.clone(), place, issued_at }))
}

#[async_trait]
impl Draws for ReaderPool {
    async fn draw(&self, concert: ConcertId) -> Result<Option<Draw>, StoreError> {
        self.read(move |db| one(db, concert)).await
    }

    async fn draw_entries(&self, concert: ConcertId, list: List, page: Page<u64>) -> Result<Vec<EntryRow>, StoreError> {
        self.read(move |db| entries(db, concert, list, page)).await
    }

    async fn drawn_order(&self, concert: ConcertId) -> Result<Option<Vec<u32>>, StoreError> {
        self.read(move |db| order(db, concert)).await
    }

    async fn draw_entry_of(&self, concert: ConcertId, user: &UserId, list: List) -> Result<Option<Token>, StoreError> {
        let user = user.clone();
        self.read(move |db| entry_of(db, concert, &user, list)).await
    }
}
