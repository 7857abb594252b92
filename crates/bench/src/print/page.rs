//! The page of measurements: its tables and charts, made from the files of raw output next to it. So the page shows nothing
//! that is not in those files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use onsale_load_generator::Outcome;
use onsale_report::{BarChart, BarGroup, Table, fill};

use super::grown;
use super::raw_file::{RawFile, RawLine};

/// The marked sections of the page.
const SECTIONS: [&str; 2] = ["runs", "results"];

/// The suites with a file of raw output: name, command, reference of most of its lines.
const SUITES: [(&str, &str, &str); 6] = [
    ("server", "./bench", "empty handler"),
    ("postgres", "./bench postgres", "pgbench"),
    ("staff", "./bench staff", "beside it"),
    ("room", "./bench room", "INCR handler"),
    ("reads", "./bench reads", "empty handler"),
    ("events", "./bench events", "without"),
];

/// A line of the page.
#[derive(Clone, Copy)]
struct Shown {
    suite: &'static str,
    /// The name of the line in the raw output.
    work: &'static str,
    label: &'static str,
    /// The systems that take part next to the program.
    on: &'static str,
    /// What the work is compared with, if not with the reference of its suite.
    beside: &'static str,
    /// The name of the line that was measured at half of the throughput.
    half: &'static str,
}

const fn shown(suite: &'static str, work: &'static str, label: &'static str, on: &'static str) -> Shown {
    Shown { suite, work, label, on, beside: "", half: "" }
}

const fn beside(beside: &'static str, shown: Shown) -> Shown {
    Shown { beside, ..shown }
}

const fn at_half(half: &'static str, shown: Shown) -> Shown {
    Shown { half, ..shown }
}

const RESULTS: [Shown; 24] = [
    at_half(
        "poll: half of that, open loop",
        shown("server", "poll, 100000 in line", "position poll, 100,000 in line", "SQLite"),
    ),
    shown("server", "seat list of 50", "seat list of 50", "SQLite"),
    at_half(
        "place in line: half of that, open loop",
        shown("server", "place in line", "entry into the line", "SQLite"),
    ),
    at_half(
        "charge, 10,000 users: half of that, open loop",
        shown("server", "charge, 10,000 users", "charge, 10,000 users", "SQLite"),
    ),
    at_half(
        "lecture application: half of that, open loop",
        shown("server", "lecture application", "lecture application", "SQLite"),
    ),
    at_half(
        "reservation of a free seat: half of that, open loop",
        shown("server", "reservation of a free seat", "reservation of a free seat", "SQLite"),
    ),
    at_half("payment (aim 0.13): half of that, open loop", shown("server", "payment (aim 0.13)", "payment", "SQLite")),
    shown("server", "5,000 buyers on 50 seats, 20 performances", "5,000 buyers on 50 seats", "SQLite"),
    shown("server", "memory, idle", "memory, idle", "SQLite"),
    at_half(
        "charge, 10,000 users: half of that, open loop",
        shown("postgres", "charge, 10,000 users", "charge, 10,000 users", "Postgres"),
    ),
    at_half("payment: half of that, open loop", shown("postgres", "payment", "payment", "Postgres")),
    shown("room", "enter, room on Redis, beside INCR", "entry into the line", "Redis"),
    shown("room", "10,000 admitted at once, room on Redis", "10,000 admitted at once", "Redis, Postgres"),
    beside("payments", shown("staff", "refund by the buyer, beside payments", "refund by the buyer", "SQLite")),
    beside("payments", shown("staff", "refund by staff, beside payments", "refund by staff", "SQLite")),
    beside(
        "without",
        shown("staff", "sale on SQLite with 20 viewers, beside without", "sale with 20 viewers", "SQLite"),
    ),
    beside(
        "without",
        shown("staff", "sale on Postgres with 20 viewers, beside without", "sale with 20 viewers", "Postgres"),
    ),
    beside(
        "with 50",
        shown("staff", "live figures, 50,000 seats sold, beside few", "live figures, 50,000 sold", "SQLite"),
    ),
    shown("staff", "rows of attendees as CSV on SQLite", "rows of attendees as CSV", "SQLite"),
    shown("staff", "rows of attendees as CSV on Postgres", "rows of attendees as CSV", "Postgres"),
    beside(
        "alone",
        shown("staff", "sale on SQLite during a cancellation, beside alone", "sale during a cancellation", "SQLite"),
    ),
    beside(
        "alone",
        shown(
            "staff",
            "sale on Postgres during a cancellation, beside alone",
            "sale during a cancellation",
            "Postgres",
        ),
    ),
    shown("events", "outbox of 200,000 to Kafka", "events sent, of 200,000 waiting", "Kafka, Postgres"),
    shown("events", "charges with the relay on, beside off", "charges with events on, beside off", "Kafka, Postgres"),
];

/// The bars of the chart of shares: the line in the raw output, its label.
const SHARES: [(&str, &str); 11] = [
    ("poll, 100000 in line", "position poll"),
    ("seat list of 50", "seat list of 50"),
    ("dates (3)", "dates of a concert"),
    ("charge, one hot user", "charge, one user"),
    ("charge, 10,000 users", "charge, 10,000 users"),
    ("lecture application", "lecture application"),
    ("place in line", "entry into the line"),
    ("reservation of a free seat", "reservation"),
    ("payment (aim 0.13)", "payment"),
    ("5,000 buyers on 50 seats, 20 performances", "5,000 buyers on 50 seats"),
    ("whole journey (6 calls)", "whole journey (6 calls)"),
];

/// The bars of the chart of Postgres.
const PGBENCH: [(&str, &str); 5] = [
    ("charge, 10,000 users", "charge, 10,000 users"),
    ("charge, one hot user", "charge, one user"),
    ("lecture application", "lecture application"),
    ("reservation of a free seat", "reservation"),
    ("payment", "payment"),
];

/// A page in Markdown, with the folders `raw` and `charts` next to it.
pub(crate) struct Page {
    document: PathBuf,
}

/// The files of raw output that exist, by suite.
type Raw = BTreeMap<&'static str, RawFile>;

impl Page {
    /// The page in this file.
    pub(crate) fn at(document: &Path) -> Self {
        Self { document: document.to_owned() }
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.document.with_file_name(name)
    }

    /// Keeps the output of a run of a suite.
    pub(crate) fn keep(&self, suite: &str, output: &str) -> Outcome<()> {
        std::fs::create_dir_all(self.folder("raw"))?;
        Ok(std::fs::write(self.folder("raw").join(format!("{suite}.txt")), output)?)
    }

    /// Fills in the tables, and draws the charts.
    ///
    /// # Errors
    /// If the page has no such sections, or a file cannot be written.
    pub(crate) fn fill(&self) -> Outcome<()> {
        let document =
            std::fs::read_to_string(&self.document).map_err(|error| format!("{}: {error}", self.document.display()))?;
        // The page of the grown database has one table of its own.
        if document.contains(&format!("<!-- begin {} -->", grown::SECTION)) {
            return Ok(fill(&self.document, grown::SECTION, &grown::section(self.grown()?.as_ref()))?);
        }
        let raw = self.raw()?;
        for (section, table) in SECTIONS.iter().zip([runs(&raw), results(&raw)]) {
            fill(&self.document, section, &table.to_string())?;
        }
        let charts = self.folder("charts");
        std::fs::create_dir_all(&charts)?;
        std::fs::write(charts.join("shares.svg"), shares(&raw).svg())?;
        std::fs::write(charts.join("postgres.svg"), pgbench(&raw).svg())?;
        Ok(())
    }

    fn grown(&self) -> Outcome<Option<RawFile>> {
        let path = self.folder("raw").join(format!("{}.txt", grown::SECTION));
        path.exists().then(|| RawFile::read(&path)).transpose()
    }

    fn raw(&self) -> Outcome<Raw> {
        let files = SUITES.iter().map(|(suite, ..)| (*suite, self.folder("raw").join(format!("{suite}.txt"))));
        files.filter(|(_, path)| path.exists()).map(|(suite, path)| Ok((suite, RawFile::read(&path)?))).collect()
    }
}

/// Which command printed what, at which commit.
fn runs(raw: &Raw) -> Table {
    let mut table = Table::new(["command", "commit", "raw output"]);
    for (suite, command, _) in SUITES {
        let Some(file) = raw.get(suite) else { continue };
        table.row([format!("`{command}`"), format!("`{}`", file.commit), format!("[{suite}.txt](raw/{suite}.txt)")]);
    }
    table
}

fn results(raw: &Raw) -> Table {
    let mut table = Table::new([
        "work",
        "with",
        "per second",
        "reference",
        "ratio",
        "target",
        "p99 at half load, ms (≤ 5 poll, ≤ 25 others)",
    ]);
    for shown in RESULTS {
        let line = |work: &str| raw.get(shown.suite).and_then(|file| file.line(work)).cloned();
        let Some(found) = line(shown.work) else {
            table.row([shown.label, shown.on, "not measured"]);
            continue;
        };
        let half = line(shown.half).map(|line| line.p99 + missed(&line.verdict)).unwrap_or_default();
        let RawLine { result, reference, ratio, target, verdict, .. } = found;
        let reference = reference_of(&shown, &reference, &ratio);
        let cells = [shown.label.to_owned(), shown.on.to_owned(), result, reference, ratio];
        table.row(cells.into_iter().chain([format!("{target}{}", missed(&verdict)), half]));
    }
    table
}

fn missed(verdict: &str) -> &'static str {
    if verdict == "BELOW" { " (missed)" } else { "" }
}

/// The rate of a reference with its name. Empty without a ratio: that column then holds something else.
fn reference_of(shown: &Shown, reference: &str, ratio: &str) -> String {
    let of_suite = || SUITES.iter().find(|(name, ..)| *name == shown.suite).map_or("", |(_, _, reference)| reference);
    let name = if shown.beside.is_empty() { of_suite() } else { shown.beside };
    let rate = reference.split_once(" (").map_or(reference, |(rate, _)| rate);
    if ratio.is_empty() { String::new() } else { format!("{rate} {name}").trim_end().to_owned() }
}

/// The number at the start of a cell, or after `≥`.
fn value(cell: &str) -> Option<f64> {
    let text: String = cell.trim_start_matches("≥ ").chars().take_while(|c| "0123456789.,".contains(*c)).collect();
    text.replace(',', "").parse().ok()
}

fn shares(raw: &Raw) -> BarChart {
    let line = |work: &str| raw.get("server").and_then(|file| file.line(work));
    let group = |(work, label): &(&str, &str)| {
        let line = line(work)?;
        Some(BarGroup { label: (*label).to_owned(), values: vec![value(&line.ratio)?], mark: value(&line.target) })
    };
    BarChart {
        title: "Throughput, as a share of an empty HTTP handler's".to_owned(),
        unit: "answers per second, divided by those of an empty handler in the same seconds".to_owned(),
        series: vec!["share".to_owned()],
        mark: "target".to_owned(),
        groups: SHARES.iter().filter_map(group).collect(),
    }
}

fn pgbench(raw: &Raw) -> BarChart {
    let line = |work: &str| raw.get("postgres").and_then(|file| file.line(work));
    let group = |(work, label): &(&str, &str)| {
        let line = line(work)?;
        let values = vec![value(&line.result)?, value(&line.reference)?];
        Some(BarGroup { label: (*label).to_owned(), values, mark: None })
    };
    BarChart {
        title: "On the same Postgres: the server, and pgbench with a transaction per request".to_owned(),
        unit: "requests per second".to_owned(),
        series: vec!["onsale, over HTTP".to_owned(), "pgbench, best of 16 to 64 clients".to_owned()],
        mark: String::new(),
        groups: PGBENCH.iter().filter_map(group).collect(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed step ends the test")]
mod tests {
    use super::*;

    /// The published page, with everything next to it.
    const PUBLISHED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/measurements/README.md");

    #[test]
    fn the_published_page_shows_exactly_the_raw_output() {
        let page = Page::at(Path::new(PUBLISHED));
        let (raw, document) = (page.raw().unwrap(), std::fs::read_to_string(PUBLISHED).unwrap());
        let refill = "run: ./bench page --doc docs/measurements/README.md";
        for (section, table) in SECTIONS.iter().zip([runs(&raw), results(&raw)]) {
            let filled = onsale_report::filled(&document, section, &table.to_string()).unwrap();
            assert_eq!(filled, document, "section {section} is old; {refill}");
        }
        assert!(!document.contains("not measured"), "a line of the page is missing in the raw output");
        let charts = [("shares.svg", shares(&raw)), ("postgres.svg", pgbench(&raw))];
        for (name, chart) in charts {
            let file = std::fs::read_to_string(page.folder("charts").join(name)).unwrap();
            assert_eq!(file, chart.svg(), "{name} is old; {refill}");
        }
        assert_eq!((shares(&raw).groups.len(), pgbench(&raw).groups.len()), (SHARES.len(), PGBENCH.len()));
    }
    #[test]
    fn the_published_page_of_a_grown_database_shows_exactly_the_raw_output() {
        let path = Path::new(PUBLISHED).with_file_name("grown.md");
        let document = std::fs::read_to_string(&path).unwrap();
        let section = grown::section(Page::at(&path).grown().unwrap().as_ref());
        let filled = onsale_report::filled(&document, grown::SECTION, &section).unwrap();
        assert_eq!(filled, document, "run: ./bench page --doc docs/measurements/grown.md");
    }
}
