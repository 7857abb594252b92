//! Rows of rooms and turns as values.

use onsale_domain::concert::Sale;
use onsale_domain::waiting_room::{Room, Settings, Turn};
use tokio_postgres::Row;

use super::error::DbError;
use super::values::{Sql, get, instant, number, optional_instant, small};
use crate::stored_draw::list_from_bytes;
use crate::stored_room::{blocks_from_bytes, window_from_bytes};

/// The hours of a sale: from the column `closed`, two columns from `opens` on, and the column `codes`.
pub(super) fn read_sale(row: &Row, closed: usize, opens: usize, codes: usize) -> Sql<Sale> {
    Ok(Sale {
        closed: get(row, closed)?,
        opens_at: optional_instant(row, opens)?,
        closes_at: optional_instant(row, opens + 1)?,
        codes_until: optional_instant(row, codes)?,
    })
}

/// The number of columns of a room.
pub(super) const ROOM_COLUMNS: usize = 24;

pub(super) fn read_room(row: &Row) -> Sql<Room> {
    let window = window_from_bytes(get(row, 10)?);
    let (window, earlier_claim) = window.ok_or(DbError::Broken("a window of admissions of a wrong length"))?;
    Ok(Room {
        settings: Settings {
            max_active: small(row, 1)?,
            admit_per_second: small(row, 2)?,
            active_seconds: small(row, 3)?,
            claim_seconds: small(row, 4)?,
            paused: get(row, 5)?,
            sale: read_sale(row, 14, 16, 23)?,
            early_from: optional_instant(row, 19)?,
            draw_at: optional_instant(row, 21)?,
        },
        opened_at: optional_instant(row, 20)?,
        list: get::<Option<&[u8]>>(row, 22)?
            .map(|bytes| list_from_bytes(bytes).ok_or(DbError::Broken("a list of a wrong length")))
            .transpose()?,
        issued: number(row, 6)?,
        served: number(row, 7)?,
        given_up: number(row, 8)?,
        active: small(row, 9)?,
        window,
        earlier_claim,
        version: number(row, 11)?,
        updated_at: instant(row, 12)?,
        blocks: blocks_from_bytes(get(row, 13)?).ok_or(DbError::Broken("blocks of places of a wrong length"))?,
        extensions: number(row, 15)?,
        admitted: number(row, 18)?,
    })
}

/// A turn from the columns 2 to 6.
pub(super) fn read_turn(row: &Row) -> Sql<Turn> {
    Ok(Turn {
        admitted_at: instant(row, 2)?,
        active_until: instant(row, 3)?,
        seen_at: instant(row, 4)?,
        claimed: get(row, 5)?,
        named: get(row, 6)?,
    })
}
