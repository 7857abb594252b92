//! The folder and port of one server, and the watchdog that cleans up.

use std::path::PathBuf;

use super::programs::Programs;
use crate::clock::WallClock;
use crate::disk::Disk;
use crate::port::Port;
use crate::processes::Processes;
use crate::watchdog::Watchdog;

/// A folder and a port. When it is dropped, or when this process ends in any way, every process that
/// works in the folder is killed and the folder removed.
pub(super) struct Home {
    pub(super) programs: Programs,
    pub(super) folder: PathBuf,
    pub(super) port: Port,
    /// The disk switch, if the test may fill the disk.
    pub(super) disk: Option<Disk>,
    /// A clock of its own, if the test sets it.
    pub(super) clock: Option<WallClock>,
    _watchdog: Watchdog,
}

impl Home {
    pub(super) fn new(programs: Programs) -> Self {
        let folder = tempfile::Builder::new().prefix("onsale-postgres-").tempdir().expect("a temporary folder");
        let folder = folder.keep().canonicalize().expect("a folder that is there");
        let watchdog = Watchdog::over(&folder);
        programs.give(&folder);
        Self { programs, folder, port: Port::free(), disk: None, clock: None, _watchdog: watchdog }
    }

    /// The data directory, inside of the folder.
    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The server's log, from its first start on.
    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    pub(super) fn processes(&self) -> Processes {
        Processes::of(&self.data())
    }

    /// A path in the folder, as an argument.
    pub(super) fn data_argument(&self) -> String {
        self.data().to_str().expect("a temporary folder has a plain name").to_owned()
    }
}
