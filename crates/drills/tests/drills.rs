//! Two drills with alerts that fire after a second, so that drills keep working. `./test --long` runs `./drill all`.

#![allow(clippy::unwrap_used, reason = "a failed step ends the test")]

use std::process::{Command, Output, Stdio};

use onsale_testing::without;

fn drill(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onsale-drills"));
    command.args(words).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn a_killed_database_and_a_foreign_lock_are_noticed_and_mended_by_their_pages() {
    if ["postgres", "redis", "haproxy", "prometheus"].into_iter().any(without) {
        return;
    }
    let Output { status, stdout, stderr } = drill(&["database-away", "foreign-lock", "--short"]);
    let (table, notes) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{table}\n{notes}");
    let row = |name: &str| table.lines().find(|line| line.starts_with(&format!("| {name} "))).unwrap_or_default();
    assert!(row("database-away").contains("DatabaseInTrouble"), "{table}");
    assert!(row("foreign-lock").contains("LockedOut"), "{table}");
    // The commands of the pages were run. Polls went on through the balancer.
    assert!(
        notes.contains("pg_terminate_backend") && notes.contains(": poll 200") && notes.contains("invariants hold"),
        "{notes}"
    );
}

#[test]
fn an_unknown_drill_is_an_error_that_lists_the_known_ones() {
    let Output { status, stderr, .. } = drill(&["databse-away"]);
    let text = String::from_utf8_lossy(&stderr);
    assert!(!status.success() && text.contains("no drill is called databse-away") && text.contains("disk-full"));
}
