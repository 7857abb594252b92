//! Reads `sqlite://FILE`: the name of a file, and nothing else.
//!
//! SQLite's own URIs have more (`file:`, `:memory:`, `?mode=ro`). None of it fits a sale. Read as plain names they would
//! create a file that the operator did not mean, so all of it is refused.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;

/// The end of each error: which URLs can be used.
const USABLE: &str =
    "use sqlite://FILE, relative to the working folder, or sqlite:///FOLDER/FILE; write a special character as %XX";

/// Reads the file's name from a SQLite URL; `None` if the text is not a SQLite URL.
///
/// # Errors
/// What is wrong, and which URLs can be used, to be read after the setting's name.
pub(super) fn parse(text: &str) -> Option<Result<PathBuf, String>> {
    let (scheme, rest) = text.split_once(':')?;
    let rest = match scheme.to_ascii_lowercase().as_str() {
        "sqlite" => rest,
        // SQLite's own scheme.
        "file" => return Some(Err(format!("is a URI in SQLite's own scheme; {USABLE}"))),
        _ => return None,
    };
    let name = rest.strip_prefix("//").unwrap_or(rest);
    let problem = match file(name) {
        Ok(path) => return Some(Ok(path)),
        Err(problem) => problem,
    };
    Some(Err(format!("{problem}; {USABLE}")))
}

fn file(name: &str) -> Result<PathBuf, String> {
    if name.is_empty() {
        return Err("names no file".to_owned());
    }
    if name.to_ascii_lowercase().contains(":memory:") {
        return Err("is a database in memory, which is lost when the process ends".to_owned());
    }
    if let Some((_, parameters)) = name.split_once('?') {
        return Err(format!("has parameters (?{parameters}), which are not supported"));
    }
    if name.contains('#') {
        return Err("has a fragment (#)".to_owned());
    }
    if name.to_ascii_lowercase().starts_with("file:") {
        return Err("has a URI in SQLite's own scheme (file:)".to_owned());
    }
    let bytes = name.trim_start_matches('/').as_bytes();
    if name.contains('\\') || (bytes.get(1) == Some(&b':') && bytes[0].is_ascii_alphabetic()) {
        return Err("names a Windows path, and this program does not run on Windows".to_owned());
    }
    let name = decoded(name)?;
    if name.chars().any(char::is_control) {
        return Err("has a control character".to_owned());
    }
    if name.trim() != name {
        return Err("begins or ends with white space".to_owned());
    }
    if name.ends_with('/') || name == "." || name == ".." || name.ends_with("/.") || name.ends_with("/..") {
        return Err("names a folder".to_owned());
    }
    Ok(PathBuf::from(name))
}

/// Decodes each `%XX` as a byte of UTF-8.
fn decoded(name: &str) -> Result<String, String> {
    let is_sound = name.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if !is_sound {
        return Err("has a % without two hexadecimal digits after it (write %25 for a % itself)".to_owned());
    }
    let name = percent_decode_str(name).decode_utf8();
    name.map(std::borrow::Cow::into_owned).map_err(|_| "is not UTF-8 once %XX is decoded".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_as_the_name_of_a_file() {
        let table = [
            ("sqlite://onsale.db", "onsale.db"),
            ("sqlite:onsale.db", "onsale.db"),
            ("SQLite://onsale.db", "onsale.db"),
            ("sqlite:///var/lib/onsale/sale.db", "/var/lib/onsale/sale.db"),
            ("sqlite:/var/lib/sale.db", "/var/lib/sale.db"),
            ("sqlite://./folder/../sale.db", "./folder/../sale.db"),
            ("sqlite://my%20sale.db", "my sale.db"),
            ("sqlite://my sale.db", "my sale.db"),
            ("sqlite://100%25.db", "100%.db"),
            ("sqlite://what%3f.db", "what?.db"),
            ("sqlite://a%23b.db", "a#b.db"),
            ("sqlite://%EA%B3%B5%EC%97%B0.db", "공연.db"),
            ("sqlite://공연.db", "공연.db"),
            ("sqlite://back%5Cslash.db", "back\\slash.db"),
        ];
        for (url, name) in table {
            assert_eq!(parse(url), Some(Ok(PathBuf::from(name))), "{url}");
        }
    }

    #[test]
    fn anything_but_the_name_of_a_file_is_refused_with_the_reason() {
        let table = [
            ("sqlite://", "names no file"),
            ("sqlite:", "names no file"),
            ("sqlite://:memory:", "memory"),
            ("sqlite::memory:", "memory"),
            ("sqlite://file::memory:?cache=shared", "memory"),
            ("sqlite://x.db?mode=ro", "?mode=ro"),
            ("sqlite://x.db?mode=rwc", "?mode=rwc"),
            ("sqlite:///x.db?immutable=1", "?immutable=1"),
            ("sqlite://x.db?", "parameters"),
            ("sqlite://x.db#top", "fragment"),
            ("sqlite://file:x.db", "file:"),
            ("file:x.db", "SQLite's own"),
            ("file:///x.db?mode=ro", "SQLite's own"),
            ("sqlite://C:\\sale\\x.db", "Windows"),
            ("sqlite:///C:/sale/x.db", "Windows"),
            ("sqlite://c:x.db", "Windows"),
            ("sqlite://a\\b.db", "Windows"),
            ("sqlite://100%.db", "%25"),
            ("sqlite://a%zz.db", "%25"),
            ("sqlite://a%2", "%25"),
            ("sqlite://a%+1.db", "%25"),
            ("sqlite://%ff.db", "UTF-8"),
            ("sqlite://a%00b.db", "control"),
            ("sqlite://a%0Ab.db", "control"),
            ("sqlite://x.db ", "white space"),
            ("sqlite:// x.db", "white space"),
            ("sqlite://x.db%20", "white space"),
            ("sqlite://folder/", "folder"),
            ("sqlite://.", "folder"),
            ("sqlite:///", "folder"),
            ("sqlite:///var/..", "folder"),
        ];
        for (url, problem) in table {
            let refused = parse(url).unwrap_or_else(|| panic!("{url} is a URL of SQLite")).unwrap_err();
            assert!(refused.contains(problem) && refused.contains("use sqlite://FILE"), "{url}: {refused}");
        }
        for other in ["onsale.db", "postgres://u@h/d", "mysql://h/d", ""] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
