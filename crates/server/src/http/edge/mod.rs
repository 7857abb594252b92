//! The edge: how connections come in, what bounds them, and how they end.

pub(crate) mod address;
mod bare;
mod bounds;
mod connection;
mod cors;
mod cut_off;
mod drain;
mod guard;
mod host;
mod linger;
mod listen;
mod marks;
mod open_files;
mod outer;
mod peer;
mod pulse;
mod reached;
mod request_id;
mod sending;
mod serve;
mod socket_options;
mod stopping;
mod streams;

pub(crate) use bounds::ConnectionLimits;
pub(crate) use listen::{bind, listen};
pub(crate) use marks::mark_answer;
pub(crate) use open_files::connections_that_fit;
pub(crate) use peer::Peer;
pub(crate) use reached::Reached;
pub(crate) use serve::{Server, ServerLimits};
pub(crate) use stopping::Stopping;
pub(crate) use streams::{OpenStream, Streams};
