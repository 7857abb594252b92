//! What keeps the code readable: the size of files and functions, and which crate may know which.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so and ends")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The files that git tracks or would track, with these endings.
fn sources(endings: &[&str]) -> Vec<PathBuf> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git lists the files");
    let names = String::from_utf8(listed.stdout).unwrap();
    let files: Vec<PathBuf> = names
        .lines()
        .filter(|name| endings.iter().any(|ending| name.ends_with(ending)))
        .map(|name| root().join(name))
        .filter(|path| path.exists())
        .collect();
    assert!(files.len() > 50 || !endings.contains(&".rs"), "the files were not found");
    files
}

#[test]
fn no_file_is_long() {
    let long: Vec<String> = sources(&[".rs", ".js", ".css", ".html", ".sh", ".sql"])
        .into_iter()
        .filter_map(|path| {
            let lines = std::fs::read_to_string(&path).unwrap().lines().count();
            (lines >= FILE_LINES_MAX).then(|| format!("{}: {lines} lines", path.display()))
        })
        .collect();
    assert!(long.is_empty(), "split these by noun: {long:#?}");
}

/// Functions with their lengths. Formatted code closes a function at the indentation at which it began.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let is_start = |line: &str| {
        let mut words = line.split_whitespace().skip_while(|word| {
            word.starts_with("pub") || word.starts_with("in ") || ["async", "const", "unsafe", "extern"].contains(word)
        });
        words.next() == Some("fn")
    };
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let starts = lines.iter().enumerate().filter(|(_, line)| is_start(line));
    starts
        .filter_map(|(start, line)| {
            let end = (start..lines.len()).find(|at| {
                indentation(lines[*at]) == indentation(line) && matches!(lines[*at].trim(), "}" | "};")
                    || (*at == start && line.trim_end().ends_with('}'))
                    || lines[*at].trim_end().ends_with(';') && indentation(lines[*at]) == indentation(line)
            })?;
            Some((line.trim().to_owned(), end - start + 1))
        })
        .collect()
}

#[test]
fn no_function_is_long() {
    let mut long = Vec::new();
    let mut seen = 0;
    for path in sources(&[".rs"]) {
        for (name, lines) in functions(&std::fs::read_to_string(&path).unwrap()) {
            seen += 1;
            if lines >= FUNCTION_LINES_MAX {
                long.push(format!("{}: {name}: {lines} lines", path.display()));
            }
        }
    }
    assert!(seen > 500, "only {seen} functions were found");
    assert!(long.is_empty(), "{long:#?}");
}

/// For each crate of ours, what its manifest names: all that it is built on, tests left out.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version=1", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo tells");
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let named = |package: &Value| {
        let all = package["dependencies"].as_array().unwrap().iter();
        let built_on = all.filter(|dependency| dependency["kind"].is_null());
        built_on.map(|dependency| dependency["name"].as_str().unwrap().to_owned()).collect()
    };
    packages.iter().map(|package| (package["name"].as_str().unwrap().to_owned(), named(package))).collect()
}

#[test]
fn crates_know_each_other_as_drawn() {
    let drawn = [
        ("onsale-domain", &[][..]),
        ("onsale-app", &["onsale-domain"]),
        ("onsale-adapters", &["onsale-app", "onsale-domain"]),
        ("onsale-server", &["onsale-adapters", "onsale-app", "onsale-domain"]),
        ("onsale-testing", &["onsale-traffic"]),
        ("onsale-labs", &["onsale-testing"]),
        ("onsale-traffic", &[]),
    ];
    let dependencies = dependencies();
    assert_eq!(dependencies.len(), drawn.len(), "a crate is not drawn");
    for (name, allowed) in drawn {
        let ours: Vec<&String> = dependencies[name].iter().filter(|known| known.starts_with("onsale-")).collect();
        assert!(ours.iter().all(|known| allowed.contains(&known.as_str())), "{name} knows {ours:?}");
    }
}

#[test]
fn each_layer_keeps_out_what_is_not_its_own() {
    let dependencies = dependencies();
    let drivers = ["rusqlite", "sqlx", "tokio-postgres", "redis", "rdkafka"];
    let http_servers = ["axum", "hyper", "hyper-util", "tower", "tower-http"];
    let http_clients = ["reqwest"];
    let domain: Vec<&str> = dependencies["onsale-domain"].iter().map(String::as_str).collect();
    assert_eq!(domain, ["uuid"], "the rules need nothing but ids");
    for name in ["onsale-app", "onsale-adapters"] {
        assert!(http_servers.iter().all(|known| !dependencies[name].contains(*known)), "{name} has an HTTP server");
    }
    // An adapter may send requests: events are posted to a data platform.
    assert!(http_clients.iter().all(|known| !dependencies["onsale-app"].contains(*known)), "app has an HTTP client");
    for name in ["onsale-app", "onsale-server"] {
        assert!(drivers.iter().all(|known| !dependencies[name].contains(*known)), "{name} knows a driver");
    }
}

#[test]
fn rules_look_at_nothing_by_themselves() {
    let outside = ["std::time", "std::fs", "std::net", "std::env", "std::thread", "std::sync::Mutex", "rand::"];
    for path in sources(&[".rs"]).into_iter().filter(|path| path.starts_with(root().join("crates/domain/src"))) {
        let text = std::fs::read_to_string(&path).unwrap();
        let found: Vec<&&str> = outside.iter().filter(|name| text.contains(**name)).collect();
        assert!(found.is_empty(), "{} uses {found:?}", path.display());
    }
}
