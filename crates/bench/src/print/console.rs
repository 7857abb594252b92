//! The tables of the terminal. `raw_file` reads them again, so the names of the columns are the same there.

use std::fmt::Write as _;

use onsale_report::number;

use crate::results::{BatchLine, Figure, Line, Results, Verdict};

/// Number of columns of the table.
const COLUMNS: usize = 13;

/// The first columns, which are always printed.
const ALWAYS: usize = 10;

/// The longest cell that widens its column. The cause of a failure may be longer.
const WIDEST: usize = 60;

/// Columns that are aligned left: work, target, verdict.
const LEFT: [usize; 3] = [0, 5, 6];

const HEADS: [&str; COLUMNS] = [
    "work",
    "conns",
    "per second",
    "reference",
    "ratio",
    "target",
    "",
    "p50 ms",
    "p99 ms",
    "cpu µs",
    "database µs",
    "batch",
    "WAL bytes",
];

/// The name of the column of references.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Heads {
    /// All lines have the same reference.
    Empty,
    /// Each line names its reference.
    Mixed,
}

/// The table, and how many targets were missed.
pub(crate) fn table(results: &Results, heads: Heads) -> String {
    let mut head = HEADS;
    if matches!(heads, Heads::Empty) {
        head[3] = "empty/s";
    }
    let rows: Vec<[String; COLUMNS]> =
        std::iter::once(head.map(str::to_owned)).chain(results.lines().iter().map(cells)).collect();
    let is_used = |column: &usize| *column < ALWAYS || rows[1..].iter().any(|row| !row[*column].is_empty());
    let used: Vec<usize> = (0..COLUMNS).filter(is_used).collect();
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.filter(|width| *width <= WIDEST).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..COLUMNS).map(width).collect();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        let line: Vec<String> = used
            .iter()
            .map(|column| {
                let (cell, width) = (&row[*column], widths[*column]);
                if LEFT.contains(column) { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            })
            .collect();
        let line = line.join("  ");
        let _ = writeln!(text, "{}", line.trim_end());
        if index == 0 {
            let _ = writeln!(text, "{}", "-".repeat(line.chars().count()));
        }
    }
    let (missed, failed) = (results.count(Verdict::Missed), results.count(Verdict::Failed));
    let _ = writeln!(text, "{missed} target(s) missed, {failed} row(s) failed");
    text
}

fn cells(line: &Line) -> [String; COLUMNS] {
    let digits = |value: Option<f64>, digits: usize| value.map(|value| format!("{value:.digits$}")).unwrap_or_default();
    let verdict = match line.verdict {
        Verdict::Unjudged => "",
        Verdict::Reached => "ok",
        Verdict::Missed => "BELOW",
        Verdict::Failed => "FAILED",
    };
    [
        line.work.clone(),
        if line.connections == 0 { String::new() } else { line.connections.to_string() },
        figure(&line.result),
        figure(&line.reference),
        digits(line.ratio, 3),
        line.target.clone(),
        verdict.to_owned(),
        digits(line.p50_millis, 2),
        digits(line.p99_millis, 2),
        digits(line.cpu_micros, 1),
        digits(line.database_micros, 1),
        digits(line.batch, 1),
        line.wal_bytes.map(number).unwrap_or_default(),
    ]
}

fn figure(figure: &Figure) -> String {
    match figure {
        Figure::None => String::new(),
        Figure::PerSecond(rate) => number(*rate),
        Figure::Millis(millis) => format!("{millis:.1} ms"),
        Figure::Seconds(seconds) => format!("{seconds:.1} s"),
        Figure::Bytes(bytes) => format!("{bytes:.1} bytes"),
        Figure::Kilobytes(kilobytes) => format!("{kilobytes:.1} KB"),
        Figure::Megabytes(megabytes) => format!("{megabytes:.1} MB"),
        Figure::Words(words) => words.clone(),
    }
}

/// The comparisons with raw batches. Empty if there are none.
pub(crate) fn batches(lines: &[BatchLine]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "The same rows in raw batches straight into SQLite, writes per second (ratio: the program to the batches)\n\
         {:<36}{:>12}{:>12}{:>8}{:>14}{:>12}{:>8}\n",
        "", "64 conns", "raw 64", "ratio", "256 conns", "raw 256", "ratio"
    );
    for BatchLine { work, rates: [(few, few_raw), (many, many_raw)] } in lines {
        let _ = writeln!(
            text,
            "{work:<36}{:>12}{:>12}{:>8.3}{:>14}{:>12}{:>8.3}",
            number(*few),
            number(*few_raw),
            few / few_raw,
            number(*many),
            number(*many_raw),
            many / many_raw
        );
    }
    text
}
