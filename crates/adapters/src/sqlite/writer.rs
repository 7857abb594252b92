//! The only connection that writes units of work.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use onsale_app::store::{StoreError, Unit, Wanted, Writer};
use onsale_domain::time::Timestamp;
use rusqlite::Connection;
use rusqlite::hooks::Wal;

use super::connection::{Role, in_commit, in_unit, open, unavailable};
use super::values::Sql;
use super::{
    Shared, cancellation, charge, code, concert, concert_row, draw, ended_session, event, hall, idempotency, lecture,
    payment, refund, seat_list, staff, staff_session, ticket, waiting_room, wallet,
};
use crate::open_seats::OpenSeats;

/// The database's clock. It is this machine's clock, because there is one process on one machine.
pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Writes units of work, each in one transaction. The commit returns after it is synced to the disk.
pub(super) struct SqliteWriter {
    shared: Arc<Shared>,
    /// `None` after a failed commit, until the file can be opened again.
    db: Option<Connection>,
    /// Which rows of seats a choice of seats reads first.
    open_seats: OpenSeats,
}

impl SqliteWriter {
    pub(super) fn new(shared: Arc<Shared>) -> Result<Self, StoreError> {
        let db = Some(connect(&shared)?);
        Ok(Self { shared, db, open_seats: OpenSeats::default() })
    }

    /// The connection; opened again after a failed commit.
    ///
    /// # Errors
    /// `Unavailable` if the file cannot be opened, or if a reader in another process prevents its recovery.
    fn connection(&mut self) -> Result<&Connection, StoreError> {
        if self.db.is_none() {
            let db = connect(&self.shared)?;
            // Recovery: the log is moved into the file and synced, before a new unit builds on commits whose sync may have failed.
            let busy: bool =
                db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).map_err(unavailable)?;
            if busy {
                return Err(StoreError::Unavailable(
                    "another process reads the file, so it cannot be recovered yet".to_owned(),
                ));
            }
            self.db = Some(db);
        }
        match &self.db {
            Some(db) => Ok(db),
            None => Err(StoreError::Unavailable("the file is closed".to_owned())),
        }
    }

    /// Closes every connection: after a failed write or sync their caches cannot be trusted.
    fn distrust(&mut self) {
        self.shared.close_all(&mut self.db);
    }

    fn begin(&mut self, wanted: &Wanted) -> Result<Unit, StoreError> {
        if self.shared.is_disk_scarce.load(Ordering::Acquire) {
            let why = "another process keeps the log from being moved into the file, and the disk is nearly full";
            return Err(StoreError::Unavailable(why.to_owned()));
        }
        // Swapped, so that one request of the checkpointer is served once.
        let finish = self.shared.finish_checkpoint.swap(false, Ordering::AcqRel);
        // Out of the writer, which the connection borrows.
        let mut open_seats = std::mem::take(&mut self.open_seats);
        let db = self.connection()?;
        if finish {
            // Between two units no commit is running: at most 1 MiB is left, and then SQLite starts the log from its beginning.
            db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).map_err(unavailable)?;
        }
        // IMMEDIATE takes the write lock now. A deferred transaction would take it at the first write, and could then fail
        // because another process wrote after our reads.
        db.prepare_cached("BEGIN IMMEDIATE").and_then(|mut begin| begin.execute([])).map_err(unavailable)?;
        let loaded = load(db, wanted, &mut open_seats).map_err(|error| {
            roll_back(db);
            in_unit(&error)
        });
        self.open_seats = open_seats;
        loaded
    }

    fn commit(&mut self, unit: &Unit) -> Result<(), StoreError> {
        let db = self.connection()?;
        let failed = save(db, unit).map_err(|error| in_unit(&error)).and_then(|()| {
            let committed = db.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([]));
            committed.map(|_| ()).map_err(|error| in_commit(&error))
        });
        let Err(error) = failed else { return Ok(()) };
        // Before the connections are closed: a transaction that is still open would keep the lock.
        roll_back(db);
        if matches!(error, StoreError::Unknown(_)) {
            self.distrust();
        }
        Err(error)
    }
}

fn connect(shared: &Arc<Shared>) -> Result<Connection, StoreError> {
    let mut db = open(&shared.path, Role::Writer)?;
    let shared = shared.clone();
    let note_length = move |_: &mut Wal, pages: i32| {
        shared.log_pages.store(u64::try_from(pages).unwrap_or(0), Ordering::Release);
        Ok(())
    };
    db.wal_hook(Some(note_length)).map_err(unavailable)?;
    Ok(db)
}

fn roll_back(db: &Connection) {
    if !db.is_autocommit() {
        let _ = db.execute_batch("ROLLBACK");
    }
}

fn load(db: &Connection, wanted: &Wanted, open_seats: &mut OpenSeats) -> Sql<Unit> {
    let mut unit = Unit::default();
    // In any order: the write lock is held, so no row changes in between.
    idempotency::load(db, &wanted.answers, &mut unit.answers)?;
    idempotency::count(db, wanted, &mut unit.kept_counts)?;
    let (keys, rows) = (&wanted.keys, &mut unit.rows);
    rows.is_alone = true;
    staff::load(db, keys, rows)?;
    staff_session::load(db, keys, rows)?;
    wallet::load(db, keys, rows)?;
    charge::load(db, keys, rows)?;
    lecture::load(db, keys, rows)?;
    waiting_room::load(db, keys, rows)?;
    concert::load(db, keys, rows)?;
    code::load(db, keys, rows)?;
    hall::load(db, keys, open_seats, rows)?;
    seat_list::load(db, keys, rows)?;
    for id in seat_list::listed(rows) {
        hall::load_one(db, id, open_seats, rows)?;
        seat_list::load_list(db, id, keys, rows)?;
    }
    payment::load(db, keys, rows)?;
    cancellation::load(db, keys, rows)?;
    ticket::load(db, keys, rows)?;
    draw::load(db, keys, rows)?;
    // Last, under the write lock: deadlines are judged by a time at which no other unit can run.
    unit.at = now();
    Ok(unit)
}

fn save(db: &Connection, unit: &Unit) -> Sql<()> {
    // Parents before children: foreign keys are on.
    let rows = &unit.rows;
    staff::save(db, rows)?;
    staff_session::save(db, rows)?;
    wallet::save(db, rows)?;
    charge::save(db, rows)?;
    lecture::save(db, rows)?;
    concert_row::save(db, rows)?;
    waiting_room::save(db, rows)?;
    draw::save(db, rows)?;
    // Before the seats: the file refuses to free a sold seat without its refund.
    refund::save(db, rows)?;
    concert::save(db, rows)?;
    code::save(db, rows)?;
    hall::save(db, rows)?;
    seat_list::save(db, rows)?;
    payment::save(db, rows)?;
    cancellation::save(db, rows)?;
    ticket::save(db, rows)?;
    ended_session::save(db, rows, unit.at)?;
    event::save(db, unit)?;
    idempotency::save(db, unit)?;
    if unit.prove_writable {
        // Writes the header of the file with its own value: a transaction that changes nothing would prove nothing.
        let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        db.pragma_update(None, "user_version", version)?;
    }
    Ok(())
}

#[async_trait]
impl Writer for SqliteWriter {
    async fn load(&mut self, wanted: &Wanted) -> Result<Unit, StoreError> {
        self.begin(wanted)
    }

    async fn save(&mut self, unit: &Unit) -> Result<(), StoreError> {
        self.commit(unit)
    }

    async fn abandon(&mut self) {
        if let Some(db) = &self.db {
            roll_back(db);
        }
    }
}
