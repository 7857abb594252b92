//! Parses PromQL expressions: their selectors, and the labels that they group by.

/// Words that are neither metrics nor functions.
const OPERATORS: [&str; 7] = ["and", "or", "unless", "bool", "offset", "inf", "nan"];

/// Words before a list of labels.
const LISTS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// The parts of an expression.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Such as `up{job="onsale"}`, without ranges.
    pub(crate) selectors: Vec<String>,
    /// The labels of `by`, `on` and the like.
    pub(crate) labels: Vec<String>,
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':'
}

/// Returns the text up to and including the closing mark. Marks in quotes do not count.
fn enclosed(text: &str, close: char) -> &str {
    let mut is_quoted = false;
    let end = text.char_indices().find(|(_, character)| {
        is_quoted ^= *character == '"';
        !is_quoted && *character == close
    });
    let (end, _) = end.unwrap_or_else(|| panic!("{close} is missing: {text}"));
    &text[..=end]
}

/// Returns whether a word is a function or an aggregation such as `sum by (le) (…)`, judged by what follows it.
fn is_called(after: &str) -> bool {
    after.starts_with('(') || ["by", "without"].iter().any(|word| after.split([' ', '(']).next() == Some(*word))
}

/// Returns the selectors and labels of an expression.
pub(crate) fn asked(expression: &str) -> Asked {
    let mut asked = Asked::default();
    let mut rest = expression;
    while let Some(first) = rest.bytes().next() {
        if first == b'[' {
            rest = &rest[enclosed(rest, ']').len()..];
            continue;
        }
        if !is_word(first) || first.is_ascii_digit() {
            // A number goes with its unit.
            let length = rest.bytes().take_while(|byte| first.is_ascii_digit() && is_word(*byte)).count().max(1);
            rest = &rest[length..];
            continue;
        }
        let length = rest.bytes().take_while(|byte| is_word(*byte)).count();
        let (word, after) = rest.split_at(length);
        let after = after.trim_start();
        rest = after;
        if LISTS.contains(&word) && after.starts_with('(') {
            let list = enclosed(after, ')');
            let labels = list.trim_matches(['(', ')']).split(',').map(str::trim).filter(|label| !label.is_empty());
            asked.labels.extend(labels.map(str::to_owned));
            rest = &after[list.len()..];
        } else if after.starts_with('{') {
            let matchers = enclosed(after, '}');
            asked.selectors.push(format!("{word}{matchers}"));
            rest = &after[matchers.len()..];
        } else if !is_called(after) && !OPERATORS.contains(&word) && !LISTS.contains(&word) {
            asked.selectors.push(word.to_owned());
        }
    }
    asked
}

/// The labels that a text shows: `{{route}}` in a legend, `{{ $labels.instance }}` in an annotation.
pub(crate) fn shown(text: &str) -> Vec<String> {
    let templates = text.split("{{").skip(1).filter_map(|part| part.split_once("}}")).map(|(inside, _)| inside.trim());
    let labels = templates.map(|inside| inside.strip_prefix("$labels.").unwrap_or(inside));
    labels.filter(|label| label.bytes().all(is_word)).map(str::to_owned).collect()
}

#[test]
fn selectors_are_parsed_from_expressions() {
    let taken =
        asked(r#"histogram_quantile(0.99, sum by (le, route) (rate(x_bucket{a=~"}|b"}[1m]))) > 1e3 or on() up == 0"#);
    assert_eq!(taken.selectors, [r#"x_bucket{a=~"}|b"}"#, "up"]);
    assert_eq!(taken.labels, ["le", "route"]);
    assert_eq!(asked("sum(a:b) by (c) / ignoring(d) group_left e offset 5m").selectors, ["a:b", "e"]);
    assert_eq!(shown("{{ $labels.part }} of {{route}}: {{ $value | humanize }}"), ["part", "route"]);
}
