//! What callers send: read strictly, with every error named by its field.

mod body;
pub(crate) mod fields;
mod path;
mod query;

pub(crate) use body::Payload;
use fields::Fields;
pub(crate) use path::PathArgs;
pub(crate) use query::Query;
