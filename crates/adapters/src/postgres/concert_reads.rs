//! Reads of concerts, performances, seats and reservations for callers.

use std::ops::RangeInclusive;

use onsale_app::store::{Listed, Page, SeatRecord, SeatRows, SeatTaken};
use onsale_domain::concert::{Concert, Performance, Reservation};
use onsale_domain::ids::{ConcertId, PaymentId, PerformanceId, ReservationId, TokenId, UserId};
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::Token;
use tokio_postgres::Row;
use uuid::Uuid;

use super::concert_rows::{kept_of, read, read_performance, read_seat};
use super::error::DbError;
use super::extension::{further, further_of_seat, read_concert};
use super::session::Session;
use super::values::{Sql, get, instant, int, limit, number, params, small, user, uuid};

const CONCERTS: &str =
    "SELECT concert_id, title, venue, created_at, notice_ko, notice_en, closed, version, opens_at, closes_at, max_seats,
        codes_until FROM concerts";

const PERFORMANCES: &str = "SELECT performance_id, concert_id, starts_at, sections, sold, version, updated_at,
        CASE WHEN known_version = version THEN holds END, extensions, closed, sale_closed, refund_policy, held, revenue,
        refunded, opens_at, closes_at, max_seats, cancelled_at, open_payments, blocked, revision,
        codes_until, waitlisted, offered, offer_seconds
    FROM performances";

/// Performances of the given concerts, and the given performances, each by key.
const LISTED_PERFORMANCES: &str = "SELECT p.performance_id, concert_id, starts_at, sections, sold, version, updated_at,
        CASE WHEN known_version = version THEN holds END, extensions, closed, sale_closed, refund_policy, held, revenue,
        refunded, opens_at, closes_at, max_seats, cancelled_at, open_payments, blocked, revision,
        codes_until, waitlisted, offered, offer_seconds
    FROM (SELECT of.performance_id FROM unnest($1::uuid[]) wanted
              CROSS JOIN LATERAL (SELECT performance_id FROM performances WHERE concert_id = wanted OFFSET 0) of
          UNION SELECT unnest($2::uuid[])) named
        CROSS JOIN LATERAL (SELECT * FROM performances own WHERE own.performance_id = named.performance_id OFFSET 0) p";

const LISTED_CONCERTS: &str = "SELECT concert_id, title, venue, created_at, notice_ko, notice_en, closed, version,
        opens_at, closes_at, max_seats, codes_until
    FROM concerts WHERE concert_id = ANY ($1)";

const PERFORMANCE_REVISIONS: &str =
    "SELECT count(*), coalesce(sum(revision), 0)::bigint FROM performances WHERE concert_id = $1";

/// The version and the seats, in one statement and so of one snapshot. Extensions are only looked up for a row that lacks one.
const SEATS: &str = concat!(
    "SELECT version, seat, reservation_id, s.held_until, s.sold, s.extended,
        CASE WHEN s.extended < extensions THEN ",
    further_of_seat!("s"),
    " END, closed, s.block_reason, cancelled_at IS NOT NULL, waitlisted > 0
    FROM performances LEFT JOIN seats s USING (performance_id) WHERE performance_id = $1"
);

/// Seats of a range of numbers, each with its user and its payment, by key.
const TAKEN_SEATS: &str = concat!(
    "SELECT s.reservation_id, s.held_until, s.sold, s.extended, ",
    further_of_seat!("s"),
    ", s.block_reason, s.seat, owner.user_id, paid.payment_id FROM seats s
    LEFT JOIN LATERAL (SELECT user_id FROM reservations r WHERE r.reservation_id = s.reservation_id OFFSET 0) owner ON true
    LEFT JOIN LATERAL (SELECT payment_id FROM payments p WHERE p.reservation_id = s.reservation_id AND s.sold OFFSET 0) paid
        ON true
    WHERE s.performance_id = $1 AND s.seat BETWEEN $2 AND $3 ORDER BY s.seat"
);

const RESERVATION: &str = concat!(
    "SELECT reservation_id, concert_id, performance_id, user_id, place, seats, amount, held_at, held_until, status,
        end_event_id, extended, ",
    further!("reservations"),
    kept_of!("reservations"),
    " FROM reservations WHERE reservation_id = $1"
);

const RESERVATIONS_OF: &str = concat!(
    "SELECT reservation_id, concert_id, performance_id, user_id, place, seats, amount, held_at, held_until, status,
        end_event_id, extended, ",
    further!("reservations"),
    kept_of!("reservations"),
    " FROM reservations WHERE user_id = $1 AND reservation_id < $2 ORDER BY reservation_id DESC LIMIT $3"
);

const PLACES_OF: &str = "SELECT concert_id, place, token_id, issued_at FROM places
    WHERE concert_id = ANY ($1) AND user_id = $2 AND standing = 'CURRENT'";

const LAPSED: &str = "SELECT performance_id, reservation_id FROM reservations
    WHERE status = 'HELD' AND held_until <= $1
        AND NOT EXISTS (SELECT FROM hold_extensions e
            WHERE e.performance_id = reservations.performance_id AND e.number > reservations.extended)
    ORDER BY held_until LIMIT $2";

const HELD_AFTER: &str = "SELECT performance_id, reservation_id, held_until - held_at FROM reservations
    WHERE status = 'HELD' AND held_until > $1 AND held_at > $1
        AND NOT EXISTS (SELECT FROM hold_extensions e
            WHERE e.performance_id = reservations.performance_id AND e.number > reservations.extended)
    ORDER BY held_until LIMIT $2";

#[cfg(test)]
pub(super) const READS: &[&str] = &[
    CONCERTS,
    PERFORMANCES,
    LISTED_PERFORMANCES,
    LISTED_CONCERTS,
    PERFORMANCE_REVISIONS,
    SEATS,
    TAKEN_SEATS,
    RESERVATION,
    RESERVATIONS_OF,
    PLACES_OF,
    LAPSED,
    HELD_AFTER,
];

pub(super) async fn concerts(session: &Session) -> Sql<Vec<Concert>> {
    session.query(CONCERTS, Vec::new()).await?.iter().map(|row| read_concert(row, 0)).collect()
}

pub(super) async fn listed(session: &Session, concerts: &[ConcertId], performances: &[PerformanceId]) -> Sql<Listed> {
    let mut concerts: Vec<Uuid> = concerts.iter().map(|id| id.uuid()).collect();
    let named: Vec<Uuid> = performances.iter().map(|id| id.uuid()).collect();
    let found = session.query(LISTED_PERFORMANCES, params![concerts.clone(), named]).await?;
    let performances = found.iter().map(read_performance).collect::<Sql<Vec<_>>>()?;
    concerts.extend(performances.iter().map(|performance| performance.concert.uuid()));
    if concerts.is_empty() {
        return Ok(Listed::default());
    }
    let concerts = session.query(LISTED_CONCERTS, params![concerts]).await?;
    Ok(Listed { concerts: concerts.iter().map(|row| read_concert(row, 0)).collect::<Sql<_>>()?, performances })
}

pub(super) async fn performances(session: &Session) -> Sql<Vec<Performance>> {
    session.query(PERFORMANCES, Vec::new()).await?.iter().map(read_performance).collect()
}

pub(super) async fn performance_revisions(session: &Session, concert: ConcertId) -> Sql<(u64, u64)> {
    let found = session.query(PERFORMANCE_REVISIONS, params![concert.uuid()]).await?;
    let row = found.first().ok_or(DbError::Broken("no count"))?;
    Ok((number(row, 0)?, number(row, 1)?))
}

pub(super) async fn seats(session: &Session, performance: PerformanceId) -> Sql<SeatRows> {
    let found = session.query(SEATS, params![performance.uuid()]).await?;
    let first = found.first().ok_or(DbError::Broken("no such performance"))?;
    let (version, closed, cancelled) = (number(first, 0)?, get(first, 7)?, get(first, 9)?);
    let seats = Vec::with_capacity(found.len());
    let waited_for = get(first, 10)?;
    let mut rows = SeatRows { version, closed, cancelled, waited_for, seats, blocked: Vec::new() };
    for row in &found {
        if get::<Option<&str>>(row, 8)?.is_some() {
            rows.blocked.push(small(row, 1)?);
        } else if get::<Option<i32>>(row, 1)?.is_some() {
            rows.seats.push((small(row, 1)?, read_seat(row, 2)?));
        }
    }
    Ok(rows)
}

pub(super) async fn taken_seats(
    session: &Session,
    performance: PerformanceId,
    numbers: &RangeInclusive<u32>,
) -> Sql<Vec<SeatRecord>> {
    let wanted = params![performance.uuid(), int(*numbers.start()), int(*numbers.end())];
    let read = |row: &Row| {
        let taken = match get::<Option<&str>>(row, 5)? {
            Some(reason) => SeatTaken::Blocked(reason.into()),
            None => SeatTaken::Owned(read_seat(row, 0)?, get::<Option<_>>(row, 8)?.map(PaymentId::new)),
        };
        let user = get::<Option<&str>>(row, 7)?.map(|_| user(row, 7)).transpose()?;
        Ok(SeatRecord { number: small(row, 6)?, user, taken })
    };
    session.query(TAKEN_SEATS, wanted).await?.iter().map(read).collect()
}

pub(super) async fn reservation(session: &Session, id: ReservationId) -> Sql<Option<Reservation>> {
    session.query(RESERVATION, params![id.uuid()]).await?.first().map(read).transpose()
}

/// The places of a user in these concerts.
pub(super) async fn places_of(session: &Session, user: &UserId, concerts: &[ConcertId]) -> Sql<Vec<Token>> {
    let concerts: Vec<Uuid> = concerts.iter().map(|id| id.uuid()).collect();
    let found = session.query(PLACES_OF, params![concerts, user.as_str()]).await?;
    let token = |row: &Row| {
        Ok(Token {
            id: TokenId::new(uuid(row, 2)?),
            concert: ConcertId::new(uuid(row, 0)?),
            user: user.clone(),
            place: number(row, 1)?,
            issued_at: instant(row, 3)?,
        })
    };
    found.iter().map(token).collect()
}

/// A page of a user's reservations, newest first.
pub(super) async fn reservations_of(
    session: &Session,
    user: &UserId,
    page: Page<ReservationId>,
) -> Sql<Vec<Reservation>> {
    let before = page.after.map_or(Uuid::max(), ReservationId::uuid);
    let wanted = params![user.as_str(), before, limit(page.limit)];
    session.query(RESERVATIONS_OF, wanted).await?.iter().map(read).collect()
}

/// Holds that were taken after an instant, each with its length in milliseconds.
pub(super) async fn holds_after(
    session: &Session,
    after: Timestamp,
    most: usize,
) -> Sql<Vec<(PerformanceId, ReservationId, u64)>> {
    let found = session.query(HELD_AFTER, params![after.as_millis(), limit(most)]).await?;
    let hold = |row: &Row| Ok((PerformanceId::new(uuid(row, 0)?), ReservationId::new(uuid(row, 1)?), number(row, 2)?));
    found.iter().map(hold).collect()
}

/// Holds that have expired, the longest expired first.
pub(super) async fn lapsed_holds(
    session: &Session,
    before: Timestamp,
    most: usize,
) -> Sql<Vec<(PerformanceId, ReservationId)>> {
    let found = session.query(LAPSED, params![before.as_millis(), limit(most)]).await?;
    found.iter().map(|row| Ok((PerformanceId::new(uuid(row, 0)?), ReservationId::new(uuid(row, 1)?)))).collect()
}
