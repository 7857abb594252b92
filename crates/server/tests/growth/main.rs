//! What an idle server costs, and what grows: the log, rooms of concerts that are over, places, events.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

#[path = "../support/mod.rs"]
mod support;

mod idle;
mod log;
mod over;
