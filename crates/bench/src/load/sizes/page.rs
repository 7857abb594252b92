//! The page of sizes: its tables, made from the raw output next to it, so that it shows nothing else.

use std::path::{Path, PathBuf};

use onsale_load_generator::Outcome;
use onsale_report::{Table, fill};
use serde_json::{Value, json};

use super::finding::Finding;

/// What a section shows before the first run.
const NOT_MEASURED: &str = "Not measured yet: `./bench sizes --doc docs/measurements/sizes.md` fills this in.";

/// A page in Markdown, with the folder `raw` next to it.
pub(super) struct Page {
    document: PathBuf,
}

impl Page {
    /// The page in this file.
    pub(super) fn at(document: &Path) -> Self {
        Self { document: document.to_owned() }
    }

    fn raw_file(&self) -> PathBuf {
        self.document.with_file_name("raw").join("sizes.json")
    }

    /// Keeps the findings of a run. Those of the same size are replaced.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub(super) fn keep(&self, about: &str, findings: &[Finding]) -> Outcome<()> {
        let mut all = self.raw()?;
        for finding in findings {
            let mut new = finding.clone();
            new.0["about"] = json!(about);
            match all.iter_mut().find(|known| known.text("name") == new.text("name")) {
                Some(known) => *known = new,
                None => all.push(new),
            }
        }
        std::fs::create_dir_all(self.document.with_file_name("raw"))?;
        let lines: Vec<String> = all.iter().map(|finding| finding.0.to_string()).collect();
        Ok(std::fs::write(self.raw_file(), format!("[\n{}\n]\n", lines.join(",\n")))?)
    }

    /// The findings that are kept.
    fn raw(&self) -> Outcome<Vec<Finding>> {
        if !self.raw_file().exists() {
            return Ok(Vec::new());
        }
        let all: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(self.raw_file())?)?;
        Ok(all.into_iter().map(Finding).collect())
    }

    /// Fills in the tables.
    ///
    /// # Errors
    /// If the page has no such sections, or cannot be written.
    pub(super) fn fill(&self) -> Outcome<()> {
        let findings = self.raw()?;
        for (section, text) in sections(&findings) {
            fill(&self.document, section, &text)?;
        }
        Ok(())
    }
}

/// The text of each section.
fn sections(findings: &[Finding]) -> [(&'static str, String); 2] {
    let measured = |kind: &str, table: Table, note: &str| {
        if !findings.iter().any(|finding| finding.text("kind") == kind) {
            return NOT_MEASURED.to_owned();
        }
        format!("{table}\n{note} Raw output: [sizes.json](raw/sizes.json). Commits: {}.", commits(findings))
    };
    [
        (
            "knees",
            measured(
                "knee",
                knees(findings),
                "Knee: whole purchases a second. Latencies in milliseconds at half of it. CPU µs: processor time of all instances \
                 for each of these purchases, with their start. Throttled: share of the periods of 100 ms in which an instance \
                 used up its time.",
            ),
        ),
        ("lines", measured("line", lines(findings), "Persons whose entry was acknowledged before the kill.")),
    ]
}

fn commits(findings: &[Finding]) -> String {
    let commit = |finding: &Finding| {
        let about = finding.text("about").to_owned();
        about.lines().find_map(|line| Some(line.strip_prefix("commit:")?.split_whitespace().next()?.to_owned()))
    };
    let mut all: Vec<String> = findings.iter().filter_map(commit).collect();
    all.sort();
    all.dedup();
    all.join(", ")
}

fn cell(finding: &Finding, name: &str, decimals: usize) -> String {
    finding.number(name).map_or_else(|| "–".to_owned(), |number| format!("{number:.decimals$}"))
}

fn of_kind<'a>(findings: &'a [Finding], kind: &'a str) -> impl Iterator<Item = &'a Finding> {
    findings.iter().filter(move |finding| finding.text("kind") == kind)
}

/// One line for each size whose knee was searched.
pub(super) fn knees(findings: &[Finding]) -> Table {
    let mut table = Table::new([
        "on",
        "instances",
        "CPU each",
        "MB each",
        "other limits",
        "knee",
        "enter p99",
        "poll p99",
        "pay p50",
        "pay p99",
        "CPU µs for each",
        "throttled",
        "peak MB",
        "anonymous MB",
        "kills",
        "remark",
    ]);
    for finding in of_kind(findings, "knee") {
        let mut others = Vec::new();
        if let Some((cpus, buffers)) = finding.number("postgresCpus").zip(finding.number("sharedBuffers")) {
            others.push(format!("Postgres {cpus:.2} CPU, {buffers} MB of shared buffers"));
        }
        others.extend(finding.number("redisCpus").map(|cpus| format!("Redis {cpus:.2} CPU")));
        others.extend(finding.number("period").map(|millis| format!("period {millis} ms")));
        let throttled = finding.number("throttled").map(|share| format!("{:.1} %", share * 100.0));
        let remark = if finding.text("failed").is_empty() { finding.text("verdict") } else { finding.text("failed") };
        table.row([
            finding.text("on").to_owned(),
            cell(finding, "instances", 0),
            cell(finding, "cpus", 2),
            cell(finding, "megabytes", 0),
            others.join(", "),
            cell(finding, "knee", 1),
            cell(finding, "enter", 1),
            cell(finding, "poll", 1),
            cell(finding, "payMedian", 1),
            cell(finding, "pay", 1),
            cell(finding, "micros", 0),
            throttled.unwrap_or_else(|| "–".to_owned()),
            cell(finding, "peak", 1),
            cell(finding, "anonymous", 1),
            cell(finding, "oomKills", 0),
            remark.to_owned(),
        ]);
    }
    table
}

/// One line for each size whose line was filled.
pub(super) fn lines(findings: &[Finding]) -> Table {
    let mut table = Table::new(["on", "MB", "entered", "end", "in line after a restart", "lost", "onsale audit"]);
    for finding in of_kind(findings, "line") {
        let is = |name: &str| finding.0[name].as_bool();
        let end = match (is("killed"), finding.text("failed")) {
            (Some(true), _) => "killed for memory",
            (Some(false), _) => "not killed",
            (None, reason) => reason,
        };
        table.row([
            finding.text("on").to_owned(),
            cell(finding, "megabytes", 0),
            cell(finding, "entered", 0),
            end.to_owned(),
            cell(finding, "found", 0),
            cell(finding, "lost", 0),
            is("sound").map_or("–", |is_sound| if is_sound { "passed" } else { "FAILED" }).to_owned(),
        ]);
    }
    table
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed step ends the test")]
mod tests {
    use super::*;

    /// The published page, with everything next to it.
    const PUBLISHED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/measurements/sizes.md");

    #[test]
    fn the_published_page_shows_exactly_the_raw_output() {
        let page = Page::at(Path::new(PUBLISHED));
        let (findings, document) = (page.raw().unwrap(), std::fs::read_to_string(PUBLISHED).unwrap());
        for (section, text) in sections(&findings) {
            let filled = onsale_report::filled(&document, section, &text).unwrap();
            let refill = "run: ./bench sizes page --doc docs/measurements/sizes.md";
            assert_eq!(filled, document, "section {section} is old; {refill}");
        }
    }
}
