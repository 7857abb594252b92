//! What programs that measure write: tables in Markdown, charts in SVG, and sections of documents that a command fills in.

mod chart;
mod markdown;

pub use chart::{Chart, Series};
pub use markdown::{Table, filled, number};
