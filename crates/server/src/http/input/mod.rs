//! What clients send: bodies, paths and queries are read strictly, with every error named by its field, and callers are
//! checked.

mod body;
pub(crate) mod callers;
pub(crate) mod charger;
pub(crate) mod coding;
mod errors;
pub(crate) mod fields;
pub(crate) mod media;
mod parameters;
mod path;
#[cfg(test)]
mod properties;
mod query;
pub(crate) mod session;
pub(crate) mod staff;
mod structure;
pub(crate) mod user_session;
mod visible;
pub(crate) mod weights;

pub(crate) use body::{Body, Member, Payload, TextPayload};
pub(crate) use errors::Errors;
pub(crate) use fields::Fields;
pub(crate) use parameters::{Cursor, Paged, Parameters, Query};
pub(crate) use path::{Path, PathArgs};
pub(crate) use query::RawQuery;
pub(crate) use structure::ELEMENTS_MAX;
