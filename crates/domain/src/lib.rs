//! The rules of onsale: who got it, and why not.
//!
//! A command says what it must see ([`Command::needs`]) and what it does to it ([`Command::decide`]). Both are
//! pure: time, ids and settings come in as arguments, and nothing here knows of a database, a network or a clock.

pub mod concert;
pub mod event;
pub mod freed_seats;
pub mod ids;
pub mod lecture;
pub mod payment;
pub mod rows;
pub mod table;
pub mod time;
pub mod waiting_room;
pub mod wallet;

mod command;
mod refusal;

pub use command::{Command, Context, Done};
pub use refusal::Refusal;
