//! One suite for the seam to the database, held against every database that onsale runs on.
//!
//! Rules are decided by the domain, in whatever company: what is tested here is that each store loads just the rows
//! there are, saves just what was decided, refuses what can never be right, and shows all of it to whoever reads.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod answers;
mod bearers;
mod bed;
mod bounds;
mod constraints;
mod crowd;
mod differential;
mod excess;
mod files;
mod follower;
mod forgetting;
mod growth;
mod kept;
mod kinds;
mod lane;
mod lines;
mod locks;
mod log;
#[path = "../../../domain/tests/rules/support/mixed.rs"]
mod mixed;
mod newcomers;
mod news;
mod pages;
mod people;
mod picture;
mod relay;
mod restored;
mod retention;
mod stage;
mod traced;
mod unfinished;
mod units;
mod waiting;
