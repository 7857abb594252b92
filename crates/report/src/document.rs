//! Documents with sections that a program fills in, between `<!-- begin NAME -->` and `<!-- end NAME -->`.

use std::io;
use std::path::Path;

/// The document with the text of a section replaced. `None` if it has no such section.
pub fn filled(document: &str, section: &str, text: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- begin {section} -->\n"), format!("<!-- end {section} -->"));
    let (before, rest) = document.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{}\n\n{end}{after}", text.trim()))
}

/// Replaces the text of a section in a file.
///
/// # Errors
/// If the file cannot be read or written; `NotFound` if it has no such section.
pub fn fill(file: &Path, section: &str, text: &str) -> io::Result<()> {
    let document = std::fs::read_to_string(file)?;
    let missing = || io::Error::new(io::ErrorKind::NotFound, format!("{} has no section {section}", file.display()));
    std::fs::write(file, filled(&document, section, text).ok_or_else(missing)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed step ends the test")]
mod tests {
    use super::*;

    #[test]
    fn filling_a_section_again_replaces_its_text() {
        let document = "# A\n<!-- begin b -->\n<!-- end b -->\nrest\n";
        let once = filled(document, "b", "one\n").unwrap();
        assert_eq!(once, "# A\n<!-- begin b -->\n\none\n\n<!-- end b -->\nrest\n");
        assert_eq!(filled(&once, "b", "one").unwrap(), once);
        assert_eq!(filled(&once, "c", "one"), None);
    }
}
