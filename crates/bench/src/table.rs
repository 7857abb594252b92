//! The table: a line for each measurement, with its target and whether it was reached.

use std::fmt;

/// Whether a target was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The target was reached.
    Reached,
    /// The target was missed.
    Missed,
    /// There is no target, or another line decides.
    Told,
    /// An answer was wrong, so the numbers mean nothing.
    Failed,
}

impl Verdict {
    /// Reached or missed.
    pub(crate) fn of(reached: bool) -> Self {
        if reached { Self::Reached } else { Self::Missed }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Reached => "ok",
            Self::Missed => "BELOW",
            Self::Told => "",
            Self::Failed => "FAILED",
        }
    }
}

const COLUMNS: [&str; WIDTH] = [
    "work",
    "conns",
    "a second",
    "empty/s",
    "share",
    "target",
    "",
    "p50 ms",
    "p99 ms",
    "cpu µs",
    "database µs",
    "batch",
    "log bytes",
];

/// A line compared with another reference than the empty handler.
const BESIDE: [(usize, &str); 2] = [(3, "beside it"), (4, "ratio")];

const WIDTH: usize = 13;

/// The cells of a line, in column order.
type Cells = [String; WIDTH];

/// A line. Fields that do not apply are empty.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) work: String,
    pub(crate) connections: usize,
    /// Answers per second, or another size.
    pub(crate) rate: String,
    pub(crate) empty: String,
    pub(crate) share: String,
    pub(crate) target: String,
    pub(crate) verdict: Verdict,
    pub(crate) p50: String,
    pub(crate) p99: String,
    /// Processor time of the server per answer.
    pub(crate) cpu: String,
    /// Processor time of the database server per answer.
    pub(crate) database: String,
    /// Average number of commands per batch.
    pub(crate) batch: String,
    /// WAL bytes of the database server per answer.
    pub(crate) log: String,
}

impl Line {
    /// A line with only a measurement.
    pub(crate) fn new(work: impl Into<String>, verdict: Verdict) -> Self {
        let none = String::new;
        Self {
            work: work.into(),
            connections: 0,
            rate: none(),
            empty: none(),
            share: none(),
            target: none(),
            verdict,
            p50: none(),
            p99: none(),
            cpu: none(),
            database: none(),
            batch: none(),
            log: none(),
        }
    }

    fn cells(&self) -> Cells {
        let connections = if self.connections == 0 { String::new() } else { self.connections.to_string() };
        let Self { work, rate, empty, share, target, verdict, p50, p99, cpu, database, batch, log, .. } = self.clone();
        [work, connections, rate, empty, share, target, verdict.word().to_owned(), p50, p99, cpu, database, batch, log]
    }
}

/// All lines.
#[derive(Debug, Default)]
pub(crate) struct Table {
    lines: Vec<Line>,
    /// Whether each line names its own reference.
    beside: bool,
}

impl Table {
    /// A table of comparisons with other references than the empty handler.
    pub(crate) fn beside() -> Self {
        Self { lines: Vec::new(), beside: true }
    }

    /// Adds a line.
    pub(crate) fn add(&mut self, line: Line) {
        self.lines.push(line);
    }

    /// Adds a line for a failed row.
    pub(crate) fn failed(&mut self, row: &str, why: &str) {
        self.add(Line::new(format!("{row}: {why}"), Verdict::Failed));
    }

    /// Whether every answer was right.
    pub(crate) fn is_sound(&self) -> bool {
        self.lines.iter().all(|line| line.verdict != Verdict::Failed)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut head = COLUMNS;
        BESIDE.iter().filter(|_| self.beside).for_each(|(column, name)| head[*column] = name);
        let rows: Vec<Cells> =
            std::iter::once(head.map(str::to_owned)).chain(self.lines.iter().map(Line::cells)).collect();
        // Only some rows use the last columns.
        let is_shown = |column: &usize| *column < 10 || rows[1..].iter().any(|row| !row[*column].is_empty());
        let shown: Vec<usize> = (0..WIDTH).filter(is_shown).collect();
        // The reason of a failure may be long; it does not widen its column.
        let width = |column: usize| {
            let cells = rows.iter().map(|row| row[column].chars().count()).filter(|width| *width <= 60);
            cells.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..WIDTH).map(width).collect();
        for (number, row) in rows.iter().enumerate() {
            for column in shown.iter().copied() {
                let (cell, pad, gap) = (&row[column], widths[column], if column == 0 { "" } else { "  " });
                // Text is aligned left, numbers right.
                match column {
                    0 | 5 | 6 => write!(f, "{gap}{cell:<pad$}")?,
                    _ => write!(f, "{gap}{cell:>pad$}")?,
                }
            }
            writeln!(f)?;
            if number == 0 {
                let whole = shown.iter().map(|column| widths[*column] + 2).sum::<usize>() - 2;
                writeln!(f, "{}", "-".repeat(whole))?;
            }
        }
        let missed = self.lines.iter().filter(|line| line.verdict == Verdict::Missed).count();
        let failed = self.lines.iter().filter(|line| line.verdict == Verdict::Failed).count();
        write!(f, "{missed} target(s) missed, {failed} row(s) failed")
    }
}

/// Formats a number with commas as thousands separators.
pub(crate) fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
