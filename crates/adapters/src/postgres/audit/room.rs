//! Waiting rooms, with counts of their places and turns.

use onsale_app::audit::source::RoomRow;
use onsale_domain::ids::ConcertId;
use tokio_postgres::Row;
use uuid::Uuid;

use super::super::extension::read_concert;
use super::super::room_rows::read_room;
use super::super::values::{Sql, get, number, uuid};
use super::Out;
use super::cursor::Cursor;
use super::event::read_joined;
use super::snapshot::Connection;

/// Counts each table once for all rooms. Settled turns are over: their rows are kept for other processes only.
const ROOMS: &str = "SELECT rooms.concert_id, max_active, admit_per_second, active_seconds, claim_seconds, paused,
        issued, served, rooms.given_up, active, admissions, rooms.version, updated_at, blocks, rooms.closed, extensions,
        rooms.opens_at, rooms.closes_at, admitted, early_from, opened_at, draw_at, list, rooms.codes_until,
        coalesce(line.places, 0),
        coalesce(line.highest, 0), coalesce(line.given_up, 0), coalesce(inside.turns, 0),
        coalesce(inside.uncalled, 0), coalesce(twice.users, 0),
        coalesce(disputed.tokens, 0), coalesce(disputed.place, 0), places_dropped_to,
        coalesce(line.undropped, 0),
        concerts.concert_id, title, venue, created_at, notice_ko, notice_en, concerts.closed, concerts.version,
        concerts.opens_at, concerts.closes_at, concerts.max_seats, concerts.codes_until,
        changed.type, changed.subject, changed.version, changed.data,
        coalesce(early.first_place, 0), coalesce(early.turns, 0)
    FROM rooms LEFT JOIN (
        SELECT concert_id, count(*) FILTER (WHERE place > places_dropped_to) places, max(place) highest,
            count(*) FILTER (WHERE place <= places_dropped_to) undropped,
            count(*) FILTER (WHERE standing = 'GIVEN_UP' AND place > served) given_up
        FROM places JOIN rooms USING (concert_id) GROUP BY concert_id) line USING (concert_id)
    LEFT JOIN (
        SELECT concert_id, count(*) turns, count(*) FILTER (WHERE place > served) uncalled
        FROM turns JOIN rooms USING (concert_id) WHERE settled_at IS NULL GROUP BY concert_id) inside USING (concert_id)
    LEFT JOIN (
        SELECT concert_id, count(*) users FROM (
            SELECT concert_id FROM places WHERE standing = 'CURRENT' GROUP BY concert_id, user_id HAVING count(*) > 1)
            more
        GROUP BY concert_id) twice USING (concert_id)
    LEFT JOIN (
        SELECT concert_id, count(*) tokens, min(place) place FROM place_disputes GROUP BY concert_id) disputed
        USING (concert_id)
    LEFT JOIN (
        SELECT turns.concert_id, min(place) first_place, count(*) FILTER (WHERE early_from IS NOT NULL
            AND (opened_at IS NULL OR admitted_at < opened_at) AND admitted_at > coalesce(moved.moved_at, 0)) turns
        FROM turns JOIN rooms ON rooms.concert_id = turns.concert_id
        LEFT JOIN (SELECT subject, max(at) moved_at FROM admin_log
            WHERE action = 'queue.changed' AND before LIKE '%\"earlyFrom\"%' GROUP BY subject) moved
            ON moved.subject = 'concert:' || turns.concert_id::text
        GROUP BY turns.concert_id) early USING (concert_id)
    LEFT JOIN concerts ON concerts.concert_id = rooms.concert_id
    LEFT JOIN events changed ON changed.topic = 'onsale.concerts' AND changed.subject = rooms.concert_id::text
        AND changed.version = concerts.version
    ORDER BY rooms.concert_id";

pub(super) async fn rooms(mut connection: Connection, out: Out<RoomRow>) -> Sql<()> {
    let transaction = connection.begin().await?;
    let mut rooms = Cursor::open(&transaction, ROOMS, read).await?;
    while let Some(room) = rooms.next().await? {
        out.row(room).await;
    }
    Ok(())
}

fn read(row: &Row) -> Sql<RoomRow> {
    Ok(RoomRow {
        concert: ConcertId::new(uuid(row, 0)?),
        room: read_room(row)?,
        concert_row: get::<Option<Uuid>>(row, 34)?.map(|_| read_concert(row, 34)).transpose()?,
        changed: read_joined(row, 46)?,
        places: number(row, 24)?,
        highest_place: number(row, 25)?,
        given_up: number(row, 26)?,
        turns: number(row, 27)?,
        turns_uncalled: number(row, 28)?,
        users_twice: number(row, 29)?,
        disputes: number(row, 30)?,
        disputed_place: number(row, 31)?,
        first_turn: number(row, 50)?,
        turns_early: number(row, 51)?,
        dropped_to: number(row, 32)?,
        places_undropped: number(row, 33)?,
    })
}
