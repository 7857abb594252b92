//! Records of draws, their lists and their orders.

use onsale_app::store::{EntryRow, Page, Unit};
use onsale_domain::ids::{ConcertId, TokenId, UserId};
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::waiting_room::{Draw, List, Token};
use tokio_postgres::Row;
use uuid::Uuid;

use super::error::DbError;
use super::session::{Pipeline, Session};
use super::values::{Sql, big, columns, get, instant, limit, number, optional_instant, params, user, uuid};
use crate::stored_draw::{
    beacon_of, changes_from_text, changes_to_text, digest_from_bytes, order_from_bytes, order_to_bytes, seed_from_bytes,
};

const LOAD: &str = "SELECT concert_id, seed, beacon_name, beacon_at, beacon, entries_hash, changes
    FROM draws WHERE concert_id = ANY ($1)";

const SAVE: &str = "INSERT INTO draws (concert_id, seed, beacon_name, beacon_at, beacon, entries_hash, changes)
    SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::text[], $4::bigint[], $5::text[], $6::bytea[], $7::text[])
    ON CONFLICT (concert_id) DO UPDATE SET seed = excluded.seed, beacon_name = excluded.beacon_name,
        beacon_at = excluded.beacon_at, beacon = excluded.beacon, entries_hash = excluded.entries_hash,
        changes = excluded.changes";

const ORDER: &str = "UPDATE draws SET drawn_order = v.drawn_order
    FROM unnest($1::uuid[], $2::bytea[]) v (concert_id, drawn_order) WHERE draws.concert_id = v.concert_id";

pub(super) const WRITES: &[&str] = &[LOAD, SAVE, ORDER];

const ENTRIES: &str = "SELECT place, token_id, user_id, issued_at, standing = 'REPLACED' FROM places
    WHERE concert_id = $1 AND place > $2 AND place <= $3 AND standing <> 'GIVEN_UP' ORDER BY place LIMIT $4";

const DRAWN: &str = "SELECT drawn_order FROM draws WHERE concert_id = $1";

const ENTRY_OF: &str = "SELECT place, token_id, issued_at FROM places
    WHERE concert_id = $1 AND user_id = $2 AND standing = 'CURRENT' AND place <= $3";

const NUMBER_AT: &str = "SELECT substr(drawn_order, $2::integer, 4) FROM draws WHERE concert_id = $1";

#[cfg(test)]
pub(super) const READS: &[&str] = &[ENTRIES, DRAWN, ENTRY_OF, NUMBER_AT];

/// A record from seven columns.
pub(super) fn read(row: &Row, from: usize) -> Sql<(ConcertId, Draw)> {
    let seed = seed_from_bytes(get(row, from + 1)?).ok_or(DbError::Broken("a seed of a wrong length"))?;
    let hash = get::<Option<&[u8]>>(row, from + 5)?;
    let hash = hash.map(|bytes| digest_from_bytes(bytes).ok_or(DbError::Broken("a hash of a wrong length")));
    let (name, value) = (get::<Option<String>>(row, from + 2)?, get::<Option<String>>(row, from + 4)?);
    let changes = changes_from_text(get(row, from + 6)?);
    let draw = Draw {
        seed,
        beacon: beacon_of(name, optional_instant(row, from + 3)?),
        value: value.map(Into::into),
        entries_hash: hash.transpose()?,
        changes: changes.ok_or(DbError::Broken("changes of a draw that are no JSON"))?,
    };
    Ok((ConcertId::new(uuid(row, from)?), draw))
}

/// Loads records of draws. Their rooms are locked by now.
pub(super) fn load<'a>(pipeline: &mut Pipeline<'a, Unit>, keys: &'a Keys) {
    if keys.draws.is_empty() {
        return;
    }
    let ids: Vec<Uuid> = keys.draws.iter().map(|id| id.uuid()).collect();
    pipeline.query(LOAD, params![ids], |found, unit| {
        for id in &keys.draws {
            unit.rows.draws.load(*id, None);
        }
        for row in found {
            let (concert, draw) = read(row, 0)?;
            unit.rows.draws.load(concert, Some(draw));
        }
        Ok(())
    });
}

pub(super) fn save<'a>(pipeline: &mut Pipeline<'a, ()>, rows: &'a Rows) {
    pipeline.write(
        SAVE,
        columns!(
            rows.draws.changed().filter_map(|(id, draw)| Some((id, draw?))),
            |(id, draw)| id.uuid(),
            draw.seed.reveal().0.to_vec(),
            draw.beacon.as_ref().map(|beacon| &*beacon.name),
            draw.beacon.as_ref().map(|beacon| beacon.at.as_millis()),
            draw.value.as_deref(),
            draw.entries_hash.map(|hash| hash.0.to_vec()),
            changes_to_text(&draw.changes),
        ),
    );
    pipeline.write(ORDER, columns!(rows.orders.iter(), |(id, order)| id.uuid(), order_to_bytes(order)));
}

pub(super) async fn one(session: &Session, concert: ConcertId) -> Sql<Option<Draw>> {
    let found = session.query(LOAD, params![vec![concert.uuid()]]).await?;
    found.first().map(|row| read(row, 0).map(|(_, draw)| draw)).transpose()
}

/// The entries of a closed list that follow a number, in ascending order of numbers.
pub(super) async fn entries(session: &Session, concert: ConcertId, list: List, page: Page<u64>) -> Sql<Vec<EntryRow>> {
    let after = big(page.after.unwrap_or(0));
    let asked = params![concert.uuid(), after, big(list.issued), limit(page.limit)];
    let found = session.query(ENTRIES, asked).await?;
    let read = |row: &Row| {
        let (id, issued_at) = (TokenId::new(uuid(row, 1)?), instant(row, 3)?);
        let token = Token { id, concert, user: user(row, 2)?, place: number(row, 0)?, issued_at };
        Ok(EntryRow { token, is_replaced: get(row, 4)? })
    };
    found.iter().map(read).collect()
}

/// The entry numbers in drawn order; `None` before the draw.
pub(super) async fn order(session: &Session, concert: ConcertId) -> Sql<Option<Vec<u32>>> {
    let found = session.query(DRAWN, params![concert.uuid()]).await?;
    let bytes = found.first().map(|row| get::<Option<&[u8]>>(row, 0)).transpose()?.flatten();
    bytes.map(|bytes| order_from_bytes(bytes).ok_or(DbError::Broken("an order of a wrong length"))).transpose()
}

/// The entry of a user in a closed list, if the user's current place is an entry or was drawn.
pub(super) async fn entry_of(session: &Session, concert: ConcertId, of: &UserId, list: List) -> Sql<Option<Token>> {
    let asked = params![concert.uuid(), of.as_str(), big(list.issued + list.entries)];
    let found = session.query(ENTRY_OF, asked).await?;
    let Some(row) = found.first() else { return Ok(None) };
    let (mut place, id, issued_at) = (number(row, 0)?, TokenId::new(uuid(row, 1)?), instant(row, 2)?);
    if list.is_drawn_place(place) {
        let start = i32::try_from((place - list.issued - 1) * 4 + 1).unwrap_or(i32::MAX);
        let found = session.query(NUMBER_AT, params![concert.uuid(), start]).await?;
        let bytes = found.first().map(|row| get::<Option<&[u8]>>(row, 0)).transpose()?.flatten();
        let number = bytes.and_then(order_from_bytes).and_then(|numbers| numbers.first().copied());
        let Some(number) = number else { return Ok(None) };
        place = number.into();
    }
    Ok(Some(Token { id, concert, user: of.clone(), place, issued_at }))
}
