//! What clients send: bodies, paths and queries are read strictly, with every error named by its field, and callers are
//! checked.

mod body;
pub(crate) mod callers;
pub(crate) mod coding;
mod errors;
pub(crate) mod fields;
mod path;
#[cfg(test)]
mod properties;
mod query;
mod structure;
mod visible;
pub(crate) mod weights;

pub(crate) use body::Payload;
pub(crate) use errors::Errors;
use fields::Fields;
pub(crate) use path::PathArgs;
pub(crate) use query::Query;
