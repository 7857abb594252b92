//! The technologies behind onsale's ports. One folder each; twin databases have twin files.

pub mod files;
pub mod kafka;
pub mod postgres;
mod private;
pub mod redis;
pub mod sqlite;
mod stored;
pub mod webhook;
