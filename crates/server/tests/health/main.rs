//! `/readyz` and the log of an instance during outages.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod logs;
mod readiness;
#[path = "../support/mod.rs"]
mod support;
