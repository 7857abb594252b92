//! The table of a grown database: SQLite and Postgres next to each other, from the file of raw output.

use onsale_report::Table;

use super::raw_file::{RawFile, RawLine};

/// The name of the section, of the suite and of its file of raw output.
pub(crate) const SECTION: &str = "grown";

/// The databases, as they begin the names of lines.
const DATABASES: [&str; 2] = ["SQLite", "Postgres"];

/// The text of the section.
pub(crate) fn section(raw: Option<&RawFile>) -> String {
    let Some(raw) = raw else { return "Not measured yet: `./bench grown --doc` fills in this table.".to_owned() };
    let mut table = Table::new(["what", "SQLite, small", "grown", "ratio", "Postgres, small", "grown", "ratio"]);
    for what in names(raw) {
        let cells = DATABASES.map(|database| cells(raw.line(&format!("{database}: {what}"))));
        table.row(std::iter::once(what.to_owned()).chain(cells.into_iter().flatten()));
    }
    format!("Commit `{}`; raw output: [grown.txt](raw/{SECTION}.txt).\n\n{table}", raw.commit)
}

/// What was measured on any of the databases, in order.
fn names(raw: &RawFile) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    // Postgres first: it has lines that a file has not.
    for database in DATABASES.iter().rev() {
        let of_database = raw.lines().iter().filter_map(|line| line.work.strip_prefix(database)?.strip_prefix(": "));
        for name in of_database {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

fn cells(line: Option<&RawLine>) -> [String; 3] {
    let Some(line) = line else { return Default::default() };
    let ratio = line.ratio.parse::<f64>().map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
    // A number that decides is in bold if it missed its target.
    let ratio = if line.verdict == "BELOW" { format!("**{ratio}**") } else { ratio };
    [line.reference.clone(), line.result.clone(), ratio]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::print::{Heads, table};
    use crate::results::{Figure, Line, Results, Target};

    #[test]
    fn both_databases_stand_next_to_each_other() {
        let mut results = Results::default();
        let line = |name: &str, small: &str, grown: &str, ratio: f64| {
            let [reference, result] = [small, grown].map(|text| Figure::Words(text.to_owned()));
            Line { reference, result, ratio: Some(ratio), ..Line::new(name) }.judged(Target::at_most(2.0), ratio)
        };
        results.add(line("SQLite: balance", "0.40 ms", "0.50 ms", 1.25));
        results.add(line("Postgres: balance", "0.40 ms", "1.20 ms", 3.0));
        results.add(line("Postgres: only here", "1 s", "2 s", 2.0));
        let text = format!("commit:  68a6a2c A subject\n\n{}", table(&results, Heads::Mixed));
        let section = section(Some(&RawFile::parse(&text)));
        let words: Vec<Vec<&str>> = section.lines().map(|line| line.split('|').map(str::trim).collect()).collect();
        assert!(
            words.contains(&vec!["", "balance", "0.40 ms", "0.50 ms", "1.25", "0.40 ms", "1.20 ms", "**3.00**", ""])
        );
        assert!(words.contains(&vec!["", "only here", "", "", "", "1 s", "2 s", "2.00", ""]), "{section}");
    }
}
