//! Runs the commands of `deploy`, `compose.yaml` and the `Dockerfile` as written, as far as possible without a container
//! daemon, a cluster or systemd as the first process.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod backup;
mod chain;
mod compose;
mod files;
mod image;
mod kubernetes;
mod natively;
mod secrets;
mod sizes;
#[path = "../support/mod.rs"]
mod support;
mod systemd;
mod tls;
#[allow(dead_code, reason = "the tests of clients use all of it")]
#[path = "../clients/tools.rs"]
mod tools;
