//! The canonical path of the file. The lock file and SQLite's log are named after the database file, so every process must use the
//! same name for it.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::OpenError;

/// The canonical path of a file, with symbolic links resolved. The file need not exist yet.
///
/// # Errors
/// `OpenError::Folder`, `OpenError::Special`, `OpenError::Nowhere` or `OpenError::SeveralNames`.
pub(super) fn resolve(path: &Path) -> Result<PathBuf, OpenError> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(OpenError::Folder),
        Ok(found) if !found.is_file() => Err(OpenError::Special),
        Ok(found) if found.nlink() > 1 => Err(OpenError::SeveralNames(found.nlink())),
        Ok(_) => path.canonicalize().map_err(|error| OpenError::Other(error.to_string())),
        Err(error) if error.kind() == ErrorKind::NotFound && path.is_symlink() => Err(OpenError::Nowhere),
        // Any other error is reported when the file is opened.
        Err(_) => Ok(in_its_folder(path)),
    }
}

/// The canonical path of a new file, if its folder exists.
fn in_its_folder(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (folder.canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_path_of_a_file_resolves_to_one_name() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let path = root.join("sale.db");
        assert_eq!(resolve(&path).unwrap(), path, "before it is made");
        std::fs::write(&path, "").unwrap();
        std::fs::create_dir(root.join("inner")).unwrap();
        symlink(&path, root.join("link.db")).unwrap();
        symlink(&root, root.join("inner/folder")).unwrap();
        for way in ["sale.db", "link.db", "inner/../sale.db", "inner/folder/sale.db", "inner/folder/link.db"] {
            assert_eq!(resolve(&root.join(way)).unwrap(), path, "{way}");
        }
        assert_eq!(resolve(&root.join("inner/folder/new.db")).unwrap(), root.join("new.db"));
    }

    #[test]
    fn folders_devices_and_hard_links_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sale.db");
        std::fs::write(&path, "").unwrap();
        std::fs::hard_link(&path, folder.path().join("second.db")).unwrap();
        symlink("nowhere.db", folder.path().join("dangling.db")).unwrap();
        assert!(matches!(resolve(folder.path()), Err(OpenError::Folder)));
        assert!(matches!(resolve(Path::new("/dev/null")), Err(OpenError::Special)));
        assert!(matches!(resolve(&path), Err(OpenError::SeveralNames(2))));
        assert!(matches!(resolve(&folder.path().join("dangling.db")), Err(OpenError::Nowhere)));
        assert!(!folder.path().join("nowhere.db").exists());
    }
}
