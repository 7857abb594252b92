//! Runs the laboratory of statements and indexes in its smallest size: it keeps working, every statement of a sale is known by
//! its name in the code, and every index is used.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use onsale_testing::without;

const LABS: &str = env!("CARGO_BIN_EXE_onsale-labs");

/// The program, which `cargo test --workspace` builds next to the laboratory.
fn program() -> PathBuf {
    let program = Path::new(LABS).with_file_name("onsale");
    assert!(program.exists(), "build it first: cargo build --workspace --bins");
    program
}

/// Runs sections. They must end with success: without a statement that is unknown, missing, or without its index.
fn run(sections: &[&str]) -> String {
    let mut command = Command::new(LABS);
    command.args(["queries", "tiny", "--program"]).arg(program()).args(sections).stdin(Stdio::null());
    let Output { status, stdout, stderr } = command.output().unwrap();
    let stdout = String::from_utf8_lossy(&stdout).into_owned();
    assert!(status.success(), "{stdout}{}", String::from_utf8_lossy(&stderr));
    stdout
}

#[test]
fn each_statement_that_is_sent_is_in_the_code_and_each_one_in_the_code_is_sent() {
    if without("postgres") {
        return;
    }
    let output = run(&["inventory"]);
    for name in ["wallet::ENTER", "payment::PAY", "outbox::MARK", "news::TURNS", "audit::wallet::LEDGER"] {
        assert!(output.contains(name), "{name}: {output}");
    }
}

#[test]
fn each_index_has_a_statement_that_uses_it_and_a_cost() {
    if without("postgres") || without("redis") {
        return;
    }
    let output = run(&["indexes", "cost", "refused", "reads", "uncached", "caches"]);
    for part in [
        "reservations_open",
        "HOT % with",
        "refused because",
        "SEARCH payments USING",
        "in Redis",
        "`ONSALE_CACHES=false`",
    ] {
        assert!(output.contains(part), "{part}: {output}");
    }
}
