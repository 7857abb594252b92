//! What programs that measure write: tables in Markdown, charts in SVG, and sections of documents that a command fills in.

mod bars;
mod document;
mod lines;
mod markdown;
mod svg;
mod time;

pub use bars::{BarChart, BarGroup};
pub use document::{fill, filled};
pub use lines::{LineChart, Series};
pub use markdown::{Table, number};
pub use time::{TimeChart, TimeSeries};
