//! The shipped files, and what they hold.

use std::collections::BTreeSet;
use std::path::PathBuf;

use onsale_testing::Launch;
use serde_json::Value;

use crate::support::ONSALE;
use crate::tools::Tools;

/// Prints every document of the named YAML files as one JSON array.
const YAML_TO_JSON: &str = "import json, sys, yaml\n\
    print(json.dumps([d for f in sys.argv[1:] for d in yaml.safe_load_all(open(f)) if d is not None], default=str))";

/// A file of the repository.
pub(crate) fn path(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).canonicalize().unwrap().join(name)
}

pub(crate) fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The names of the files in a folder of the repository with this ending.
pub(crate) fn names(folder: &str, end: &str) -> Vec<String> {
    let entries = std::fs::read_dir(path(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(end)).collect();
    names.sort();
    assert!(!names.is_empty(), "{folder} has no {end}");
    names
}

/// The documents of YAML files. A test asks `tools::missing("python")` first.
pub(crate) async fn yaml(files: &[String]) -> Vec<Value> {
    let launch = Launch::new(ONSALE);
    let tools = Tools::beside(launch.folder());
    let mut command = tools.python("python", &["-c", YAML_TO_JSON]);
    let run = tools.run(command.args(files.iter().map(|file| path(file)))).await;
    assert!(run.status.success(), "{files:?}: {}", crate::tools::said(&run));
    serde_json::from_slice(&run.stdout).unwrap()
}

/// The variables that the program reads, with and without `_FILE`.
pub(crate) async fn variables() -> BTreeSet<String> {
    let run = Launch::new(ONSALE).run(&["serve", "--help"]).await;
    let help = String::from_utf8(run.stdout).unwrap();
    let named = help.split('[').filter_map(|part| part.split_once(']')).map(|(name, _)| name);
    let plain = named.filter(|name| name.starts_with("ONSALE_"));
    let names: BTreeSet<String> = plain.flat_map(|name| [name.to_owned(), format!("{name}_FILE")]).collect();
    assert!(names.len() > 60, "{names:?}");
    names
}

/// Kilobytes of memory that a connection takes, and megabytes that a server takes without any: docs/guide/deploy.md.
const CONNECTION_KILOBYTES: u64 = 26;
const SERVER_MEGABYTES: u64 = 64;

/// Bytes, of an amount such as `512M`, `512Mi` or `1G`: these all count in powers of 1,024 where they are used here.
pub(crate) fn bytes(amount: &str) -> u64 {
    let digits = amount.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match &amount[digits.len()..] {
        "M" | "Mi" => 1 << 20,
        "G" | "Gi" => 1 << 30,
        other => panic!("a unit: {other:?}"),
    };
    digits.parse::<u64>().unwrap() * unit
}

/// Checks that this many connections fit into a memory limit and leave a fifth of it free.
#[track_caller]
pub(crate) fn assert_fits(connections: &str, limit: &str) {
    let connections: u64 = connections.parse().unwrap();
    let needed = (SERVER_MEGABYTES << 20) + connections * (CONNECTION_KILOBYTES << 10);
    assert!(needed * 5 <= bytes(limit) * 4, "{connections} connections need {needed} bytes of {limit}, with a margin");
}
