//! A disk under a server that is full when told to: a small library that is preloaded (`disk.c`).

use std::path::{Path, PathBuf};
use std::process::Command;

use super::server::Server;

const SOURCE: &str = include_str!("disk.c");

/// The library, and the file whose being there fills the disk.
pub(super) struct Disk {
    library: PathBuf,
    full: PathBuf,
}

impl Disk {
    /// Compiles the library into a server's folder.
    ///
    /// # Panics
    /// Where there is no C compiler.
    pub(super) fn within(folder: &Path) -> Self {
        let (source, library) = (folder.join("disk.c"), folder.join("disk.so"));
        std::fs::write(&source, SOURCE).expect("the folder takes a file");
        let compiler = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .args([&library, &source])
            .output()
            .expect("a C compiler");
        assert!(compiler.status.success(), "{}", String::from_utf8_lossy(&compiler.stderr));
        Self { library, full: folder.join("full") }
    }

    /// Puts it under a program.
    pub(super) fn under(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library).env("FULL_DISK", &self.full);
    }
}

impl Server {
    /// Fills the disk: from now on no file of the server grows. A table that would grow is an error of the statement
    /// (`53100`); a log that needs a new segment takes the server down. Needs [`super::Setup::on_a_small_disk`].
    ///
    /// # Panics
    /// Where the server was not set up for it.
    pub fn fill_disk(&self) {
        std::fs::write(&self.small_disk().full, "").expect("the folder takes a file");
    }

    /// There is room again.
    ///
    /// # Panics
    /// Where the disk is not full.
    pub fn free_disk(&self) {
        std::fs::remove_file(&self.small_disk().full).expect("a disk that is full");
    }

    fn small_disk(&self) -> &Disk {
        self.home.disk.as_ref().expect("a server that was set up on a small disk")
    }
}
