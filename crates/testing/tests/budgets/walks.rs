//! Files and functions that documents name exist: the walks of ARCHITECTURE.md lead through the code as it is.

use regex::Regex;

use crate::links::outside_of_code;
use crate::sources::{all, root};

/// A document names a file as `server/src/http/router.rs`, several as `edge/{host,guard}.rs`, and what is in a file as
/// `app/src/desk/batch.rs::run` or `….rs::Room::admit`.
fn named(span: &str) -> Option<(Vec<String>, Vec<&str>)> {
    let crates = [
        "adapters/",
        "app/",
        "bench/",
        "domain/",
        "drills/",
        "labs/",
        "load-generator/",
        "macros/",
        "report/",
        "server/",
        "testing/",
    ];
    let mut parts = span.split("::");
    let path = parts.next()?.trim_end_matches('/');
    let is_path = path.chars().all(|found| found.is_alphanumeric() || "/._-{},".contains(found));
    let path = path.strip_prefix("crates/").unwrap_or(path);
    let of_crate = crates
        .iter()
        .any(|start| path.starts_with(&format!("{start}src")) || path.starts_with(&format!("{start}tests")));
    if !is_path || !of_crate {
        return None;
    }
    let files = match path.split_once('{').and_then(|(start, rest)| Some((start, rest.split_once('}')?))) {
        Some((start, (middle, end))) => middle.split(',').map(|one| format!("crates/{start}{one}{end}")).collect(),
        None => vec![format!("crates/{path}")],
    };
    Some((files, parts.map(|name| name.trim_end_matches("()")).collect()))
}

/// What in this span does not exist.
fn missing(span: &str) -> Vec<String> {
    let Some((files, names)) = named(span) else { return Vec::new() };
    let mut wrong = Vec::new();
    for file in files {
        let path = root().join(&file);
        // A module may be named without its ending, and be a folder or a file.
        if !path.exists() && !path.with_extension("rs").exists() {
            wrong.push(format!("{file} does not exist"));
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        for name in &names {
            let defined =
                Regex::new(&format!(r"\b(fn|struct|enum|trait|const|static|type|mod|impl) {name}\b|^\s*{name}\b"))
                    .unwrap();
            if !text.lines().any(|line| defined.is_match(line)) {
                wrong.push(format!("{file} has no `{name}`"));
            }
        }
    }
    wrong
}

fn spans(text: &str) -> Vec<(usize, String)> {
    let span = Regex::new(r"`([^`]+)`").unwrap();
    let lines = outside_of_code(text).into_iter();
    lines
        .flat_map(|(at, line)| span.captures_iter(line).map(|found| (at, found[1].to_owned())).collect::<Vec<_>>())
        .collect()
}

#[test]
fn each_file_and_function_that_a_document_names_exists() {
    let mut functions_of_walks = 0;
    let mut wrong = Vec::new();
    for name in all().into_iter().filter(|name| name.ends_with(".md") && name != "CHANGELOG.md") {
        let text = std::fs::read_to_string(root().join(&name)).unwrap();
        for (line, span) in spans(&text) {
            let is_function = named(&span).is_some_and(|(_, names)| !names.is_empty());
            functions_of_walks += usize::from(is_function && name == "ARCHITECTURE.md");
            wrong.extend(missing(&span).into_iter().map(|why| format!("{name}:{line}: {why}")));
        }
    }
    assert!(functions_of_walks >= FUNCTIONS_OF_WALKS_MIN, "ARCHITECTURE.md names only {functions_of_walks} functions");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The walks of a payment and of a poll have more steps than this.
const FUNCTIONS_OF_WALKS_MIN: usize = 30;

#[test]
fn a_function_that_no_longer_exists_is_found() {
    let here = "testing/tests/budgets/walks.rs";
    assert_eq!(missing(&format!("{here}::missing()")), Vec::<String>::new());
    assert_eq!(missing(&format!("crates/{here}::never_written")), [format!("crates/{here} has no `never_written`")]);
    assert_eq!(
        missing("testing/tests/budgets/{walks,never}.rs"),
        ["crates/testing/tests/budgets/never.rs does not exist"]
    );
    assert_eq!(missing("wallet::Command::Charge"), Vec::<String>::new());
}
