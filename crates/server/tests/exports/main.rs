//! Whole lists for staff as JSON and as CSV: their form, their bounds, and what they cost the sale.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]
#![allow(clippy::print_stdout, reason = "a test prints what it measured")]

mod faults;
mod form;
mod large;
mod snapshot;
#[path = "../support/mod.rs"]
mod support;

use onsale_testing::{Call, Reply, Sale};

/// A call for the attendees of a performance as CSV.
fn csv_of(sale: &Sale, performance: &str) -> Call {
    sale.admin(sale.caller.get(&format!("/admin/performances/{performance}/attendees.csv")))
}

/// The cells of a CSV, the header row first.
fn cells(reply: &Reply) -> Vec<Vec<String>> {
    assert_eq!(reply.status.as_u16(), 200, "{reply:?}");
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&*reply.body);
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}
