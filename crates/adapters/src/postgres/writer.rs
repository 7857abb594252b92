//! One lane's connection: units of work, each in one transaction and two round trips.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use onsale_app::store::locks::HeldLocks;
use onsale_app::store::{StoreError, Unit, Wanted, Writer};
use onsale_domain::ids::UserId;

use super::connection::Role;
use super::error::DbError;
use super::lies::AllLies;
use super::session::{Pipeline, Session};
use super::values::{Sql, get, instant, params};
use super::{Shared, concert, event, held, idempotency, identity, lecture, payment, positions, waiting_room, wallet};

const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
const ROLLBACK: &str = "ROLLBACK";

/// For a unit that queues for locks which other instances take again and again.
const PATIENTLY: &str = "SET LOCAL lock_timeout = 2000";

/// The database's time, which is to be read after the locks, and the transaction's id.
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
    wallet::WRITES,
    lecture::WRITES,
    waiting_room::WRITES,
    concert::WRITES,
    payment::WRITES,
    event::WRITES,
];

/// How long the outcome of a commit is asked for.
const ASK_FOR: Duration = Duration::from_secs(5);

/// How often.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// How many wallets a lane remembers to have seen.
const KNOWN_MAX: usize = 100_000;

struct Connected {
    session: Session,
    identity: String,
}

/// Runs units of work over one connection, opened when it is needed and again after every fault.
pub(super) struct PostgresWriter {
    shared: Arc<Shared>,
    connected: Option<Connected>,
    /// Wallets that are known to have a row.
    known: HashSet<UserId>,
    newcomers: wallet::Newcomers,
    lies: AllLies,
    /// The id of the transaction under way.
    transaction: String,
}

impl PostgresWriter {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            connected: None,
            known: HashSet::new(),
            newcomers: wallet::Newcomers::default(),
            lies: AllLies::default(),
            transaction: String::new(),
        }
    }

    async fn connect(&mut self) -> Sql<()> {
        if self.connected.as_ref().is_some_and(|connected| !connected.session.is_closed()) {
            return Ok(());
        }
        // Whatever was known of the database may be of another one.
        self.connected = None;
        self.known.clear();
        let session = self.shared.session(Role::Lane, STATEMENTS).await?;
        // Before any event is written: whatever server this is, positions go on behind the log.
        positions::settle_for(&session, &self.shared.url).await?;
        let identity = identity::of_transactions(&session).await?;
        self.connected = Some(Connected { session, identity });
        Ok(())
    }

    /// Rolls back after a refusal; drops the connection after anything else.
    async fn retreat(&mut self, error: &DbError) {
        self.shared.count(error);
        let Some(connected) = &self.connected else { return };
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
        self.lies.begin();
        let known = (&self.known, &mut self.newcomers, &mut self.lies);
        let loaded = load(&connected.session, wanted, known, (&mut unit, &mut transaction)).await;
        match loaded {
            Ok(()) => {
                self.transaction = transaction;
                self.shared.clock.observe(unit.at, asked);
                Ok(unit)
            }
            Err(error) => {
                self.retreat(&error).await;
                Err(error)
            }
        }
    }

    async fn commit(&mut self, unit: &Unit) -> Result<(), StoreError> {
        let Some(connected) = &self.connected else {
            return Err(StoreError::Unavailable("the connection is gone".to_owned()));
        };
        let mut writes = Pipeline::new(&connected.session);
        save(&mut writes, unit, &mut self.lies);
        let changes_nothing = writes.is_empty() && !unit.prove_writable;
        if changes_nothing {
            writes.tell(ROLLBACK, Vec::new());
        } else {
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
            // The commit at the end of a transaction that failed has rolled it back.
            return Err(error.undone());
        }
        let identity = connected.identity.clone();
        self.connected = None;
        self.ask_for_outcome(&identity, &error).await
    }

    /// Whether a unit could not begin because the connection was closed in the midst of it.
    fn lost_connection(&self, loaded: &Sql<Unit>) -> bool {
        self.connected.is_none() && matches!(loaded, Err(error @ DbError::Postgres(_)) if !error.is_refusal())
    }

    fn remember(&mut self, unit: &Unit) {
        if self.known.len() > KNOWN_MAX {
            self.known.clear();
        }
        self.known.extend(unit.rows.accounts.keys().cloned());
    }

    /// The connection was lost after the commit was sent: the server knows whether it counted.
    async fn ask_for_outcome(&mut self, identity: &str, lost: &DbError) -> Result<(), StoreError> {
        self.shared.metrics.outcomes.inc();
        let began = Instant::now();
        loop {
            match self.outcome(identity).await {
                Ok(Outcome::Committed) => return Ok(()),
                Ok(Outcome::Aborted) => return Err(StoreError::Conflict(lost.to_string())),
                Ok(Outcome::Unknowable) => return Err(StoreError::Unknown(lost.to_string())),
                Ok(Outcome::InProgress) | Err(_) if began.elapsed() >= ASK_FOR => {
                    return Err(StoreError::Unknown(lost.to_string()));
                }
                Ok(Outcome::InProgress) | Err(_) => tokio::time::sleep(ASK_EVERY).await,
            }
        }
    }

    async fn outcome(&mut self, identity: &str) -> Sql<Outcome> {
        self.connect().await?;
        let Some(connected) = &self.connected else { return Err(DbError::Away("not connected".to_owned())) };
        if connected.identity != identity {
            return Ok(Outcome::Unknowable);
        }
        let found = connected.session.query(OUTCOME, params![self.transaction.as_str()]).await?;
        let said: Option<&str> = found.first().map(|row| get(row, 0)).transpose()?.flatten();
        Ok(match said {
            Some("committed") => Outcome::Committed,
            Some("aborted") => Outcome::Aborted,
            Some("in progress") => Outcome::InProgress,
            _ => Outcome::Unknowable,
        })
    }
}

/// What became of a transaction.
enum Outcome {
    Committed,
    Aborted,
    /// Its backend has not noticed yet.
    InProgress,
    /// Another server answers, or this one has forgotten.
    Unknowable,
}

/// Locks parents in the one order, then reads everything else, then the clock: one round trip. Each statement sees
/// what was committed when it began, so what is read after a lock is as its last holder left it.
async fn load(
    session: &Session,
    wanted: &Wanted,
    (known, newcomers, lies): (&HashSet<UserId>, &mut wallet::Newcomers, &mut AllLies),
    (unit, transaction): (&mut Unit, &mut String),
) -> Sql<()> {
    let keys = &wanted.keys;
    let is_unknown = |user: &&UserId| !newcomers.are_rare() && !known.contains(*user);
    let unknown = keys.accounts.iter().filter(is_unknown).map(UserId::as_str).collect();
    let mut pipeline = Pipeline::new(session);
    pipeline.tell(BEGIN, Vec::new());
    if wanted.is_patient {
        pipeline.tell(PATIENTLY, Vec::new());
    }
    let room = lies.rooms.near(keys.rooms.iter());
    wallet::lock(&mut pipeline, keys, unknown, newcomers, &mut lies.accounts);
    lecture::lock(&mut pipeline, keys, &mut lies.lectures);
    waiting_room::lock(&mut pipeline, keys, &mut lies.rooms);
    concert::lock(&mut pipeline, keys, &mut lies.performances);

    idempotency::load(&mut pipeline, &wanted.answers);
    idempotency::count(&mut pipeline, wanted);
    lecture::load(&mut pipeline, keys);
    waiting_room::load(&mut pipeline, keys, room);
    concert::load(&mut pipeline, keys);
    pipeline.ask(AT, Vec::new(), |found, unit: &mut Unit| {
        let row = found.first().ok_or(DbError::Broken("no clock"))?;
        unit.at = instant(row, 0)?;
        *transaction = get(row, 1)?;
        Ok(())
    });
    pipeline.run(unit).await
}

fn save<'a>(pipeline: &mut Pipeline<'a, ()>, unit: &'a Unit, lies: &'a mut AllLies) {
    let rows = &unit.rows;
    wallet::save(pipeline, rows, &mut lies.accounts);
    lecture::save(pipeline, rows, &mut lies.lectures);
    concert::save_new(pipeline, rows);
    waiting_room::save(pipeline, unit, &mut lies.rooms);
    concert::save(pipeline, rows, &mut lies.performances);
    payment::save(pipeline, rows);
    event::save(pipeline, unit);
    idempotency::save(pipeline, unit);
}

#[async_trait]
impl Writer for PostgresWriter {
    async fn load(&mut self, wanted: &Wanted) -> Result<Unit, StoreError> {
        let mut loaded = self.begin(wanted).await;
        // A connection that had died unnoticed, or rows that are not there after all: nothing was done yet.
        if matches!(loaded, Err(DbError::Vanished)) || self.lost_connection(&loaded) {
            self.known.clear();
            self.newcomers.come();
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
            self.retreat(error).await;
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
