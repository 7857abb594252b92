//! Runs the benchmark in a tiny size, so that a change that breaks a row is found before it is to be measured.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use onsale_testing::without;

const BENCH: &str = env!("CARGO_BIN_EXE_onsale-bench");

/// The program, which `cargo test --workspace` builds next to the benchmark.
fn program() -> PathBuf {
    let program = Path::new(BENCH).with_file_name("onsale");
    assert!(program.exists(), "build it first: cargo build --workspace --bins");
    program
}

/// Runs the benchmark with the smallest size. The output must end with success, and no row may fail.
fn run(arguments: &[&str]) -> String {
    let mut command = Command::new(BENCH);
    command.arg("--tiny").arg("--program").arg(program()).args(arguments).stdin(Stdio::null());
    let Output { status, stdout, stderr } = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout).into_owned(), String::from_utf8_lossy(&stderr));
    assert!(status.success() && stdout.contains(" 0 row(s) failed"), "{stdout}{stderr}");
    stdout
}

#[test]
fn each_row_on_sqlite_runs_and_the_page_is_filled_in() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("README.md");
    let section = |name: &str| format!("<!-- begin {name} -->\n<!-- end {name} -->\n");
    std::fs::write(&page, section("results") + &section("runs")).unwrap();
    let output = run(&["--doc", page.to_str().unwrap()]);
    // Lines of the first and the last row, and of the comparison with raw batches.
    for line in ["empty handler", "an event stream", "a change of a hall", "raw 64"] {
        assert!(output.contains(line), "{line}: {output}");
    }
    let raw = std::fs::read_to_string(folder.path().join("raw/server.txt")).unwrap();
    assert_eq!(raw, output, "the file of raw output is what was printed");
    let filled = std::fs::read_to_string(&page).unwrap();
    let of_charges = filled.lines().find(|line| line.contains("charge, 10,000 users")).unwrap();
    assert!(of_charges.contains("empty handler"), "{of_charges}");
    let chart = std::fs::read_to_string(folder.path().join("charts/shares.svg")).unwrap();
    assert!(chart.contains("charge, 10,000 users"), "{chart}");
}

#[test]
fn rows_on_postgres_run() {
    if without("postgres") {
        return;
    }
    // Each script of pgbench on its own rows: a step of the schema may have changed their columns.
    let scripts = ["pg-application", "pg-reservation", "pg-payment"];
    let rows = ["pg-instances", "pg-snapshot"];
    let output = run(&[&["postgres"], &scripts[..], &rows[..]].concat());
    for line in ["payment: half of that, open loop", "three instances on one database", "a snapshot open for 1 s"] {
        assert!(output.contains(line), "{line}: {output}");
    }
}

#[test]
fn rows_of_staff_run_on_both_databases() {
    if without("postgres") {
        return;
    }
    let output = run(&["staff"]);
    for line in [
        "refund by the buyer, beside payments",
        "refund by staff, beside payments",
        "sale on SQLite with 20 viewers, beside without",
        "events to the viewers on Postgres",
        "live figures, 200 seats sold, beside few",
        "rows of attendees as CSV on SQLite",
        "rows of attendees as CSV on Postgres",
        "sale on SQLite during a cancellation, beside alone",
        "sale on Postgres during a cancellation, beside alone",
        "120 payments",
    ] {
        assert!(output.contains(line), "{line}: {output}");
    }
}

#[test]
fn rows_of_the_waiting_room_run_and_their_answers_are_audited() {
    if without("postgres") || without("redis") {
        return;
    }
    let output = run(&["room", "redis", "scene", "memory"]);
    for line in
        ["enter, room on Redis, beside INCR", "10,000 admitted at once", "200 users had a turn", "a waiter in Redis"]
    {
        assert!(output.contains(line), "{line}: {output}");
    }
}

#[test]
fn rows_of_the_opening_run() {
    if without("postgres") || without("redis") {
        return;
    }
    let output = run(&["opening"]);
    for line in [
        "enter early, order arrival, room on Postgres",
        "enter early, order draw, room on Redis",
        "poll, 200 early tokens, before the draw",
        "200 entries drawn",
        "poll, 200 early tokens, after the draw",
        "hold the best seat of it, SQLite",
        "hold the best seat of it, Postgres",
    ] {
        assert!(output.contains(line), "{line}: {output}");
    }
}

#[test]
fn rows_of_cached_reads_run() {
    if without("postgres") {
        return;
    }
    assert!(run(&["reads"]).contains("asked by each"));
}

#[test]
fn a_grown_database_is_measured_next_to_a_small_one() {
    if without("postgres") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("grown.md");
    std::fs::write(&page, "<!-- begin grown -->\n<!-- end grown -->\n").unwrap();
    let output = run(&["grown", "--doc", page.to_str().unwrap()]);
    for line in
        ["SQLite: server ready", "Postgres: processor time of Postgres", "journey: pay", "page of 1,000 at the end"]
    {
        assert!(output.contains(line), "{line}: {output}");
    }
    let filled = std::fs::read_to_string(&page).unwrap();
    let audit = filled.lines().find(|line| line.starts_with("| onsale audit ")).unwrap();
    assert_eq!(audit.matches(" s ").count(), 4, "both databases, small and grown: {audit}");
}

#[test]
fn an_unknown_row_and_a_page_of_some_rows_are_errors() {
    for (arguments, cause) in [
        (&["no-such-row"][..], "no row of this suite is called no-such-row"),
        (&["poll", "--doc", "README.md"], "--doc needs all rows"),
    ] {
        let output = Command::new(BENCH).args(arguments).stdin(Stdio::null()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && stderr.contains(cause), "{stderr}");
    }
}
