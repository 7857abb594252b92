//! Small libraries in C that are preloaded into a program.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles one into a folder. Returns its path.
///
/// # Panics
/// If there is no C compiler.
pub(crate) fn library(folder: &Path, name: &str, code: &str) -> PathBuf {
    let (source, library) = (folder.join(name).with_extension("c"), folder.join(name).with_extension("so"));
    std::fs::write(&source, code).expect("the folder takes a file");
    let compiler = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
        .args([&library, &source])
        .output()
        .expect("a C compiler");
    assert!(compiler.status.success(), "{}", String::from_utf8_lossy(&compiler.stderr));
    library
}
