//! What programs that measure write: tables in Markdown, charts in SVG, and sections of documents that a command fills in;
//! and the presentation, whose figures are cells of these tables.

mod bars;
mod document;
mod lines;
mod markdown;
mod svg;
pub mod talk;
mod time;

pub use bars::{BarChart, BarGroup};
pub use document::{fill, filled};
pub use lines::{LineChart, Series};
pub use markdown::{Table, number};
pub use time::{TimeChart, TimeSeries};
