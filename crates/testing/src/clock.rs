//! A wrong wall clock for a real program: libfaketime, preloaded. Not through its `faketime` command, whose
//! process is between the test and the program.

use std::path::PathBuf;

/// The variant of the library for programs with threads.
///
/// # Panics
/// If it is missing.
pub(crate) fn library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let mut libraries = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1"));
    libraries.find(|library| library.exists()).expect("libfaketime is missing (Debian: apt-get install faketime)")
}
