//! How many cases the property tests try. Each parser of outside text has its tests in a file next to it.

use proptest::test_runner::Config;

/// Tries this many cases, or `PROPTEST_CASES` for a longer search. A failure prints its smallest case, which then gets a test of
/// its own; no file of seeds is kept.
pub(crate) fn cases(cases: u32) -> Config {
    let wanted = std::env::var("PROPTEST_CASES").ok().and_then(|wanted| wanted.parse().ok());
    Config { cases: wanted.unwrap_or(cases), failure_persistence: None, max_shrink_iters: 4_000, ..Config::default() }
}
