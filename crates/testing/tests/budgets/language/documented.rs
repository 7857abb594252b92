//! Doc comments: none that only repeats a name, and one for each HTTP handler.

use regex::Regex;

/// A doc comment has more words than this, or names a unit.
const SHORT: usize = 3;

const UNITS: &str = r"(?i)\b(milli|micro|nano)?seconds?\b|\b(minutes?|hours?|days?|bytes?|points?|UTC|percent|per|lines?|rows?|empty|none|first|until|number of|see)\b|`|\d";

/// The lines, from 1, of doc comments of at most three words without a unit, a name, a number or a reference.
pub(crate) fn short(text: &str) -> Vec<(usize, String)> {
    let unit = Regex::new(UNITS).unwrap();
    let mut found = Vec::new();
    let mut block: Option<(usize, String)> = None;
    let lines = text.lines().chain([""]);
    for (at, line) in lines.enumerate() {
        let line = line.trim_start();
        match (line.strip_prefix("///").or_else(|| line.strip_prefix("//!")), &mut block) {
            (Some(more), Some((_, words))) => words.push_str(more),
            (Some(first), None) => block = Some((at + 1, first.to_owned())),
            (None, _) => found.extend(
                block.take().filter(|(_, words)| words.split_whitespace().count() <= SHORT && !unit.is_match(words)),
            ),
        }
    }
    found
}

/// Module and name of each handler in the text of the router: the first path after the quoted route.
pub(crate) fn handlers(router: &str) -> Vec<(String, String)> {
    let route = Regex::new(r#""/[^"]*",?\s*(?:\w+\()?\s*(?:\w+::)*(\w+)::(\w+)"#).unwrap();
    route.captures_iter(router).map(|found| (found[1].to_owned(), found[2].to_owned())).collect()
}

/// Whether a function stands in this text: with a doc comment, without one, or `None` if it is not here.
pub(crate) fn is_documented(text: &str, function: &str) -> Option<bool> {
    let starts = Regex::new(&format!(r"^\s*pub(\([^)]*\))? (async )?fn {function}\b")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let at = lines.iter().position(|line| starts.is_match(line))?;
    let above = lines[..at].iter().rev().map(|line| line.trim_start());
    // Attributes between the comment and the function may take several lines; a blank line or the end of a block ends
    // the search.
    let mut above = above.take_while(|line| !line.is_empty() && *line != "}");
    Some(above.any(|line| line.starts_with("///")))
}

#[test]
fn a_short_comment_with_a_unit_is_fine() {
    let text = "/// When.\nx\n/// In seconds.\ny\n    /// By its\n    /// key.\nz\n/// More than three words.\n";
    assert_eq!(short(text), [(1, " When.".to_owned()), (5, " By its key.".to_owned())]);
}

#[test]
fn a_handler_without_a_comment_is_found() {
    let router = ".on(M::GET,  \"/a/{id}\",   wallet::get_a, docs::wallet::get_a)\n.route(\"/b\", post(desk::b))";
    let named = |module: &str, name: &str| (module.to_owned(), name.to_owned());
    assert_eq!(handlers(router), [named("wallet", "get_a"), named("desk", "b")]);
    let text = "/// Returns.\n#[x(\n  y\n)]\npub(crate) async fn one() {\n}\npub async fn two() {}\n";
    assert_eq!(["one", "two", "three"].map(|name| is_documented(text, name)), [Some(true), Some(false), None]);
}
