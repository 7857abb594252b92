//! The rules of onsale: who gets what is scarce, and why a request is refused.
//!
//! A command names the rows that it needs ([`Command::needs`]) and decides over them ([`Command::decide`]). Both are
//! pure functions: time, ids and settings are arguments. This crate uses no database, network or clock.

pub mod cancellation;
pub mod concert;
pub mod event;
pub mod ids;
pub mod leaving;
pub mod lecture;
pub mod payment;
pub mod presale;
pub mod refund;
pub mod rows;
pub mod seat_list;
pub mod session;
pub mod staff;
pub mod table;
pub mod ticket;
pub mod time;
pub mod waiting_room;
pub mod wallet;

mod command;
mod refusal;

pub use command::{Command, Context};
pub use refusal::Refusal;
