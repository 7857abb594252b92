//! What a run prints and writes: the table of the terminal, and from it the page of measurements with its charts.

mod console;
mod grown;
mod page;
mod raw_file;

pub(crate) use console::{Heads, batches, table};
pub(crate) use page::Page;
