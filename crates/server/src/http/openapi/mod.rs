//! The OpenAPI document.

pub(crate) mod admin;
pub(crate) mod concert;
mod document;
pub(crate) mod health;
pub(crate) mod lecture;
mod operation;
pub(crate) mod payment;
pub(crate) mod reservation;
mod shapes;
pub(crate) mod waiting_room;
pub(crate) mod wallet;

pub(crate) use document::document;
pub(crate) use operation::Operation;
