//! Which crate may use which, and which libraries.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::sources::{named, root};

/// For each crate of the workspace, the dependencies in its manifest, without those of tests.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version=1", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo lists the packages");
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let built_on = |package: &Value| {
        let all = package["dependencies"].as_array().unwrap().iter();
        let used = all.filter(|dependency| dependency["kind"].is_null());
        used.map(|dependency| dependency["name"].as_str().unwrap().to_owned()).collect()
    };
    packages.iter().map(|package| (package["name"].as_str().unwrap().to_owned(), built_on(package))).collect()
}

#[test]
fn crates_depend_on_each_other_as_drawn() {
    let drawn = [
        ("onsale-domain", &[][..]),
        ("onsale-app", &["onsale-domain"]),
        ("onsale-adapters", &["onsale-app", "onsale-domain"]),
        ("onsale-server", &["onsale-adapters", "onsale-app", "onsale-domain", "onsale-macros"]),
        ("onsale-macros", &[]),
        ("onsale-testing", &[]),
        ("onsale-load-generator", &[]),
        ("onsale-report", &[]),
        ("onsale-bench", &["onsale-load-generator", "onsale-report", "onsale-testing"]),
        ("onsale-drills", &["onsale-report", "onsale-testing"]),
        ("onsale-labs", &["onsale-load-generator", "onsale-report", "onsale-testing"]),
    ];
    let dependencies = dependencies();
    assert_eq!(dependencies.len(), drawn.len(), "a crate of the workspace is missing in this list");
    for (name, allowed) in drawn {
        let ours: Vec<&String> = dependencies[name].iter().filter(|known| known.starts_with("onsale-")).collect();
        assert!(ours.iter().all(|known| allowed.contains(&known.as_str())), "{name} depends on {ours:?}");
    }
}

#[test]
fn each_layer_uses_only_its_own_libraries() {
    let dependencies = dependencies();
    let drivers = ["rusqlite", "sqlx", "tokio-postgres", "redis", "rdkafka"];
    let http_servers = ["axum", "hyper", "hyper-util", "tower", "tower-http"];
    let http_clients = ["reqwest"];
    let domain: Vec<&str> = dependencies["onsale-domain"].iter().map(String::as_str).collect();
    let allowed = ["hmac", "sha2", "uuid"];
    assert_eq!(domain, allowed, "the domain depends on a library other than for ids and the bytes of a draw");
    for name in ["onsale-app", "onsale-adapters"] {
        let found = http_servers.iter().find(|known| dependencies[name].contains(**known));
        assert_eq!(found, None, "{name} depends on an HTTP server");
    }
    // An adapter may send requests: events are posted to a data platform.
    let found = http_clients.iter().find(|known| dependencies["onsale-app"].contains(**known));
    assert_eq!(found, None, "onsale-app depends on an HTTP client");
    for name in ["onsale-app", "onsale-server"] {
        assert!(
            drivers.iter().all(|known| !dependencies[name].contains(*known)),
            "{name} depends on a driver of a database"
        );
    }
}

#[test]
fn rules_read_no_clock_file_or_socket() {
    let outside = ["std::time", "std::fs", "std::net", "std::env", "std::thread", "std::sync::Mutex", "rand::"];
    for path in named(&[".rs"]).into_iter().filter(|path| path.starts_with(root().join("crates/domain/src"))) {
        let text = std::fs::read_to_string(&path).unwrap();
        let found: Vec<&&str> = outside.iter().filter(|name| text.contains(**name)).collect();
        assert!(found.is_empty(), "{} uses {found:?}", path.display());
    }
}
