//! The waiting room: places and positions, who is admitted when, how turns end, and what opens the calls behind it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod admission;
mod closing;
mod devices;
mod drawing;
mod early;
mod entering;
mod figures;
mod gate;
mod hours;
mod leaving;
mod notice;
mod presale;
mod rush;
mod strict;
#[path = "../support/mod.rs"]
mod support;
mod turns;
mod waits;
