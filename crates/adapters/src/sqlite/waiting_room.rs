//! Waiting rooms: counters, places, turns and their ends.

use onsale_app::store::{Announced, HoldRecord, RoomRecord};
use onsale_domain::concert::{HoldEnd, Sale};
use onsale_domain::ids::{ConcertId, PerformanceId, ReservationId, TokenId, UserId};
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{GivenUp, List, Place, PlaceStanding, Room, Settings, Token, Turn};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::concert::load_open;
use super::concert_row;
use super::extension::{further, read_end};
use super::values::{Sql, broken, instant, optional_instant, user, uuid, word};
use crate::stored::Word;
use crate::stored_draw::{list_from_bytes, list_to_bytes};
use crate::stored_room::{blocks_from_bytes, blocks_to_bytes, window_from_bytes, window_to_bytes};

pub(super) fn load(db: &Connection, keys: &Keys, rows: &mut Rows) -> Sql<()> {
    for concert in &keys.rooms {
        let room = room(db, *concert)?;
        let given_up = match &room {
            Some(room) if room.given_up > 0 => given_up_after(db, *concert, room.served, GivenUp::LOADED_MAX)?,
            _ => Vec::new(),
        };
        rows.given_up.insert(*concert, GivenUp::loaded(given_up));
        rows.rooms.load(*concert, room);
    }
    for (concert, user) in &keys.entrants {
        load_entrant(db, *concert, user, rows)?;
    }
    for key in &keys.places {
        load_place(db, *key, rows)?;
    }
    for key in &keys.turns {
        load_place(db, *key, rows)?;
        load_turn(db, *key, rows)?;
    }
    for key in &keys.turn_holders {
        load_place(db, *key, rows)?;
        if let Some(user) = rows.places.get(key).map(|place| place.user.clone()) {
            load_open(db, key.0, &user, rows)?;
        }
    }
    Ok(())
}

/// Loads a user's current place. If the place has a turn, also loads what decides whether the turn is still running.
fn load_entrant(db: &Connection, concert: ConcertId, user: &UserId, rows: &mut Rows) -> Sql<()> {
    let number: Option<u64> = db
        .prepare_cached("SELECT place FROM places WHERE concert_id = ?1 AND user_id = ?2 AND standing = 'CURRENT'")?
        .query_row(params![concert.uuid().as_bytes(), user.as_str()], |row| row.get(0))
        .optional()?;
    rows.current_places.load((concert, user.clone()), number);
    let Some(number) = number else { return Ok(()) };
    load_place(db, (concert, number), rows)?;
    load_turn(db, (concert, number), rows)?;
    // A hold may keep the turn running after its own time.
    if rows.turns.get(&(concert, number)).is_some() {
        load_open(db, concert, user, rows)?;
    }
    Ok(())
}

fn load_place(db: &Connection, key: (ConcertId, u64), rows: &mut Rows) -> Sql<()> {
    if !rows.places.is_loaded(&key) {
        let place = db
            .prepare_cached(
                "SELECT user_id, token_id, issued_at, standing FROM places WHERE concert_id = ?1 AND place = ?2",
            )?
            .query_row(params![key.0.uuid().as_bytes(), key.1], |row| {
                Ok(Place {
                    user: user(row, 0)?,
                    token: TokenId::new(uuid(row, 1)?),
                    issued_at: instant(row, 2)?,
                    standing: word(row, 3)?,
                })
            })
            .optional()?;
        rows.places.load(key, place);
    }
    Ok(())
}

/// A turn with its end, if it has one.
pub(super) const TURN: &str = "SELECT place, admitted_at, active_until, seen_at, claimed, named, ended_at
    FROM turns LEFT JOIN turn_ends USING (concert_id, place) WHERE concert_id = ?1 AND place = ?2";

fn load_turn(db: &Connection, key: (ConcertId, u64), rows: &mut Rows) -> Sql<()> {
    if rows.turns.is_loaded(&key) {
        return Ok(());
    }
    let found = db.prepare_cached(TURN)?.query_row(params![key.0.uuid().as_bytes(), key.1], read_turn).optional()?;
    let (turn, end) = found.map_or((None, None), |(_, turn, end)| (Some(turn), end));
    rows.turns.load(key, turn);
    rows.ends.load(key, end);
    Ok(())
}

fn read_turn(row: &Row<'_>) -> Sql<(u64, Turn, Option<Timestamp>)> {
    let turn = Turn {
        admitted_at: instant(row, 1)?,
        active_until: instant(row, 2)?,
        seen_at: instant(row, 3)?,
        claimed: row.get(4)?,
        named: row.get(5)?,
    };
    Ok((row.get(0)?, turn, optional_instant(row, 6)?))
}

pub(super) fn save(db: &Connection, rows: &Rows) -> Sql<()> {
    // The room before its places and turns, which refer to it by foreign keys.
    for (concert, room) in rows.rooms.changed() {
        let Some(room) = room else { continue };
        save_room(db, *concert, room)?;
    }
    save_places(db, rows)?;
    for ((concert, place), turn) in rows.turns.changed() {
        let Some(Turn { admitted_at, active_until, seen_at, claimed, named }) = turn else {
            // Deleted at once: no other process reads changes of this file.
            db.prepare_cached("DELETE FROM turns WHERE concert_id = ?1 AND place = ?2")?
                .execute(params![concert.uuid().as_bytes(), place])?;
            continue;
        };
        db.prepare_cached(
            "INSERT INTO turns (concert_id, place, admitted_at, active_until, seen_at, claimed, named)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET
               admitted_at = ?3, active_until = ?4, seen_at = ?5, claimed = ?6, named = ?7",
        )?
        .execute(params![
            concert.uuid().as_bytes(),
            place,
            admitted_at.as_millis(),
            active_until.as_millis(),
            seen_at.as_millis(),
            claimed,
            named,
        ])?;
    }
    for ((concert, place), end) in rows.ends.changed() {
        let concert = concert.uuid();
        match end {
            None => db
                .prepare_cached("DELETE FROM turn_ends WHERE concert_id = ?1 AND place = ?2")?
                .execute(params![concert.as_bytes(), place])?,
            Some(at) => db
                .prepare_cached("INSERT INTO turn_ends (concert_id, place, ended_at) VALUES (?1, ?2, ?3)")?
                .execute(params![concert.as_bytes(), place, at.as_millis()])?,
        };
    }
    for Token { id, concert, user, place, issued_at } in &rows.disputes {
        db.prepare_cached(
            "INSERT INTO place_disputes (concert_id, place, token_id, user_id, issued_at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            concert.uuid().as_bytes(),
            place,
            id.uuid().as_bytes(),
            user.as_str(),
            issued_at.as_millis()
        ])?;
    }
    Ok(())
}

/// A partial unique index allows one current place per user: first the places that are no longer current, then the new ones.
fn save_places(db: &Connection, rows: &Rows) -> Sql<()> {
    let mut changed: Vec<_> = rows.places.outdated().filter_map(|key| Some((key, rows.places.get(key)?))).collect();
    changed.sort_by_key(|(_, place)| place.standing == PlaceStanding::Current);
    for (key, place) in changed {
        db.prepare_cached("UPDATE places SET standing = ?3 WHERE concert_id = ?1 AND place = ?2")?.execute(params![
            key.0.uuid().as_bytes(),
            key.1,
            place.standing.word()
        ])?;
    }
    let mut fresh: Vec<_> = rows.places.added().collect();
    // One unit may hand out two places of a user, of which the first is already given up: rows in ascending order.
    fresh.sort_by_key(|((_, number), _)| *number);
    for ((concert, number), place) in fresh {
        db.prepare_cached(
            "INSERT INTO places (concert_id, place, user_id, token_id, issued_at, standing)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            concert.uuid().as_bytes(),
            number,
            place.user.as_str(),
            place.token.uuid().as_bytes(),
            place.issued_at.as_millis(),
            place.standing.word(),
        ])?;
    }
    Ok(())
}

fn save_room(db: &Connection, concert: ConcertId, room: &Room) -> Sql<()> {
    let Settings { max_active, admit_per_second, active_seconds, claim_seconds, paused, sale, early_from, draw_at } =
        room.settings;
    db.prepare_cached(
        "INSERT INTO rooms
           (concert_id, max_active, admit_per_second, active_seconds, claim_seconds, paused, issued, served, given_up,
            active, admissions, version, updated_at, blocks, closed, extensions, opens_at, closes_at, admitted,
             early_from, opened_at, draw_at, list, codes_until)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24)
         ON CONFLICT DO UPDATE SET max_active = ?2, admit_per_second = ?3, active_seconds = ?4, claim_seconds = ?5,
            paused = ?6, issued = ?7, served = ?8, given_up = ?9, active = ?10, admissions = ?11, version = ?12,
            updated_at = ?13, blocks = ?14, closed = ?15, extensions = ?16, opens_at = ?17, closes_at = ?18,
            admitted = ?19, early_from = ?20, opened_at = ?21, draw_at = ?22, list = ?23, codes_until = ?24",
    )?
    .execute(params![
        concert.uuid().as_bytes(),
        max_active,
        admit_per_second,
        active_seconds,
        claim_seconds,
        paused,
        room.issued,
        room.served,
        room.given_up,
        room.active,
        window_to_bytes(room),
        room.version,
        room.updated_at.as_millis(),
        blocks_to_bytes(&room.blocks),
        sale.closed,
        room.extensions,
        sale.opens_at.map(Timestamp::as_millis),
        sale.closes_at.map(Timestamp::as_millis),
        room.admitted,
        early_from.map(Timestamp::as_millis),
        room.opened_at.map(Timestamp::as_millis),
        draw_at.map(Timestamp::as_millis),
        room.list.as_ref().map(list_to_bytes),
        sale.codes_until.map(Timestamp::as_millis),
    ])?;
    Ok(())
}

const ROOM: &str = "concert_id, max_active, admit_per_second, active_seconds, claim_seconds, paused, issued, served, \
                    given_up, active, admissions, version, updated_at, blocks, closed, extensions, opens_at, closes_at, \
                    admitted, early_from, opened_at, draw_at, list, codes_until";

fn read_room(row: &Row<'_>) -> Sql<Room> {
    let window = window_from_bytes(row.get_ref(10)?.as_blob()?);
    let (window, earlier_claim) = window.ok_or_else(|| broken(10, "a window of admissions of a wrong length"))?;
    Ok(Room {
        settings: Settings {
            max_active: row.get(1)?,
            admit_per_second: row.get(2)?,
            active_seconds: row.get(3)?,
            claim_seconds: row.get(4)?,
            paused: row.get(5)?,
            sale: Sale {
                closed: row.get(14)?,
                opens_at: optional_instant(row, 16)?,
                closes_at: optional_instant(row, 17)?,
                codes_until: optional_instant(row, 23)?,
            },
            early_from: optional_instant(row, 19)?,
            draw_at: optional_instant(row, 21)?,
        },
        opened_at: optional_instant(row, 20)?,
        list: read_list(row, 22)?,
        issued: row.get(6)?,
        served: row.get(7)?,
        given_up: row.get(8)?,
        active: row.get(9)?,
        window,
        earlier_claim,
        version: row.get(11)?,
        updated_at: instant(row, 12)?,
        blocks: blocks_from_bytes(row.get_ref(13)?.as_blob()?)
            .ok_or_else(|| broken(13, "blocks of places of a wrong length"))?,
        extensions: row.get(15)?,
        admitted: row.get(18)?,
    })
}

fn read_list(row: &Row<'_>, column: usize) -> Sql<Option<List>> {
    let bytes = row.get_ref(column)?.as_blob_or_null()?;
    bytes.map(|bytes| list_from_bytes(bytes).ok_or_else(|| broken(column, "a list of a wrong length"))).transpose()
}

pub(super) fn room(db: &Connection, concert: ConcertId) -> Sql<Option<Room>> {
    db.prepare_cached(&format!("SELECT {ROOM} FROM rooms WHERE concert_id = ?1"))?
        .query_row([concert.uuid().as_bytes()], read_room)
        .optional()
}

fn given_up_after(db: &Connection, concert: ConcertId, served: u64, limit: usize) -> Sql<Vec<u64>> {
    db.prepare_cached(
        "SELECT place FROM places WHERE concert_id = ?1 AND place > ?2 AND standing = 'GIVEN_UP'
         ORDER BY place LIMIT ?3",
    )?
    .query_map(params![concert.uuid().as_bytes(), served, limit], |row| row.get(0))?
    .collect()
}

/// All rooms that are not retired.
pub(super) fn rooms(db: &Connection) -> Sql<Vec<RoomRecord>> {
    let mut all = db.prepare_cached(&format!("SELECT {ROOM} FROM rooms WHERE version <> retired_version"))?;
    let all = all.query_map([], |row| Ok((ConcertId::new(uuid(row, 0)?), read_room(row)?)))?;
    all.map(|found| found.and_then(|(concert, room)| record(db, concert, room))).collect()
}

/// A room with its open turns, given-up places and holds.
pub(super) fn record(db: &Connection, concert: ConcertId, room: Room) -> Sql<RoomRecord> {
    let given_up = given_up_after(db, concert, room.served, usize::MAX >> 1)?;
    let announced = concert_row::concert(db, concert)?.map(|concert| Announced::of(&concert)).unwrap_or_default();
    Ok(RoomRecord { concert, room, given_up, turns: turns(db, concert)?, holds: holds(db, concert)?, announced })
}

fn turns(db: &Connection, concert: ConcertId) -> Sql<Vec<(u64, Turn, bool)>> {
    db.prepare_cached(
        "SELECT place, admitted_at, active_until, seen_at, claimed, named, ended_at
         FROM turns LEFT JOIN turn_ends USING (concert_id, place) WHERE concert_id = ?1",
    )?
    .query_map([concert.uuid().as_bytes()], |row| {
        read_turn(row).map(|(place, turn, end)| (place, turn, end.is_some()))
    })?
    .collect()
}

fn holds(db: &Connection, concert: ConcertId) -> Sql<Vec<HoldRecord>> {
    db.prepare_cached(concat!(
        // The condition on two statuses matches the partial index; the one on `HELD` selects the rows.
        "SELECT place, reservation_id, performance_id, held_until, ",
        further!("reservations", "status = 'HELD'"),
        " FROM reservations WHERE concert_id = ?1 AND status IN ('HELD', 'PAID') AND status = 'HELD'"
    ))?
    .query_map([concert.uuid().as_bytes()], |row| {
        let (reservation, performance) = (ReservationId::new(uuid(row, 1)?), PerformanceId::new(uuid(row, 2)?));
        let HoldEnd { until, extended } = read_end(row, 3, 4)?;
        Ok(HoldRecord { place: row.get(0)?, reservation, performance, until, extended })
    })?
    .collect()
}

/// The places of a user in these concerts.
pub(super) fn places_of(db: &Connection, user: &UserId, concerts: &[ConcertId]) -> Sql<Vec<Token>> {
    let mut tokens = Vec::new();
    for concert in concerts {
        let found = db
            .prepare_cached(
                "SELECT place, token_id, issued_at FROM places
                 WHERE concert_id = ?1 AND user_id = ?2 AND standing = 'CURRENT'",
            )?
            .query_row(params![concert.uuid().as_bytes(), user.as_str()], |row| {
                let (place, id, issued_at) = (row.get(0)?, TokenId::new(uuid(row, 1)?), instant(row, 2)?);
                Ok(Token { id, concert: *concert, user: user.clone(), place, issued_at })
            })
            .optional()?;
        tokens.extend(found);
    }
    Ok(tokens)
}
