//! The edge: how connections come in, what bounds them, and how they end.

mod listen;
mod serve;

pub(crate) use serve::{Server, ServerLimits};
