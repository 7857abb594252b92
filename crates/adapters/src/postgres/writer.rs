//! One lane's connection. Runs units of work, each in one transaction and two round trips.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use onsale_app::store::locks::HeldLocks;
use onsale_app::store::{StoreError, Unit, Wanted, Writer};
use onsale_domain::ids::UserId;

use super::connection::Role;
use super::error::DbError;
use super::row_address::ParentAddresses;
use super::session::{Pipeline, Session};
use super::values::{Sql, get, instant, params};
use super::{
    Shared, cancellation, charge, code, concert, concert_row, draw, ended_session, event, extension, hall, held,
    idempotency, identity, lecture, payment, positions, refund, seat_list, staff, staff_session, ticket, waiting_list,
    waiting_room, wallet,
};
use crate::open_seats::OpenSeats;

const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
const ROLLBACK: &str = "ROLLBACK";

/// For a unit that has timed out on locks before: it queues for them longer, so that other instances cannot starve it.
const PATIENTLY: &str = "SET LOCAL lock_timeout = 2000";

/// The database's time and the transaction's id. Sent after the locks: time that passes in the queue for a lock counts.
const AT: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint, pg_current_xact_id()::text";

const OUTCOME: &str = "SELECT pg_xact_status($1::text::xid8)";

pub(super) const STATEMENTS: &[&[&str]] = &[
    &[
        BEGIN,
        ROLLBACK,
        PATIENTLY,
        AT,
        OUTCOME,
        positions::IS_AHEAD,
        identity::TRANSACTIONS,
        identity::TRANSACTIONS_STARTED,
    ],
    held::STATEMENTS,
    idempotency::WRITES,
    staff::WRITES,
    staff_session::WRITES,
    charge::WRITES,
    wallet::WRITES,
    code::WRITES,
    lecture::WRITES,
    waiting_list::WRITES,
    waiting_room::WRITES,
    concert_row::WRITES,
    concert::WRITES,
    extension::WRITES,
    hall::WRITES,
    seat_list::WRITES,
    payment::WRITES,
    refund::WRITES,
    cancellation::WRITES,
    ticket::WRITES,
    draw::WRITES,
    ended_session::WRITES,
    event::WRITES,
];

/// How long the outcome of a lost commit is queried. Beyond it the unit ends with `StoreError::Unknown`.
const OUTCOME_WITHIN: Duration = Duration::from_secs(5);

/// Pause between two queries of an outcome.
const OUTCOME_EVERY: Duration = Duration::from_millis(100);

/// Maximum number of wallets that a lane remembers. With one more, all are forgotten.
const KNOWN_MAX: usize = 100_000;

struct Connected {
    session: Session,
    /// The server's start, by which transaction ids are comparable; see [`identity`].
    identity: String,
}

/// Runs units of work over one connection, opened when it is needed and again after every fault.
pub(super) struct PostgresWriter {
    shared: Arc<Shared>,
    connected: Option<Connected>,
    /// Wallets that have a row for certain: seen on this connection since it was opened.
    known: HashSet<UserId>,
    newcomers: wallet::Newcomers,
    addresses: ParentAddresses,
    /// Which rows of seats a choice of seats reads first.
    open_seats: OpenSeats,
    /// The id of the current transaction, by which its outcome can be queried.
    transaction: String,
}

impl PostgresWriter {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            connected: None,
            known: HashSet::new(),
            newcomers: wallet::Newcomers::default(),
            addresses: ParentAddresses::default(),
            open_seats: OpenSeats::default(),
            transaction: String::new(),
        }
    }

    async fn connect(&mut self) -> Sql<()> {
        if self.connected.as_ref().is_some_and(|connected| !connected.session.is_closed()) {
            return Ok(());
        }
        // The next connection may lead to another server, to which nothing known here applies.
        self.connected = None;
        self.known.clear();
        let session = self.shared.session(Role::Lane, STATEMENTS).await?;
        // Before any event is written: on a restored server, positions must first be raised above those in the log.
        positions::settle_for(&session, &self.shared.url).await?;
        let identity = identity::of_transactions(&session).await?;
        self.connected = Some(Connected { session, identity });
        Ok(())
    }

    /// Rolls back after a refusal by the server. Drops the connection after any other error.
    async fn recover(&mut self, error: &DbError) {
        self.shared.count(error);
        let Some(connected) = &self.connected else { return };
        // After a refusal the transaction has failed but is open, and holds its locks until it is rolled back.
        if !error.is_refusal() || connected.session.query(ROLLBACK, Vec::new()).await.is_err() {
            self.connected = None;
        }
    }

    async fn begin(&mut self, wanted: &Wanted) -> Sql<Unit> {
        self.connect().await?;
        let Some(connected) = &self.connected else { return Err(DbError::Away("not connected".to_owned())) };
        let mut unit = Unit::default();
        let mut transaction = String::new();
        let asked = Instant::now();
        // Locked rows of the unit before may have moved since it ended.
        self.addresses.begin();
        let lane = Lane {
            known: &self.known,
            newcomers: &mut self.newcomers,
            addresses: &mut self.addresses,
            open_seats: &mut self.open_seats,
        };
        let loaded = load(&connected.session, wanted, lane, &mut transaction, &mut unit).await;
        match loaded {
            Ok(()) => {
                // Kept for the commit: if its answer is lost, this id asks for the outcome.
                self.transaction = transaction;
                self.shared.clock.observe(unit.at, asked);
                Ok(unit)
            }
            Err(error) => {
                self.recover(&error).await;
                Err(error)
            }
        }
    }

    async fn commit(&mut self, unit: &Unit) -> Result<(), StoreError> {
        let Some(connected) = &self.connected else {
            return Err(StoreError::Unavailable("the connection is gone".to_owned()));
        };
        let mut writes = Pipeline::new(&connected.session);
        save(&mut writes, unit, &mut self.addresses);
        // Nothing to commit: a rollback releases the locks without a sync of the disk.
        let changes_nothing = writes.is_empty() && !unit.prove_writable;
        if changes_nothing {
            writes.execute(ROLLBACK, Vec::new());
        } else {
            // Sent with the writes: if one of them fails, this COMMIT rolls back.
            writes.commit();
        }
        let Err(error) = writes.run(&mut ()).await else {
            if !changes_nothing {
                self.remember(unit);
            }
            return Ok(());
        };
        self.shared.count(&error);
        if error.is_refusal() || changes_nothing {
            // A COMMIT in a failed transaction rolls it back, so the outcome is certain.
            return Err(error.undone());
        }
        // The connection broke after COMMIT was sent: only the server knows the outcome.
        let identity = connected.identity.clone();
        self.connected = None;
        self.query_outcome(&identity, &error).await
    }

    /// Whether loading failed because the connection was closed.
    fn lost_connection(&self, loaded: &Sql<Unit>) -> bool {
        self.connected.is_none() && matches!(loaded, Err(error @ DbError::Postgres(_)) if !error.is_refusal())
    }

    fn remember(&mut self, unit: &Unit) {
        if self.known.len() > KNOWN_MAX {
            self.known.clear();
        }
        self.known.extend(unit.rows.accounts.keys().cloned());
    }

    /// Queries the outcome of a commit whose connection was lost, until it is known or 5 s have passed.
    ///
    /// # Errors
    /// `Conflict` if it was rolled back: the unit can run again. `Unknown` if the outcome cannot be known.
    async fn query_outcome(&mut self, identity: &str, lost: &DbError) -> Result<(), StoreError> {
        self.shared.metrics.outcomes.inc();
        let began = Instant::now();
        loop {
            match self.outcome(identity).await {
                Ok(Outcome::Committed) => return Ok(()),
                Ok(Outcome::Aborted) => return Err(StoreError::Conflict(lost.to_string())),
                Ok(Outcome::Unknowable) => return Err(StoreError::Unknown(lost.to_string())),
                Ok(Outcome::InProgress) | Err(_) if began.elapsed() >= OUTCOME_WITHIN => {
                    return Err(StoreError::Unknown(lost.to_string()));
                }
                Ok(Outcome::InProgress) | Err(_) => tokio::time::sleep(OUTCOME_EVERY).await,
            }
        }
    }

    async fn outcome(&mut self, identity: &str) -> Sql<Outcome> {
        self.connect().await?;
        let Some(connected) = &self.connected else { return Err(DbError::Away("not connected".to_owned())) };
        // Another server, or this one after a restart: its transaction ids may name other transactions.
        if connected.identity != identity {
            return Ok(Outcome::Unknowable);
        }
        let found = connected.session.query(OUTCOME, params![self.transaction.as_str()]).await?;
        let status: Option<&str> = found.first().map(|row| get(row, 0)).transpose()?.flatten();
        Ok(match status {
            Some("committed") => Outcome::Committed,
            Some("aborted") => Outcome::Aborted,
            Some("in progress") => Outcome::InProgress,
            _ => Outcome::Unknowable,
        })
    }
}

/// The outcome of a transaction.
enum Outcome {
    Committed,
    Aborted,
    /// The server process of the lost connection still runs it.
    InProgress,
    /// Another server answers, or the transaction is so old that its status was removed.
    Unknowable,
}

/// What a lane remembers between units of work.
struct Lane<'a> {
    known: &'a HashSet<UserId>,
    newcomers: &'a mut wallet::Newcomers,
    addresses: &'a mut ParentAddresses,
    open_seats: &'a mut OpenSeats,
}

/// Locks parents in one fixed order, then reads everything else, then the clock: one round trip. READ COMMITTED gives each
/// statement its own snapshot, so rows that are read after a lock are as its last holder committed them.
async fn load(
    session: &Session,
    wanted: &Wanted,
    lane: Lane<'_>,
    transaction: &mut String,
    unit: &mut Unit,
) -> Sql<()> {
    let Lane { known, newcomers, addresses, open_seats } = lane;
    let keys = &wanted.keys;
    let is_unknown = |user: &&UserId| !newcomers.are_rare() && !known.contains(*user);
    let unknown = keys.accounts.iter().filter(is_unknown).map(UserId::as_str).collect();
    let mut pipeline = Pipeline::new(session);
    pipeline.execute(BEGIN, Vec::new());
    if wanted.is_patient {
        pipeline.execute(PATIENTLY, Vec::new());
    }
    let room = addresses.rooms.hint(keys.rooms.iter());
    // The one order of locks: keys of staff, their sessions, wallets, presale codes, lectures, rooms, performances, each by ascending
    // key. Every instance and version takes them in this order; two that did not would deadlock.
    staff::lock(&mut pipeline, keys);
    staff_session::lock(&mut pipeline, keys);
    wallet::lock(&mut pipeline, keys, unknown, newcomers, &mut addresses.accounts);
    code::lock(&mut pipeline, keys);
    lecture::lock(&mut pipeline, keys, &mut addresses.lectures);
    waiting_room::lock(&mut pipeline, keys, &mut addresses.rooms);
    concert::lock(&mut pipeline, keys, &mut addresses.performances);

    // After the locks: a second request with the same key then finds the answer that the first one committed.
    idempotency::load(&mut pipeline, &wanted.answers);
    idempotency::count(&mut pipeline, wanted);
    charge::load(&mut pipeline, keys);
    waiting_list::load(&mut pipeline, keys);
    lecture::load(&mut pipeline, keys);
    waiting_room::load(&mut pipeline, keys, room);
    concert::load(&mut pipeline, keys);
    code::load(&mut pipeline, keys);
    hall::load(&mut pipeline, keys, &mut *open_seats);
    seat_list::load(&mut pipeline, keys);
    payment::load(&mut pipeline, keys);
    cancellation::load(&mut pipeline, keys);
    ticket::load(&mut pipeline, keys);
    draw::load(&mut pipeline, keys);
    // Last: deadlines are judged by a time at which all locks were held.
    read_clock(&mut pipeline, transaction);
    pipeline.run(unit).await?;
    // Only a performance with a waiting list needs more, and which one has a list is known by its locked row.
    let Some(listed) = seat_list::listed(keys, &unit.rows) else { return Ok(()) };
    let mut pipeline = Pipeline::new(session);
    hall::load(&mut pipeline, &listed, open_seats);
    seat_list::load_lists(&mut pipeline, &listed);
    read_clock(&mut pipeline, transaction);
    pipeline.run(unit).await
}

fn read_clock<'a>(pipeline: &mut Pipeline<'a, Unit>, transaction: &'a mut String) {
    pipeline.query(AT, Vec::new(), move |found, unit: &mut Unit| {
        let row = found.first().ok_or(DbError::Broken("no clock"))?;
        unit.at = instant(row, 0)?;
        *transaction = get(row, 1)?;
        Ok(())
    });
}

fn save<'a>(pipeline: &mut Pipeline<'a, ()>, unit: &'a Unit, addresses: &'a mut ParentAddresses) {
    // Parents before children: a room refers to its concert, a place to its room.
    let rows = &unit.rows;
    staff::save(pipeline, rows);
    staff_session::save(pipeline, rows);
    wallet::save(pipeline, rows, &mut addresses.accounts);
    charge::save(pipeline, rows);
    lecture::save(pipeline, rows, &mut addresses.lectures);
    concert_row::save(pipeline, rows);
    waiting_room::save(pipeline, unit, &mut addresses.rooms);
    draw::save(pipeline, rows);
    // Before the seats: the database refuses to free a sold seat without its refund.
    refund::save(pipeline, rows);
    concert::save(pipeline, rows, &mut addresses.performances);
    code::save(pipeline, rows);
    hall::save(pipeline, rows);
    seat_list::save(pipeline, rows);
    payment::save(pipeline, rows);
    cancellation::save(pipeline, rows);
    ticket::save(pipeline, rows);
    ended_session::save(pipeline, unit);
    event::save(pipeline, unit);
    idempotency::save(pipeline, unit);
}

#[async_trait]
impl Writer for PostgresWriter {
    async fn load(&mut self, wanted: &Wanted) -> Result<Unit, StoreError> {
        let mut loaded = self.begin(wanted).await;
        // The connection was closed while idle, or a remembered wallet has no row. Nothing was written yet: load again.
        if matches!(loaded, Err(DbError::Vanished)) || self.lost_connection(&loaded) {
            // The wallets that were thought to have a row may be the fault.
            self.known.clear();
            self.newcomers.reset();
            loaded = self.begin(wanted).await;
        }
        loaded.map_err(DbError::undone)
    }

    async fn save(&mut self, unit: &Unit) -> Result<(), StoreError> {
        self.commit(unit).await
    }

    async fn held(&mut self, wanted: &Wanted) -> Result<HeldLocks, StoreError> {
        self.connect().await?;
        let Some(connected) = &self.connected else {
            return Err(StoreError::Unavailable("the connection is gone".to_owned()));
        };
        let found = held::find(&connected.session, wanted).await;
        if let Err(error) = &found {
            self.recover(error).await;
        }
        Ok(found?)
    }

    async fn abandon(&mut self) {
        if let Some(connected) = &self.connected
            && connected.session.query(ROLLBACK, Vec::new()).await.is_err()
        {
            self.connected = None;
        }
    }
}
