//! Bad input to every operation of the OpenAPI document gets a 4xx problem that names the fault. There is never a 5xx,
//! nothing changes, and the server keeps serving.

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
