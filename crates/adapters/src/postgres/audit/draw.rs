//! Draws, each with its list, its order and its events.

use onsale_app::audit::source::{DrawRow, EventRow};
use onsale_domain::ids::{ConcertId, EventId, TokenId};
use onsale_domain::waiting_room::{closed_event, drawn_event};
use tokio_postgres::Row;

use super::super::draw;
use super::super::error::DbError;
use super::super::room_rows::{ROOM_COLUMNS, read_room};
use super::super::values::{Sql, get, number, uuid};
use super::Out;
use super::cursor::Cursor;
use super::event::read_event;
use super::snapshot::Connection;
use crate::stored_draw::order_from_bytes;

/// Events by their versions, which closings and draws have for themselves.
const DRAWS: &str = "SELECT rooms.concert_id, max_active, admit_per_second, active_seconds, claim_seconds, paused,
        issued, served, given_up, active, admissions, rooms.version, updated_at, blocks, rooms.closed, extensions,
        opens_at, closes_at, admitted, early_from, opened_at, draw_at, list, codes_until,
        draws.concert_id, seed, beacon_name, beacon_at, beacon, entries_hash, changes, drawn_order, places_dropped_to,
        told_closed.type, told_closed.subject, told_closed.version, told_closed.data, told_closed.event_id,
        told_drawn.type, told_drawn.subject, told_drawn.version, told_drawn.data, told_drawn.event_id,
        coalesce((SELECT count(*) FROM (SELECT user_id FROM places WHERE places.concert_id = rooms.concert_id
            AND standing <> 'GIVEN_UP' AND place <= ('x' || encode(substr(list, 17, 8), 'hex'))::bit(64)::bigint
            GROUP BY user_id HAVING count(*) > 1) twice), 0)
    FROM draws JOIN rooms ON rooms.concert_id = draws.concert_id
    LEFT JOIN events told_closed ON told_closed.topic = 'onsale.concerts'
        AND told_closed.subject = draws.concert_id::text AND told_closed.version = 1099511627776
    LEFT JOIN events told_drawn ON told_drawn.topic = 'onsale.concerts'
        AND told_drawn.subject = draws.concert_id::text AND told_drawn.version = 1099511627777
    ORDER BY draws.concert_id";

/// All places of rooms with a draw: entries, drawn places and later ones.
const PLACES: &str =
    "SELECT concert_id, token_id, place, standing = 'GIVEN_UP' FROM places JOIN draws USING (concert_id)
    ORDER BY concert_id, place";

/// The first column of the record.
const RECORD: usize = ROOM_COLUMNS;

/// The first column after the record.
const AFTER: usize = RECORD + 7;

struct Place {
    token: TokenId,
    number: u64,
    is_given_up: bool,
}

pub(super) async fn draws(mut connection: Connection, out: Out<DrawRow>) -> Sql<()> {
    let transaction = connection.begin().await?;
    let mut draws = Cursor::open(&transaction, DRAWS, read).await?;
    let mut places = Cursor::open(&transaction, PLACES, read_place).await?;
    while let Some(mut row) = draws.next().await? {
        while let Some(place) = places.of(&row.concert).await? {
            add(&mut row, &place)?;
        }
        out.row(row).await;
    }
    Ok(())
}

/// Adds a place as what it is: an entry, a drawn place or a later one.
fn add(row: &mut DrawRow, place: &Place) -> Sql<()> {
    let Place { token, number, is_given_up } = *place;
    let Some(list) = row.room.list else { return Ok(()) };
    if list.is_entry(number) {
        if !is_given_up {
            row.entries.push((token, u32::try_from(number).map_err(|_| DbError::Broken("an entry number too high"))?));
        }
        return Ok(());
    }
    if list.is_drawn_place(number) {
        row.drawn.push((number, token));
    }
    row.passed += u64::from(is_given_up && number <= row.room.served);
    Ok(())
}

fn read(row: &Row) -> Sql<DrawRow> {
    let (concert, draw) = draw::read(row, RECORD)?;
    let room = read_room(row)?;
    let order = get::<Option<&[u8]>>(row, AFTER)?;
    let order = order.map(|bytes| order_from_bytes(bytes).ok_or(DbError::Broken("an order of a wrong length")));
    let list = room.list;
    Ok(DrawRow {
        concert,
        dropped_to: number(row, AFTER + 1)?,
        draw,
        order: order.transpose()?,
        entries: Vec::new(),
        users_twice: number(row, AFTER + 12)?,
        drawn: Vec::new(),
        passed: 0,
        closed_event: event(row, AFTER + 2, list.map(|list| closed_event(concert, list.closed_at)))?,
        drawn_event: event(row, AFTER + 7, list.and_then(|list| list.drawn_at).map(|at| drawn_event(concert, at)))?,
        room,
    })
}

/// The event of a version. One with another id counts as missing.
fn event(row: &Row, from: usize, expected: Option<EventId>) -> Sql<Option<EventRow>> {
    let is_of = |id| expected.is_none_or(|expected| expected.uuid() == id);
    match get::<Option<&str>>(row, from)? {
        Some(_) if is_of(uuid(row, from + 4)?) => read_event(row, from).map(Some),
        _ => Ok(None),
    }
}

fn read_place(row: &Row) -> Sql<(ConcertId, Place)> {
    let place = Place { token: TokenId::new(uuid(row, 1)?), number: number(row, 2)?, is_given_up: get(row, 3)? };
    Ok((ConcertId::new(uuid(row, 0)?), place))
}
