//! Connections to the file, and the meaning of SQLite's errors.

use std::path::Path;
use std::time::Duration;

use onsale_app::store::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

/// How long a connection waits for the write lock of another process (`onsale events retry`). Beyond it the operation fails.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Prepared statements that a connection caches: more than there are.
const STATEMENTS_KEPT: usize = 128;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Writes. Each commit is synced. Never checkpoints.
    Writer,
    /// Reads, and cannot write.
    Reader,
    /// Checkpoints: moves committed pages from the log into the file.
    Checkpointer,
    /// Writes in addition to the writer, perhaps in another process. Checkpoints by itself when the log is long: a server may not
    /// be running, and would not count these commits.
    Outbox,
}

/// Length of the log, in pages of 4 KiB, from which it is moved into the file: 16 MiB.
pub(super) const LOG_PAGES_MAX: u64 = 4_096;

/// Opens a connection for a role.
///
/// # Errors
/// `StoreError::Unavailable` if the file is missing or cannot be opened.
pub(super) fn open(path: &Path, role: Role) -> Result<Connection, StoreError> {
    let flags = match role {
        // Without `SQLITE_OPEN_CREATE`: the file is made once, under the lock. If it was deleted, opening fails instead of starting
        // an empty sale.
        Role::Writer | Role::Outbox | Role::Checkpointer => OpenFlags::SQLITE_OPEN_READ_WRITE,
        Role::Reader => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    let db = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(unavailable)?;
    db.busy_timeout(BUSY_TIMEOUT).map_err(unavailable)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    // Without it SQLite prepares some cached statements again each time a value is bound, for a plan that fits the value. That
    // was two fifths of the instructions of a hold in SQLite.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(unavailable)?;
    let cache_kib = if role == Role::Writer { 3_072 } else { 1_024 };
    db.execute_batch(&format!(
        "PRAGMA cache_size = -{cache_kib}; PRAGMA temp_store = memory; PRAGMA foreign_keys = on;"
    ))
    .map_err(unavailable)?;
    if role != Role::Reader {
        // The log is overwritten instead of truncated: syncing is faster if the file does not have to grow.
        let checkpoint_at = if role == Role::Outbox { LOG_PAGES_MAX } else { 0 };
        db.execute_batch(&format!(
            "PRAGMA journal_mode = wal; PRAGMA synchronous = full; PRAGMA wal_autocheckpoint = {checkpoint_at};
             PRAGMA journal_size_limit = 67108864;"
        ))
        .map_err(unavailable)?;
    }
    Ok(db)
}

/// An error before anything was written.
#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
pub(super) fn unavailable(error: rusqlite::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

/// An error inside a unit of work: nothing of it is committed.
pub(super) fn in_unit(error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(code) if is_environment(code) => StoreError::Unavailable(error.to_string()),
        _ => StoreError::Rejected(error.to_string()),
    }
}

/// An error of the commit. `StoreError::Unknown` if a write or sync failed: the commit may or may not be on the disk.
pub(super) fn in_commit(error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::SystemIoFailure) => StoreError::Unknown(error.to_string()),
        _ => in_unit(error),
    }
}

/// Whether the error is one of the machine and not of the statement.
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed step ends the test")]
mod tests {
    use rusqlite::{StatementStatus, params};

    use super::*;
    use crate::sqlite::waiting_room::TURN;

    /// This statement was prepared again for each hold and each payment.
    #[test]
    fn a_cached_statement_is_prepared_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sale.db");
        crate::sqlite::migrate(&path).unwrap();
        for role in [Role::Writer, Role::Reader] {
            let db = open(&path, role).unwrap();
            for place in 1..4 {
                let mut turn = db.prepare_cached(TURN).unwrap();
                assert!(!turn.exists(params![[1_u8; 16], place]).unwrap());
                assert_eq!(turn.get_status(StatementStatus::RePrepare), 0, "{role:?}");
                assert_eq!(turn.get_status(StatementStatus::Run), place, "the statement was cached");
            }
        }
    }
}
