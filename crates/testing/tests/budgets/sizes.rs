//! The size of files and functions.

use crate::sources::named;

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;

#[test]
fn no_file_is_long() {
    let long: Vec<String> = named(&[".rs", ".js", ".css", ".html", ".sh", ".sql"])
        .into_iter()
        .filter_map(|path| {
            let lines = std::fs::read_to_string(&path).unwrap().lines().count();
            (lines >= FILE_LINES_MAX).then(|| format!("{}: {lines} lines", path.display()))
        })
        .collect();
    assert!(long.is_empty(), "split these files: {long:#?}");
}

/// Functions with their lengths. Formatted code closes a function at the indentation at which it began.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let is_start = |line: &str| {
        let mut words = line.split_whitespace().skip_while(|word| {
            word.starts_with("pub") || word.starts_with("in ") || ["async", "const", "unsafe", "extern"].contains(word)
        });
        words.next() == Some("fn")
    };
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let starts = lines.iter().enumerate().filter(|(_, line)| is_start(line));
    starts
        .filter_map(|(start, line)| {
            let end = (start..lines.len()).find(|at| {
                indentation(lines[*at]) == indentation(line) && matches!(lines[*at].trim(), "}" | "};")
                    || (*at == start && line.trim_end().ends_with('}'))
                    || lines[*at].trim_end().ends_with(';') && indentation(lines[*at]) == indentation(line)
            })?;
            Some((line.trim().to_owned(), end - start + 1))
        })
        .collect()
}

#[test]
fn no_function_is_long() {
    let mut long = Vec::new();
    let mut seen = 0;
    for path in named(&[".rs"]) {
        for (name, lines) in functions(&std::fs::read_to_string(&path).unwrap()) {
            seen += 1;
            if lines >= FUNCTION_LINES_MAX {
                long.push(format!("{}: {name}: {lines} lines", path.display()));
            }
        }
    }
    assert!(seen > 500, "only {seen} functions were found");
    assert!(long.is_empty(), "split these functions: {long:#?}");
}
