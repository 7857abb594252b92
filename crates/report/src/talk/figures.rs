//! The figures of a presentation: each is a cell of a table that a command prints.

use std::collections::BTreeMap;
use std::path::Path;

use super::tables::{cell, rows, section};

/// The text in place of a figure that was not measured yet.
const NOT_MEASURED: &str = "–";

/// A figure, as the list of figures names it.
pub(super) struct Figure {
    /// What the slide shows, such as `12,345` or `1 of 200`; [`NOT_MEASURED`] if the table is empty.
    pub(super) text: String,
    /// The document, from the folder of documents.
    pub(super) document: String,
    /// Section, heading, row and column: read when the pointer rests on the figure.
    pub(super) place: String,
}

impl Figure {
    /// The number at the beginning of the text, for the length of a bar: digits and a point. `0` if there is none.
    pub(super) fn number(&self) -> String {
        let digits: String =
            self.text.chars().take_while(|found| found.is_ascii_digit() || ",.".contains(*found)).collect();
        let digits = digits.replace(',', "");
        if digits.parse::<f64>().is_ok() { digits } else { "0".to_owned() }
    }
}

/// All figures by name, and the command of each document that has one.
pub(super) struct Figures {
    pub(super) all: BTreeMap<String, Figure>,
    pub(super) commands: BTreeMap<String, String>,
}

/// What of a cell a slide shows: `all` of it, the word `after TEXT`, the words `before TEXT`, or all before a remark in
/// parentheses.
fn shown(cell: &str, show: &str) -> Result<String, String> {
    if let Some(end) = show.strip_prefix("before ") {
        return Ok(cell.split(end).next().unwrap_or_default().trim().to_owned());
    }
    match show.strip_prefix("after ") {
        Some(words) => {
            let (_, rest) = cell.split_once(words).ok_or_else(|| format!("\"{cell}\" has no \"{words}\""))?;
            Ok(rest.split_whitespace().next().unwrap_or_default().trim_matches([',', ';']).to_owned())
        }
        None if show == "all" => Ok(cell.to_owned()),
        None => Ok(cell.split(" (").next().unwrap_or_default().to_owned()),
    }
}

impl Figures {
    /// Reads the list `figures.md` of `folder`, and each figure from its document below `documents`.
    ///
    /// # Errors
    /// If the list, a document or a section cannot be read, or if a table that was measured has no such cell.
    pub(super) fn read(folder: &Path, documents: &Path) -> Result<Self, String> {
        let list = read(&folder.join("figures.md"))?;
        let mut texts = BTreeMap::new();
        let mut all = BTreeMap::new();
        for line in rows(&list, "figure").ok_or("figures.md has no table of figures")? {
            let [name, document, part, heading, row, column, show] = &line[..] else {
                return Err(format!("a line of figures.md has not seven cells: {line:?}"));
            };
            if !texts.contains_key(document) {
                texts.insert(document.clone(), read(&documents.join(document))?);
            }
            let at = |why: String| format!("{name}: {document}, section {part}: {why}");
            let text = section(&texts[document], part).ok_or_else(|| at("no such section".to_owned()))?;
            let found = cell(text, heading, row, column).map_err(at)?;
            let text = match found.as_deref() {
                None | Some("" | "–" | "not measured") => NOT_MEASURED.to_owned(),
                Some(text) => shown(text, show).map_err(at)?,
            };
            let place =
                [part, heading, row, column].into_iter().filter(|text| !text.is_empty()).cloned().collect::<Vec<_>>();
            let figure = Figure { text, document: document.clone(), place: place.join(" › ") };
            if all.insert(name.clone(), figure).is_some() {
                return Err(format!("figures.md has {name} twice"));
            }
        }
        let commands = rows(&list, "document").ok_or("figures.md has no table of commands")?;
        let commands =
            commands.into_iter().filter_map(|line| Some((line.first()?.clone(), line.get(1)?.clone()))).collect();
        Ok(Self { all, commands })
    }

    /// # Errors
    /// If the list has no such figure.
    pub(super) fn named(&self, name: &str) -> Result<&Figure, String> {
        self.all.get(name).ok_or_else(|| format!("figures.md has no figure {name}"))
    }
}

/// # Errors
/// With the name of the file if it cannot be read.
pub(super) fn read(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slide_shows_the_part_of_a_cell_that_it_wants() {
        let is = |text: &str| Ok(text.to_owned());
        assert_eq!(shown("12,345 (12,000 to 13,000)", ""), is("12,345"));
        assert_eq!(shown("12,345 (12,000 to 13,000)", "all"), is("12,345 (12,000 to 13,000)"));
        assert_eq!(shown("passed; knee 120/s; late", "after knee "), is("120/s"));
        assert_eq!(shown("passed; knee 120/s; late", "before ;"), is("passed"));
        assert!(shown("passed", "after knee ").is_err());
    }

    #[test]
    fn a_bar_is_as_long_as_the_number_at_the_beginning() {
        let of = |text: &str| Figure { text: text.to_owned(), document: String::new(), place: String::new() }.number();
        assert_eq!(["12,345 †", "0.66", "595 of 1000", "–"].map(of), ["12345", "0.66", "595", "0"]);
    }
}
