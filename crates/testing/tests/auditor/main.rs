//! The auditor itself: honest logs pass, and each way of cheating is caught.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod cheats;
mod faults;
mod files;
mod model;
mod opening;
mod properties;
mod scribe;
