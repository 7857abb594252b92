//! Bounds on the structure of a JSON text: one pass over its bytes, before any member is read.
//!
//! Everything after this pass works on lists of bounded length, so its cost is linear in the bytes too.

use std::ops::Range;

/// The most members of an object, those named twice included.
pub(crate) const MEMBERS_MAX: usize = 64;

/// The most elements of an array.
pub(crate) const ELEMENTS_MAX: usize = 1_000;

/// The most objects and arrays within one another.
pub(crate) const DEPTH_MAX: usize = 32;

/// A bound that a text passes: the dotted path of the value, and what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Beyond {
    pub(super) path: String,
    pub(super) message: &'static str,
}

/// An object or array that is not closed yet.
struct Open {
    is_object: bool,
    /// Members or elements that have begun.
    begun: usize,
    /// The next token begins a member or an element.
    expects_one: bool,
    /// The position of the name of the current member, quotes included.
    name: Range<usize>,
}

/// Checks a text that is valid JSON.
///
/// # Errors
/// The first value that has more than [`MEMBERS_MAX`] members, [`ELEMENTS_MAX`] elements or [`DEPTH_MAX`] levels.
pub(super) fn check(json: &str) -> Result<(), Beyond> {
    let bytes = json.as_bytes();
    let mut open: Vec<Open> = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let token = at;
        at = if *byte == b'"' { end_of_string(bytes, at) } else { at + 1 };
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' | b':' => continue,
            b'}' | b']' => {
                open.pop();
                continue;
            }
            b',' => {
                if let Some(parent) = open.last_mut() {
                    parent.expects_one = true;
                }
                continue;
            }
            _ => {}
        }
        if let Some(parent) = open.last_mut().filter(|parent| parent.expects_one) {
            parent.expects_one = false;
            parent.begun += 1;
            parent.name = token..at;
            let (most, message) = match parent.is_object {
                true => (MEMBERS_MAX, "must have at most 64 members"),
                false => (ELEMENTS_MAX, "must have at most 1,000 elements"),
            };
            if parent.begun > most {
                open.pop();
                return Err(Beyond { path: path(json, &open), message });
            }
        }
        if matches!(byte, b'{' | b'[') {
            if open.len() == DEPTH_MAX {
                return Err(Beyond { path: path(json, &open), message: "must be nested at most 32 deep" });
            }
            open.push(Open { is_object: *byte == b'{', begun: 0, expects_one: true, name: 0..0 });
        }
    }
    Ok(())
}

/// The index after a string's closing quote.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        at += match byte {
            b'"' => return at + 1,
            b'\\' => 2,
            _ => 1,
        };
    }
    at
}

/// The dotted path of the value that is under way in these; `body` for the whole text.
fn path(json: &str, open: &[Open]) -> String {
    if open.is_empty() {
        return "body".to_owned();
    }
    let part = |parent: &Open| match parent.is_object {
        true => serde_json::from_str(&json[parent.name.clone()]).unwrap_or_default(),
        false => (parent.begun - 1).to_string(),
    };
    open.iter().map(part).collect::<Vec<String>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beyond(json: &str) -> Option<(String, &'static str)> {
        assert!(serde_json::from_str::<&serde_json::value::RawValue>(json).is_ok(), "valid JSON: {json}");
        check(json).err().map(|Beyond { path, message }| (path, message))
    }

    fn members(count: usize) -> String {
        let all: Vec<String> = (0..count).map(|number| format!(r#""m{number}" : {number}"#)).collect();
        format!("{{ {} }}", all.join(" , "))
    }

    fn elements(count: usize) -> String {
        format!("[{}]", vec!["-1.5e3"; count].join(","))
    }

    #[test]
    fn a_value_at_its_bound_passes() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        for json in [members(64), elements(1_000), nested(32), "{}".to_owned(), "[]".to_owned(), "5".to_owned()] {
            assert_eq!(beyond(&json), None, "{json}");
        }
        let many = format!("[{}]", vec![members(64); 3].join(","));
        assert_eq!(beyond(&many), None, "each object has members of its own");
    }

    #[test]
    fn a_value_beyond_its_bound_is_named() {
        let (few, much) = ("must have at most 64 members", "must have at most 1,000 elements");
        let table = [
            (members(65), "body", few),
            (elements(1_001), "body", much),
            (format!(r#"{{"a":{{}},"queue":{}}}"#, members(65)), "queue", few),
            (format!(r#"{{"seats":[[],{{"from":{}}}]}}"#, elements(1_001)), "seats.1.from", much),
            (format!(r#"{{"\u0061\"[":{}}}"#, elements(1_001)), "a\"[", much),
            (r#"{"a":"#.repeat(33) + "1" + &"}".repeat(33), &["a"; 32].join("."), "must be nested at most 32 deep"),
        ];
        for (json, path, message) in table {
            assert_eq!(beyond(&json), Some((path.to_owned(), message)), "{}", &json[..json.len().min(80)]);
        }
    }

    #[test]
    fn strings_and_their_quotes_hold_no_structure() {
        let json = format!(r#"{{"a":"{}","b":"\\","c":"\"{}"}}"#, "[{,".repeat(2_000), ",".repeat(2_000));
        assert_eq!(beyond(&json), None);
    }
}
