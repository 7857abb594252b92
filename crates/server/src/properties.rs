//! Properties of what reads text from outside: how they are tried. Each parser has its own beside it.

use proptest::test_runner::Config;

/// So many cases (or as `PROPTEST_CASES` says, for a longer search). A failure prints its smallest case, which
/// belongs into a test of its own; no file of seeds is kept.
pub(crate) fn cases(cases: u32) -> Config {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|asked| asked.parse().ok());
    Config { cases: asked.unwrap_or(cases), failure_persistence: None, max_shrink_iters: 4_000, ..Config::default() }
}
