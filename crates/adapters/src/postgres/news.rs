//! Reads what other processes have changed, in one snapshot and one round trip. Finds changed rooms by their version.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use onsale_app::store::news::{News, PerformanceAvailability, RoomNews, RoomsKnown, RoomsNews, SeatsBecame, SeatsNews};
use onsale_app::store::{HoldRecord, RoomRecord, StoreError};
use onsale_domain::concert::HoldEnd;
use onsale_domain::ids::{ConcertId, PerformanceId, ReservationId};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use tokio_postgres::Row;
use uuid::Uuid;

use super::Shared;
use super::concert_rows::read_end;
use super::connection::Role;
use super::error::DbError;
use super::extension::{further, read_announced};
use super::identity;
use super::room_rows::{ROOM_COLUMNS, read_room, read_turn};
use super::session::{Pipeline, Session};
use super::values::{Param, Sql, big, get, instant, number, optional_instant, params, uuid};

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
const COMMIT: &str = "COMMIT";
/// When the transaction began. Its snapshot is taken later, so it contains everything that was committed until this time.
const AT: &str = "SELECT (extract(epoch FROM now()) * 1000)::bigint";

/// Rooms whose version differs from the known one. With `$3` also rooms that are not known and not retired, which reads all
/// rooms. `since` is null for a room that is not known, or that the caller wants whole.
macro_rules! changed {
    () => {
        "(SELECT rooms.*, nullif(known.version, -1) since
            FROM unnest($1::uuid[], $2::bigint[]) known (concert_id, version) JOIN rooms USING (concert_id)
            WHERE known.version <> rooms.version
        UNION ALL SELECT rooms.*, NULL FROM rooms WHERE $3 AND version <> retired_version
            AND NOT EXISTS (SELECT FROM unnest($1::uuid[]) known (id) WHERE known.id = rooms.concert_id)) changed"
    };
}

const ROOMS: &str = concat!(
    "SELECT changed.concert_id, max_active, admit_per_second, active_seconds, claim_seconds, paused, issued, served, given_up,
        active, admissions, changed.version, updated_at, blocks, changed.closed, changed.extensions, changed.opens_at,
        changed.closes_at, admitted, early_from, opened_at, draw_at, list, changed.codes_until, notice_ko, notice_en,
        concerts.version FROM ",
    changed!(),
    " JOIN concerts ON concerts.concert_id = changed.concert_id"
);

/// By version, room by room. A room may have had millions of turns, and a plan that reads all of them takes longer than changes
/// may be delayed.
const TURNS: &str = concat!(
    "SELECT news.concert_id, news.place, admitted_at, active_until, seen_at, claimed, named, ended_at,
        settled_at IS NOT NULL
    FROM ",
    changed!(),
    " CROSS JOIN LATERAL (SELECT * FROM turns WHERE turns.concert_id = changed.concert_id
        AND turns.version > coalesce(since, -1) AND (since IS NOT NULL OR settled_at IS NULL) OFFSET 0) news
    LEFT JOIN LATERAL (SELECT ended_at FROM turn_ends
        WHERE turn_ends.concert_id = news.concert_id AND turn_ends.place = news.place OFFSET 0) ended ON true"
);

const GIVEN_UP: &str = concat!(
    "SELECT news.concert_id, news.place FROM ",
    changed!(),
    " CROSS JOIN LATERAL (SELECT concert_id, place FROM places WHERE places.concert_id = changed.concert_id
        AND standing = 'GIVEN_UP' AND given_up_version > coalesce(since, -1) AND place > served OFFSET 0) news"
);

const ENDED: &str = "SELECT concert_id, place FROM turn_ends";

/// Holds of the given places. By key, because there may be millions: the condition on two statuses matches the partial index, the
/// one on `HELD` selects the rows.
const HOLDS: &str = concat!(
    "SELECT wanted.concert_id, r.place, r.reservation_id, r.performance_id, r.held_until, r.extended, ",
    further!("r"),
    " FROM unnest($1::uuid[], $2::bigint[]) wanted (concert_id, place)
    CROSS JOIN LATERAL (SELECT user_id FROM places
        WHERE places.concert_id = wanted.concert_id AND places.place = wanted.place OFFSET 0) waiter
    CROSS JOIN LATERAL (SELECT * FROM reservations open WHERE open.concert_id = wanted.concert_id
        AND open.user_id = waiter.user_id AND open.status IN ('HELD', 'PAID') OFFSET 0) r
    WHERE r.status = 'HELD' AND r.place = wanted.place"
);

const ALL_HOLDS: &str = concat!(
    "SELECT concert_id, place, reservation_id, performance_id, held_until, extended, ",
    further!("reservations"),
    " FROM reservations WHERE status = 'HELD' AND held_until > 0"
);

/// Performances of which availability may still count: until two days after the start, because a hold lasts up to a day and can
/// be paid after the start. A refund by staff after that frees a seat that cannot be sold any more. And earlier ones that were
/// revised, or added after their start, in the last two days: one may have been moved far into the past. With ranges of two bounds
/// the planner expects few rows and reads only the indexes, also without statistics. An instance that read nothing for
/// long reads all performances, see `CATALOGUE_MISSED_MILLIS` of `app`.
const AVAILABILITY: &str =
    "SELECT concert_id, performance_id, starts_at, sold + blocked + CASE WHEN waitlisted > 0 THEN held ELSE 0 END < capacity AND NOT closed AND cancelled_at IS NULL, revision
        FROM performances WHERE starts_at
            BETWEEN (extract(epoch FROM now()) * 1000)::bigint - 172799999 AND 9223372036854775807
    UNION ALL SELECT concert_id, performance_id, starts_at,
            sold + blocked + CASE WHEN waitlisted > 0 THEN held ELSE 0 END < capacity AND NOT closed AND cancelled_at IS NULL, revision
        FROM (SELECT * FROM performances WHERE revised_at
            BETWEEN (extract(epoch FROM now()) * 1000)::bigint - 172800000 AND 9223372036854775807 OFFSET 0) revised
        WHERE starts_at <= (extract(epoch FROM now()) * 1000)::bigint - 172800000";

/// By performance: each is a few rows of the index, and a plan for all of them together could read the topic.
const SEATS: &str =
    "SELECT news.version, news.type, news.data, known.id FROM unnest($1::text[], $2::bigint[]) known (id, version)
    CROSS JOIN LATERAL (SELECT version, type, data FROM events
        WHERE topic = 'onsale.concerts' AND subject = known.id AND events.version > known.version OFFSET 0) news
    ORDER BY news.version";

pub(super) const STATEMENTS: &[&str] =
    &[BEGIN, COMMIT, AT, ROOMS, TURNS, GIVEN_UP, ENDED, HOLDS, ALL_HOLDS, AVAILABILITY, SEATS];

/// Time limit for reading changes, including a new connection. A caller may wait for the query that runs and for the next one, and
/// both together must end before the caller's own time limit.
const NEWS_WITHIN: Duration = Duration::from_secs(4);

/// Reads changes over a connection of its own, so that they never wait behind other reads.
pub(super) struct PostgresNews {
    shared: Arc<Shared>,
    /// Held during a query: one query at a time, in the order of the callers.
    session: Mutex<Option<Session>>,
    /// The history of the server that was connected last. Held for one comparison, and taken after `session`.
    history: parking_lot::Mutex<Option<String>>,
    /// Counts changes of `history`. `AcqRel` pairs with the `Acquire` of [`News::server_changes`]: a caller that reads the new
    /// count after a query distrusts what it read before from another history.
    server_changes: AtomicU64,
}

impl PostgresNews {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            session: Mutex::new(None),
            history: parking_lot::Mutex::default(),
            server_changes: AtomicU64::new(0),
        }
    }

    async fn read_changes(&self, session: &mut Option<Session>, known: &RoomsKnown) -> Sql<RoomsNews> {
        let session = self.connected(session).await?;
        let mut news = RoomsNews::default();
        let asked = Instant::now();
        let whole = known.whole.iter().map(|id| (id.uuid(), -1));
        let (ids, versions): (Vec<Uuid>, Vec<i64>) =
            known.versions.iter().map(|(id, version)| (id.uuid(), big(*version))).chain(whole).unzip();
        let versions = || -> Vec<Param<'_>> { params![ids.clone(), versions.clone(), !known.only_known] };
        let mut pipeline = Pipeline::new(session);
        // REPEATABLE READ gives all statements one snapshot: a turn is never read without the version of its room.
        pipeline.execute(BEGIN, Vec::new());
        pipeline.query(ROOMS, versions(), take_rooms);
        pipeline.query(TURNS, versions(), take_turns);
        pipeline.query(GIVEN_UP, versions(), take_given_up);
        pipeline.query(ENDED, Vec::new(), |found, news: &mut RoomsNews| {
            news.ended = found.iter().map(place).collect::<Sql<_>>()?;
            Ok(())
        });
        if known.versions.is_empty() && !known.only_known {
            pipeline.query(ALL_HOLDS, Vec::new(), take_holds);
        } else if !known.holds_of.is_empty() {
            let (concerts, places): (Vec<Uuid>, Vec<i64>) =
                known.holds_of.iter().map(|(concert, place)| (concert.uuid(), big(*place))).unzip();
            pipeline.query(HOLDS, params![concerts, places], take_holds);
        }
        if known.with_availability {
            pipeline.query(AVAILABILITY, Vec::new(), |found, news| {
                news.availability = found.iter().map(availability).collect::<Sql<_>>()?;
                Ok(())
            });
        }
        pipeline.query(AT, Vec::new(), |found, news| {
            news.at = instant(found.first().ok_or(DbError::Broken("no clock"))?, 0)?;
            Ok(())
        });
        pipeline.execute(COMMIT, Vec::new());
        pipeline.run(&mut news).await?;
        // A free reading of the server's clock, many times a second.
        self.shared.clock.observe(news.at, asked);
        Ok(news)
    }

    async fn connected<'a>(&self, session: &'a mut Option<Session>) -> Sql<&'a Session> {
        if session.as_ref().is_none_or(Session::is_closed) {
            let opened = self.shared.session(Role::Follower, &[STATEMENTS, identity::HISTORIES]).await?;
            // Before the first answer of this connection is used: its server may be another one, or restored.
            self.note_history(&identity::of_history(&opened).await?);
            *session = Some(opened);
        }
        session.as_ref().ok_or(DbError::Broken("no connection"))
    }

    fn note_history(&self, found: &str) {
        let mut history = self.history.lock();
        if history.replace(found.to_owned()).is_some_and(|before| before != found) {
            self.server_changes.fetch_add(1, Ordering::AcqRel);
        }
    }
}

fn place(row: &Row) -> Sql<(ConcertId, u64)> {
    Ok((ConcertId::new(uuid(row, 0)?), number(row, 1)?))
}

fn availability(row: &Row) -> Sql<PerformanceAvailability> {
    Ok(PerformanceAvailability {
        concert: ConcertId::new(uuid(row, 0)?),
        id: PerformanceId::new(uuid(row, 1)?),
        starts_at: instant(row, 2)?,
        is_unsold: get(row, 3)?,
        revision: number(row, 4)?,
    })
}

fn take_rooms(found: &[Row], news: &mut RoomsNews) -> Sql<()> {
    for row in found {
        let (concert, room) = (ConcertId::new(uuid(row, 0)?), read_room(row)?);
        let announced = read_announced(row, ROOM_COLUMNS)?;
        let record =
            RoomRecord { concert, room, given_up: Vec::new(), turns: Vec::new(), holds: Vec::new(), announced };
        news.rooms.push(RoomNews { record, settled: Vec::new() });
    }
    Ok(())
}

fn by_concert(news: &mut RoomsNews) -> HashMap<ConcertId, &mut RoomNews> {
    news.rooms.iter_mut().map(|room| (room.record.concert, room)).collect()
}

fn take_turns(found: &[Row], news: &mut RoomsNews) -> Sql<()> {
    let mut rooms = by_concert(news);
    for row in found {
        let (concert, place) = place(row)?;
        let Some(room) = rooms.get_mut(&concert) else { continue };
        if get(row, 8)? {
            room.settled.push(place);
        } else {
            room.record.turns.push((place, read_turn(row)?, optional_instant(row, 7)?.is_some()));
        }
    }
    Ok(())
}

fn take_holds(found: &[Row], news: &mut RoomsNews) -> Sql<()> {
    let hold = |row: &Row| -> Sql<_> {
        let (concert, place) = place(row)?;
        let (reservation, performance) = (ReservationId::new(uuid(row, 2)?), PerformanceId::new(uuid(row, 3)?));
        let HoldEnd { until, extended } = read_end(row, 4, 5)?;
        Ok((concert, HoldRecord { place, reservation, performance, until, extended }))
    };
    news.holds = found.iter().map(hold).collect::<Sql<_>>()?;
    Ok(())
}

fn take_given_up(found: &[Row], news: &mut RoomsNews) -> Sql<()> {
    let mut rooms = by_concert(news);
    for row in found {
        let (concert, place) = place(row)?;
        if let Some(room) = rooms.get_mut(&concert) {
            room.record.given_up.push(place);
        }
    }
    Ok(())
}

/// Reads a change of seats from an event of a performance.
fn seats_news(row: &Row) -> Sql<SeatsNews> {
    let broken = || DbError::Broken("an event that cannot be read");
    let data: Value = serde_json::from_str(get(row, 2)?).map_err(|_| broken())?;
    let seat = |seat: &Value| seat.as_u64().and_then(|seat| u32::try_from(seat).ok()).ok_or_else(broken);
    let became = match get(row, 1)? {
        "onsale.seats.held.v1" => {
            let until = data["heldUntil"].as_str().and_then(onsale_app::calendar::parse_rfc3339);
            SeatsBecame::Held(until.ok_or_else(broken)?)
        }
        "onsale.seats.released.v1" | "onsale.payment.refunded.v1" | "onsale.seats.unblocked.v1" => SeatsBecame::Free,
        "onsale.seats.blocked.v1" => SeatsBecame::Blocked,
        "onsale.payment.completed.v1" => SeatsBecame::Sold,
        "onsale.holds.extended.v1" => {
            let at = data["at"].as_str().and_then(onsale_app::calendar::parse_rfc3339);
            let seconds = data["seconds"].as_u64().and_then(|seconds| u32::try_from(seconds).ok());
            SeatsBecame::Extended(at.ok_or_else(broken)?, seconds.ok_or_else(broken)?)
        }
        "onsale.performance.cancelled.v1" => SeatsBecame::Cancelled,
        "onsale.waitlist.joined.v1" => SeatsBecame::WaitedFor,
        "onsale.performance.changed.v1" => {
            SeatsBecame::Unchanged { closed: data["closed"].as_bool().ok_or_else(broken)? }
        }
        "onsale.ticket.voided.v1"
        | "onsale.ticket.checked-in.v1"
        | "onsale.ticket.check-in-undone.v1"
        | "onsale.waitlist.offered.v1"
        | "onsale.waitlist.ended.v1" => SeatsBecame::Untouched,
        _ => return Err(broken()),
    };
    let names_no_seats = matches!(
        became,
        SeatsBecame::Extended(..)
            | SeatsBecame::Cancelled
            | SeatsBecame::Untouched
            | SeatsBecame::WaitedFor
            | SeatsBecame::Unchanged { .. }
    );
    if names_no_seats {
        return Ok(SeatsNews { version: number(row, 0)?, seats: Vec::new(), became });
    }
    let seats = data["seats"].as_array().ok_or_else(broken)?;
    Ok(SeatsNews { version: number(row, 0)?, seats: seats.iter().map(seat).collect::<Sql<_>>()?, became })
}

#[async_trait]
impl News for PostgresNews {
    async fn rooms(&self, known: &RoomsKnown) -> Result<RoomsNews, StoreError> {
        let mut session = self.session.lock().await;
        // The lock is held until the answer, so that changes arrive in the order of the database.
        let asked = tokio::time::timeout(NEWS_WITHIN, self.read_changes(&mut session, known)).await;
        let asked = asked.unwrap_or_else(|_| {
            if let Some(session) = session.as_ref() {
                // The other connections to this server learn of it, and do not wait for it each by themselves.
                session.report_timeout();
            }
            Err(DbError::Late)
        });
        // After a refusal by the server, such as a lock timeout, the connection is still good.
        if asked.as_ref().is_err_and(|error| !error.is_refusal()) {
            *session = None;
        }
        Ok(asked?)
    }

    async fn seats(
        &self,
        known: &[(PerformanceId, u64)],
    ) -> Result<HashMap<PerformanceId, Vec<SeatsNews>>, StoreError> {
        let wanted = || {
            let (ids, versions): (Vec<String>, Vec<i64>) =
                known.iter().map(|(id, version)| (id.uuid().to_string(), big(*version))).unzip();
            params![ids, versions]
        };
        let mut session = self.session.lock().await;
        let found = match self.connected(&mut session).await {
            Ok(session) => session.query(SEATS, wanted()).await,
            Err(error) => Err(error),
        };
        if found.as_ref().is_err_and(|error| !error.is_refusal()) {
            *session = None;
        }
        let mut news: HashMap<PerformanceId, Vec<SeatsNews>> = HashMap::new();
        for row in &found? {
            let id = get::<&str>(row, 3)?.parse().map_err(|_| DbError::Broken("a subject that is no performance"))?;
            news.entry(PerformanceId::new(id)).or_default().push(seats_news(row)?);
        }
        Ok(news)
    }

    fn server_changes(&self) -> u64 {
        self.server_changes.load(Ordering::Acquire)
    }

    fn history(&self) -> u64 {
        let digest = Sha256::digest(self.history.lock().as_deref().unwrap_or_default());
        digest.iter().take(8).fold(0, |history, byte| history << 8 | u64::from(*byte))
    }
}
