//! Waiting rooms, as units of work see them: counters, places, turns and their ends.

use std::collections::HashMap;

use onsale_app::store::Unit;
use onsale_domain::ids::{ConcertId, TokenId};
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{GivenUp, Place, PlaceStanding, Room};
use tokio_postgres::Row;
use uuid::Uuid;

use super::room_rows::{ROOM_COLUMNS, read_room, read_turn};
use super::room_statements::{DISPUTE, FORGET_STRAY_ENDS, FORGET_TURNS, GIVEN_UP, LOCK, MAKE, NAME, UPDATE};
use super::row_address::{self, RowAddresses, Tid};
use super::session::Pipeline;
use super::values::{
    Param, Sql, big, columns, get, instant, int, limit, number, optional_instant, params, user, uuid, word,
};
use crate::stored::Word;
use crate::stored_draw::list_to_bytes;
use crate::stored_room::{blocks_to_bytes, window_to_bytes};

/// `OFFSET 0` forces a lookup by key. On a table that was never analyzed, the planner chose a join that read all places in line for
/// every batch.
const CURRENT: &str = "SELECT place.* FROM unnest($1::uuid[], $2::text[]) wanted (concert_id, user_id)
    CROSS JOIN LATERAL (SELECT concert_id, place, user_id, token_id, issued_at, standing FROM places
        WHERE places.concert_id = wanted.concert_id AND places.user_id = wanted.user_id AND standing = 'CURRENT'
        OFFSET 0) place";

const PLACES: &str = "SELECT concert_id, place, user_id, token_id, issued_at, standing
    FROM unnest($1::uuid[], $2::bigint[]) wanted (concert_id, place) JOIN places USING (concert_id, place)";

/// The given places and the current places of the given users, each with its turn and its row, if there are any. The row is
/// read also without a turn: a command of the same batch may admit the place.
const TURNS: &str = "SELECT concert_id, place, admitted_at, active_until, seen_at, claimed, named, ended_at,
        owner.user_id, owner.token_id, owner.issued_at, owner.standing
    FROM (SELECT * FROM unnest($1::uuid[], $2::bigint[])
          UNION SELECT current.* FROM unnest($3::uuid[], $4::text[]) entrant (concert_id, user_id)
              CROSS JOIN LATERAL (SELECT concert_id, place FROM places WHERE places.concert_id = entrant.concert_id
                  AND places.user_id = entrant.user_id AND standing = 'CURRENT' OFFSET 0) current)
        wanted (concert_id, place)
    LEFT JOIN LATERAL (SELECT admitted_at, active_until, seen_at, claimed, named, ended_at
        FROM turns LEFT JOIN turn_ends USING (concert_id, place)
        WHERE turns.concert_id = wanted.concert_id AND turns.place = wanted.place AND settled_at IS NULL OFFSET 0) turn ON true
    LEFT JOIN LATERAL (SELECT user_id, token_id, issued_at, standing FROM places
        WHERE places.concert_id = wanted.concert_id AND places.place = wanted.place OFFSET 0) owner ON true";

const RESTAND: &str = "UPDATE places SET standing = v.standing, given_up_version = v.given_up_version
    FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[]) v (concert_id, place, standing, given_up_version)
    WHERE places.concert_id = v.concert_id AND places.place = v.place";

const HAND_OUT: &str =
    "INSERT INTO places (concert_id, place, user_id, token_id, issued_at, standing, given_up_version)
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::uuid[], $5::bigint[], $6::text[], $7::bigint[])";

const CALL: &str = "INSERT INTO turns (concert_id, place, admitted_at, active_until, seen_at, claimed, named, version)
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::boolean[], $7::boolean[],
        $8::bigint[])";

const NOTE: &str = "UPDATE turns SET admitted_at = v.admitted_at, active_until = v.active_until, seen_at = v.seen_at,
        claimed = v.claimed, named = v.named, version = v.version
    FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::boolean[], $7::boolean[],
        $8::bigint[]) v (concert_id, place, admitted_at, active_until, seen_at, claimed, named, version)
    WHERE turns.concert_id = v.concert_id AND turns.place = v.place";

const SETTLE: &str = "UPDATE turns SET settled_at = $4, version = v.version
    FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) v (concert_id, place, version)
    WHERE turns.concert_id = v.concert_id AND turns.place = v.place";

const END: &str = "INSERT INTO turn_ends (concert_id, place, ended_at)
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[])";

const FORGET_END: &str = "DELETE FROM turn_ends USING unnest($1::uuid[], $2::bigint[]) v (concert_id, place)
    WHERE turn_ends.concert_id = v.concert_id AND turn_ends.place = v.place";

pub(super) const WRITES: &[&str] = &[
    LOCK[0],
    LOCK[1],
    GIVEN_UP,
    CURRENT,
    PLACES,
    TURNS,
    MAKE,
    UPDATE[0],
    UPDATE[1],
    RESTAND,
    HAND_OUT,
    NAME,
    CALL,
    NOTE,
    SETTLE,
    END,
    FORGET_END,
    DISPUTE,
    FORGET_TURNS,
    FORGET_STRAY_ENDS,
];

/// How long a settled turn is kept, so that other processes can read it, in milliseconds. A process that is stopped for longer
/// reads the whole room again.
pub(super) const SETTLED_KEPT_MILLIS: i64 = 60_000;

/// Maximum number of settled turns that one unit of work deletes.
const DROPPED_AT_ONCE: i64 = 1_000;

pub(super) fn lock<'a>(pipeline: &mut Pipeline<'a, Unit>, keys: &'a Keys, addresses: &'a mut RowAddresses<ConcertId>) {
    if keys.rooms.is_empty() {
        return;
    }
    let (sql, wanted) = match addresses.hint(keys.rooms.iter()) {
        Some(tid) => (LOCK[1], params![ids(keys), tid]),
        None => (LOCK[0], params![ids(keys)]),
    };
    pipeline.query(sql, wanted, move |found, unit| {
        for id in &keys.rooms {
            unit.rows.rooms.load(*id, None);
        }
        for row in found {
            let concert = ConcertId::new(uuid(row, 0)?);
            addresses.note_locked(concert, row, ROOM_COLUMNS)?;
            unit.rows.rooms.load(concert, Some(read_room(row)?));
        }
        Ok(())
    });
}

fn ids(keys: &Keys) -> Vec<Uuid> {
    keys.rooms.iter().map(|id| id.uuid()).collect()
}

/// `near`: the remembered address of the only wanted room.
pub(super) fn load<'a>(pipeline: &mut Pipeline<'a, Unit>, keys: &'a Keys, near: Option<Tid>) {
    if !keys.rooms.is_empty() {
        pipeline.query(GIVEN_UP, params![ids(keys), limit(GivenUp::LOADED_MAX), near], |found, unit| {
            let mut given_up: HashMap<Uuid, Vec<u64>> = HashMap::new();
            for row in found {
                given_up.entry(uuid(row, 0)?).or_default().push(number(row, 1)?);
            }
            for id in &keys.rooms {
                let next = given_up.remove(&id.uuid()).unwrap_or_default();
                unit.rows.given_up.insert(*id, GivenUp::loaded(next));
            }
            Ok(())
        });
    }
    load_places(pipeline, keys);
    load_turns(pipeline, keys);
}

fn load_places<'a>(pipeline: &mut Pipeline<'a, Unit>, keys: &'a Keys) {
    if let Some(wanted) = columns!(keys.entrants.iter(), |(concert, user)| concert.uuid(), user.as_str()) {
        pipeline.query(CURRENT, wanted, |found, unit| {
            for key in &keys.entrants {
                unit.rows.current_places.load(key.clone(), None);
            }
            for row in found {
                let (key, place) = (key_of(row)?, read_place(row, 2)?);
                unit.rows.current_places.load((key.0, place.user.clone()), Some(key.1));
                unit.rows.places.load(key, Some(place));
            }
            Ok(())
        });
    }
    let named = || keys.places.union(&keys.turn_holders);
    if let Some(wanted) = columns!(named(), |(concert, place)| concert.uuid(), big(*place)) {
        pipeline.query(PLACES, wanted, move |found, unit| {
            for key in named() {
                unit.rows.places.load(*key, None);
            }
            for row in found {
                unit.rows.places.load(key_of(row)?, Some(read_place(row, 2)?));
            }
            Ok(())
        });
    }
}

fn load_turns<'a>(pipeline: &mut Pipeline<'a, Unit>, keys: &'a Keys) {
    if keys.turns.is_empty() && keys.entrants.is_empty() {
        return;
    }
    let (concerts, places): (Vec<Uuid>, Vec<i64>) =
        keys.turns.iter().map(|(concert, place)| (concert.uuid(), big(*place))).unzip();
    let (rooms, users): (Vec<Uuid>, Vec<&str>) =
        keys.entrants.iter().map(|(concert, user)| (concert.uuid(), user.as_str())).unzip();
    pipeline.query(TURNS, params![concerts, places, rooms, users], |found, unit| {
        let rows = &mut unit.rows;
        let current = keys.entrants.iter().filter_map(|key| Some((key.0, *rows.current_places.get(key)?)));
        for key in keys.turns.iter().copied().chain(current) {
            // A wanted key without a row is loaded as absent. If it stayed unknown, a hold in the batch of its
            // admission would insert what the step has inserted, and conflict on every rerun.
            rows.turns.load(key, None);
            rows.ends.load(key, None);
            if !rows.places.is_loaded(&key) {
                rows.places.load(key, None);
            }
        }
        for row in found {
            let key = key_of(row)?;
            // The row may be of a place that has no turn.
            if optional_instant(row, 2)?.is_some() {
                rows.turns.load(key, Some(read_turn(row)?));
                rows.ends.load(key, optional_instant(row, 7)?);
            }
            if get::<Option<Uuid>>(row, 9)?.is_some() && rows.places.get(&key).is_none() {
                rows.places.load(key, Some(read_place(row, 8)?));
            }
        }
        Ok(())
    });
}

pub(super) fn save<'a>(pipeline: &mut Pipeline<'a, ()>, unit: &'a Unit, addresses: &'a mut RowAddresses<ConcertId>) {
    let rows = &unit.rows;
    let changed: Vec<_> = rows.rooms.outdated().filter_map(|id| Some((id, rows.rooms.get(id)?))).collect();
    let ids = changed.iter().map(|(id, _)| **id).collect();
    let columns = |rooms: Vec<(&'a ConcertId, &'a Room)>| -> Option<Vec<Param<'a>>> {
        columns!(
            rooms.into_iter(),
            |(id, room)| id.uuid(),
            int(room.settings.max_active),
            int(room.settings.admit_per_second),
            int(room.settings.active_seconds),
            int(room.settings.claim_seconds),
            room.settings.paused,
            big(room.issued),
            big(room.served),
            big(room.given_up),
            int(room.active),
            window_to_bytes(room),
            big(room.version),
            room.updated_at.as_millis(),
            blocks_to_bytes(&room.blocks),
            room.settings.sale.closed,
            big(room.extensions),
            room.settings.sale.opens_at.map(Timestamp::as_millis),
            room.settings.sale.closes_at.map(Timestamp::as_millis),
            big(room.admitted),
            room.settings.early_from.map(Timestamp::as_millis),
            room.opened_at.map(Timestamp::as_millis),
            room.settings.draw_at.map(Timestamp::as_millis),
            room.list.as_ref().map(list_to_bytes),
            room.settings.sale.codes_until.map(Timestamp::as_millis),
        )
    };
    // The room's own row first: places and turns of this unit carry its new version, which other instances read by.
    pipeline.write(MAKE, columns(rows.rooms.added().collect()));
    row_address::update(pipeline, UPDATE, columns(changed), ids, addresses);
    save_places(pipeline, rows);
    save_turns(pipeline, unit);
    save_ends(pipeline, rows);
    // In units that delete old answers anyway, so that no unit does nothing but deletions.
    if unit.forget_answers_before.is_some() {
        let before = unit.at.plus_millis(-SETTLED_KEPT_MILLIS).as_millis();
        pipeline.execute(FORGET_TURNS, params![before, DROPPED_AT_ONCE]);
        pipeline.execute(FORGET_STRAY_ENDS, params![before, DROPPED_AT_ONCE]);
    }
}

/// The version that this unit gives a room.
fn version(rows: &Rows, concert: &ConcertId) -> i64 {
    rows.rooms.get(concert).map_or(0, |room| big(room.version))
}

/// A partial unique index allows one current place per user: first the places that are no longer current, then the new ones.
fn save_places<'a>(pipeline: &mut Pipeline<'a, ()>, rows: &'a Rows) {
    let given_up_version =
        |concert: &ConcertId, place: &Place| (place.standing == PlaceStanding::GivenUp).then(|| version(rows, concert));
    let changed = rows.places.outdated().filter_map(|key| Some((key, rows.places.get(key)?)));
    let (current, over): (Vec<_>, Vec<_>) = changed.partition(|(_, place)| place.standing == PlaceStanding::Current);
    // One statement checks the unique index row by row, so a user's next place has to follow in another one.
    for places in [over, current] {
        pipeline.write(
            RESTAND,
            columns!(
                places.into_iter(),
                |((concert, number), place)| concert.uuid(),
                big(*number),
                place.standing.word(),
                given_up_version(concert, place)
            ),
        );
    }
    let mut fresh: Vec<_> = rows.places.added().collect();
    // In ascending order: a unit may hand out two places of a user, of which the first is already given up. And by room
    // first, the same order in each unit: holds write these rows without the room's lock, and two units that wrote the rows
    // of two rooms in opposite orders would wait for each other.
    fresh.sort_by_key(|((concert, number), _)| (concert.uuid(), *number));
    // A place that has a turn before it has a row was handed out by Redis.
    let (named, handed_out): (Vec<_>, Vec<_>) = fresh.into_iter().partition(|(key, _)| rows.turns.is_stored(key));
    for (sql, places) in [(HAND_OUT, handed_out), (NAME, named)] {
        pipeline.write(
            sql,
            columns!(
                places.into_iter(),
                |((concert, number), place)| concert.uuid(),
                big(*number),
                place.user.as_str(),
                place.token.uuid(),
                place.issued_at.as_millis(),
                place.standing.word(),
                given_up_version(concert, place),
            ),
        );
    }
}

fn save_turns<'a>(pipeline: &mut Pipeline<'a, ()>, unit: &'a Unit) {
    let rows = &unit.rows;
    let changed = rows.turns.outdated().filter_map(|key| Some((key, rows.turns.get(key)?)));
    // With the new version of the room, by which other instances find what changed.
    for (sql, turns) in [(CALL, rows.turns.added().collect::<Vec<_>>()), (NOTE, changed.collect())] {
        pipeline.write(
            sql,
            columns!(
                turns.into_iter(),
                |((concert, place), turn)| concert.uuid(),
                big(*place),
                turn.admitted_at.as_millis(),
                turn.active_until.as_millis(),
                turn.seen_at.as_millis(),
                turn.claimed,
                turn.named,
                version(rows, concert),
            ),
        );
    }
    // Settled turns stay for a minute with a new version: other instances find them by it.
    let settled = rows.turns.outdated().filter(|key| rows.turns.get(key).is_none());
    if let Some(mut settled) = columns!(settled, |(concert, place)| concert.uuid(), big(*place), version(rows, concert))
    {
        settled.push(Box::new(unit.at.as_millis()));
        pipeline.execute(SETTLE, settled);
    }
}

fn save_ends<'a>(pipeline: &mut Pipeline<'a, ()>, rows: &'a Rows) {
    let over = rows.ends.outdated().filter(|key| rows.ends.get(key).is_none());
    pipeline.write(FORGET_END, columns!(over, |(concert, place)| concert.uuid(), big(*place)));
    pipeline
        .write(END, columns!(rows.ends.added(), |((concert, place), at)| concert.uuid(), big(*place), at.as_millis()));
    pipeline.write(
        DISPUTE,
        columns!(
            rows.disputes.iter(),
            |token| token.concert.uuid(),
            big(token.place),
            token.id.uuid(),
            token.user.as_str(),
            token.issued_at.as_millis(),
        ),
    );
}

/// Concert and place, from the first two columns.
fn key_of(row: &Row) -> Sql<(ConcertId, u64)> {
    Ok((ConcertId::new(uuid(row, 0)?), number(row, 1)?))
}

/// A place from four columns, the first of which is `from`.
fn read_place(row: &Row, from: usize) -> Sql<Place> {
    Ok(Place {
        user: user(row, from)?,
        token: TokenId::new(uuid(row, from + 1)?),
        issued_at: instant(row, from + 2)?,
        standing: word(row, from + 3)?,
    })
}
