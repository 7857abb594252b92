//! What Redis loses, the sale does not: no place is given twice, the order stays, one user keeps one place, the cap
//! holds, polls are answered throughout, and entering works again within seconds.
//!
//! Three instances of the real program on one Postgres, with their waiting rooms on real Redis servers.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod away;
mod back;
mod cluster;
mod conditions;
mod early;
mod line;
mod lost;
mod sentinel;
#[path = "../support/mod.rs"]
mod support;
mod twice;
mod two;
