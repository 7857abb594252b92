//! What must hold whatever people do, in whatever order, and however their commands are batched.

mod effect;
mod line;
mod offer;
mod op;
mod oracle;
mod random_op;
mod sale;
mod wallet;
mod window;

use proptest::test_runner::Config;

/// This many cases, or `PROPTEST_CASES` for a longer search. A failure prints its smallest case. Write a test for that
/// case: no file of seeds is kept.
fn cases(cases: u32) -> Config {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|asked| asked.parse().ok());
    Config { cases: asked.unwrap_or(cases), failure_persistence: None, max_shrink_iters: 4_000, ..Config::default() }
}
