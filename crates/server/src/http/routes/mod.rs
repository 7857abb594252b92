//! The calls of the API, one file for each resource.

pub(crate) mod admin;
pub(crate) mod admin_body;
pub(crate) mod concert;
pub(crate) mod health;
pub(crate) mod lecture;
pub(crate) mod payment;
pub(crate) mod reservation;
pub(crate) mod waiting_room;
pub(crate) mod waiting_room_events;
pub(crate) mod wallet;
