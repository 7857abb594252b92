//! Connections: a connection that sends is not idle, requests in flight are answered, vanished clients are noticed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod client;
mod drain;
mod gone;
mod half_close;
mod idle;
mod sending;
mod stop;
#[path = "../support/mod.rs"]
mod support;
