//! The words and options of `./bench sizes`.

use std::path::PathBuf;

use onsale_load_generator::Outcome;

use super::cell::{Cell, matrix};

/// The word that selects this suite.
pub(crate) const SUITE: &str = "sizes";

/// What the words after `sizes` select.
pub(crate) enum Sizes {
    /// Prints the names of the sizes, a line each.
    List(Given),
    /// Fills in this page from its raw output.
    Page(PathBuf),
    /// Measures sizes and prints their tables.
    Run(Given),
}

/// The sizes to measure.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    /// `full`, `quick` or `tiny`.
    pub(super) size: &'static str,
    /// Words that the name of a size must contain.
    names: Vec<String>,
    /// The page to fill in.
    pub(super) document: Option<PathBuf>,
    /// The program to measure, if it is not the one next to this one.
    pub(super) program: Option<PathBuf>,
}

impl Given {
    /// The sizes to measure, in the order of the tables.
    pub(super) fn cells(&self) -> Vec<Cell> {
        let of_machine = std::thread::available_parallelism().map_or(1.0, |count| count.get() as f64);
        let mut cells = matrix(self.size, of_machine);
        cells.retain(|cell| self.names.iter().all(|name| cell.to_string().contains(name.as_str())));
        cells
    }
}

/// Reads the words after `sizes`.
///
/// # Errors
/// If no size has all of the words in its name, or `page` has no document.
pub(crate) fn read(
    words: &[String],
    is_tiny: bool,
    document: Option<PathBuf>,
    program: Option<PathBuf>,
) -> Outcome<Sizes> {
    let mut given = Given { size: if is_tiny { "tiny" } else { "full" }, names: Vec::new(), document, program };
    let mut is_list = false;
    for word in words {
        match word.as_str() {
            "list" => is_list = true,
            "page" => return given.document.map(Sizes::Page).ok_or_else(|| "sizes page needs --doc FILE".into()),
            "quick" => given.size = "quick",
            _ => given.names.push(word.clone()),
        }
    }
    if given.cells().is_empty() {
        return Err(format!("no size has {:?} in its name; ./bench sizes list prints them", given.names).into());
    }
    Ok(if is_list { Sizes::List(given) } else { Sizes::Run(given) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed step ends the test")]
mod tests {
    use super::*;

    fn cells(text: &str) -> Vec<Cell> {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        match read(&words, false, None, None).unwrap() {
            Sizes::Run(given) | Sizes::List(given) => given.cells(),
            Sizes::Page(_) => Vec::new(),
        }
    }

    #[test]
    fn words_choose_sizes_by_their_names() {
        assert!(cells("quick").len() < cells("").len());
        assert!(cells("line sqlite").iter().all(|cell| cell.is_line && !cell.to_string().contains("shared")));
        assert_eq!((cells("line sqlite").len(), cells("Redis").len()), (4, 2));
        let unknown = read(&["mysql".to_owned()], false, None, None).err().map(|error| error.to_string());
        assert!(unknown.unwrap().contains("mysql"));
        assert!(read(&["page".to_owned()], false, None, None).is_err());
    }
}
