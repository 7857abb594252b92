//! A sale in one file: one writer, readers beside it, nothing to install.
//!
//! The writer commits with a sync each time and never checkpoints; a thread of its own moves the log into the file.
//! After a failed write or sync every connection is closed and opened again: what the process believes is on the
//! disk may not be.

mod audit;
mod checkpoint;
mod concert;
mod connection;
mod dead_letters;
mod event;
mod growth;
mod idempotency;
mod lecture;
mod lock;
mod outbox;
mod payment;
mod place;
mod reader;
mod retention;
mod schema;
mod values;
mod waiting_room;
mod wallet;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use onsale_app::conditions::Conditions;
use onsale_app::store::Retention;
use onsale_app::store::news::News;
use onsale_app::store::{Reader, Store, StoreError, Writer};
use onsale_domain::ids::EventId;
use onsale_domain::time::Timestamp;
use prometheus_client::registry::Registry;
use rusqlite::{Connection, ErrorCode, OpenFlags, params};

pub use audit::SqliteAudit;
pub use outbox::SqliteOutbox;

use crate::private;
use checkpoint::Checkpointer;
use connection::{Role, open, unavailable};
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
    /// The lock beside it cannot be taken.
    #[error("the lock file {path} cannot be used: {source}")]
    Lock {
        /// Which lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is none.
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
    /// It has hard links. SQLite keeps its log beside one name, and finds it by no other.
    #[error("this file has {0} names (hard links), and its log lies beside only one of them; remove the others")]
    SeveralNames(u64),
    /// It is no SQLite file.
    #[error("this file is not a database")]
    NotADatabase,
    /// It is a SQLite file of something else.
    #[error("this database belongs to another program")]
    ForeignFile,
    /// A newer onsale has changed its schema.
    #[error("a newer onsale made this database (schema {found}, this one knows {known}); use that or a newer one")]
    NewerSchema {
        /// The file's.
        found: usize,
        /// This binary's.
        known: usize,
    },
    /// Its schema is older than this binary's.
    #[error("the schema of this database is older than this onsale; run `onsale migrate` first")]
    OlderSchema,
    /// It cannot be written.
    #[error("this file, or its folder, cannot be written")]
    ReadOnly,
    /// The disk is full.
    #[error("the disk is full")]
    DiskFull,
    /// Anything else.
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

/// Dead letters that one transaction puts back: the sale waits for it.
const PUT_BACK_TOGETHER_MAX: usize = 500;

/// What all connections of one store share.
#[derive(Debug)]
struct Shared {
    path: PathBuf,
    /// The connections beside the writer's.
    beside: Mutex<Vec<Slot>>,
    /// The log has grown long, and what is left of it must be moved by the writer, which alone can stand still.
    finish_checkpoint: AtomicBool,
    /// Pages in the log after the last commit of the writer; 0 once they are moved.
    log_pages: AtomicU64,
    /// Another process keeps the log from being moved, and the disk has little room left: nothing is written.
    is_disk_scarce: AtomicBool,
    /// How much is left free on the disk then, in bytes.
    reserve_bytes: AtomicU64,
    /// The board on which the store states what is wrong.
    conditions: OnceLock<Arc<Conditions>>,
}

/// The place of a connection that one thread uses, and that may be closed under it between two uses.
type Slot = Arc<Mutex<Option<Connection>>>;

impl Shared {
    fn new(path: &Path) -> Arc<Self> {
        Arc::new(Self {
            path: path.to_owned(),
            beside: Mutex::default(),
            finish_checkpoint: AtomicBool::new(false),
            log_pages: AtomicU64::new(0),
            is_disk_scarce: AtomicBool::new(false),
            reserve_bytes: growth::default_reserve(),
            conditions: OnceLock::new(),
        })
    }

    /// A place for one more connection beside the writer's.
    fn slot(&self) -> Slot {
        let slot = Slot::default();
        self.beside.lock().unwrap_or_else(PoisonError::into_inner).push(slot.clone());
        slot
    }

    /// Closes every connection, all before any is opened again. SQLite then reads the log anew: a commit whose sync
    /// failed may be in it, and what is read from now on must be what a crash would leave.
    fn close_all(&self, writer: &mut Option<Connection>) {
        let slots = self.beside.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held: Vec<_> = slots.iter().map(|slot| slot.lock().unwrap_or_else(PoisonError::into_inner)).collect();
        *writer = None;
        held.iter_mut().for_each(|db| **db = None);
    }
}

/// A sale in one file.
pub struct SqliteStore {
    shared: Arc<Shared>,
    reader: Arc<ReaderPool>,
    checkpointer: Checkpointer,
    _lock: Lock,
}

impl SqliteStore {
    /// Opens a file to serve from it, and makes or migrates it as needed.
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
        Ok(Self { shared, reader, checkpointer, _lock: lock })
    }
}

/// Makes the file or brings its schema up to date. Tells how many steps that took.
///
/// # Errors
/// See [`OpenError`].
pub fn migrate(path: &Path) -> Result<usize, OpenError> {
    let path = &place::resolve(path)?;
    schema::refuse_foreign(path)?;
    let _lock = Lock::take(path)?;
    migrate_locked(path)
}

/// What SQLite keeps beside a database; new ones take over its mode.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Makes the file if it is not there, and closes it to other users.
fn make_private(path: &Path) {
    if private::make(path).is_err() {
        // SQLite says better why.
        return;
    }
    for suffix in BESIDE {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        private::close_to_others(Path::new(&name));
    }
}

fn migrate_locked(path: &Path) -> Result<usize, OpenError> {
    make_private(path);
    // No `SQLITE_OPEN_URI`: a file may be named `file:x.db`.
    let mut db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // Looked at before anything is written: a foreign file stays as it is.
    schema::pending(&db)?;
    drop(db);
    db = open(path, Role::Writer).map_err(|error| OpenError::Other(error.to_string()))?;
    let steps = schema::migrate(&mut db)?;
    // A commit that changes nothing shows that the file can be written.
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

/// Readers on a file beside the server that may be working on it.
///
/// # Errors
/// Where there is no such file, or its schema is not this binary's.
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

/// Puts dead letters back, to be sent again, beside the server that may be working on the file: those named, or all.
/// `report` receives how many each short transaction put back.
///
/// # Errors
/// If there is no such file, or it cannot be written. What was reported stays put back.
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
/// If there is no such file, or it cannot be written.
pub fn replay_events(path: &Path, since: Timestamp) -> Result<bool, OpenError> {
    open_beside(path)?;
    // Found on a connection that only reads: a search through a long log holds no lock that the sale waits for.
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

    fn retention(&self) -> Arc<dyn Retention> {
        Arc::new(SqliteRetention::new(&self.shared.path))
    }

    /// One process writes this file.
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

    async fn close(&self) {
        // The writer is closed by now. The readers close last: they leave the emptied log where it is, without which
        // a file that can only be read could not be opened.
        self.checkpointer.stop();
        self.reader.stop();
    }
}
