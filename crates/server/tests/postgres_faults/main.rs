//! Faults of a real Postgres and of the wire to it, one after another: callers are answered in time, what was
//! acknowledged is so, nothing is so twice, and all goes on within seconds of the fault's end.
//!
//! The real program works behind a wire that the tests can cut, and on a server that they can kill.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]
#![allow(clippy::print_stdout, reason = "a test prints how long a recovery took")]

mod every_call;
mod failover;
mod foreign_locks;
mod instances;
mod log_full;
mod long_snapshot;
mod outcomes;
mod polls;
mod pressure;
mod rerun;
mod scarce;
mod scene;
mod server_away;
mod slow_reads;
mod staff;
#[path = "../support/mod.rs"]
mod support;
mod unheard;
