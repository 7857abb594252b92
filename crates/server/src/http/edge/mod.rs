//! The edge: how connections come in, what bounds them, and how they end.

mod bare;
mod connection;
mod cors;
mod cut_off;
mod guard;
mod host;
mod linger;
mod listen;
mod marks;
mod outer;
mod peer;
mod pulse;
mod request_id;
mod sending;
mod serve;
mod socket_options;
mod stopping;

pub(crate) use marks::mark_answer;
pub(crate) use peer::Peer;
pub(crate) use serve::{Server, ServerLimits};
pub(crate) use stopping::Stopping;
