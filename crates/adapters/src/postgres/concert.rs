//! Performances as units of work see them, and the reservations and seats that they load.

use onsale_app::store::Unit;
use onsale_domain::ids::{ConcertId, PerformanceId, UserId};
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::time::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::concert_rows::{PERFORMANCE_COLUMNS, kept_of, lacks_extensions, read, read_performance, read_seat};
use super::extension::{self, further, further_of_seat};
use super::reservation;
use super::row_address::{self, RowAddresses, locks, updates};
use super::seat;
use super::session::Pipeline;
use super::values::{Param, Sql, big, columns, get, int, params, small, uuid};
use crate::stored::{policy_to_text, seating_to_text};

/// Locks performances: the given ones, those of reservations, and those of a leaving user's holds. Reading a reservation's
/// performance without a lock is safe, because it never changes. The holds of a leaving user cannot change either, because
/// the user's wallet is locked by now; holds that expire meanwhile are left to the next unit.
const LOCK: &str = "SELECT performance_id, concert_id, starts_at, sections, sold, version, updated_at,
        CASE WHEN known_version = version THEN holds END, extensions, closed, sale_closed, refund_policy, held, revenue,
        refunded, opens_at, closes_at, max_seats, cancelled_at, open_payments, blocked, revision, codes_until,
        waitlisted, offered, offer_seconds, ctid FROM performances
    WHERE performance_id IN (
        SELECT unnest($1::uuid[])
        UNION SELECT performance_id FROM reservations WHERE reservation_id = ANY ($2)
        UNION SELECT performance_id FROM unnest($3::uuid[], $4::text[]) leaving (concert_id, user_id)
            CROSS JOIN LATERAL (SELECT performance_id, status FROM reservations own
                WHERE own.concert_id = leaving.concert_id AND own.user_id = leaving.user_id
                    AND own.status IN ('HELD', 'PAID') OFFSET 0) open WHERE status = 'HELD'
        UNION SELECT own.performance_id FROM unnest($5::uuid[]) whole
            CROSS JOIN LATERAL (SELECT performance_id FROM performances WHERE concert_id = whole OFFSET 0) own)
    ORDER BY performance_id FOR NO KEY UPDATE";

/// Open reservations of the given users and of the users of the given places. `OFFSET 0` forces lookups by key: on a table that
/// was never analyzed, the planner chose a join that read all open reservations for every batch.
const OPEN_RESERVATIONS: &str = concat!(
    "SELECT r.reservation_id, r.concert_id, r.performance_id, r.user_id, r.place, r.seats,
        r.amount, r.held_at, r.held_until, r.status, r.end_event_id, r.extended, ",
    further!("r"),
    kept_of!("r"),
    " FROM (SELECT * FROM unnest($1::uuid[], $2::text[])
          UNION SELECT turn.concert_id, holder.user_id FROM unnest($3::uuid[], $4::bigint[]) turn (concert_id, place)
              CROSS JOIN LATERAL (SELECT user_id FROM places
                  WHERE places.concert_id = turn.concert_id AND places.place = turn.place OFFSET 0) holder)
         wanted (concert_id, user_id)
    CROSS JOIN LATERAL (SELECT * FROM reservations open WHERE open.concert_id = wanted.concert_id
        AND open.user_id = wanted.user_id AND open.status IN ('HELD', 'PAID') OFFSET 0) r"
);

/// Reservations (the given ones, those that hold a given seat, and those of leaving users), then seats (the given ones and all of
/// these reservations). A row is either a reservation or a seat with its owner.
const WHOLE: &str = concat!(
    "WITH whole AS MATERIALIZED (
        SELECT reservation_id, concert_id, performance_id, user_id, place, seats, amount, held_at, held_until, status,
            end_event_id, extended, ",
    further!("r"),
    " further",
    kept_of!("r"),
    "
        FROM (SELECT unnest($1::uuid[]) id
              UNION SELECT holder.id FROM unnest($2::uuid[], $3::integer[]) wanted (performance_id, seat)
                  CROSS JOIN LATERAL (SELECT reservation_id id FROM seats WHERE seats.performance_id = wanted.performance_id
                      AND seats.seat = wanted.seat AND NOT sold OFFSET 0) holder
              UNION SELECT open.id FROM unnest($4::uuid[], $5::text[]) leaving (concert_id, user_id)
                  CROSS JOIN LATERAL (SELECT reservation_id id, status FROM reservations own
                      WHERE own.concert_id = leaving.concert_id AND own.user_id = leaving.user_id
                          AND own.status IN ('HELD', 'PAID') OFFSET 0) open WHERE status = 'HELD') named
            CROSS JOIN LATERAL (SELECT * FROM reservations WHERE reservation_id = named.id OFFSET 0) r)
    SELECT *, NULL::uuid, NULL::integer, NULL::uuid, NULL::bigint, NULL::boolean, NULL::bigint, NULL::text, NULL::text
    FROM whole
    UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
        wanted.performance_id, wanted.seat, s.reservation_id, s.held_until, s.sold, s.extended, s.further, s.block_reason
    FROM (SELECT * FROM unnest($2::uuid[], $3::integer[])
          UNION SELECT performance_id, unnest(seats) FROM whole) wanted (performance_id, seat)
    LEFT JOIN LATERAL (SELECT reservation_id, held_until, sold, extended, block_reason, ",
    further_of_seat!("seats"),
    " further FROM seats
        WHERE seats.performance_id = wanted.performance_id AND seats.seat = wanted.seat OFFSET 0) s ON true"
);

/// A performance that starts long before it is added counts as revised: other instances find performances by a coming start, or
/// by a revision.
const SCHEDULE: &str = "INSERT INTO performances
        (performance_id, concert_id, starts_at, sections, capacity, sold, version, updated_at, holds, extensions, closed,
         sale_closed, refund_policy, held, revenue, refunded, opens_at, closes_at, max_seats, cancelled_at, open_payments,
         codes_until, known_version, noted_version, revised_at)
    SELECT *, version, version, CASE WHEN starts_at < updated_at - 86400000 THEN updated_at END
    FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::integer[], $6::integer[],
            $7::bigint[], $8::bigint[], $9::integer[], $10::bigint[], $11::boolean[], $12::boolean[], $13::text[],
            $14::integer[], $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[], $19::integer[],
            $20::bigint[], $21::integer[], $22::bigint[])
        v (performance_id, concert_id, starts_at, sections, capacity, sold, version, updated_at, holds, extensions, closed,
           sale_closed, refund_policy, held, revenue, refunded, opens_at, closes_at, max_seats, cancelled_at, open_payments,
           codes_until)";

/// Locks performances that are given by their own id.
const LOCK_ONE: [&str; 2] = locks!(
    "performances",
    "performance_id",
    "performance_id, concert_id, starts_at, sections, sold, version, updated_at, \
     CASE WHEN known_version = version THEN holds END AS holds, extensions, closed, sale_closed, refund_policy, held, \
     revenue, refunded, opens_at, closes_at, max_seats, cancelled_at, open_payments, blocked, revision, codes_until, waitlisted, \
     offered, offer_seconds"
);

const UPDATE: [&str; 2] = updates!(
    "performances",
    "performance_id",
    "sold = v.sold, version = v.version, updated_at = v.updated_at, holds = v.holds, extensions = v.extensions, \
     closed = v.closed, sale_closed = v.sale_closed, known_version = v.version, noted_version = v.version, \
     refund_policy = coalesce(v.refund_policy, performances.refund_policy), held = v.held, revenue = v.revenue, \
     refunded = v.refunded, opens_at = v.opens_at, closes_at = v.closes_at, max_seats = v.max_seats, \
     cancelled_at = v.cancelled_at, open_payments = v.open_payments, codes_until = v.codes_until, \
     waitlisted = v.waitlisted, offered = v.offered",
    "$1::uuid[], $2::integer[], $3::bigint[], $4::bigint[], $5::integer[], $6::bigint[], $7::boolean[], $8::boolean[], \
     $9::text[], $10::integer[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::integer[], \
     $16::bigint[], $17::integer[], $18::bigint[], $19::integer[], $20::integer[]",
    "$21",
    "performance_id, sold, version, updated_at, holds, extensions, closed, sale_closed, refund_policy, held, revenue, \
     refunded, opens_at, closes_at, max_seats, cancelled_at, open_payments, codes_until, waitlisted, offered"
);

/// What holds and payments leave as it is. After [`UPDATE`], which finds the row at its address.
const REVISE: &str = "UPDATE performances SET starts_at = v.starts_at, sections = v.sections, capacity = v.capacity,
        blocked = v.blocked, revision = v.revision, revised_at = performances.updated_at
    FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::integer[], $5::integer[], $6::bigint[])
        v (performance_id, starts_at, sections, capacity, blocked, revision)
    WHERE performances.performance_id = v.performance_id";

pub(super) const WRITES: &[&str] = &[
    LOCK,
    LOCK_ONE[1],
    OPEN_RESERVATIONS,
    WHOLE,
    SCHEDULE,
    UPDATE[0],
    UPDATE[1],
    REVISE,
    reservation::RESERVE,
    reservation::END,
    seat::FREE,
    seat::TAKE,
    seat::CHANGE,
    seat::BLOCK,
];

pub(super) fn lock<'a>(
    pipeline: &mut Pipeline<'a, Unit>,
    keys: &'a Keys,
    addresses: &'a mut RowAddresses<PerformanceId>,
) {
    // A reservation, a holding and a concert lead to performances that only the database knows, so an address is not
    // enough then.
    let is_named = keys.reservations.is_empty() && keys.holdings.is_empty() && keys.concerts.is_empty();
    if keys.performances.is_empty() && is_named {
        return;
    }
    let performances: Vec<Uuid> = keys.performances.iter().map(|id| id.uuid()).collect();
    let (concerts, users) = pairs(keys.holdings.iter());
    let whole: Vec<Uuid> = keys.concerts.iter().map(|id| id.uuid()).collect();
    let near = addresses.hint(keys.performances.iter()).filter(|_| is_named);
    let (sql, wanted): (_, Vec<Param<'a>>) = match near {
        Some(tid) => (LOCK_ONE[1], params![performances, tid]),
        None => (LOCK, params![performances, named(keys), concerts, users, whole]),
    };
    pipeline.query(sql, wanted, move |found, unit| {
        // Each wanted row is loaded as absent first: an absent row must not count as one that was not asked for.
        for id in &keys.performances {
            unit.rows.performances.load(*id, None);
        }
        for id in &keys.concerts {
            unit.rows.of_concerts.insert(*id, Vec::new());
        }
        for row in found {
            let performance = read_performance(row)?;
            addresses.note_locked(performance.id, row, PERFORMANCE_COLUMNS)?;
            unit.rows.of_concerts.entry(performance.concert).and_modify(|ids| ids.push(performance.id));
            unit.rows.performances.load(performance.id, Some(performance));
        }
        Ok(())
    });
}

fn named(keys: &Keys) -> Vec<Uuid> {
    keys.reservations.iter().map(|id| id.uuid()).collect()
}

fn pairs<'a>(of: impl Iterator<Item = &'a (ConcertId, UserId)>) -> (Vec<Uuid>, Vec<&'a str>) {
    of.map(|(concert, user)| (concert.uuid(), user.as_str())).unzip()
}

pub(super) fn load<'a>(pipeline: &mut Pipeline<'a, Unit>, keys: &'a Keys) {
    load_open(pipeline, keys);
    extension::load(pipeline, keys);
    if keys.reservations.is_empty() && keys.seats.is_empty() && keys.holdings.is_empty() {
        return;
    }
    let (performances, numbers): (Vec<Uuid>, Vec<i32>) =
        keys.seats.iter().map(|(performance, seat)| (performance.uuid(), int(*seat))).unzip();
    let (concerts, users) = pairs(keys.holdings.iter());
    pipeline.query(WHOLE, params![named(keys), performances, numbers, concerts, users], |found, unit| {
        for id in &keys.reservations {
            unit.rows.reservations.load(*id, None);
        }
        take_whole(found, unit)
    });
}

/// Takes rows that are each a reservation or a seat.
pub(super) fn take_whole(found: &[Row], unit: &mut Unit) -> Sql<()> {
    for row in found {
        if get::<Option<Uuid>>(row, 0)?.is_some() {
            let reservation = read(row)?;
            if lacks_extensions(row, 12)? {
                unit.rows.lacking.insert(reservation.id);
            }
            unit.rows.reservations.load(reservation.id, Some(reservation));
        } else {
            let seat = get::<Option<Uuid>>(row, 18)?.map(|_| read_seat(row, 18)).transpose()?;
            if let Some(seat) = &seat
                && lacks_extensions(row, 22)?
            {
                unit.rows.lacking.insert(seat.reservation);
            }
            let key = (PerformanceId::new(uuid(row, 16)?), small(row, 17)?);
            if let Some(reason) = get::<Option<&str>>(row, 23)? {
                unit.rows.blocks.load(key, Some(reason.into()));
            }
            unit.rows.seats.load(key, seat);
        }
    }
    Ok(())
}

/// Loads the held and paid reservations of all users that the commands name, directly or by a place.
fn load_open<'a>(pipeline: &mut Pipeline<'a, Unit>, keys: &'a Keys) {
    let named = || keys.holders.iter().chain(&keys.holdings).chain(&keys.entrants);
    if named().next().is_none() && keys.turn_holders.is_empty() {
        return;
    }
    let (concerts, users) = pairs(named());
    let (rooms, places): (Vec<Uuid>, Vec<i64>) =
        keys.turn_holders.iter().map(|(concert, place)| (concert.uuid(), big(*place))).unzip();
    pipeline.query(OPEN_RESERVATIONS, params![concerts, users, rooms, places], move |found, unit| {
        let rows = &mut unit.rows;
        let holders = keys.turn_holders.iter().filter_map(|key| Some((key.0, rows.places.get(key)?.user.clone())));
        for key in named().cloned().chain(holders) {
            // A user without any is loaded with none.
            rows.open_reservations.entry(key).or_default();
        }
        for row in found {
            let reservation = read(row)?;
            let open = rows.open_reservations.entry((reservation.concert, reservation.user.clone())).or_default();
            open.push(reservation.id);
            rows.reservations.load(reservation.id, Some(reservation));
        }
        Ok(())
    });
}

pub(super) fn save<'a>(
    pipeline: &mut Pipeline<'a, ()>,
    rows: &'a Rows,
    addresses: &'a mut RowAddresses<PerformanceId>,
) {
    schedule(pipeline, rows);
    update(pipeline, rows, addresses);
    revise(pipeline, rows);
    reservation::save(pipeline, rows);
    seat::save(pipeline, rows);
    extension::save(pipeline, rows);
}

fn schedule<'a>(pipeline: &mut Pipeline<'a, ()>, rows: &'a Rows) {
    pipeline.write(
        SCHEDULE,
        columns!(
            rows.performances.added(),
            |(id, performance)| id.uuid(),
            performance.concert.uuid(),
            performance.starts_at.as_millis(),
            seating_to_text(&performance.seating),
            int(performance.seating.capacity()),
            int(performance.sold),
            big(performance.version),
            performance.updated_at.as_millis(),
            performance.holds.map(int),
            big(performance.extensions),
            performance.closed,
            performance.sale.closed,
            policy_to_text(&performance.refund_policy),
            int(performance.held),
            performance.revenue,
            performance.refunded,
            performance.sale.opens_at.map(Timestamp::as_millis),
            performance.sale.closes_at.map(Timestamp::as_millis),
            int(performance.seats_per_user),
            performance.cancelled_at.map(Timestamp::as_millis),
            int(performance.open_payments),
            performance.sale.codes_until.map(Timestamp::as_millis),
        ),
    );
}

/// Saves what holds, payments and refunds change, and the hours of the sale.
fn update<'a>(pipeline: &mut Pipeline<'a, ()>, rows: &'a Rows, addresses: &'a mut RowAddresses<PerformanceId>) {
    let changed = rows.performances.outdated().filter_map(|id| Some((id, rows.performances.get(id)?)));
    let changed: Vec<_> = changed.collect();
    let ids = changed.iter().map(|(id, _)| **id).collect();
    let changed = columns!(
        changed.into_iter(),
        |(id, performance)| id.uuid(),
        int(performance.sold),
        big(performance.version),
        performance.updated_at.as_millis(),
        performance.holds.map(int),
        big(performance.extensions),
        performance.closed,
        performance.sale.closed,
        // Most updates are holds and payments, which leave the policy as it is.
        rows.new_policies.contains(id).then(|| policy_to_text(&performance.refund_policy)),
        int(performance.held),
        performance.revenue,
        performance.refunded,
        performance.sale.opens_at.map(Timestamp::as_millis),
        performance.sale.closes_at.map(Timestamp::as_millis),
        int(performance.seats_per_user),
        performance.cancelled_at.map(Timestamp::as_millis),
        int(performance.open_payments),
        performance.sale.codes_until.map(Timestamp::as_millis),
        int(performance.waitlisted),
        int(performance.offered),
    );
    row_address::update(pipeline, UPDATE, changed, ids, addresses);
}

/// Saves starts, seats, prices and numbers of blocked seats that changed. After [`update`], which finds the row at its address.
fn revise<'a>(pipeline: &mut Pipeline<'a, ()>, rows: &'a Rows) {
    let revised = rows.revised.iter().filter_map(|id| Some((id, rows.performances.get(id)?)));
    pipeline.write(
        REVISE,
        columns!(
            revised,
            |(id, performance)| id.uuid(),
            performance.starts_at.as_millis(),
            seating_to_text(&performance.seating),
            int(performance.seating.capacity()),
            int(performance.blocked),
            big(performance.revision),
        ),
    );
}
