//! Concerts, performances and reservations.

use std::collections::{BTreeMap, BTreeSet};

use onsale_app::store::Listed;
use onsale_domain::concert::{Performance, Reservation, Sale};
use onsale_domain::ids::{ConcertId, EventId, PerformanceId, ReservationId, UserId};
use onsale_domain::rows::{Keys, Rows};
use onsale_domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::concert_row;
use super::extension::{self, further, lacks_extensions, read_end};
use super::seat;
use super::values::{
    Sql, instant, numbers_to_text, optional_instant, optional_uuid, policy, prices, seating, seats, some_seats, user,
    uuid, word,
};
use crate::stored::{Word, policy_to_text, seating_to_text};

pub(super) fn load(db: &Connection, keys: &Keys, rows: &mut Rows) -> Sql<()> {
    for (concert, user) in &keys.holders {
        load_open(db, *concert, user, rows)?;
    }
    for (concert, user) in &keys.holdings {
        load_open(db, *concert, user, rows)?;
        let open = rows.open_reservations.get(&(*concert, user.clone())).cloned().unwrap_or_default();
        for id in open {
            load_whole(db, id, rows)?;
        }
    }
    for id in &keys.reservations {
        load_whole(db, *id, rows)?;
    }
    for id in &keys.performances {
        load_performance(db, *id, rows)?;
    }
    extension::load(db, keys, rows)?;
    for (performance, number) in &keys.seats {
        seat::load(db, *performance, *number, rows)?;
        let seat = rows.seats.get(&(*performance, *number));
        // A seat that is held needs the reservation too: if it has lapsed, the decision ends it.
        if let Some(holder) = seat.filter(|seat| !seat.sold).map(|seat| seat.reservation) {
            load_whole(db, holder, rows)?;
        }
    }
    Ok(())
}

/// Loads the held and paid reservations of a user in a concert.
pub(super) fn load_open(db: &Connection, concert: ConcertId, user: &UserId, rows: &mut Rows) -> Sql<()> {
    let key = (concert, user.clone());
    // Several commands of a batch may name the same user.
    if rows.open_reservations.contains_key(&key) {
        return Ok(());
    }
    let mut statement = db.prepare_cached(&format!(
        "SELECT {RESERVATION} FROM reservations
         WHERE concert_id = ?1 AND user_id = ?2 AND status IN ('HELD', 'PAID')"
    ))?;
    let open = statement.query_map(params![concert.uuid().as_bytes(), user.as_str()], read_with_lack)?;
    let open: Vec<(Reservation, bool)> = open.collect::<Sql<_>>()?;
    rows.open_reservations.insert(key, open.iter().map(|(reservation, _)| reservation.id).collect());
    for (reservation, lacks) in open {
        note_lack(rows, reservation.id, lacks);
        rows.reservations.load(reservation.id, Some(reservation));
    }
    Ok(())
}

/// Loads a reservation with its performance and its seats.
pub(super) fn load_whole(db: &Connection, id: ReservationId, rows: &mut Rows) -> Sql<()> {
    if !rows.reservations.is_loaded(&id) {
        let found = db
            .prepare_cached(&format!("SELECT {RESERVATION} FROM reservations WHERE reservation_id = ?1"))?
            .query_row([id.uuid().as_bytes()], read_with_lack)
            .optional()?;
        note_lack(rows, id, found.as_ref().is_some_and(|(_, lacks)| *lacks));
        rows.reservations.load(id, found.map(|(reservation, _)| reservation));
    }
    let Some((performance, seats)) = rows.reservations.get(&id).map(|r| (r.performance, r.seats.clone())) else {
        return Ok(());
    };
    load_performance(db, performance, rows)?;
    for number in seats.iter() {
        seat::load(db, performance, *number, rows)?;
    }
    Ok(())
}

pub(super) fn load_performance(db: &Connection, id: PerformanceId, rows: &mut Rows) -> Sql<()> {
    if !rows.performances.is_loaded(&id) {
        let performance = db
            .prepare_cached(&format!("SELECT {PERFORMANCE} FROM performances WHERE performance_id = ?1"))?
            .query_row([id.uuid().as_bytes()], read_performance)
            .optional()?;
        rows.performances.load(id, performance);
    }
    Ok(())
}

/// Notes that a row of a hold, or of one of its seats, lacks extensions.
pub(super) fn note_lack(rows: &mut Rows, reservation: ReservationId, lacks: bool) {
    if lacks {
        rows.lacking.insert(reservation);
    }
}

pub(super) fn save(db: &Connection, rows: &Rows) -> Sql<()> {
    // Performances, then reservations, then seats: each refers to the one before by a foreign key.
    for (id, performance) in rows.performances.changed() {
        let Some(performance) = performance else { continue };
        let has_new_policy = rows.new_policies.contains(id);
        save_performance(db, *id, performance, has_new_policy)?;
    }
    for (_, reservation) in rows.reservations.changed() {
        let Some(reservation) = reservation else { continue };
        save_reservation(db, reservation)?;
    }
    save_offers(db, rows)?;
    seat::save(db, rows)?;
    extension::save(db, rows)
}

/// Writes what holds and payments leave as it is: the start, the seats with their prices, and how many are blocked.
fn save_offers(db: &Connection, rows: &Rows) -> Sql<()> {
    for id in &rows.revised {
        let Some(performance) = rows.performances.get(id) else { continue };
        db.prepare_cached(
            "UPDATE performances SET starts_at = ?2, sections = ?3, capacity = ?4, blocked = ?5, revision = ?6
             WHERE performance_id = ?1",
        )?
        .execute(params![
            id.uuid().as_bytes(),
            performance.starts_at.as_millis(),
            seating_to_text(&performance.seating),
            performance.seating.capacity(),
            performance.blocked,
            performance.revision,
        ])?;
    }
    Ok(())
}

const UPDATE_PERFORMANCE: &str =
    "UPDATE performances SET sold = ?2, version = ?3, updated_at = ?4, holds = ?5, extensions = ?6, closed = ?7,
            sale_closed = ?8, refund_policy = coalesce(?9, refund_policy), held = ?10, revenue = ?11, refunded = ?12,
            opens_at = ?13, closes_at = ?14, max_seats = ?15, cancelled_at = ?16, open_payments = ?17,
            codes_until = ?18, waitlisted = ?19, offered = ?20
         WHERE performance_id = ?1";

fn save_performance(db: &Connection, id: PerformanceId, performance: &Performance, has_new_policy: bool) -> Sql<()> {
    let Performance { concert, starts_at, seating, sold, version, updated_at, .. } = performance;
    let Performance { holds, extensions, closed, sale, refund_policy, held, revenue, refunded, seats_per_user, .. } =
        performance;
    // Most updates are holds and payments, which leave the policy as it is.
    let new_policy = has_new_policy.then(|| policy_to_text(refund_policy));
    let updated = db.prepare_cached(UPDATE_PERFORMANCE)?.execute(params![
        id.uuid().as_bytes(),
        sold,
        version,
        updated_at.as_millis(),
        holds,
        extensions,
        closed,
        sale.closed,
        new_policy,
        held,
        revenue,
        refunded,
        sale.opens_at.map(Timestamp::as_millis),
        sale.closes_at.map(Timestamp::as_millis),
        seats_per_user,
        performance.cancelled_at.map(Timestamp::as_millis),
        performance.open_payments,
        sale.codes_until.map(Timestamp::as_millis),
        performance.waitlisted,
        performance.offered,
    ])?;
    // No row was updated, so the performance is new.
    if updated == 0 {
        db.prepare_cached(
            "INSERT INTO performances
               (performance_id, concert_id, starts_at, sections, capacity, sold, version, updated_at, holds, extensions,
                closed, sale_closed, refund_policy, held, revenue, refunded, opens_at, closes_at, max_seats,
                cancelled_at, open_payments, codes_until)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,
                ?20, ?21, ?22)",
        )?
        .execute(params![
            id.uuid().as_bytes(),
            concert.uuid().as_bytes(),
            starts_at.as_millis(),
            seating_to_text(seating),
            seating.capacity(),
            sold,
            version,
            updated_at.as_millis(),
            holds,
            extensions,
            closed,
            sale.closed,
            policy_to_text(refund_policy),
            held,
            revenue,
            refunded,
            sale.opens_at.map(Timestamp::as_millis),
            sale.closes_at.map(Timestamp::as_millis),
            seats_per_user,
            performance.cancelled_at.map(Timestamp::as_millis),
            performance.open_payments,
            sale.codes_until.map(Timestamp::as_millis),
        ])?;
    }
    Ok(())
}

fn save_reservation(db: &Connection, reservation: &Reservation) -> Sql<()> {
    db.prepare_cached(
        "INSERT INTO reservations
           (reservation_id, concert_id, performance_id, user_id, place, seats, amount, held_at, held_until, status,
            end_event_id, extended, prices, refund_policy, refunded)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
         ON CONFLICT (reservation_id) DO UPDATE SET status = ?10, end_event_id = ?11, held_until = ?9, extended = ?12,
            refunded = ?15",
    )?
    .execute(params![
        reservation.id.uuid().as_bytes(),
        reservation.concert.uuid().as_bytes(),
        reservation.performance.uuid().as_bytes(),
        reservation.user.as_str(),
        reservation.place,
        numbers_to_text(&reservation.seats),
        reservation.amount,
        reservation.held_at.as_millis(),
        reservation.held_until.as_millis(),
        reservation.status.word(),
        reservation.end_event.map(|event| event.uuid().into_bytes()),
        reservation.extended,
        numbers_to_text(&reservation.prices),
        policy_to_text(&reservation.refund_policy),
        numbers_to_text(&reservation.refunded),
    ])?;
    Ok(())
}

const PERFORMANCE: &str = "performance_id, concert_id, starts_at, sections, sold, version, updated_at, holds, extensions, \
                           closed, sale_closed, refund_policy, held, revenue, refunded, opens_at, closes_at, max_seats, \
                           cancelled_at, open_payments, blocked, revision, codes_until, waitlisted, offered, \
                           offer_seconds";

fn read_performance(row: &Row<'_>) -> Sql<Performance> {
    Ok(Performance {
        id: PerformanceId::new(uuid(row, 0)?),
        concert: ConcertId::new(uuid(row, 1)?),
        starts_at: instant(row, 2)?,
        seating: seating(row, 3)?,
        sold: row.get(4)?,
        version: row.get(5)?,
        updated_at: instant(row, 6)?,
        holds: row.get(7)?,
        extensions: row.get(8)?,
        closed: row.get(9)?,
        sale: Sale {
            closed: row.get(10)?,
            opens_at: optional_instant(row, 15)?,
            closes_at: optional_instant(row, 16)?,
            codes_until: optional_instant(row, 22)?,
        },
        refund_policy: policy(row, 11)?,
        held: row.get(12)?,
        revenue: row.get(13)?,
        refunded: row.get(14)?,
        seats_per_user: row.get(17)?,
        cancelled_at: optional_instant(row, 18)?,
        open_payments: row.get(19)?,
        blocked: row.get(20)?,
        revision: row.get(21)?,
        waitlisted: row.get(23)?,
        offered: row.get(24)?,
        offer_seconds: row.get(25)?,
    })
}

/// The columns of a reservation.
pub(super) const RESERVATION: &str = concat!(
    "reservation_id, concert_id, performance_id, user_id, place, seats, amount, held_at, held_until, status, end_event_id, ",
    further!("reservations", "status = 'HELD'"),
    ", prices, refund_policy, refunded"
);

/// A reservation from the columns [`RESERVATION`].
pub(super) fn read(row: &Row<'_>) -> Sql<Reservation> {
    let end = read_end(row, 8, 11)?;
    Ok(Reservation {
        id: ReservationId::new(uuid(row, 0)?),
        concert: ConcertId::new(uuid(row, 1)?),
        performance: PerformanceId::new(uuid(row, 2)?),
        user: user(row, 3)?,
        place: row.get(4)?,
        seats: seats(row, 5)?,
        amount: row.get(6)?,
        held_at: instant(row, 7)?,
        held_until: end.until,
        extended: end.extended,
        status: word(row, 9)?,
        end_event: optional_uuid(row, 10)?.map(EventId::new),
        prices: prices(row, 13)?,
        refund_policy: policy(row, 14)?,
        refunded: some_seats(row, 15)?,
    })
}

/// A reservation, and whether its row lacks extensions.
fn read_with_lack(row: &Row<'_>) -> Sql<(Reservation, bool)> {
    Ok((read(row)?, lacks_extensions(row, 11)?))
}

pub(super) fn performance(db: &Connection, id: PerformanceId) -> Sql<Option<Performance>> {
    db.prepare_cached(&format!("SELECT {PERFORMANCE} FROM performances WHERE performance_id = ?1"))?
        .query_row([id.uuid().as_bytes()], read_performance)
        .optional()
}

pub(super) fn performances(db: &Connection) -> Sql<Vec<Performance>> {
    db.prepare_cached(&format!("SELECT {PERFORMANCE} FROM performances"))?.query_map([], read_performance)?.collect()
}

pub(super) fn performances_of(db: &Connection, concert: ConcertId) -> Sql<Vec<Performance>> {
    db.prepare_cached(&format!("SELECT {PERFORMANCE} FROM performances WHERE concert_id = ?1"))?
        .query_map([concert.uuid().as_bytes()], read_performance)?
        .collect()
}

/// Performances of the given concerts, and the given performances, each by key, with their concerts.
pub(super) fn listed(db: &Connection, concerts: &[ConcertId], performances: &[PerformanceId]) -> Sql<Listed> {
    let (mut ids, mut found) = (BTreeSet::from_iter(concerts.iter().copied()), BTreeMap::new());
    for id in concerts {
        found.extend(performances_of(db, *id)?.into_iter().map(|performance| (performance.id, performance)));
    }
    for id in performances {
        found.extend(performance(db, *id)?.map(|performance| (performance.id, performance)));
    }
    ids.extend(found.values().map(|performance| performance.concert));
    let concerts = ids.into_iter().filter_map(|id| concert_row::concert(db, id).transpose()).collect::<Sql<_>>()?;
    Ok(Listed { concerts, performances: found.into_values().collect() })
}

pub(super) fn performance_revisions(db: &Connection, concert: ConcertId) -> Sql<(u64, u64)> {
    db.prepare_cached("SELECT count(*), coalesce(sum(revision), 0) FROM performances WHERE concert_id = ?1")?
        .query_row([concert.uuid().as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
}
