//! The results of a run, as numbers. How they are printed is the concern of `print`.

mod line;
mod target;

pub(crate) use line::{Figure, Line, Verdict};
pub(crate) use target::Target;

/// A kind of write, and the same rows written in batches straight into SQLite.
#[derive(Clone, Debug)]
pub(crate) struct BatchLine {
    pub(crate) work: String,
    /// Writes per second of the program and of the batches: with 64 connections and batches of 64, then with 256.
    pub(crate) rates: [(f64, f64); 2],
}

/// All results so far.
#[derive(Debug, Default)]
pub(crate) struct Results {
    lines: Vec<Line>,
    batches: Vec<BatchLine>,
    remarks: Vec<String>,
}

impl Results {
    /// Adds a line.
    pub(crate) fn add(&mut self, line: Line) {
        self.lines.push(line);
    }

    /// Adds a comparison with raw batches.
    pub(crate) fn add_batches(&mut self, line: BatchLine) {
        self.batches.push(line);
    }

    /// Adds text that is printed before the table, such as the report of an auditor.
    pub(crate) fn remark(&mut self, text: impl Into<String>) {
        self.remarks.push(text.into());
    }

    /// Adds a line for a row that failed.
    pub(crate) fn fail(&mut self, row: &str, cause: &str) {
        self.add(Line { verdict: Verdict::Failed, ..Line::new(format!("{row}: {cause}")) });
    }

    /// The lines, in order.
    pub(crate) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The comparisons with raw batches, in order.
    pub(crate) fn batches(&self) -> &[BatchLine] {
        &self.batches
    }

    /// Removes and returns the remarks that were added since the last call.
    pub(crate) fn take_remarks(&mut self) -> Vec<String> {
        std::mem::take(&mut self.remarks)
    }

    /// Number of lines with this verdict.
    pub(crate) fn count(&self, verdict: Verdict) -> usize {
        self.lines.iter().filter(|line| line.verdict == verdict).count()
    }

    /// Whether no row failed.
    pub(crate) fn is_sound(&self) -> bool {
        self.count(Verdict::Failed) == 0
    }
}
