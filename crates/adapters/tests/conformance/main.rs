//! One suite for the store interface, run against every database that onsale supports.
//!
//! The domain decides by the rules. These tests check that each store loads exactly the stored rows, saves exactly what was
//! decided, refuses writes that can never be right, and returns all of it to readers.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod answers;
mod bed;
mod best;
mod bounds;
mod cancellations;
mod charges;
mod codes;
mod constraints;
mod copies;
mod crowd;
mod differential;
mod draws;
mod excess;
mod extensions;
mod figures;
mod files;
mod follower;
mod forgetting;
mod growth;
mod kept;
mod kinds;
mod lane;
mod lectures;
mod locks;
mod log;
#[path = "../../../domain/tests/rules/support/mixed.rs"]
mod mixed;
mod newcomers;
mod news;
mod offers;
mod pages;
mod people;
mod picture;
mod refunds;
mod relay;
mod restored;
mod retention;
mod revisions;
mod seat_lists;
mod staff;
mod staff_locks;
mod stage;
mod stop_points;
mod tickets;
mod traced;
mod two_tokens;
mod unfinished;
mod units;
mod user_sessions;
mod waiting;
mod waiting_lists;
