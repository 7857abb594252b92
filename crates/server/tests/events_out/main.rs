//! Delivery of events: each has its effect once, those of a subject in order, whichever process is killed.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a failed step ends the test")]

mod answers;
mod broken;
mod causes;
mod files;
mod kafka;
mod outages;
mod platform;
mod scene;
mod secured;
#[path = "../support/mod.rs"]
mod support;
mod webhook;
