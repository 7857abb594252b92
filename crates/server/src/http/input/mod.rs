//! What callers send: read strictly, with every error named by its field.

mod body;
mod errors;
pub(crate) mod fields;
mod path;
#[cfg(test)]
mod properties;
mod query;
mod structure;
mod visible;

pub(crate) use body::Payload;
pub(crate) use errors::Errors;
use fields::Fields;
pub(crate) use path::PathArgs;
pub(crate) use query::Query;
