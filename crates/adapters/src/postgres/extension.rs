//! Extensions of holds. The row of a hold may lack some: statements that read a hold also read those, in the column `further`.

use std::sync::Arc;

use onsale_app::store::{Announced, Unit};
use onsale_domain::concert::{Concert, Dates, ENDING_WITHIN_MILLIS, Notice};
use onsale_domain::ids::{ConcertId, PerformanceId, ReservationId};
use onsale_domain::rows::{Keys, Rows};
use tokio_postgres::Row;
use uuid::Uuid;

use super::concert_rows::read_end;
use super::room_rows::read_sale;
use super::session::{Pipeline, Session};
use super::values::{Sql, big, columns, get, instant, int, limit, number, optional_text, params, small, text, uuid};

/// The extensions that a row of `$row` lacks, from the condition `$held` that the row is of a hold: see
/// [`crate::stored::extensions_from_text`]. Null if it lacks none. The table has a row for each extension, so it is small.
macro_rules! lacking {
    ($row:literal, $held:literal) => {
        concat!(
            "(SELECT string_agg(concat_ws(' ', e.number, e.version, e.at, e.seconds), ',' ORDER BY e.number)
                FROM hold_extensions e WHERE e.performance_id = ",
            $row,
            ".performance_id AND e.number > ",
            $row,
            ".extended AND ",
            $row,
            $held,
            ")"
        )
    };
}
pub(super) use lacking;

/// The extensions that a row of a reservation lacks.
macro_rules! further {
    ($row:literal) => {
        $crate::postgres::extension::lacking!($row, ".status = 'HELD'")
    };
}
pub(super) use further;

/// The extensions that a row of a seat lacks.
macro_rules! further_of_seat {
    ($row:literal) => {
        $crate::postgres::extension::lacking!($row, ".sold = false")
    };
}
pub(super) use further_of_seat;

const CONCERTS: &str =
    "SELECT concert_id, title, venue, created_at, notice_ko, notice_en, closed, version, opens_at, closes_at, max_seats,
        codes_until FROM concerts WHERE concert_id = ANY ($1)";

/// The dates of concerts. The subquery is run for each concert, by key.
const DATES: &str =
    "SELECT wanted.concert_id, own.performances, own.revisions FROM unnest($1::uuid[]) wanted (concert_id)
    CROSS JOIN LATERAL (SELECT count(*) performances, coalesce(sum(revision), 0)::bigint revisions FROM performances
        WHERE performances.concert_id = wanted.concert_id) own";

/// The holds of performances (`$1`, and all of the concerts `$2`) that are not settled, as of one instant: how many, how many
/// of them are over, and those that end within `$3` milliseconds. A row of a performance with `held` and `lapsed`, or of a hold.
///
/// `bounds` is [`onsale_domain::concert::lapsed_up_to`]: which rows are over, by the last extension that they contain. With
/// the sums of the seconds, each of its elements is a maximum over the extensions that follow. `statement_timestamp()`
/// is the instant at which the statement began, after the locks, and does not change while an index is read.
const COUNTED: &str = concat!(
    "WITH clock AS MATERIALIZED (SELECT (extract(epoch FROM statement_timestamp()) * 1000)::bigint AS now),
    wanted AS MATERIALIZED (
        SELECT own.performance_id, own.holds FROM (SELECT unnest($1::uuid[]) performance_id
            UNION SELECT whole.performance_id FROM unnest($2::uuid[]) concert CROSS JOIN LATERAL (
                SELECT performance_id FROM performances WHERE concert_id = concert OFFSET 0) whole) named
        CROSS JOIN LATERAL (SELECT performance_id, CASE WHEN known_version = version THEN holds END AS holds
            FROM performances WHERE performance_id = named.performance_id OFFSET 0) own),
    steps AS (
        SELECT performance_id, 0::bigint AS number, NULL::bigint AS at, 0::bigint AS millis FROM wanted
        UNION ALL SELECT e.performance_id, e.number, e.at, e.seconds * 1000::bigint FROM wanted CROSS JOIN LATERAL (
            SELECT * FROM hold_extensions WHERE performance_id = wanted.performance_id OFFSET 0) e),
    totals AS (
        SELECT *, (sum(millis) OVER (PARTITION BY performance_id ORDER BY number))::bigint AS total,
            (sum(millis) OVER (PARTITION BY performance_id))::bigint AS whole FROM steps),
    further AS (
        SELECT *, max(at - total + millis) OVER (PARTITION BY performance_id ORDER BY number
            ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS later FROM totals),
    bounds AS MATERIALIZED (
        SELECT performance_id, number AS extended, least(now, total + greatest(later, now - whole)) AS lapsed_to,
            least(now + $3, total + greatest(later, now + $3 - whole)) AS ending_to
        FROM further CROSS JOIN clock),
    ending AS MATERIALIZED (
        SELECT r.performance_id, reservation_id, held_until, r.extended, held_until <= lapsed_to AS is_lapsed
        FROM (SELECT * FROM reservations WHERE status = 'HELD' AND held_until <= (SELECT now + $3 FROM clock) OFFSET 0) r
            JOIN bounds ON bounds.performance_id = r.performance_id AND bounds.extended = r.extended
        WHERE held_until <= ending_to)
    SELECT wanted.performance_id, now, CASE WHEN wanted.holds IS NULL THEN (
            SELECT count(*) FROM (SELECT performance_id FROM reservations WHERE status = 'HELD' AND held_until > 0 OFFSET 0)
                held WHERE held.performance_id = wanted.performance_id) END,
        coalesce(lapsed.holds, 0), NULL::uuid, NULL::bigint, NULL::bigint, NULL::text
    FROM wanted CROSS JOIN clock LEFT JOIN (
        SELECT performance_id, count(*) holds FROM ending WHERE is_lapsed GROUP BY performance_id) lapsed
        ON lapsed.performance_id = wanted.performance_id
    UNION ALL SELECT performance_id, NULL, NULL, NULL, reservation_id, held_until, extended, ",
    lacking!("ending", ".reservation_id IS NOT NULL"),
    " FROM ending WHERE NOT is_lapsed"
);

const EXTEND: &str =
    "INSERT INTO hold_extensions (performance_id, number, concert_id, version, event_id, at, seconds, holds, reason)
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::bigint[], $5::uuid[], $6::bigint[], $7::integer[],
        $8::bigint[], $9::text[])";

const WRITTEN: &str = "UPDATE hold_extensions SET written = true
    FROM unnest($1::uuid[], $2::bigint[]) v (performance_id, number)
    WHERE hold_extensions.performance_id = v.performance_id AND hold_extensions.number <= v.number AND NOT written";

const UNWRITTEN: &str =
    "SELECT performance_id, max(number) FROM hold_extensions WHERE NOT written GROUP BY performance_id";

const TO_REWRITE: &str = "SELECT seat, reservation_id FROM seats
    WHERE performance_id = $1 AND seat > $3 AND NOT sold AND extended < $2 AND reservation_id IS NOT NULL
    ORDER BY seat LIMIT $4";

pub(super) const WRITES: &[&str] = &[CONCERTS, DATES, COUNTED, EXTEND, WRITTEN];
#[cfg(test)]
pub(super) const READS: &[&str] = &[UNWRITTEN, TO_REWRITE];

/// Loads the rows of whole concerts, and dates, and counts holds. Their rooms and performances are locked by now.
pub(super) fn load<'a>(pipeline: &mut Pipeline<'a, Unit>, keys: &'a Keys) {
    if !keys.concerts.is_empty() {
        let ids: Vec<Uuid> = keys.concerts.iter().map(|id| id.uuid()).collect();
        pipeline.query(CONCERTS, params![ids], |found, unit| {
            for id in &keys.concerts {
                unit.rows.concerts.load(*id, None);
            }
            for row in found {
                let concert = read_concert(row, 0)?;
                unit.rows.concerts.load(concert.id, Some(concert));
            }
            Ok(())
        });
    }
    load_dates(pipeline, keys);
    if !keys.counted_performances.is_empty() || !keys.counted_concerts.is_empty() {
        let performances: Vec<Uuid> = keys.counted_performances.iter().map(|id| id.uuid()).collect();
        let concerts: Vec<Uuid> = keys.counted_concerts.iter().map(|id| id.uuid()).collect();
        pipeline.query(COUNTED, params![performances, concerts, ENDING_WITHIN_MILLIS], |found, unit| {
            found.iter().try_for_each(|row| take_counted(row, unit))
        });
    }
}

fn load_dates<'a>(pipeline: &mut Pipeline<'a, Unit>, keys: &'a Keys) {
    if keys.dates.is_empty() {
        return;
    }
    let concerts: Vec<Uuid> = keys.dates.iter().map(|id| id.uuid()).collect();
    pipeline.query(DATES, params![concerts], |found, unit| {
        for row in found {
            let dates = Dates { performances: number(row, 1)?, revisions: number(row, 2)? };
            unit.rows.dates.insert(ConcertId::new(uuid(row, 0)?), dates);
        }
        Ok(())
    });
}

fn take_counted(row: &Row, unit: &mut Unit) -> Sql<()> {
    let counted = unit.rows.counted.entry(PerformanceId::new(uuid(row, 0)?)).or_default();
    if let Some(hold) = get::<Option<Uuid>>(row, 4)? {
        counted.ending.push((ReservationId::new(hold), read_end(row, 5, 6)?.until));
    } else {
        counted.at = instant(row, 1)?;
        counted.held = get::<Option<i64>>(row, 2)?.map(|held| u64::try_from(held).unwrap_or(0));
        counted.lapsed = number(row, 3)?;
    }
    Ok(())
}

pub(super) fn save<'a>(pipeline: &mut Pipeline<'a, ()>, rows: &'a Rows) {
    pipeline.write(
        EXTEND,
        columns!(
            rows.extensions.iter(),
            |extension| extension.performance.uuid(),
            big(extension.number),
            extension.concert.uuid(),
            big(extension.version),
            extension.event.uuid(),
            extension.at.as_millis(),
            int(extension.seconds),
            big(extension.holds),
            &*extension.reason,
        ),
    );
    pipeline.write(WRITTEN, columns!(rows.rewritten.iter(), |(performance, number)| performance.uuid(), big(*number)));
}

/// A concert from twelve columns, the first of which is `from`.
pub(super) fn read_concert(row: &Row, from: usize) -> Sql<Concert> {
    Ok(Concert {
        id: ConcertId::new(uuid(row, from)?),
        title: text(row, from + 1)?,
        venue: text(row, from + 2)?,
        created_at: instant(row, from + 3)?,
        notice: read_notice(row, from + 4)?,
        sale: read_sale(row, from + 6, from + 8, from + 11)?,
        seats_per_user: small(row, from + 10)?,
        version: number(row, from + 7)?,
    })
}

/// What buyers read, from three columns: the notice, and the version of the concert.
pub(super) fn read_announced(row: &Row, from: usize) -> Sql<Announced> {
    Ok(Announced { notice: read_notice(row, from)?, version: number(row, from + 2)? })
}

/// A notice from two columns, of which at least one is not null if there is one.
fn read_notice(row: &Row, from: usize) -> Sql<Option<Arc<Notice>>> {
    let (ko, en) = (optional_text(row, from)?, optional_text(row, from + 1)?);
    Ok((ko.is_some() || en.is_some()).then(|| Arc::new(Notice { ko, en })))
}

pub(super) async fn unwritten(session: &Session) -> Sql<Vec<(PerformanceId, u64)>> {
    let found = session.query(UNWRITTEN, Vec::new()).await?;
    found.iter().map(|row| Ok((PerformanceId::new(uuid(row, 0)?), number(row, 1)?))).collect()
}

pub(super) async fn to_rewrite(
    session: &Session,
    performance: PerformanceId,
    number: u64,
    after_seat: u32,
    most: usize,
) -> Sql<Vec<(u32, ReservationId)>> {
    let wanted = params![performance.uuid(), big(number), int(after_seat), limit(most)];
    let found = session.query(TO_REWRITE, wanted).await?;
    found.iter().map(|row| Ok((small(row, 0)?, ReservationId::new(uuid(row, 1)?)))).collect()
}
