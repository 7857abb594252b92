//! What an idle server costs, and what grows: the log, rooms of concerts that are over, places, events.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so and ends")]

#[path = "../support/mod.rs"]
mod support;

mod idle;
mod log;
mod over;
