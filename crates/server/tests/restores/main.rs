//! Restores in the middle of a sale, by the commands of `docs/guide/backup.md` as they are written there. After each, every
//! event of the database arrives with its id and in order, the line keeps its order, and the audit finds nothing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod dump;
mod failover;
mod moved;
mod page;
#[path = "../events_out/platform.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod platform;
mod point_in_time;
mod redis;
mod scene;
mod sqlite;
#[path = "../support/mod.rs"]
mod support;
