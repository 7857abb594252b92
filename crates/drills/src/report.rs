//! The row of a drill, on the terminal and in its page.

use onsale_report::{Table, fill};

use crate::page;
use crate::traffic::Tally;

/// The section of a page that a drill fills in.
const FIGURES: &str = "figures";

/// What a drill that passed measured.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) drill: &'static str,
    pub(crate) signal: String,
    /// Seconds from the cause to the signal.
    pub(crate) to_signal: f64,
    /// Seconds from the cause to the end check, the audit included.
    pub(crate) to_end: f64,
    /// What buyers saw from the cause to the end.
    pub(crate) during: Tally,
}

impl Report {
    fn cells(&self) -> Vec<String> {
        let seen = &self.during;
        vec![
            format!("{:.1} s", self.to_signal),
            format!("{:.1} s", self.to_end),
            seen.good.to_string(),
            seen.later.to_string(),
            seen.unanswered.to_string(),
            format!("{:.1} s", seen.slowest.as_secs_f64()),
            seen.sold.to_string(),
        ]
    }
}

/// The columns after the name.
const HEAD: [&str; 7] =
    ["signal", "over and audited", "served", "503 or 429", "no answer", "longest answer", "payments meanwhile"];

/// All rows as a table.
pub(crate) fn table(reports: &[Report]) -> String {
    let mut table = Table::new(["drill", "by"].into_iter().chain(HEAD));
    for report in reports {
        table.row([report.drill.to_owned(), report.signal.clone()].into_iter().chain(report.cells()));
    }
    table.to_string()
}

/// Writes the row into the page of the drill.
///
/// # Errors
/// If the page has no section for it.
pub(crate) fn document(report: &Report) -> std::io::Result<()> {
    let mut table = Table::new(HEAD);
    table.row(report.cells());
    fill(&page::folder().join(report.drill).with_extension("md"), FIGURES, &table.to_string())
}
