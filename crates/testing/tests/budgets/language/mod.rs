//! Plain language in sources and documents: banned words, and doc comments that say something.
//!
//! `cargo test --workspace --test budgets language -- --nocapture` lists each hit with its file, line and what to write.

mod documented;
mod prose;
mod words;

use std::collections::BTreeMap;

use regex::Regex;

use crate::sources::{all, root};

/// Endings of files that are read in addition to scripts without one.
const ENDINGS: &[&str] = &[
    ".rs",
    ".md",
    ".js",
    ".css",
    ".html",
    ".lua",
    ".sql",
    ".sh",
    ".toml",
    ".yml",
    ".yaml",
    ".py",
    ".ts",
    ".c",
    ".cfg",
    ".conf",
    ".service",
    ".timer",
    ".env",
    "Dockerfile",
    "Caddyfile",
];

/// Released migrations stay byte for byte. The list of banned words and its tests have to name them.
const LEFT_OUT: &[&str] = &["/migrations/", "/budgets/language/"];

fn is_read(name: &str, text: &str) -> bool {
    let is_script = text.starts_with("#!") && !name.contains('.') || name == ".ci/run";
    let is_left_out = LEFT_OUT.iter().any(|part| name.contains(part));
    (is_script || ENDINGS.iter().any(|ending| name.ends_with(ending))) && !is_left_out
}

/// The part of the repository that a file is counted for.
fn folder(name: &str) -> String {
    let parts: Vec<&str> = name.split('/').collect();
    let depth = if parts[0] == "crates" { 3 } else { 1 };
    if parts.len() <= 1 { ".".to_owned() } else { parts[..depth.min(parts.len() - 1)].join("/") }
}

struct Hit {
    file: String,
    line: usize,
    found: String,
    instead: &'static str,
}

fn banned(name: &str, text: &str, rules: &[(Regex, words::In, &'static str)]) -> Vec<Hit> {
    let (prose, names) = prose::read(name, text);
    let mut hits = Vec::new();
    for (rule, place, instead) in rules {
        let of_names = (*place == words::In::Names).then_some(&names);
        for part in [Some(&prose), of_names].into_iter().flatten() {
            hits.extend(rule.find_iter(&part.text).map(|found| Hit {
                file: name.to_owned(),
                line: part.line(found.start()),
                found: found.as_str().chars().take(40).collect(),
                instead,
            }));
        }
    }
    // One phrase may break two rules, and a function's name is prose and a name.
    hits.sort_by_key(|hit| (hit.line, std::cmp::Reverse(hit.found.len())));
    hits.dedup_by(|other, one| one.line == other.line && one.found.contains(&other.found));
    hits
}

fn hits() -> Vec<Hit> {
    let rules: Vec<_> =
        words::BANNED.iter().map(|(rule, place, instead)| (Regex::new(rule).unwrap(), *place, *instead)).collect();
    let mut hits = Vec::new();
    let mut read = 0;
    for name in all() {
        let Ok(text) = std::fs::read_to_string(root().join(&name)) else { continue };
        if !is_read(&name, &text) {
            continue;
        }
        read += 1;
        hits.extend(banned(&name, &text, &rules));
        if name.ends_with(".rs") {
            hits.extend(documented::short(&text).into_iter().map(|(line, found)| Hit {
                file: name.clone(),
                line,
                found: found.trim().to_owned(),
                instead: "the unit, the bound or the meaning, or no comment",
            }));
        }
    }
    assert!(read > 400, "only {read} files were read");
    hits
}

#[test]
fn no_source_and_no_document_uses_a_banned_phrase() {
    let mut counts = BTreeMap::<String, usize>::new();
    for Hit { file, line, found, instead } in hits() {
        println!("{file}:{line}: \"{found}\": write {instead}");
        *counts.entry(folder(&file)).or_default() += 1;
    }
    assert!(counts.is_empty(), "banned phrases, listed above, by folder: {counts:?}");
}

#[test]
fn each_http_handler_has_a_doc_comment() {
    let sources: Vec<(String, String)> = all()
        .into_iter()
        .filter(|name| name.starts_with("crates/server/src/") && name.ends_with(".rs"))
        .map(|name| (name.clone(), std::fs::read_to_string(root().join(&name)).unwrap()))
        .collect();
    let (_, router) = sources.iter().find(|(name, _)| name.ends_with("/router.rs")).expect("a file router.rs");
    let handlers = documented::handlers(router);
    assert!(handlers.len() > 30, "only {} routes were found in router.rs", handlers.len());
    let missing: Vec<String> = handlers
        .into_iter()
        .filter(|(module, function)| {
            let is_module =
                |name: &str| name.contains(&format!("/{module}.rs")) || name.contains(&format!("/{module}/"));
            let mut texts = sources.iter().filter(|(name, _)| is_module(name));
            texts.find_map(|(_, text)| documented::is_documented(text, function)) != Some(true)
        })
        .map(|(module, function)| format!("{module}::{function}"))
        .collect();
    assert!(missing.is_empty(), "these handlers have no doc comment, which is the summary of the call: {missing:?}");
}

#[test]
fn a_banned_phrase_is_found_across_lines_and_in_names() {
    let rules: Vec<_> =
        words::BANNED.iter().map(|(rule, place, instead)| (Regex::new(rule).unwrap(), *place, *instead)).collect();
    let found = |name: &str, text: &str| -> Vec<(usize, String)> {
        banned(name, text, &rules).into_iter().map(|hit| (hit.line, hit.found)).collect()
    };
    let hit = |line: usize, text: &str| (line, text.to_owned());
    assert_eq!(
        found("a.rs", "/// A client in\n/// vain.\nfn asks_somebody() {}\n"),
        [hit(1, "in vain"), hit(3, "somebody")]
    );
    assert_eq!(
        found("a.md", "What it waits for in\nvain.\n\n- Where no\n- port is free.\n"),
        [hit(1, "in vain"), hit(4, "Where no")]
    );
    assert_eq!(found("a.rs", "impl<T> A for T\nwhere\n    T: B,\n{ let others = 1; }\n"), []);
}
