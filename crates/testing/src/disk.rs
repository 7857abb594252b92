//! A disk that a test can fill: a small library that is preloaded into a server (`disk.c`).

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::preload::library;

const SOURCE: &str = include_str!("disk.c");

/// The library, and the file whose existence makes the disk full.
pub(crate) struct Disk {
    library: PathBuf,
    full: PathBuf,
}

impl Disk {
    /// Compiles the library into a server's folder.
    ///
    /// # Panics
    /// If there is no C compiler.
    pub(crate) fn within(folder: &Path) -> Self {
        Self { library: library(folder, "disk", SOURCE), full: folder.join("full") }
    }

    /// Fills the disk: from now on no file grows.
    pub(crate) fn fill(&self) {
        std::fs::write(&self.full, "").expect("the folder takes a file");
    }

    /// Frees space on the disk.
    ///
    /// # Panics
    /// If it is not full.
    pub(crate) fn free(&self) {
        std::fs::remove_file(&self.full).expect("a disk that is full");
    }

    /// Preloads the library into a program.
    pub(crate) fn under(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library).env("FULL_DISK", &self.full);
    }
}
