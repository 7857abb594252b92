//! Draws, each with its list, its order and its events.

use onsale_app::audit::source::DrawRow;
use onsale_app::draw_event;
use onsale_app::store::{EntryRow, Page};
use onsale_domain::ids::{ConcertId, EventId, TokenId};
use onsale_domain::waiting_room::{List, closed_event, drawn_event};
use rusqlite::{Connection, params};

use super::super::values::{Sql, uuid};
use super::super::{draw, waiting_room};
use super::event_by_id;

/// Users with several entries.
const TWICE: &str = "SELECT count(*) FROM (SELECT user_id FROM places WHERE concert_id = ?1 AND place <= ?2
    AND standing <> 'GIVEN_UP' GROUP BY user_id HAVING count(*) > 1)";

const DRAWN: &str =
    "SELECT place, token_id FROM places WHERE concert_id = ?1 AND place > ?2 AND place <= ?3 ORDER BY place";

const PASSED: &str =
    "SELECT count(*) FROM places WHERE concert_id = ?1 AND place > ?2 AND place <= ?3 AND standing = 'GIVEN_UP'";

/// The draw of a concert with everything that must agree with it; `None` if there is none.
pub(super) fn one(db: &Connection, concert: ConcertId) -> Sql<Option<DrawRow>> {
    let (Some(draw), Some(room)) = (draw::one(db, concert)?, waiting_room::room(db, concert)?) else { return Ok(None) };
    let id = concert.uuid().into_bytes();
    let dropped_to = db
        .prepare_cached("SELECT places_dropped_to FROM rooms WHERE concert_id = ?1")?
        .query_row([id], |row| row.get(0))?;
    let order = draw::order(db, concert)?;
    let mut row = DrawRow {
        concert,
        room,
        dropped_to,
        draw,
        order,
        entries: Vec::new(),
        users_twice: 0,
        drawn: Vec::new(),
        passed: 0,
        closed_event: None,
        drawn_event: None,
    };
    let Some(list) = row.room.list else { return Ok(Some(row)) };
    let listed = draw::entries(db, concert, list, Page { after: None, limit: usize::MAX >> 1 })?;
    let entry = |row: EntryRow| Some((row.token.id, u32::try_from(row.token.place).ok()?));
    row.entries = listed.into_iter().filter_map(entry).collect();
    row.users_twice = db.prepare_cached(TWICE)?.query_row(params![id, list.issued], |row| row.get(0))?;
    row.drawn = db
        .prepare_cached(DRAWN)?
        .query_map(params![id, list.issued, list.issued + list.entries], |row| {
            Ok((row.get(0)?, TokenId::new(uuid(row, 1)?)))
        })?
        .collect::<Sql<_>>()?;
    row.passed = db.prepare_cached(PASSED)?.query_row(params![id, list.issued, row.room.served], |row| row.get(0))?;
    row.closed_event = event_by_id(db, closed_event(concert, list.closed_at).uuid())?;
    let drawn = list.drawn_at.map(|at| drawn_event(concert, at));
    row.drawn_event = drawn.map_or(Ok(None), |id| event_by_id(db, id.uuid()))?;
    Ok(Some(row))
}

/// Whether an event is the one of the closed list or of the drawn order of a concert.
pub(super) fn has_event(db: &Connection, concert: ConcertId, kind: &str, id: EventId) -> Sql<bool> {
    let Some(draw) = draw::one(db, concert)? else { return Ok(false) };
    let list = waiting_room::room(db, concert)?.and_then(|room| room.list);
    let is_of = |list: List| match kind {
        draw_event::CLOSED => draw.entries_hash.is_some() && id == closed_event(concert, list.closed_at),
        _ => list.drawn_at.is_some_and(|at| id == drawn_event(concert, at)),
    };
    Ok(list.is_some_and(is_of))
}
