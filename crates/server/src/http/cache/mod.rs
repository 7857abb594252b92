//! Answers that many clients share: written once, compressed once, sent with a validator.

mod answers;
mod respond;
pub(crate) mod seat_json;
mod written;

pub(crate) use answers::{AnswerCaches, Ready};
pub(crate) use respond::{Kept, respond};
pub(crate) use seat_json::SeatTexts;
pub(crate) use written::Written;
