//! What an instance says of its own health while parts of it are away: at once, and right.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod logs;
mod readiness;
#[path = "../support/mod.rs"]
mod support;
