//! A wrong wall clock for a real program: libfaketime, preloaded. Not through its `faketime` command, whose
//! process is between the test and the program.

use std::path::{Path, PathBuf};

/// The variant of the library for programs with threads.
///
/// # Panics
/// If it is missing.
pub(crate) fn library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let mut libraries = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1"));
    libraries.find(|library| library.exists()).expect("libfaketime is missing (Debian: apt-get install faketime)")
}

/// A wall clock that a test sets while the program runs.
#[derive(Clone, Debug)]
pub struct WallClock {
    file: PathBuf,
}

impl WallClock {
    /// A clock that is right, kept in this folder.
    ///
    /// # Panics
    /// If the folder takes no file.
    pub fn within(folder: &Path) -> Self {
        let clock = Self { file: folder.join("wall-clock") };
        clock.set_ahead(0);
        clock
    }

    /// Sets it to this many seconds ahead of the machine's, at once.
    ///
    /// # Panics
    /// If its file cannot be replaced.
    pub fn set_ahead(&self, seconds: i64) {
        let next = self.file.with_extension("next");
        std::fs::write(&next, format!("{seconds:+}s\n")).expect("a clock can be set");
        std::fs::rename(next, &self.file).expect("a clock can be set");
    }

    /// The variables under which a program goes by this clock, measuring time by the machine's.
    pub(crate) fn variables(&self) -> [(&'static str, String); 3] {
        [
            ("FAKETIME_TIMESTAMP_FILE", self.file.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }

    /// Puts it under a program.
    pub(crate) fn under(&self, command: &mut std::process::Command) {
        command.env("LD_PRELOAD", library()).envs(self.variables());
    }
}
