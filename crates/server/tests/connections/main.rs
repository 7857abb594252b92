//! The life of a connection: what is being sent is not idle, what is in flight is answered, who is gone is noticed.

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
