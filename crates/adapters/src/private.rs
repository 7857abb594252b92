//! Files that only the user of this process may read: they contain who bought what, and the database contains the secret that
//! signs queue tokens. Files get mode 0600 and folders 0700, whatever the umask is.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// Opens a file to write it, and makes it if it is not there. A file that other users may read is closed to them.
///
/// # Errors
/// If the file can be neither opened nor made.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(FILE_MODE).open(path)?;
    close_to_other_users(path);
    Ok(file)
}

/// Makes an empty file unless something is there, and closes it to other users. Opens no file that is there: SQLite's locks
/// are lost when a process closes any handle on a database.
///
/// # Errors
/// If the file cannot be made.
pub(crate) fn make(path: &Path) -> io::Result<()> {
    match OpenOptions::new().create_new(true).write(true).mode(FILE_MODE).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => {
            close_to_other_users(path);
            Ok(())
        }
    }
}

/// Makes a folder, and those above it that are missing. Folders that are there stay as they are.
///
/// # Errors
/// If a folder cannot be made.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make_folder(parent)?;
    }
    match DirBuilder::new().mode(FOLDER_MODE).create(path) {
        Ok(()) => std::fs::set_permissions(path, Permissions::from_mode(FOLDER_MODE)),
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Takes the permissions of all other users from a file, if it is there. If the file is another user's, that cannot be
/// done: a log line names it, and work continues.
pub(crate) fn close_to_other_users(path: &Path) {
    let Ok(found) = std::fs::metadata(path) else { return };
    let mode = found.permissions().mode() & 0o777;
    if !found.is_file() || mode == FILE_MODE {
        return;
    }
    let file = path.display();
    match std::fs::set_permissions(path, Permissions::from_mode(FILE_MODE)) {
        Ok(()) if mode & 0o077 == 0 => {}
        Ok(()) => tracing::info!(%file, "other users could open this file (mode {mode:o}); now its owner alone can"),
        Err(error) => {
            tracing::warn!(%file, %error, "failed to close this file to other users (mode {mode:o}); change its owner or mode");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_new_file_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        make_folder(&path).unwrap();
        make_folder(&path).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o700, 0o700));
        open(&path.join("file")).unwrap();
        assert_eq!(mode(&path.join("file")), 0o600);
    }

    #[test]
    fn an_existing_file_is_closed_to_other_users() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "kept").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o664)).unwrap();
        open(&path).unwrap();
        assert_eq!((mode(&path), std::fs::read_to_string(&path).unwrap().as_str()), (0o600, "kept"));
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        make_folder(folder.path()).unwrap();
        assert_eq!(mode(folder.path()), 0o755, "a folder that is there is its owner's business");
        close_to_other_users(&folder.path().join("missing"));
    }
}
