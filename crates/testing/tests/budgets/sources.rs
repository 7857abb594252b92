//! The files of the repository.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The files that git tracks or would track, as paths from the root, sorted.
pub(crate) fn all() -> Vec<String> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git lists the files");
    let names = String::from_utf8(listed.stdout).unwrap();
    let mut files: Vec<String> =
        names.lines().filter(|name| root().join(name).exists()).map(ToOwned::to_owned).collect();
    assert!(files.len() > 50, "git lists only {} files", files.len());
    files.sort();
    files.dedup();
    files
}

/// Those of [`all`] with these endings, as absolute paths.
pub(crate) fn named(endings: &[&str]) -> Vec<PathBuf> {
    let fits = |name: &String| endings.iter().any(|ending| name.ends_with(ending));
    all().into_iter().filter(fits).map(|name| root().join(name)).collect()
}

#[test]
fn no_file_has_the_mark_of_an_unfinished_merge() {
    let marks = ["<<<<<<< ", ">>>>>>> "];
    let is_marked = |name: &String| {
        let text = std::fs::read(root().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&text).lines().any(|line| marks.iter().any(|mark| line.starts_with(mark)))
    };
    let marked: Vec<String> = all().into_iter().filter(is_marked).collect();
    assert!(marked.is_empty(), "{marked:?}");
}
