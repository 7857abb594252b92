//! The page of load tests: its tables and charts, made from the raw output next to it, so that it shows nothing else.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use onsale_load_generator::Outcome;
use onsale_report::fill;
use serde_json::{Value, json};

use super::super::record::Record;
use super::super::scenario::Scenarios;
use super::{charts, tables};

/// What a section shows before the first run.
const NOT_MEASURED: &str = "Not measured yet: `./bench load --doc docs/measurements/load-test.md` fills this in.";

/// A page in Markdown, with the folders `raw` and `charts` next to it.
pub(in crate::load) struct Page {
    document: PathBuf,
}

impl Page {
    /// The page in this file.
    pub(in crate::load) fn at(document: &Path) -> Self {
        Self { document: document.to_owned() }
    }

    fn raw_file(&self) -> PathBuf {
        self.document.with_file_name("raw").join("load.json")
    }

    /// Keeps the records of a run. Those of the same scenario, deployment and generator are replaced.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub(in crate::load) fn keep(&self, about: &str, records: &[Record]) -> Outcome<()> {
        let mut all: Vec<Value> = self.raw()?.into_iter().map(|record| record.0).collect();
        for record in records {
            let mut new = record.0.clone();
            new["about"] = json!(about);
            let known = all.iter_mut().find(|known| Record((*known).clone()).title() == record.title());
            match known {
                Some(known) => *known = new,
                None => all.push(new),
            }
        }
        std::fs::create_dir_all(self.document.with_file_name("raw"))?;
        let lines: Vec<String> = all.iter().map(Value::to_string).collect();
        Ok(std::fs::write(self.raw_file(), format!("[\n{}\n]\n", lines.join(",\n")))?)
    }

    /// The records that are kept.
    fn raw(&self) -> Outcome<Vec<Record>> {
        if !self.raw_file().exists() {
            return Ok(Vec::new());
        }
        let all: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(self.raw_file())?)?;
        Ok(all.into_iter().map(Record).collect())
    }

    /// Fills in the tables, and draws the charts.
    ///
    /// # Errors
    /// If the page has no such sections, or a file cannot be written.
    pub(in crate::load) fn fill(&self, scenarios: &Scenarios) -> Outcome<()> {
        let records = self.raw()?;
        for (section, text) in sections(scenarios, &records)? {
            fill(&self.document, section, &text)?;
        }
        let folder = self.document.with_file_name("charts");
        std::fs::create_dir_all(&folder)?;
        for record in &records {
            if let Some(file) = charts::file(record) {
                std::fs::write(folder.join(file), charts::chart(record).svg())?;
            }
        }
        Ok(())
    }
}

/// The text of each section.
fn sections(scenarios: &Scenarios, records: &[Record]) -> Outcome<[(&'static str, String); 5]> {
    let measured = |text: String| if records.is_empty() { NOT_MEASURED.to_owned() } else { text };
    Ok([
        ("objectives", tables::objectives(scenarios)?.to_string()),
        ("scenarios", tables::scenarios(scenarios).to_string()),
        ("results", measured(results(records))),
        ("routes", measured(tables::routes(records).to_string())),
        ("resources", measured(tables::resources(records).to_string())),
    ])
}

fn results(records: &[Record]) -> String {
    let commits = |record: &Record| {
        let about = record.text("about");
        about.lines().find_map(|line| Some(line.strip_prefix("commit:")?.split_whitespace().next()?.to_owned()))
    };
    let mut all: Vec<String> = records.iter().filter_map(commits).collect();
    all.sort();
    all.dedup();
    let mut text = format!(
        "{}\nLatencies in milliseconds, from due to answered. Scale × stretch: factors of rates and durations. Commits: {}. Raw \
         output: [load.json](raw/load.json).\n",
        tables::results(records),
        all.join(", ")
    );
    for record in records {
        if let Some(file) = charts::file(record) {
            let _ = write!(text, "\n![{}](charts/{file})\n", record.title());
        }
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed step ends the test")]
mod tests {
    use super::*;

    /// The published page, with everything next to it.
    const PUBLISHED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/measurements/load-test.md");

    #[test]
    fn the_published_page_shows_exactly_the_scenarios_and_the_raw_output() {
        let page = Page::at(Path::new(PUBLISHED));
        let (records, document) = (page.raw().unwrap(), std::fs::read_to_string(PUBLISHED).unwrap());
        let refill = "run: ./bench load page --doc docs/measurements/load-test.md";
        for (section, text) in sections(&Scenarios::read().unwrap(), &records).unwrap() {
            let filled = onsale_report::filled(&document, section, &text).unwrap();
            assert_eq!(filled, document, "section {section} is old; {refill}");
        }
        for record in &records {
            let Some(name) = charts::file(record) else { continue };
            let file = std::fs::read_to_string(page.document.with_file_name("charts").join(&name)).unwrap();
            assert_eq!(file, charts::chart(record).svg(), "{name} is old; {refill}");
        }
    }
}
