//! What runs print, and the page that they fill in.

mod charts;
mod console;
mod page;
mod tables;

pub(super) use console::console;
pub(super) use page::Page;
pub(super) use tables::results;
