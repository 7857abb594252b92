//! Keeps the modules of the server in order: which of them may use which. A new edge is drawn here first, or refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// For each module at the top of `crates/server/src`, the others that it may use. The only circle is that of `http` and
/// `pages`: pages are routes, so their handlers use the extractors and caches of `http`, whose router names them.
const DRAWN: [(&str, &[&str]); 11] = [
    ("auth", &["secret"]),
    ("cli", &["auth", "http", "pages", "sale", "secret", "settings", "size", "telemetry", "ticket", "token"]),
    ("http", &["auth", "pages", "secret", "settings", "ticket", "token"]),
    ("pages", &["http", "settings"]),
    ("sale", &["http", "settings"]),
    ("secret", &[]),
    ("settings", &["auth", "secret", "ticket"]),
    ("size", &[]),
    ("telemetry", &["settings"]),
    ("ticket", &[]),
    ("token", &[]),
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/src")
}

/// The Rust files below a path.
fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return if path.extension().is_some_and(|ending| ending == "rs") { vec![path.to_owned()] } else { Vec::new() };
    }
    let entries = std::fs::read_dir(path).unwrap();
    entries.flat_map(|entry| files(&entry.unwrap().path())).collect()
}

/// The modules that a text names as `crate::NAME`.
fn named(text: &str) -> BTreeSet<String> {
    let is_name = |character: char| character.is_ascii_lowercase() || character == '_';
    let after = text.split("crate::").skip(1);
    after.map(|rest| rest.chars().take_while(|character| is_name(*character)).collect()).collect()
}

/// For each module, those that it uses. Files of the crate's root and of tests only are left out.
fn used() -> BTreeMap<String, BTreeSet<String>> {
    let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for entry in std::fs::read_dir(source()).unwrap() {
        let path = entry.unwrap().path();
        let module = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if ["lib", "main", "properties"].contains(&module.as_str()) {
            continue;
        }
        let known = used.entry(module.clone()).or_default();
        for file in files(&path) {
            known.extend(named(&std::fs::read_to_string(file).unwrap()));
        }
        known.retain(|name| *name != module && name != "properties");
    }
    used
}

#[test]
fn the_modules_of_the_server_use_each_other_only_as_drawn() {
    let drawn: BTreeMap<&str, &[&str]> = DRAWN.into_iter().collect();
    let used = used();
    let modules: Vec<&str> = used.keys().map(String::as_str).collect();
    assert_eq!(modules, drawn.keys().copied().collect::<Vec<_>>(), "a module is not drawn, or a drawn one is gone");
    for (module, known) in &used {
        let more: Vec<&String> = known.iter().filter(|name| !drawn[module.as_str()].contains(&name.as_str())).collect();
        assert!(more.is_empty(), "{module} uses {more:?}, which is not drawn");
    }
    assert!(used["cli"].contains("sale") && used["settings"].contains("auth"), "the edges were found: {used:?}");
}
