//! Parts of the surroundings that a test cannot do without, and what happens where one is missing.

use std::io::Write;

/// Names the parts that this machine lacks, separated by spaces: `postgres faketime`. `./test` sets it.
const WITHOUT: &str = "ONSALE_TEST_WITHOUT";

/// Whether tests have to go without this part; then a line says loudly which test was skipped. The line also shows
/// where the test runner keeps the output of tests to itself.
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

/// Whether tests have to go without something that is named here, as it is not `there`; then a line says loudly which
/// test was skipped.
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
    // Nobody to tell it to is no reason to fail.
    drop(writeln!(std::io::stderr(), "{line}"));
}
