//! The edge: how connections come in, what bounds them, and how they end.

mod cut_off;
mod listen;
mod pulse;
mod serve;

pub(crate) use serve::{Server, ServerLimits};
