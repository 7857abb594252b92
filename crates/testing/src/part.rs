//! Parts of the surroundings that a test cannot do without, and what happens where one is missing.

use std::io::Write;

/// Names the parts that this machine lacks, separated by spaces: `postgres faketime`. `./test` sets it.
const WITHOUT: &str = "ONSALE_TEST_WITHOUT";

/// Whether this part is missing. If so, a line on standard error names the skipped test. The line also shows
/// if the test runner captures the output of tests.
///
/// # Panics
/// If a part is left out with `CI=true`: CI skips nothing.
pub fn without(part: &str) -> bool {
    let named = std::env::var(WITHOUT).unwrap_or_default();
    if !named.split_whitespace().any(|missing| missing == part) {
        return false;
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "CI skips nothing, but {WITHOUT}={named}");
    let thread = std::thread::current();
    say(&format!("!! SKIPPED: {}: no {part}", thread.name().unwrap_or("a test")));
    true
}

/// Whether something that a test needs is not `there`. If so, a line on standard error names the skipped test.
///
/// # Panics
/// If it is absent with `CI=true`: CI skips nothing.
pub fn absent(there: bool, what: &str) -> bool {
    if there {
        return false;
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "CI skips nothing, but it lacks {what}");
    let thread = std::thread::current();
    say(&format!("!! SKIPPED: {}: no {what}", thread.name().unwrap_or("a test")));
    true
}

/// A line on standard error that the test runner does not swallow.
pub(crate) fn say(line: &str) {
    // A closed standard error is no reason to fail.
    drop(writeln!(std::io::stderr(), "{line}"));
}
