//! Finds the rows and tables that other sessions have locked. Used after a lane's wait for a lock timed out. No statement here
//! waits for a lock.
//!
//! A row that `SKIP LOCKED` leaves out is locked. Its `xmax` is the transaction (or group of transactions) that locked it.

use std::collections::HashSet;

use onsale_app::store::Wanted;
use onsale_app::store::locks::{HeldLocks, Lock, Table};
use onsale_domain::ids::{ConcertId, LectureId, PerformanceId, ReservationId, StaffKeyId, UserId};
use tokio_postgres::Row;
use uuid::Uuid;

use super::error::DbError;
use super::session::{Pipeline, Session};
use super::values::{Param, Sql, big, columns, get, int, number, params, small, text, user, uuid};

const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
const ROLLBACK: &str = "ROLLBACK";

/// Tables on which another session has a lock, or queues for one, that our statements would wait for. A queued lock counts too:
/// it is before ours in the queue.
const TABLES: &str = "SELECT relname::text, pid::bigint FROM pg_locks CROSS JOIN LATERAL
        (SELECT relname FROM pg_class WHERE oid = pg_locks.relation AND relname = ANY ($1)
            AND relnamespace = current_schema()::regnamespace OFFSET 0) named
    WHERE locktype = 'relation' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
        AND pid <> pg_backend_pid()";

/// A statement that returns the locked rows of a table with one key column.
macro_rules! held_rows {
    ($table:literal, $key:literal) => {
        concat!(
            "WITH free AS MATERIALIZED (SELECT ",
            $key,
            " AS own FROM ",
            $table,
            " WHERE ",
            $key,
            " = ANY ($1) ORDER BY ",
            $key,
            " FOR NO KEY UPDATE SKIP LOCKED)
            SELECT ",
            $key,
            ", xmax::text::bigint FROM ",
            $table,
            " WHERE ",
            $key,
            " = ANY ($1) AND NOT EXISTS (SELECT FROM free WHERE own = ",
            $key,
            ")"
        )
    };
}

/// A statement that returns the locked rows of a table with two key columns.
macro_rules! held_pairs {
    ($table:literal, $first:literal, $first_type:literal, $second:literal, $second_type:literal) => {
        concat!(
            "WITH wanted AS MATERIALIZED (SELECT * FROM unnest($1::",
            $first_type,
            "[], $2::",
            $second_type,
            "[]) v (a, b)),
            free AS MATERIALIZED (SELECT a, b FROM wanted CROSS JOIN LATERAL (SELECT FROM ",
            $table,
            " WHERE ",
            $table,
            ".",
            $first,
            " = a AND ",
            $table,
            ".",
            $second,
            " = b FOR NO KEY UPDATE SKIP LOCKED) unlocked)
            SELECT a, b, held FROM wanted CROSS JOIN LATERAL (SELECT xmax::text::bigint held FROM ",
            $table,
            " WHERE ",
            $table,
            ".",
            $first,
            " = a AND ",
            $table,
            ".",
            $second,
            " = b OFFSET 0) there
            WHERE NOT EXISTS (SELECT FROM free WHERE free.a = wanted.a AND free.b = wanted.b)"
        )
    };
}

/// Only locks that keep changes by staff waiting: those take shared locks of the key.
const STAFF_KEYS: &str = "WITH free AS MATERIALIZED
        (SELECT key_id AS own FROM staff_keys WHERE key_id = ANY ($1) ORDER BY key_id FOR SHARE SKIP LOCKED)
    SELECT key_id, xmax::text::bigint FROM staff_keys
    WHERE key_id = ANY ($1) AND NOT EXISTS (SELECT FROM free WHERE own = key_id)";

/// Any lock keeps the deletion of a key waiting.
const STAFF_KEY_ENDS: &str = held_rows!("staff_keys", "key_id");

/// The queues for keys of staff. A lock that is queued counts too: it is before ours. An exclusive one keeps changes of the
/// owner of a key waiting, any one keeps the deletion of the key waiting. Postgres shows the halves of the number as oids.
const STAFF_KEY_QUEUES: &str = "SELECT wanted.key_id, wanted.ends, min(queued.pid)::bigint
    FROM unnest($1::uuid[], $2::bigint[], $3::boolean[]) wanted (key_id, number, ends)
    JOIN (SELECT (classid::bigint << 32) | objid::bigint AS number, mode, pid FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid = 1 AND pid <> pg_backend_pid()
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) queued
        ON queued.number = wanted.number AND (wanted.ends OR queued.mode = 'ExclusiveLock')
    GROUP BY 1, 2";

const STAFF_SESSIONS: &str = held_rows!("staff_sessions", "hash");

const STAFF_DIRECTORY: &str = "WITH free AS MATERIALIZED
        (SELECT singleton AS own FROM staff_directory FOR NO KEY UPDATE SKIP LOCKED)
    SELECT singleton, xmax::text::bigint FROM staff_directory WHERE NOT EXISTS (SELECT FROM free)";

const ACCOUNTS: &str = held_rows!("accounts", "user_id");
const CODES: &str = held_pairs!("codes", "concert_id", "uuid", "code", "text");
const LECTURES: &str = held_rows!("lectures", "lecture_id");
const ROOMS: &str = held_rows!("rooms", "concert_id");
const RESERVATIONS: &str = held_rows!("reservations", "reservation_id");
const ANSWERS: &str = held_pairs!("kept_answers", "owner", "text", "key", "text");
const SEATS: &str = held_pairs!("seats", "performance_id", "uuid", "seat", "integer");
const PLACES: &str = held_pairs!("places", "concert_id", "uuid", "place", "bigint");
const TURNS: &str = held_pairs!("turns", "concert_id", "uuid", "place", "bigint");

/// Locked performances, each with the key that named it: its own id, a reservation, or a user's holds in a concert.
const PERFORMANCES: &str = "WITH wanted AS MATERIALIZED (
        SELECT named performance_id, NULL::uuid reservation_id, NULL::uuid concert_id, NULL::text user_id
            FROM unnest($1::uuid[]) named
        UNION ALL SELECT performance_id, reservation_id, NULL, NULL FROM reservations WHERE reservation_id = ANY ($2)
        UNION ALL SELECT own.performance_id, NULL, whole, NULL FROM unnest($5::uuid[]) whole
            CROSS JOIN LATERAL (SELECT performance_id FROM performances WHERE concert_id = whole OFFSET 0) own
        UNION ALL SELECT performance_id, NULL, leaving.concert_id, leaving.user_id
            FROM unnest($3::uuid[], $4::text[]) leaving (concert_id, user_id)
            CROSS JOIN LATERAL (SELECT performance_id, status FROM reservations own
                WHERE own.concert_id = leaving.concert_id AND own.user_id = leaving.user_id
                    AND own.status IN ('HELD', 'PAID') OFFSET 0) open WHERE status = 'HELD'),
    free AS MATERIALIZED (SELECT performance_id FROM performances
        WHERE performance_id IN (SELECT performance_id FROM wanted) FOR NO KEY UPDATE SKIP LOCKED)
    SELECT wanted.performance_id, reservation_id, concert_id, user_id, held
    FROM wanted CROSS JOIN LATERAL (SELECT xmax::text::bigint held FROM performances
        WHERE performances.performance_id = wanted.performance_id OFFSET 0) there
    WHERE NOT EXISTS (SELECT FROM free WHERE free.performance_id = wanted.performance_id)";

pub(super) const STATEMENTS: &[&str] = &[
    TABLES,
    STAFF_KEYS,
    STAFF_KEY_ENDS,
    STAFF_KEY_QUEUES,
    STAFF_DIRECTORY,
    STAFF_SESSIONS,
    ACCOUNTS,
    CODES,
    LECTURES,
    ROOMS,
    RESERVATIONS,
    ANSWERS,
    SEATS,
    PLACES,
    TURNS,
    PERFORMANCES,
];

/// Returns which of the wanted rows and tables are locked. Two round trips: tables first, because reading a locked table would
/// wait.
pub(super) async fn find(session: &Session, wanted: &Wanted) -> Sql<HeldLocks> {
    let names: Vec<&str> = Table::ALL.iter().map(|(_, name)| *name).collect();
    let mut held = HeldLocks::new();
    for row in session.query(TABLES, params![names]).await? {
        if let Some(table) = Table::named(get(&row, 0)?) {
            held.insert(Lock::Table(table), number(&row, 1)?);
        }
    }
    let closed: HashSet<Table> =
        held.keys().filter_map(|lock| if let Lock::Table(table) = lock { Some(*table) } else { None }).collect();
    // The row locks that these statements take are released by the rollback, in the same round trip.
    let mut pipeline = Pipeline::new(session);
    pipeline.execute(BEGIN, Vec::new());
    find_locked_keys(&mut pipeline, wanted, &closed);
    find_locked_parents(&mut pipeline, wanted, &closed);
    find_locked_children(&mut pipeline, wanted, &closed);
    pipeline.execute(ROLLBACK, Vec::new());
    pipeline.run(&mut held).await?;
    Ok(held)
}

fn find_locked_keys<'a>(pipeline: &mut Pipeline<'a, HeldLocks>, wanted: &'a Wanted, closed: &HashSet<Table>) {
    let keys = &wanted.keys;
    if !keys.staff_sessions.is_empty() && !closed.contains(&Table::StaffSessions) {
        let hashes: Vec<&[u8]> = keys.staff_sessions.iter().map(|hash| &hash[..]).collect();
        find_locked(pipeline, STAFF_SESSIONS, params![hashes], |row| {
            let hash: &[u8] = get(row, 0)?;
            Ok(Lock::StaffSession(hash.try_into().map_err(|_| DbError::Broken("a hash of another length"))?))
        });
    }
    if closed.contains(&Table::StaffKeys) {
        return;
    }
    let ending = || keys.staff_changes.iter().flat_map(|changes| &changes.deleted);
    let acting: Vec<Uuid> = keys.staff.iter().map(|id| id.uuid()).collect();
    let ends: Vec<Uuid> = ending().map(|id| id.uuid()).collect();
    if !acting.is_empty() {
        find_locked(pipeline, STAFF_KEYS, params![acting], |row| staff_key(row).map(Lock::StaffKey));
    }
    if !ends.is_empty() {
        find_locked(pipeline, STAFF_KEY_ENDS, params![ends], |row| staff_key(row).map(Lock::StaffKeyEnd));
    }
    let queues = keys.staff.iter().map(|id| (*id, false)).chain(ending().map(|id| (*id, true)));
    let queues = columns!(queues, |(id, ends)| id.uuid(), super::staff::lock_number(*id), *ends);
    find_locked_pairs(pipeline, STAFF_KEY_QUEUES, queues, |row| {
        let key = staff_key(row)?;
        Ok(if get(row, 1)? { Lock::StaffKeyEnd(key) } else { Lock::StaffKey(key) })
    });
    if keys.staff_changes.is_some() {
        find_locked(pipeline, STAFF_DIRECTORY, Vec::new(), |_| Ok(Lock::StaffDirectory));
    }
}

fn staff_key(row: &Row) -> Sql<StaffKeyId> {
    uuid(row, 0).map(StaffKeyId::new)
}

fn find_locked_parents<'a>(pipeline: &mut Pipeline<'a, HeldLocks>, wanted: &'a Wanted, closed: &HashSet<Table>) {
    let keys = &wanted.keys;
    if !keys.accounts.is_empty() && !closed.contains(&Table::Accounts) {
        let users: Vec<&str> = keys.accounts.iter().map(UserId::as_str).collect();
        find_locked(pipeline, ACCOUNTS, params![users], |row| Ok(Lock::Account(user(row, 0)?)));
    }
    let codes = columns!(keys.codes.keys(), |(concert, text)| concert.uuid(), &**text);
    find_locked_pairs(pipeline, CODES, codes.filter(|_| !closed.contains(&Table::Codes)), |row| {
        Ok(Lock::Code((ConcertId::new(uuid(row, 0)?), text(row, 1)?)))
    });
    if !keys.lectures.is_empty() && !closed.contains(&Table::Lectures) {
        let ids: Vec<Uuid> = keys.lectures.keys().map(|id| id.uuid()).collect();
        find_locked(pipeline, LECTURES, params![ids], |row| Ok(Lock::Lecture(LectureId::new(uuid(row, 0)?))));
    }
    if !keys.rooms.is_empty() && !closed.contains(&Table::Rooms) {
        let ids: Vec<Uuid> = keys.rooms.iter().map(|id| id.uuid()).collect();
        find_locked(pipeline, ROOMS, params![ids], |row| Ok(Lock::Room(ConcertId::new(uuid(row, 0)?))));
    }
    let names_any = !keys.performances.is_empty()
        || !keys.reservations.is_empty()
        || !keys.holdings.is_empty()
        || !keys.concerts.is_empty();
    if names_any && !closed.contains(&Table::Performances) && !closed.contains(&Table::Reservations) {
        let performances: Vec<Uuid> = keys.performances.iter().map(|id| id.uuid()).collect();
        let reservations: Vec<Uuid> = keys.reservations.iter().map(|id| id.uuid()).collect();
        let (concerts, users): (Vec<Uuid>, Vec<&str>) =
            keys.holdings.iter().map(|(concert, user)| (concert.uuid(), user.as_str())).unzip();
        let whole: Vec<Uuid> = keys.concerts.iter().map(|id| id.uuid()).collect();
        pipeline.query(PERFORMANCES, params![performances, reservations, concerts, users, whole], |found, held| {
            for row in found {
                let holder = number(row, 4)?;
                held.insert(Lock::Performance(PerformanceId::new(uuid(row, 0)?)), holder);
                if let Some(reservation) = get::<Option<Uuid>>(row, 1)? {
                    held.insert(Lock::Reservation(ReservationId::new(reservation)), holder);
                }
                if let Some(concert) = get::<Option<Uuid>>(row, 2)? {
                    let concert = ConcertId::new(concert);
                    let of_user = get::<Option<&str>>(row, 3)?.map(|_| user(row, 3)).transpose()?;
                    held.insert(of_user.map_or(Lock::Concert(concert), |user| Lock::Holding(concert, user)), holder);
                }
            }
            Ok(())
        });
    }
}

fn find_locked_children<'a>(pipeline: &mut Pipeline<'a, HeldLocks>, wanted: &'a Wanted, closed: &HashSet<Table>) {
    let keys = &wanted.keys;
    if !keys.reservations.is_empty() && !closed.contains(&Table::Reservations) {
        let ids: Vec<Uuid> = keys.reservations.iter().map(|id| id.uuid()).collect();
        find_locked(pipeline, RESERVATIONS, params![ids], |row| {
            Ok(Lock::Reservation(ReservationId::new(uuid(row, 0)?)))
        });
    }
    let answers = columns!(wanted.answers.iter(), |id| super::idempotency::owner(id), &*id.key);
    find_locked_pairs(pipeline, ANSWERS, answers.filter(|_| !closed.contains(&Table::KeptAnswers)), |row| {
        Ok(Lock::Answer(super::idempotency::read_id(row, 0, 1)?))
    });
    let seats = columns!(keys.seats.iter(), |(performance, seat)| performance.uuid(), int(*seat));
    find_locked_pairs(pipeline, SEATS, seats.filter(|_| !closed.contains(&Table::Seats)), |row| {
        Ok(Lock::Seat(PerformanceId::new(uuid(row, 0)?), small(row, 1)?))
    });
    for (sql, table) in [(PLACES, Table::Places), (TURNS, Table::Turns)] {
        let places = keys.places.union(&keys.turns);
        let places = columns!(places, |(concert, place)| concert.uuid(), big(*place));
        find_locked_pairs(pipeline, sql, places.filter(|_| !closed.contains(&table)), |row| {
            Ok(Lock::Place(ConcertId::new(uuid(row, 0)?), number(row, 1)?))
        });
    }
}

/// Adds a query for locked rows of one key column. The transaction that locked a row is in the column after the key.
fn find_locked<'a>(
    pipeline: &mut Pipeline<'a, HeldLocks>,
    sql: &'static str,
    wanted: Vec<Param<'a>>,
    lock: impl Fn(&Row) -> Sql<Lock> + Send + 'a,
) {
    pipeline.query(sql, wanted, move |found, held| {
        for row in found {
            held.insert(lock(row)?, number(row, 1)?);
        }
        Ok(())
    });
}

/// Adds a query for locked rows of two key columns, if any are wanted. The transaction that locked a row is in the third column.
fn find_locked_pairs<'a>(
    pipeline: &mut Pipeline<'a, HeldLocks>,
    sql: &'static str,
    wanted: Option<Vec<Param<'a>>>,
    lock: impl Fn(&Row) -> Sql<Lock> + Send + 'a,
) {
    let Some(wanted) = wanted else { return };
    pipeline.query(sql, wanted, move |found, held| {
        for row in found {
            held.insert(lock(row)?, number(row, 2)?);
        }
        Ok(())
    });
}
