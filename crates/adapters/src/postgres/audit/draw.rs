//! Draws, each with its list and its order.

use onsale_app::audit::source::DrawRow;
use onsale_domain::ids::{ConcertId, TokenId};
use tokio_postgres::Row;

use super::super::draw;
use super::super::error::DbError;
use super::super::values::{Sql, get, number, uuid};
use super::Out;
use super::cursor::Cursor;
use super::snapshot::Connection;
use crate::stored_draw::{list_from_bytes, order_from_bytes};

const DRAWS: &str = "SELECT concert_id, seed, beacon_name, beacon_at, beacon, entries_hash, changes, drawn_order, list,
        places_dropped_to
    FROM draws JOIN rooms USING (concert_id) ORDER BY concert_id";

/// Later places are among them.
const ENTRIES: &str = "SELECT concert_id, token_id, place FROM places JOIN draws USING (concert_id)
    WHERE standing <> 'GIVEN_UP' ORDER BY concert_id, place";

pub(super) async fn draws(mut connection: Connection, out: Out<DrawRow>) -> Sql<()> {
    let transaction = connection.begin().await?;
    let mut draws = Cursor::open(&transaction, DRAWS, read).await?;
    let mut entries = Cursor::open(&transaction, ENTRIES, read_entry).await?;
    while let Some(mut row) = draws.next().await? {
        while let Some((token, place)) = entries.of(&row.concert).await? {
            if row.list.is_some_and(|list| list.is_entry(place)) {
                row.entries
                    .push((token, u32::try_from(place).map_err(|_| DbError::Broken("an entry number too high"))?));
            }
        }
        out.row(row).await;
    }
    Ok(())
}

fn read(row: &Row) -> Sql<DrawRow> {
    let (concert, draw) = draw::read(row)?;
    let order = get::<Option<&[u8]>>(row, 7)?;
    let order = order.map(|bytes| order_from_bytes(bytes).ok_or(DbError::Broken("an order of a wrong length")));
    let list = get::<Option<&[u8]>>(row, 8)?;
    let list = list.map(|bytes| list_from_bytes(bytes).ok_or(DbError::Broken("a list of a wrong length")));
    let (list, order, dropped_to) = (list.transpose()?, order.transpose()?, number(row, 9)?);
    Ok(DrawRow { concert, list, dropped_to, draw, order, entries: Vec::new() })
}

fn read_entry(row: &Row) -> Sql<(ConcertId, (TokenId, u64))> {
    Ok((ConcertId::new(uuid(row, 0)?), (TokenId::new(uuid(row, 1)?), number(row, 2)?)))
}
