//! Connections to the file, and what its errors mean.

use std::path::Path;
use std::time::Duration;

use onsale_app::store::StoreError;
use rusqlite::{Connection, ErrorCode, OpenFlags};

/// How long a connection waits for another process that writes (`onsale events retry`).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How many statements a connection keeps prepared: more than there are.
const STATEMENTS_KEPT: usize = 128;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Writes. Each commit is synced; checkpoints are another connection's work.
    Writer,
    /// Only reads.
    Reader,
    /// Moves what was committed from the log into the file.
    Checkpointer,
    /// Writes beside the writer, perhaps in another process. It checkpoints by itself after a commit that leaves the log
    /// long: the process that serves may not run, and does not count the commits of others.
    Outbox,
}

/// A log of this many pages of 4 KiB is moved into the file: 16 MiB.
pub(super) const LOG_PAGES_MAX: u64 = 4_096;

pub(super) fn open(path: &Path, role: Role) -> Result<Connection, StoreError> {
    let flags = match role {
        // None of them makes a file: that is done once, under the lock. A file that is gone stays gone.
        Role::Writer | Role::Outbox | Role::Checkpointer => OpenFlags::SQLITE_OPEN_READ_WRITE,
        Role::Reader => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    let db = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(unavailable)?;
    db.busy_timeout(BUSY_TIMEOUT).map_err(unavailable)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    let cache_kib = if role == Role::Writer { 3_072 } else { 1_024 };
    db.execute_batch(&format!(
        "PRAGMA cache_size = -{cache_kib}; PRAGMA temp_store = memory; PRAGMA foreign_keys = on;"
    ))
    .map_err(unavailable)?;
    if role != Role::Reader {
        // The log is used over and over rather than cut, as writing into a file that need not grow syncs faster.
        let checkpoint_at = if role == Role::Outbox { LOG_PAGES_MAX } else { 0 };
        db.execute_batch(&format!(
            "PRAGMA journal_mode = wal; PRAGMA synchronous = full; PRAGMA wal_autocheckpoint = {checkpoint_at};
             PRAGMA journal_size_limit = 67108864;"
        ))
        .map_err(unavailable)?;
    }
    Ok(db)
}

/// An error before anything was committed.
#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
pub(super) fn unavailable(error: rusqlite::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

/// An error in the midst of a unit of work: nothing of it was committed.
pub(super) fn in_unit(error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(code) if is_environment(code) => StoreError::Unavailable(error.to_string()),
        _ => StoreError::Rejected(error.to_string()),
    }
}

/// An error of the commit itself: where the file could not be written or synced, nobody knows what is on the disk.
pub(super) fn in_commit(error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::SystemIoFailure) => StoreError::Unknown(error.to_string()),
        _ => in_unit(error),
    }
}

/// Whether the fault lies with the machine and not with what was asked.
fn is_environment(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::ReadOnly
            | ErrorCode::CannotOpen
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::OutOfMemory
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::PermissionDenied
    )
}
