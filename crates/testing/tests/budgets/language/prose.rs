//! Finds the prose of a file: its comments, texts and names, with the line of each.

use regex::Regex;

/// Text of one file. Lines of one paragraph are joined by a space, so that a phrase is found across a line break;
/// everything else is separated by a line feed.
#[derive(Default)]
pub(crate) struct Prose {
    pub(crate) text: String,
    /// For each piece its offset in `text` and its line in the file, from 1.
    starts: Vec<(usize, usize)>,
}

impl Prose {
    fn push(&mut self, line: usize, piece: &str, is_joined: bool) {
        self.text.push(if is_joined { ' ' } else { '\n' });
        self.starts.push((self.text.len(), line));
        self.text.push_str(piece.trim());
    }

    /// The line in the file, from 1, of an offset in `text`.
    pub(crate) fn line(&self, offset: usize) -> usize {
        let after = self.starts.partition_point(|(start, _)| *start <= offset);
        self.starts[after.saturating_sub(1)].1
    }
}

/// Prose and names of a file. Names are the identifiers of Rust code, with spaces for underscores.
pub(crate) fn read(name: &str, text: &str) -> (Prose, Prose) {
    if name.ends_with(".rs") {
        return rust(text);
    }
    let mut prose = Prose::default();
    let mut before = String::new();
    let (mut is_fenced, is_document) = (false, name.ends_with(".md"));
    let is_javascript = name.ends_with(".js") || name.ends_with(".ts");
    let quoted = Regex::new(r#""(?:[^"\\]|\\.)*"|`[^`]*`|//.*"#).unwrap();
    let starts = Regex::new(r"^\s*(///?|//!|/\*+|\*|#!?|--+)(\s|$)").unwrap();
    let item = Regex::new(r"^\s*([-*|>#]|\d+\.)").unwrap();
    for (at, line) in text.lines().enumerate() {
        is_fenced ^= is_document && line.trim_start().starts_with("```");
        let marker = starts.captures(line).map_or("", |found| found.get(1).unwrap().as_str());
        let is_joined = if is_document {
            !is_fenced && !before.trim().is_empty() && !item.is_match(line)
        } else {
            !marker.is_empty() && before == marker
        };
        let piece = line.trim_start().strip_prefix(marker).unwrap_or(line);
        let texts: String;
        // Of a line of JavaScript that is no comment, the texts: identifiers have their own words.
        let piece = if is_javascript && marker.is_empty() {
            texts = quoted.find_iter(line).map(|found| found.as_str()).collect::<Vec<_>>().join("\n");
            &texts
        } else {
            piece
        };
        prose.push(at + 1, if is_document { line } else { piece }, is_joined);
        (if is_document { line } else { marker }).clone_into(&mut before);
    }
    (prose, Prose::default())
}

/// The state at the beginning of a line of Rust.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Code,
    Text,
    /// A raw text, with this many `#`.
    Raw(usize),
}

fn rust(text: &str) -> (Prose, Prose) {
    let function = Regex::new(r"\bfn (\w+)").unwrap();
    let (mut prose, mut names) = (Prose::default(), Prose::default());
    let mut place = Place::Code;
    let mut is_comment_before = false;
    for (at, line) in text.lines().enumerate() {
        let is_text_before = place != Place::Code;
        let (code, texts, comment) = split(line, &mut place);
        if !texts.trim().is_empty() {
            prose.push(at + 1, &texts, is_text_before);
        }
        for found in function.captures_iter(&code) {
            prose.push(at + 1, &found[1].replace('_', " "), false);
        }
        names.push(at + 1, &code.replace('_', " "), false);
        let is_alone = code.trim().is_empty() && !is_text_before;
        if let Some(comment) = comment {
            prose.push(at + 1, comment.trim_start_matches(['/', '!']), is_alone && is_comment_before);
        }
        is_comment_before = comment.is_some() && is_alone;
    }
    (prose, names)
}

/// Splits a line of Rust into code, texts and the comment at its end.
fn split<'a>(line: &'a str, place: &mut Place) -> (String, String, Option<&'a str>) {
    let (mut code, mut texts) = (String::new(), String::new());
    let mut rest = line;
    while let Some(next) = rest.chars().next() {
        let mut taken = next.len_utf8();
        match *place {
            Place::Text if next == '\\' => taken += rest[taken..].chars().next().map_or(0, char::len_utf8),
            Place::Text if next == '"' => *place = Place::Code,
            Place::Raw(hashes) if rest.starts_with(&format!("\"{}", "#".repeat(hashes))) => {
                *place = Place::Code;
                taken += hashes;
            }
            Place::Text | Place::Raw(_) => texts.push(next),
            Place::Code if rest.starts_with("//") => return (code, texts, Some(rest)),
            Place::Code if next == '"' => {
                let hashes = code.len() - code.trim_end_matches('#').len();
                let is_raw = code.trim_end_matches('#').ends_with('r');
                *place = if is_raw { Place::Raw(hashes) } else { Place::Text };
                texts.push('\u{1}');
            }
            // A character, or a lifetime.
            Place::Code if next == '\'' => {
                let mut following = rest.chars().skip(1);
                let is_escaped = following.next() == Some('\\');
                let end = if is_escaped { rest[3..].find('\'').map(|at| at + 4) } else { None };
                let is_character = following.next() == Some('\'');
                let length = rest.chars().take(3).map(char::len_utf8).sum();
                taken = end.unwrap_or(if is_character { length } else { 1 });
            }
            Place::Code => code.push(next),
        }
        rest = &rest[taken..];
    }
    (code, texts, None)
}

#[test]
fn comments_texts_and_names_of_rust_are_separated() {
    let text = "/// One\n/// two.\nfn a_name<'a>() { let b_c = '\"'; log(\"a \\\" // b\", r#\"c \" d\"#); } // three\n";
    let (prose, names) = rust(text);
    assert!(prose.text.contains("One two."), "{}", prose.text);
    assert!(prose.text.contains("a name") && prose.text.contains("a  // b"), "{}", prose.text);
    assert!(prose.text.contains("c \" d") && prose.text.contains("\nthree"), "{}", prose.text);
    assert!(names.text.contains("let b c"), "{}", names.text);
    assert!(!names.text.contains("three") && !names.text.contains("c \" d"), "{}", names.text);
    assert_eq!(prose.line(prose.text.find("two").unwrap()), 2);
    assert_eq!(prose.line(prose.text.find("three").unwrap()), 3);
}
