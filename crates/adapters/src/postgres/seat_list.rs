//! Waiting lists of performances.

use std::collections::BTreeSet;

use onsale_app::store::{ListedEntry, Unit};
use onsale_domain::concert::Wish;
use onsale_domain::ids::{ConcertId, PerformanceId, ReservationId, UserId, WaitlistId};
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::seat_list::{Entry, FRONT_LOADED, OFFERED_TOGETHER_MAX};
use onsale_domain::time::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::session::{Pipeline, Session};
use super::values::{
    Sql, big, columns, get, instant, int, limit, number, params, seats, small, small_count, some_seats, user, uuid,
    word,
};
use crate::stored::{Word, wish_from, wish_text};

/// The columns of an entry.
macro_rules! entry {
    ($row:literal) => {
        concat!(
            $row,
            ".performance_id, ",
            $row,
            ".user_id, ",
            $row,
            ".waitlist_id, ",
            $row,
            ".concert_id, ",
            $row,
            ".seats, ",
            $row,
            ".section, ",
            $row,
            ".grade, ",
            $row,
            ".number, ",
            $row,
            ".joined_at, ",
            $row,
            ".state, ",
            $row,
            ".reservation_id"
        )
    };
}

/// Number of columns of an entry.
const COLUMNS: usize = 11;

const ENTRIES: &str = concat!(
    "SELECT ",
    entry!("e"),
    " FROM unnest($1::uuid[], $2::text[]) wanted (performance_id, user_id)
    CROSS JOIN LATERAL (SELECT * FROM seat_waits own
        WHERE own.performance_id = wanted.performance_id AND own.user_id = wanted.user_id OFFSET 0) e"
);

const WISHES: &str = "SELECT performance_id, seats, section, grade, waiting FROM seat_wishes
    WHERE performance_id = ANY ($1) AND waiting > 0";

/// The first entries of each wish, each with the open reservations of its user in the performance.
const FRONT: &str = concat!(
    "SELECT ",
    entry!("e"),
    ", r.reservation_id, r.seats, r.refunded
    FROM unnest($1::uuid[], $2::bigint[]) wanted (performance_id, many)
    CROSS JOIN LATERAL (SELECT performance_id, seats, section, grade FROM seat_wishes
        WHERE seat_wishes.performance_id = wanted.performance_id AND waiting > 0 OFFSET 0) w
    CROSS JOIN LATERAL (SELECT * FROM seat_waits own WHERE own.performance_id = w.performance_id AND own.seats = w.seats
        AND own.section = w.section AND own.grade = w.grade AND own.state = 'WAITING'
        ORDER BY own.number LIMIT wanted.many) e
    LEFT JOIN LATERAL (SELECT reservation_id, performance_id, seats, refunded FROM reservations open
        WHERE open.concert_id = e.concert_id AND open.user_id = e.user_id AND open.status IN ('HELD', 'PAID') OFFSET 0) r
        ON r.performance_id = e.performance_id
    ORDER BY e.performance_id, e.number"
);

const PUT: &str = "INSERT INTO seat_waits
        (performance_id, user_id, waitlist_id, concert_id, seats, section, grade, number, joined_at, state, reservation_id)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::integer[], $6::text[], $7::text[],
        $8::bigint[], $9::bigint[], $10::text[], $11::uuid[])
    ON CONFLICT (performance_id, user_id) DO UPDATE SET waitlist_id = excluded.waitlist_id, seats = excluded.seats,
        section = excluded.section, grade = excluded.grade, number = excluded.number, joined_at = excluded.joined_at,
        state = excluded.state, reservation_id = excluded.reservation_id";

const COUNT_MORE: &str = "INSERT INTO seat_wishes (performance_id, seats, section, grade, waiting)
    SELECT * FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::text[], $5::bigint[])
    ON CONFLICT (performance_id, seats, section, grade) DO UPDATE SET waiting = seat_wishes.waiting + excluded.waiting";

/// An insert with fewer than no users would fail before its conflict is found.
const COUNT_FEWER: &str = "UPDATE seat_wishes SET waiting = seat_wishes.waiting + v.waiting
    FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::text[], $5::bigint[])
        v (performance_id, seats, section, grade, waiting)
    WHERE seat_wishes.performance_id = v.performance_id AND seat_wishes.seats = v.seats
        AND seat_wishes.section = v.section AND seat_wishes.grade = v.grade";

/// Entries of a user, each with its position if the user waits.
const OF_USER: &str = concat!(
    "SELECT ",
    entry!("e"),
    ", CASE WHEN e.state = 'WAITING' THEN (SELECT count(*) FROM seat_waits other
            WHERE other.performance_id = e.performance_id AND other.state = 'WAITING' AND other.number <= e.number) END,
        p.starts_at, p.cancelled_at IS NOT NULL
    FROM (SELECT * FROM seat_waits WHERE user_id = $1 OFFSET 0) e
    CROSS JOIN LATERAL (SELECT starts_at, cancelled_at FROM performances
        WHERE performances.performance_id = e.performance_id OFFSET 0) p
    WHERE ($2::uuid IS NULL AND p.starts_at >= $3) OR e.concert_id = $2
    ORDER BY e.waitlist_id DESC"
);

const TO_SERVE: &str = "SELECT performance_id FROM performances WHERE waitlisted > 0
    AND (starts_at <= $1 OR cancelled_at IS NOT NULL OR (sold + blocked + held < capacity AND NOT closed AND NOT sale_closed
        AND (opens_at IS NULL OR opens_at <= $1) AND (closes_at IS NULL OR closes_at > $1)))
    ORDER BY starts_at, performance_id";

pub(super) const WRITES: &[&str] = &[ENTRIES, WISHES, FRONT, PUT, COUNT_MORE, COUNT_FEWER];

#[cfg(test)]
pub(super) const READS: &[&str] = &[OF_USER, TO_SERVE];

/// Loads entries. After the performances are locked.
pub(super) fn load<'a>(pipeline: &mut Pipeline<'a, Unit>, keys: &'a Keys) {
    let wanted = keys.seat_waits.iter();
    let Some(wanted) = columns!(wanted, |(id, user)| id.uuid(), user.as_str()) else { return };
    pipeline.query(ENTRIES, wanted, move |found, unit| {
        for key in &keys.seat_waits {
            unit.rows.seat_waits.load(key.clone(), None);
        }
        for row in found {
            let entry = read(row)?;
            unit.rows.seat_waits.load((entry.performance, entry.user.clone()), Some(entry));
        }
        Ok(())
    });
}

/// What is read of locked performances that have a list: a further round trip, which a unit of work without a list does not need.
/// `None` if no locked performance has one.
pub(super) fn listed(keys: &Keys, rows: &Rows) -> Option<Keys> {
    let listed: BTreeSet<PerformanceId> =
        rows.performances.values().filter(|(_, own)| own.waitlisted > 0).map(|(id, _)| *id).collect();
    let without = |loaded: &BTreeSet<PerformanceId>| listed.difference(loaded).copied().collect();
    (!listed.is_empty()).then(|| Keys {
        halls: without(&keys.halls),
        layouts: without(&keys.layouts),
        performances: listed.clone(),
        seat_lists: keys.seat_lists.clone(),
        ..Keys::default()
    })
}

/// Loads the fronts of lists, for the performances of [`listed`].
pub(super) fn load_lists<'a>(pipeline: &mut Pipeline<'a, Unit>, listed: &'a Keys) {
    let ids: Vec<Uuid> = listed.performances.iter().map(|id| id.uuid()).collect();
    pipeline.query(WISHES, params![ids.clone()], move |found, unit| {
        for id in &listed.performances {
            unit.rows.seat_lists.entry(*id).or_default();
        }
        for row in found {
            let list = unit.rows.seat_lists.entry(PerformanceId::new(uuid(row, 0)?)).or_default();
            list.load_wish(read_wish(row, 1)?, number(row, 4)?);
        }
        Ok(())
    });
    let many = |id: &PerformanceId| if listed.seat_lists.contains(id) { OFFERED_TOGETHER_MAX } else { FRONT_LOADED };
    let many: Vec<i64> = listed.performances.iter().map(|id| limit(many(id))).collect();
    pipeline.query(FRONT, params![ids, many], |found, unit| {
        let mut last = None;
        for row in found {
            let entry = read(row)?;
            let list = unit.rows.seat_lists.entry(entry.performance).or_default();
            // A row for each open reservation of the user.
            if last.replace(entry.id) != Some(entry.id) {
                list.load_entry(&entry);
            }
            if let Some(reservation) = get::<Option<Uuid>>(row, COLUMNS)? {
                let left = seats(row, COLUMNS + 1)?.len().saturating_sub(some_seats(row, COLUMNS + 2)?.len());
                list.load_owned(entry.user.clone(), ReservationId::new(reservation), left);
            }
            unit.rows.seat_waits.load((entry.performance, entry.user.clone()), Some(entry));
        }
        Ok(())
    });
}

/// A wish from three columns.
fn read_wish(row: &Row, from: usize) -> Sql<Wish> {
    Ok(wish_from(small(row, from)?, get(row, from + 1)?, get(row, from + 2)?))
}

/// An entry from its columns.
fn read(row: &Row) -> Sql<Entry> {
    Ok(Entry {
        performance: PerformanceId::new(uuid(row, 0)?),
        user: user(row, 1)?,
        id: WaitlistId::new(uuid(row, 2)?),
        concert: ConcertId::new(uuid(row, 3)?),
        wish: read_wish(row, 4)?,
        number: number(row, 7)?,
        joined_at: instant(row, 8)?,
        state: word(row, 9)?,
        reservation: get::<Option<Uuid>>(row, 10)?.map(ReservationId::new),
    })
}

/// Saves entries, and the numbers of users of each wish.
pub(super) fn save<'a>(pipeline: &mut Pipeline<'a, ()>, rows: &'a Rows) {
    let changed = rows.seat_waits.changed().filter_map(|(_, entry)| entry);
    pipeline.write(
        PUT,
        columns!(
            changed,
            |entry| entry.performance.uuid(),
            entry.user.as_str(),
            entry.id.uuid(),
            entry.concert.uuid(),
            int(entry.wish.count),
            wish_text(&entry.wish.section),
            wish_text(&entry.wish.grade),
            big(entry.number),
            entry.joined_at.as_millis(),
            entry.state.word(),
            entry.reservation.map(ReservationId::uuid),
        ),
    );
    for is_more in [true, false] {
        let changed = rows.changed_wishes().filter(|own| (own.change > 0) == is_more);
        pipeline.write(
            if is_more { COUNT_MORE } else { COUNT_FEWER },
            columns!(
                changed,
                |own| own.performance.uuid(),
                int(own.wish.count),
                wish_text(&own.wish.section).to_owned(),
                wish_text(&own.wish.grade).to_owned(),
                own.change,
            ),
        );
    }
}

/// Entries of a user, newest first.
pub(super) async fn of_user(
    session: &Session,
    user: &UserId,
    concert: Option<ConcertId>,
    since: Timestamp,
) -> Sql<Vec<ListedEntry>> {
    let wanted = params![user.as_str(), concert.map(ConcertId::uuid), since.as_millis()];
    let found = session.query(OF_USER, wanted).await?;
    let listed = |row| {
        let is_waiting = get::<Option<i64>>(row, COLUMNS)?.is_some();
        Ok(ListedEntry {
            entry: read(row)?,
            position: if is_waiting { Some(small_count(row, COLUMNS)?) } else { None },
            starts_at: instant(row, COLUMNS + 1)?,
            is_cancelled: get(row, COLUMNS + 2)?,
        })
    };
    found.iter().map(listed).collect()
}

/// Performances with a list that may get offers at an instant, or whose entries are to be ended.
pub(super) async fn to_serve(session: &Session, at: Timestamp) -> Sql<Vec<PerformanceId>> {
    let found = session.query(TO_SERVE, params![at.as_millis()]).await?;
    found.iter().map(|row| Ok(PerformanceId::new(uuid(row, 0)?))).collect()
}
