//! Each dependency that several crates use is named once, in the manifest of the workspace.

use std::collections::{BTreeMap, BTreeSet};

use crate::sources::{all, root};

/// The lines of a manifest's sections whose name `fits`, without comments and empty lines.
fn lines(text: &str, fits: fn(&str) -> bool) -> Vec<String> {
    let mut is_in = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some(section) = line.strip_prefix('[') {
            is_in = fits(section.trim_end_matches(']'));
        } else if is_in && !line.is_empty() && !line.starts_with('#') {
            found.push(line.to_owned());
        }
    }
    found
}

/// The name of the dependency in a line such as `serde = "1"` or `serde.workspace = true`.
fn name(line: &str) -> &str {
    line.split(['.', ' ', '=']).next().unwrap_or_default()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

#[test]
fn shared_dependencies_come_from_the_workspace() {
    let manifests: Vec<String> =
        all().into_iter().filter(|path| path.starts_with("crates/") && path.ends_with("/Cargo.toml")).collect();
    let mut users = BTreeMap::<String, BTreeSet<&str>>::new();
    let mut own = Vec::new();
    for manifest in &manifests {
        for line in lines(&read(manifest), |section| matches!(section, "dependencies" | "dev-dependencies")) {
            users.entry(name(&line).to_owned()).or_default().insert(manifest);
            if !line.contains("workspace = true") {
                own.push((name(&line).to_owned(), manifest));
            }
        }
    }
    assert!(users.len() > 30, "{users:#?}");
    own.retain(|(name, _)| users[name].len() > 1);
    assert!(own.is_empty(), "name these in [workspace.dependencies], with their common features: {own:#?}");
}

#[test]
fn dependencies_of_the_workspace_are_sorted() {
    let shared = lines(&read("Cargo.toml"), |section| section == "workspace.dependencies");
    let names: Vec<&str> = shared.iter().map(|line| name(line)).collect();
    let mut sorted = names.clone();
    sorted.sort_by_key(|name| (!name.starts_with("onsale-"), *name));
    assert!(names.len() > 20 && names == sorted, "our crates first, then by name: {sorted:#?}");
}
