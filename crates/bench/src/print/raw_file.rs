//! Reads the tables that the benchmark printed, from a file of its output.
//!
//! A column is found by the name in the head line: numbers are aligned right, so a cell ends where the name of its column ends.

use std::path::Path;

use onsale_load_generator::Outcome;

/// Names of the right-aligned columns, by what they hold. Tables of older commits have other names.
const NAMES: [&[&str]; 6] = [
    &["conns"],
    &["per second", "a second"],
    &["reference", "beside it", "empty/s"],
    &["ratio", "share"],
    &["p50 ms"],
    &["p99 ms"],
];

/// A line of a table, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RawLine {
    pub(crate) work: String,
    pub(crate) connections: String,
    pub(crate) result: String,
    pub(crate) reference: String,
    pub(crate) ratio: String,
    pub(crate) target: String,
    /// `ok`, `BELOW`, `FAILED` or empty.
    pub(crate) verdict: String,
    pub(crate) p50: String,
    pub(crate) p99: String,
}

/// The output of a run.
#[derive(Debug, Default)]
pub(crate) struct RawFile {
    /// The commit that was measured: its short hash. Empty if the output does not say it.
    pub(crate) commit: String,
    lines: Vec<RawLine>,
}

impl RawFile {
    /// Reads a file.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(crate) fn read(path: &Path) -> Outcome<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self::parse(&text))
    }

    /// Parses the output of one or several runs. The commit is that of the first one.
    pub(crate) fn parse(text: &str) -> Self {
        let mut file = Self::default();
        let mut ends = None;
        for line in text.lines() {
            if let Some(commit) = line.strip_prefix("commit:").filter(|_| file.commit.is_empty()) {
                file.commit = commit.split_whitespace().next().unwrap_or_default().to_owned();
            }
            if line.starts_with("work ") {
                ends = column_ends(line);
            } else if line.trim().is_empty() || line.contains("target(s) missed") {
                ends = None;
            } else if let Some(ends) = ends.filter(|_| !line.starts_with("---")) {
                file.lines.push(raw_line(line, ends));
            }
        }
        file
    }

    /// All lines, in order.
    pub(crate) fn lines(&self) -> &[RawLine] {
        &self.lines
    }

    /// The line of a kind of work. If it was measured with several numbers of connections, it is the judged one, or else
    /// the first.
    pub(crate) fn line(&self, work: &str) -> Option<&RawLine> {
        let of_work = || self.lines.iter().filter(|line| line.work == work);
        of_work().find(|line| !line.verdict.is_empty()).or_else(|| of_work().next())
    }
}

/// Where each of the known columns ends, in characters.
fn column_ends(head: &str) -> Option<[usize; NAMES.len()]> {
    let mut ends = [0; NAMES.len()];
    for (end, names) in ends.iter_mut().zip(NAMES) {
        let (at, name) = names.iter().find_map(|name| Some((head.find(name)?, name)))?;
        *end = head[..at + name.len()].chars().count();
    }
    Some(ends)
}

fn raw_line(line: &str, [connections, result, reference, ratio, p50, p99]: [usize; NAMES.len()]) -> RawLine {
    let cell = |from: usize, until: usize| {
        let cell: String = line.chars().skip(from).take(until.saturating_sub(from)).collect();
        cell.trim().to_owned()
    };
    // The column of connections is as wide as its name.
    let work_end = connections - NAMES[0][0].len();
    let judged = cell(ratio, p50 - "p50 ms".len());
    let verdict =
        ["ok", "BELOW", "FAILED"].into_iter().find(|word| judged == *word || judged.ends_with(&format!("  {word}")));
    let verdict = verdict.unwrap_or_default();
    RawLine {
        work: cell(0, work_end),
        connections: cell(work_end, connections),
        result: cell(connections, result),
        reference: cell(result, reference),
        ratio: cell(reference, ratio),
        target: judged.strip_suffix(verdict).unwrap_or(&judged).trim().to_owned(),
        verdict: verdict.to_owned(),
        p50: cell(p50 - "p50 ms".len(), p50),
        p99: cell(p50, p99),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::print::{Heads, table};
    use crate::results::{Figure, Line, Results, Target};

    #[test]
    fn a_printed_table_is_read_again() {
        let mut results = Results::default();
        let measured = Line {
            connections: 64,
            result: Figure::PerSecond(24_627.0),
            reference: Figure::Words("8,564 (32)".to_owned()),
            ratio: Some(2.84),
            p50_millis: Some(2.46),
            p99_millis: Some(105.24),
            cpu_micros: Some(25.3),
            ..Line::new("charge, 10,000 users")
        };
        results.add(measured.clone());
        results.add(Line { connections: 1_000, ..measured }.judged(Target::at_least(2.5).unit("×"), 2.84));
        results.add(Line { result: Figure::Megabytes(22.4), ..Line::new("memory, idle") });
        let text = format!("machine: 2 cores\ncommit:  68a6a2c A subject\n\n{}", table(&results, Heads::Mixed));
        let file = RawFile::parse(&text);
        assert_eq!(file.commit, "68a6a2c");
        let line = file.line("charge, 10,000 users").cloned().unwrap_or_default();
        let expected = ["1000", "24,627", "8,564 (32)", "2.840", "≥ 2.5 ×", "ok", "2.46", "105.24"];
        let RawLine { connections, result, reference, ratio, target, verdict, p50, p99, .. } = line;
        assert_eq!([connections, result, reference, ratio, target, verdict, p50, p99], expected, "{text}");
        let memory = file.line("memory, idle").cloned().unwrap_or_default();
        assert_eq!((memory.result.as_str(), memory.target.as_str()), ("22.4 MB", ""));
        assert_eq!(file.line("nothing"), None);
    }
}
