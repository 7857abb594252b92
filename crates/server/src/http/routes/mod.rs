//! The calls of the API, one file for each resource. Each handler states its whole contract: the doc comment is the
//! summary and the description, the arguments are parameters, body and credentials, the return type is status and body,
//! and `#[operation]` lists the codes of its own.

pub(crate) mod admin;
pub(crate) mod check_in;
pub(crate) mod code;
pub(crate) mod concert;
pub(crate) mod desk;
pub(crate) mod draw;
pub(crate) mod health;
pub(crate) mod hours;
pub(crate) mod leave;
pub(crate) mod lecture;
pub(crate) mod manifest;
pub(crate) mod notice;
pub(crate) mod payment;
pub(crate) mod places;
pub(crate) mod refund;
pub(crate) mod refund_policy;
pub(crate) mod reservation;
pub(crate) mod seat_events;
pub(crate) mod seat_list;
mod seats;
pub(crate) mod section;
pub(crate) mod session;
pub(crate) mod ticket;
pub(crate) mod ticket_file;
pub(crate) mod waiting_room;
pub(crate) mod waiting_room_events;
pub(crate) mod wallet;
