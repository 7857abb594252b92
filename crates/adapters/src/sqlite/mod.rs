//! A sale in one SQLite file: one writer, concurrent readers, nothing to install.
//!
//! The writer syncs each commit and never checkpoints. A separate thread moves the write-ahead log into the database file.
//! After a failed write or sync, every connection is closed and opened again, because SQLite's caches may contain what is
//! not on the disk.

mod audit;
mod cancellation;
mod charge;
mod checkpoint;
mod code;
mod concert;
mod concert_row;
mod connection;
pub(crate) mod copy;
mod dead_letters;
mod draw;
mod ended_session;
mod event;
mod export;
mod extension;
mod figures;
mod growth;
mod hall;
mod idempotency;
mod lecture;
mod lock;
mod outbox;
mod payment;
mod place;
mod reader;
mod refund;
mod reservation;
mod retention;
mod schema;
mod seat;
mod seat_list;
mod staff;
mod staff_session;
mod ticket;
mod ticket_reads;
mod values;
mod waiting_list;
mod waiting_room;
mod wallet;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use onsale_app::conditions::Conditions;
use onsale_app::store::news::News;
use onsale_app::store::{Exports, Retention};
use onsale_app::store::{Reader, Store, StoreError, Writer};
use onsale_domain::ids::EventId;
use onsale_domain::time::Timestamp;
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use rusqlite::{Connection, ErrorCode, OpenFlags, params};

pub use audit::SqliteAudit;
pub use copy::{SqliteSource, SqliteTarget};
pub use outbox::SqliteOutbox;

use crate::private;
use checkpoint::Checkpointer;
use connection::{Role, open, unavailable};
use export::SqliteExports;
use lock::Lock;
use reader::ReaderPool;
use retention::SqliteRetention;
use writer::SqliteWriter;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another server works on it.
    #[error("another onsale already works on this file; stop it first, or name another file")]
    InUse,
    /// The lock file of the database cannot be opened or locked.
    #[error("the lock file {path} cannot be used: {source}")]
    Lock {
        /// The path of the lock file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file does not exist.
    #[error("there is no such file; name the sale's own with --database-url, or make a new one with `onsale migrate`")]
    Missing,
    /// It is a folder.
    #[error("this is a folder, and a sale is kept in a file")]
    Folder,
    /// It is a device, a pipe or a socket.
    #[error("this is a device, a pipe or a socket, and a sale is kept in an ordinary file")]
    Special,
    /// It is a symbolic link to a file that is missing.
    #[error("this is a symbolic link to a file that is not there; name that file itself to make it")]
    Nowhere,
    /// The file has hard links. SQLite names its log after one of the names, and would not find it by the others.
    #[error("this file has {0} names (hard links), and its log lies beside only one of them; remove the others")]
    SeveralNames(u64),
    /// The file is not a SQLite database.
    #[error("this file is not a database")]
    NotADatabase,
    /// A step of the schema was rolled back, because it would have left a row without a row that it refers to.
    #[error("the schema was not changed: a row of {table} refers to a missing row of {parent}; restore a backup")]
    Orphan {
        /// The table of the row.
        table: String,
        /// The table that has no such row.
        parent: String,
    },
    /// The file is a SQLite database of another program.
    #[error("this database belongs to another program")]
    ForeignFile,
    /// A newer onsale has changed its schema.
    #[error("a newer onsale made this database (schema {found}, this one knows {known}); use that or a newer one")]
    NewerSchema {
        /// The schema version of the file.
        found: usize,
        /// The schema version of this binary.
        known: usize,
    },
    /// The schema is older than this binary's.
    #[error("the schema of this database is older than this onsale; run `onsale migrate` first")]
    OlderSchema,
    /// It cannot be written.
    #[error("this file, or its folder, cannot be written")]
    ReadOnly,
    /// The disk is full.
    #[error("the disk is full")]
    DiskFull,
    /// Any other error, in SQLite's words.
    #[error("{0}")]
    Other(String),
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotADatabase,
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            _ => Self::Other(error.to_string()),
        }
    }
}

/// Maximum number of dead letters that one transaction puts back. The sale waits for each transaction.
const PUT_BACK_TOGETHER_MAX: usize = 500;

/// What all connections of one store share.
#[derive(Debug)]
struct Shared {
    path: PathBuf,
    /// The connections other than the writer's. Locked to add one or to close all, and taken before the lock of any slot.
    slots: Mutex<Vec<Slot>>,
    /// Asks the writer to move the rest of the log before its next unit: only the writer can stop commits meanwhile. The
    /// checkpointer stores with `Release`; the writer swaps with `AcqRel`, so that it sees the moved log.
    finish_checkpoint: AtomicBool,
    /// Pages in the log after the writer's last commit; 0 after they were moved. The writer stores with `Release` after a
    /// commit, the checkpointer loads with `Acquire` before it reads the log.
    log_pages: AtomicU64,
    /// Another process prevents the log from being moved, and the disk is nearly full: units of work are refused.
    /// `Release` and `Acquire`, so that a unit after a refusal ends sees the log that was moved.
    is_disk_scarce: AtomicBool,
    /// Free bytes on the disk below which units are refused. `Relaxed`: a setting that is written once at the start.
    reserve_bytes: AtomicU64,
    /// Counts the requests to end all exports. An export that reads another number than at its beginning fails. `Release` when
    /// counted and `Acquire` when read, so that an export that begins afterwards opens the file as it then is.
    export_ends: AtomicU64,
    /// The board of conditions; empty in tools.
    conditions: OnceLock<Arc<Conditions>>,
}

/// A connection that one thread uses. The thread holds the lock during each use; [`Shared::close_all`] may empty it in between.
type Slot = Arc<Mutex<Option<Connection>>>;

impl Shared {
    fn new(path: &Path) -> Arc<Self> {
        Arc::new(Self {
            path: path.to_owned(),
            slots: Mutex::default(),
            finish_checkpoint: AtomicBool::new(false),
            log_pages: AtomicU64::new(0),
            is_disk_scarce: AtomicBool::new(false),
            reserve_bytes: growth::default_reserve(),
            export_ends: AtomicU64::new(0),
            conditions: OnceLock::new(),
        })
    }

    /// Adds a slot for a connection.
    fn slot(&self) -> Slot {
        let slot = Slot::default();
        self.slots.lock().push(slot.clone());
        slot
    }

    /// Closes every connection before any is opened again. SQLite keeps its index of the log while any connection is open.
    /// When all are closed it reads the log again from the disk, so that a commit whose sync failed counts only if it is
    /// really there.
    fn close_all(&self, writer: &mut Option<Connection>) {
        // Before the locks: an export holds the lock of its slot for as long as it lasts.
        self.export_ends.fetch_add(1, Ordering::Release);
        let slots = self.slots.lock();
        // All locks first: a thread that opened its connection again while others are still open would keep the old index of
        // the log alive.
        let mut connections: Vec<_> = slots.iter().map(|slot| slot.lock()).collect();
        *writer = None;
        for connection in &mut connections {
            **connection = None;
        }
    }
}

/// A store in one SQLite file.
pub struct SqliteStore {
    shared: Arc<Shared>,
    reader: Arc<ReaderPool>,
    exports: Arc<SqliteExports>,
    checkpointer: Checkpointer,
    _lock: Lock,
}

impl SqliteStore {
    /// Opens a file to serve from it. Makes or migrates it if needed. Holds the lock of the file until this is dropped.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let path = &place::resolve(path)?;
        schema::refuse_foreign(path)?;
        let lock = Lock::take(path)?;
        migrate_locked(path)?;
        let shared = Shared::new(path);
        let reader = Arc::new(ReaderPool::start(&shared).map_err(|error| OpenError::Other(error.to_string()))?);
        let checkpointer = Checkpointer::start(shared.clone()).map_err(|error| OpenError::Other(error.to_string()))?;
        let exports = Arc::new(SqliteExports::new(&shared));
        Ok(Self { shared, reader, exports, checkpointer, _lock: lock })
    }
}

/// Makes or migrates a file. Returns the number of steps.
///
/// # Errors
/// See [`OpenError`].
pub fn migrate(path: &Path) -> Result<usize, OpenError> {
    let path = &place::resolve(path)?;
    schema::refuse_foreign(path)?;
    let _lock = Lock::take(path)?;
    migrate_locked(path)
}

/// Suffixes of SQLite's own files. SQLite gives new ones the mode of the database file.
const SUFFIXES: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Makes the file if it does not exist, and removes other users' permissions.
fn make_private(path: &Path) {
    if private::make(path).is_err() {
        // SQLite fails next, with a better message.
        return;
    }
    for suffix in SUFFIXES {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        private::close_to_other_users(Path::new(&name));
    }
}

fn migrate_locked(path: &Path) -> Result<usize, OpenError> {
    make_private(path);
    // Without `SQLITE_OPEN_URI`: a file may be named `file:x.db`.
    let mut db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // Checked before the first write: a file of another program stays unchanged.
    schema::pending(&db)?;
    drop(db);
    db = open(path, Role::Writer).map_err(|error| OpenError::Other(error.to_string()))?;
    let steps = schema::migrate(&mut db)?;
    // A write that is rolled back: fails if the file cannot be written.
    db.execute_batch("BEGIN IMMEDIATE; PRAGMA user_version = 1; ROLLBACK;")?;
    Ok(steps)
}

/// Checks, without opening it, that a path can be that of a sale's file.
///
/// # Errors
/// `OpenError::Folder`, `OpenError::Special`, `OpenError::Nowhere` or `OpenError::SeveralNames`.
pub fn check_path(path: &Path) -> Result<(), OpenError> {
    place::resolve(path).map(drop)
}

/// Opens readers on a file. A server may be running on it.
///
/// # Errors
/// [`OpenError::Missing`] if the file does not exist; [`OpenError::OlderSchema`] or [`OpenError::NewerSchema`] if its schema is
/// not this binary's.
pub fn open_beside(path: &Path) -> Result<Arc<dyn Reader>, OpenError> {
    let path = &place::resolve(path)?;
    if !path.exists() {
        return Err(OpenError::Missing);
    }
    let db = open(path, Role::Reader).map_err(|error| OpenError::Other(error.to_string()))?;
    if schema::pending(&db)? > 0 {
        return Err(OpenError::OlderSchema);
    }
    let pool = ReaderPool::start(&Shared::new(path)).map_err(|error| OpenError::Other(error.to_string()))?;
    Ok(Arc::new(pool))
}

/// Puts dead letters back to be sent again: the named ones, or all. A server may be running on the file. Works in short
/// transactions, and calls `report` with the number of each.
///
/// # Errors
/// If the file does not exist or cannot be written. Letters that were reported stay put back.
pub fn retry_dead_events(path: &Path, ids: &[EventId], mut report: impl FnMut(usize)) -> Result<(), OpenError> {
    open_beside(path)?;
    let mut db = open(path, Role::Outbox).map_err(|error| OpenError::Other(error.to_string()))?;
    loop {
        let put_back = event::retry_dead(&mut db, ids, PUT_BACK_TOGETHER_MAX)?;
        report(put_back);
        if !ids.is_empty() || put_back < PUT_BACK_TOGETHER_MAX {
            return Ok(());
        }
    }
}

/// Has all events since an instant sent again. Returns whether any of them had been sent.
///
/// # Errors
/// If the file does not exist or cannot be written.
pub fn replay_events(path: &Path, since: Timestamp) -> Result<bool, OpenError> {
    open_beside(path)?;
    // On a read-only connection: a long search then holds no lock that the sale waits for.
    let reader = open(path, Role::Reader).map_err(|error| OpenError::Other(error.to_string()))?;
    let Some(first) = event::first_since(&reader, since)? else { return Ok(false) };
    let db = open(path, Role::Outbox).map_err(|error| OpenError::Other(error.to_string()))?;
    Ok(event::replay(&db, first)?)
}

#[async_trait]
impl Store for SqliteStore {
    async fn writer(&self) -> Result<Box<dyn Writer>, StoreError> {
        Ok(Box::new(SqliteWriter::new(self.shared.clone())?))
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.reader.clone()
    }

    fn exports(&self) -> Arc<dyn Exports> {
        self.exports.clone()
    }

    fn retention(&self) -> Arc<dyn Retention> {
        Arc::new(SqliteRetention::new(&self.shared.path))
    }

    /// `None`: one process writes the file, so there are no changes of other instances.
    fn news(&self) -> Option<Arc<dyn News>> {
        None
    }

    fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(growth::LogLength(self.shared.clone())));
    }

    fn report_to(&self, conditions: &Arc<Conditions>, disk_reserve_mib: u32) {
        growth::report_to(&self.shared, conditions, disk_reserve_mib);
    }

    async fn secret(&self, name: &str, offered: &[u8]) -> Result<Vec<u8>, StoreError> {
        let db = open(&self.shared.path, Role::Writer)?;
        db.execute("INSERT INTO secrets (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING", params![name, offered])
            .map_err(unavailable)?;
        db.query_row("SELECT value FROM secrets WHERE name = ?1", [name], |row| row.get(0)).map_err(unavailable)
    }

    async fn note_ticket_keys(&self, keys: &[[u8; 32]], at: Timestamp) -> Result<(), StoreError> {
        let db = open(&self.shared.path, Role::Writer)?;
        ticket_reads::note_keys(&db, keys, at).map_err(unavailable)
    }

    async fn close(&self) {
        // An export that is under way fails: its snapshot would keep the log from being emptied.
        self.exports.stop();
        // The writer is closed by now, and readers close after the checkpointer. The last connection to close is then read-only
        // and leaves the emptied log in place: without a log, a read-only copy of the file could not be opened.
        self.checkpointer.stop();
        self.reader.stop();
    }
}
