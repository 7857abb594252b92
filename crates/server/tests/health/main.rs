//! What an instance says of its own health while parts of it are away: at once, and right.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so and ends")]

mod logs;
mod readiness;
#[path = "../support/mod.rs"]
mod support;
