//! The cost of an idle server, and data that grows: the log, rooms of past concerts, places, events.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

#[path = "../support/mod.rs"]
mod support;

mod idle;
mod log;
mod over;
