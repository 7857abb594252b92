//! Modes of the files that the server writes: its own user, whatever the umask is.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use onsale_testing::{Sale, is_shared};

use super::support::{ONSALE, logged};
use super::{launch, said, write};

/// All files below a folder with their modes.
fn modes(folder: &Path) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        found.push((entry.file_name().to_string_lossy().into_owned(), mode));
    }
    found.sort();
    found
}

/// Runs a command of the program in the launch's folder with this umask.
fn with_umask(folder: &Path, umask: &str, command: &str) {
    let script = format!("umask {umask}; exec {ONSALE} {command}");
    let run = Command::new("sh").args(["-c", &script]).current_dir(folder).output().unwrap();
    assert!(run.status.success(), "{}", said(&run));
}

#[tokio::test]
async fn the_database_is_readable_by_its_owner_alone() {
    if is_shared() {
        return;
    }
    for umask in ["000", "022", "077", "0777"] {
        let launch = launch();
        with_umask(launch.folder(), umask, "migrate");
        let made = modes(launch.folder());
        assert!(made.iter().any(|(name, _)| name == "onsale.db"), "{made:?}");
        assert!(made.iter().all(|(_, mode)| *mode == 0o600), "umask {umask}: {made:?}");
    }
    let launch = Sale::launch(ONSALE);
    let sale = Sale::start(&launch).await;
    sale.charge("ada", 5).await;
    let made = modes(launch.folder());
    assert!(made.iter().any(|(name, _)| name == "onsale.db-wal"), "{made:?}");
    assert!(made.iter().all(|(_, mode)| *mode == 0o600), "{made:?}");
}

#[tokio::test]
async fn a_database_that_other_users_could_read_is_closed_to_them() {
    if is_shared() {
        return;
    }
    let launch = Sale::launch(ONSALE);
    with_umask(launch.folder(), "022", "seed");
    let names = ["onsale.db", "onsale.db-wal", "onsale.db-shm", "onsale.db.lock"];
    for name in names {
        if !launch.folder().join(name).exists() {
            write(&launch, name, "");
        }
        std::fs::set_permissions(launch.folder().join(name), std::fs::Permissions::from_mode(0o644)).unwrap();
    }
    let sale = Sale::start(&launch).await;
    let made = modes(launch.folder());
    assert!(made.iter().all(|(_, mode)| *mode == 0o600), "{made:?}");
    logged(&sale, "other users could open this file").await;
}
