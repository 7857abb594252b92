//! The lock that allows one server per file. The system releases it when the process ends, however it ends.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::OpenError;
use crate::private;

/// Held while this process may write the file.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of a database by its canonical path (see [`super::place`]). Uses a separate lock file: closing any handle on
    /// the database file would drop SQLite's own locks.
    ///
    /// # Errors
    /// [`OpenError::InUse`] if another process holds it; [`OpenError::ReadOnly`] or [`OpenError::Lock`] if the lock file cannot be
    /// used.
    pub(super) fn take(database: &Path) -> Result<Self, OpenError> {
        let path = lock_path(database);
        let file = private::open(&path).map_err(|source| match source.kind() {
            ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => OpenError::ReadOnly,
            _ => OpenError::Lock { path: path.clone(), source },
        })?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse),
            Err(TryLockError::Error(source)) => Err(OpenError::Lock { path, source }),
        }
    }
}

fn lock_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}
