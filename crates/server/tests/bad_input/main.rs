//! Bad input to every operation of the OpenAPI document: always a problem of the caller's, named, and never anything
//! else: no 5xx, no change, and a server that serves on.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod bodies;
mod bounds;
mod fields;
mod fixture;
mod parameters;
mod sizes;
#[path = "../support/mod.rs"]
mod support;
mod texts;
mod wire;
