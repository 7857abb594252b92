//! The auditor itself: honest logs pass, and each way of cheating is caught.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so and ends")]

mod cheats;
mod faults;
mod files;
mod model;
mod properties;
mod scribe;
