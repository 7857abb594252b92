//! What the server answers: problem details, successful answers, answers to commands, metrics as text.

pub(crate) mod cookie;
mod decision;
pub(crate) mod exposition;
pub(crate) mod problem;
mod success;

pub(crate) use decision::{Decided, Success, encode};
pub(crate) use success::{
    Begun, Cached, Created, CreatedOrAwaited, Listed, NoContent, OkJson, Streamed, append_json, to_json,
};
