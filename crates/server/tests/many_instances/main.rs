//! Several instances on one Postgres are one sale: what one of them did, every other knows, and nothing is done twice.
//!
//! Each test has a database of its own and starts the real program several times on it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]
#![allow(clippy::print_stdout, reason = "a test prints what it measured")]

mod admission;
mod audited;
mod audited_draw;
mod best;
mod cancellations;
mod catalogue;
mod changes;
mod clocks;
mod closing;
mod crowd;
mod devices;
mod draws;
mod early;
mod hours;
mod keys;
mod leaving;
mod lectures;
mod live;
mod many;
mod offers;
mod order;
mod pgbouncer;
mod points;
mod preconditions;
mod presale;
mod refunds;
mod schema;
mod seat_events;
mod seats;
mod set_clock;
mod sign_in;
mod staff;
mod stream;
#[path = "../support/mod.rs"]
mod support;
mod tickets;
mod tls;
mod turns;
mod waiting_lists;
