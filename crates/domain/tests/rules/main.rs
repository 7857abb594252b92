//! The rules of onsale, asked as a caller would ask them, over a store in memory.
//!
//! Most tests are scripts: one line a command with its outcome, in the contract's words (see [`support::stage`]).
//! After every batch the store audits all rows, so each line also tests every invariant.

mod batches;
mod best;
mod cancelling;
mod closing;
mod concert;
mod extending;
mod hall;
mod hours;
mod ids;
mod layout;
mod lecture;
mod offer;
mod payment;
mod presale;
mod properties;
mod refund;
mod refusals;
mod seat_list;
mod seating;
mod session;
mod staff;
mod support;
mod table;
mod ticket;
mod time;
mod waiting_lists;
mod waiting_room;
mod wallet;
