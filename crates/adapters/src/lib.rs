//! The technologies behind onsale's ports. One folder each; twin databases have twin files.

pub mod sqlite;
