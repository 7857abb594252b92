//! The load test in its smallest size, and its scripts next to the OpenAPI document.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use onsale_testing::{Means, absent, without};
use serde_json::Value;

const BENCH: &str = env!("CARGO_BIN_EXE_onsale-bench");

const CALLS: &str = include_str!("../src/load/calls.rs");
const SCRIPT: &str = include_str!("../../../load/gatling/onsale/Call.java");

/// The program, which `cargo test --workspace` builds next to the benchmark.
fn program() -> PathBuf {
    let program = Path::new(BENCH).with_file_name("onsale");
    assert!(program.exists(), "build it first: cargo build --workspace --bins");
    program
}

/// Runs scenarios in the smallest size. None may be anything but ok.
fn run(words: &[&str]) -> String {
    let mut command = Command::new(BENCH);
    command.arg("--tiny").arg("--program").arg(program()).arg("load").args(words).stdin(Stdio::null());
    let Output { status, stdout, stderr } = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout).into_owned(), String::from_utf8_lossy(&stderr));
    let is_ok = status.success() && !["missed", "WRONG", "void"].iter().any(|verdict| stdout.contains(verdict));
    assert!(is_ok, "{stdout}{stderr}");
    stdout
}

#[test]
fn a_smoke_and_a_small_opening_run_on_sqlite_and_are_audited() {
    let output = run(&["smoke", "opening", "lectures", "sqlite", "rust"]);
    for line in ["smoke · sqlite · rust: ok", "opening · sqlite · rust: ok", "lectures · sqlite · rust: ok"] {
        assert!(output.contains(line), "{line}: {output}");
    }
    // A lecture has no waiting room.
    assert_eq!(output.matches(" 0 answers audited").count(), 1, "{output}");
}

#[test]
fn a_stampede_over_three_instances_keeps_every_place() {
    if without("postgres") || without("redis") {
        return;
    }
    let output = run(&["stampede", "shared", "rust"]);
    assert!(output.contains("stampede · shared · rust: ok"), "{output}");
}

/// Whether Gatling cannot run: it is Java, and its scripts are compiled.
fn without_gatling() -> bool {
    without("maven") || without("javac") || absent(is_compiler_there(), "Java compiler")
}

#[test]
fn gatling_makes_every_call_once() {
    if without_gatling() {
        return;
    }
    let output = run(&["smoke", "sqlite", "gatling"]);
    assert!(output.contains("smoke · sqlite · gatling: ok") && output.contains("persons: 3 paid"), "{output}");
    // Each call of the journey has an answer for each of the 3 persons.
    let calls =
        ["concerts", "lectures", "apply", "applications", "cancel", "enter", "dates", "seats", "hold", "release"];
    let later = ["reservation", "charge", "pay", "payment", "use", "points", "histories", "reservations", "payments"];
    for call in calls.into_iter().chain(later) {
        let rows = output.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
        let answers = rows.filter(|cells| cells.get(1) == Some(&call)).find_map(|cells| cells.get(2)?.parse().ok());
        assert!(answers.is_some_and(|answers: u32| answers >= 3), "{call}: {output}");
    }
}

#[test]
fn gatling_runs_the_scripts() {
    // Seconds for each start of a Java machine: not in each run of the suite.
    let is_wanted = std::env::var_os("ONSALE_TEST_LONG").is_some();
    if !is_wanted || without_gatling() {
        return;
    }
    let scenarios = ["opening", "stampede", "greedy", "sold-out", "lectures"];
    let output = run(&[&scenarios[..], &["sqlite", "gatling"]].concat());
    for scenario in scenarios {
        assert!(output.contains(&format!("{scenario} · sqlite · gatling: ok")), "{scenario}: {output}");
    }
    // Enough changes that the first answer of at least one of them is cut: some 80 are expected.
    let output = run(&["retries", "sqlite", "gatling", "--scale", "1", "--stretch", "0.1"]);
    assert!(output.contains("retries · sqlite · gatling: ok") && output.contains(" answers cut"), "{output}");
}

fn is_compiler_there() -> bool {
    Command::new("javac").arg("-version").output().is_ok_and(|output| output.status.success())
}

/// Name, method, path and codes of each call that a source lists: the texts in quotes from a method on.
fn listed(source: &str) -> BTreeSet<Vec<String>> {
    let is_method = |text: &str| ["GET", "POST", "PATCH", "DELETE"].contains(&text);
    let texts: Vec<&str> = source.split('"').skip(1).step_by(2).collect();
    let is_path = |at: usize| texts.get(at).is_some_and(|text| text.starts_with('/'));
    let starts: Vec<usize> = (1..texts.len()).filter(|at| is_method(texts[*at]) && is_path(at + 1)).collect();
    let call = |(index, start): (usize, &usize)| {
        let end = starts.get(index + 1).map_or(texts.len(), |next| next - 1);
        // Codes are in kebab case. What follows the last call is something else.
        let is_code =
            |text: &&&str| text.contains('-') && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_lowercase());
        let head = texts[start - 1..start + 2].iter();
        head.chain(texts[start + 2..end].iter().take_while(is_code)).map(|text| (*text).to_owned()).collect()
    };
    starts.iter().enumerate().map(call).collect()
}

#[test]
fn each_call_of_both_generators_and_each_code_is_in_the_openapi_document() {
    let printed = Command::new(program()).arg("openapi").stdin(Stdio::null()).output().unwrap();
    let document: Value = serde_json::from_slice(&printed.stdout).unwrap();
    let (ours, script) = (listed(CALLS), listed(SCRIPT));
    assert!(ours.len() >= 20 && script.len() >= 20, "{} {}", ours.len(), script.len());
    for call in ours.iter().chain(&script) {
        let [name, method, path, codes @ ..] = &call[..] else { panic!("{call:?}") };
        let operation = &document["paths"][path.as_str()][method.to_lowercase()];
        assert!(operation.is_object(), "{name}: {method} {path} is not in the document");
        let responses = operation["responses"].to_string();
        for code in codes {
            assert!(responses.contains(&format!("`{code}`")), "{name}: {method} {path} never answers {code}");
        }
    }
    let more: Vec<_> = script.difference(&ours).collect();
    assert!(more.is_empty(), "the scripts have other calls, or other codes: {more:?}");
}

/// Runs sizes. None may have wrong books.
fn sizes(words: &[&str]) -> String {
    let mut command = Command::new(BENCH);
    command.arg("--program").arg(program()).arg("sizes").args(words).stdin(Stdio::null());
    let Output { status, stdout, stderr } = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout).into_owned(), String::from_utf8_lossy(&stderr));
    assert!(status.success() && !stdout.contains("WRONG"), "{stdout}{stderr}");
    stdout
}

#[test]
fn an_instance_under_limits_is_measured_and_its_books_survive_a_kill_for_memory() {
    if !Means::first().is_exact() {
        // The tests of limits print that they are skipped.
        return;
    }
    let output = sizes(&["--tiny"]);
    for part in ["knee sqlite 1 × 0.50 CPU 256 MB: knee ", ": killed for memory after ", " 0 lost; audit passed"] {
        assert!(output.contains(part), "{part}: {output}");
    }
    assert!(!output.contains("not measured"), "{output}");
}

#[test]
fn the_quick_sizes_run() {
    // Some minutes.
    let is_wanted = std::env::var_os("ONSALE_TEST_LONG").is_some();
    if !is_wanted || !Means::first().is_exact() || without("postgres") || without("redis") {
        return;
    }
    let output = sizes(&["quick"]);
    assert_eq!(output.matches(": knee ").count(), 4, "{output}");
    assert!(output.contains("killed for memory"), "{output}");
}

#[test]
fn an_unknown_scenario_is_an_error() {
    let output = Command::new(BENCH).args(["load", "openning"]).stdin(Stdio::null()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && stderr.contains("no scenario is called openning"), "{stderr}");
}
