//! docs/weeks.md leads from each requirement of the course to a page, a test and a command. All of them exist, and the
//! Korean page has the same rows.

use std::sync::LazyLock;

use regex::Regex;

use crate::links::{broken, targets};
use crate::sources::{all, root};

/// The first weeks of the course. Both pages have at least these.
const WEEKS_MIN: usize = 9;

const ENGLISH: &str = "docs/weeks.md";
const KOREAN: &str = "docs/weeks.ko.md";

/// All files: git is called once.
static FILES: LazyLock<Vec<String>> = LazyLock::new(all);

/// A row of a week: its number such as `3.1`, and its cells.
#[derive(Debug)]
struct Row {
    number: String,
    requirement: String,
    page: String,
    test: String,
    command: String,
}

/// The rows of a page, in order.
fn rows(page: &str) -> Vec<Row> {
    let row = Regex::new(r"(?m)^\| (\d+\.\d+) \| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$").unwrap();
    let cell = |text: &str| text.to_owned();
    row.captures_iter(page)
        .map(|found| Row {
            number: cell(&found[1]),
            requirement: cell(&found[2]),
            page: cell(&found[3]),
            test: cell(&found[4]),
            command: cell(&found[5]),
        })
        .collect()
}

fn read(document: &str) -> String {
    std::fs::read_to_string(root().join(document)).unwrap()
}

fn spans(cell: &str) -> Vec<String> {
    Regex::new(r"`([^`]+)`").unwrap().captures_iter(cell).map(|found| found[1].to_owned()).collect()
}

/// Why this span names no test: `path/from/the/root.rs::function`, with an attribute that makes the function a test.
fn no_test(span: &str) -> Option<String> {
    let Some((file, function)) = span.split_once(".rs::") else {
        return Some("not a file and a function".to_owned());
    };
    let Ok(text) = std::fs::read_to_string(root().join(format!("{file}.rs"))) else {
        return Some(format!("{file}.rs does not exist"));
    };
    let starts = Regex::new(&format!(r"^\s*(async )?fn {function}\b")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let Some(at) = lines.iter().position(|line| starts.is_match(line)) else {
        return Some(format!("{file}.rs has no function {function}"));
    };
    let mut above = lines[..at].iter().rev().map(|line| line.trim()).take_while(|line| line.starts_with("#["));
    let is_test = above.any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"));
    (!is_test).then(|| format!("{function} is not a test"))
}

/// Why `cargo` cannot run this: the words after `cargo`.
fn no_cargo(words: &[&str]) -> Option<String> {
    let after = |flag: &str| words.iter().position(|word| *word == flag).and_then(|at| words.get(at + 1));
    let is_file = |end: &str| FILES.iter().any(|name| name.ends_with(end));
    let tests = after("--test").map(|name| (*name, [format!("/tests/{name}.rs"), format!("/tests/{name}/main.rs")]));
    if let Some((name, files)) = tests {
        if !files.iter().any(|file| is_file(file)) {
            return Some(format!("no test program is called {name}"));
        }
        // A filter is the name of a module of this program, that is, of a file.
        let filter = after("--")?;
        let is_module = FILES.iter().any(|file| {
            file.contains(&format!("/tests/{name}/"))
                && (file.ends_with(&format!("/{filter}.rs")) || file.contains(&format!("/{filter}/")))
        });
        return (!is_module).then(|| format!("the test program {name} has no module {filter}"));
    }
    if let Some(name) = after("--example") {
        let files = [format!("examples/{name}.rs"), format!("examples/{name}/main.rs")];
        return (!files.iter().any(|file| is_file(file))).then(|| format!("no example is called {name}"));
    }
    if words.contains(&"--lib") {
        let filter = after("--").copied().unwrap_or_default();
        return (!is_file(&format!("/{filter}.rs"))).then(|| format!("no module is called {filter}"));
    }
    let ["run", "--release", "--", "serve", "--demo"] = words else {
        return Some("not a command of the program, a test program or an example".to_owned());
    };
    None
}

/// Why this command does not exist.
fn no_command(command: &str) -> Option<String> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let script = |name: &str| std::fs::read_to_string(root().join(name)).unwrap_or_default();
    match words[..] {
        ["./test"] => script("test").is_empty().then(|| "no such script".to_owned()),
        ["./test", option] => (!script("test").contains(option)).then(|| format!("no option {option}")),
        ["./drill", "all" | "list"] => script("drill").is_empty().then(|| "no such script".to_owned()),
        ["./drill", name] => {
            let page = format!("docs/incidents/{name}.md");
            (!FILES.contains(&page)).then(|| format!("{page} does not exist"))
        }
        ["./bench", suite, ref sections @ ..] => {
            // The script lists each suite with its words.
            let help = script("bench");
            let Some(at) = help.find(&format!("#   ./bench {suite} ")) else {
                return Some("the help of ./bench does not list it".to_owned());
            };
            let text: String = help[at..].lines().take(3).collect();
            let unknown = |word: &&&str| !["quick", "list"].contains(*word) && !text.contains(**word);
            sections.iter().find(unknown).map(|word| format!("./bench {suite} has no section {word}"))
        }
        ["./talk", word] => {
            (!script("talk").contains(&format!("#   ./talk {word} "))).then(|| format!("./talk has no {word}"))
        }
        ["cargo", ref words @ ..] => no_cargo(words),
        ["onsale", subcommand, ..] => {
            let arguments = script("crates/server/src/cli/arguments.rs") + &script("crates/server/src/cli/mod.rs");
            (!arguments.contains(&format!("\"{subcommand}\""))).then(|| format!("onsale has no command {subcommand}"))
        }
        _ => Some("not a command that is known here".to_owned()),
    }
}

/// What is wrong with a row of a document.
fn wrong(document: &str, row: &Row) -> Vec<String> {
    let pages = targets(&row.page);
    let (tests, commands) = (spans(&row.test), spans(&row.command));
    let mut found = Vec::new();
    if pages.is_empty() || tests.is_empty() || commands.len() != 1 {
        found.push("it needs a page, a test and one command".to_owned());
    }
    found.extend(pages.iter().filter_map(|page| broken(document, page).map(|why| format!("{page}: {why}"))));
    found.extend(tests.iter().filter_map(|test| no_test(test)));
    found.extend(commands.iter().filter_map(|command| no_command(command).map(|why| format!("{command}: {why}"))));
    found.into_iter().map(|why| format!("{document}, row {}: {why}", row.number)).collect()
}

#[test]
fn each_week_names_pages_tests_and_commands_that_exist() {
    let mut found = Vec::new();
    for document in [ENGLISH, KOREAN] {
        let rows = rows(&read(document));
        let week = |row: &Row| row.number.split('.').next().and_then(|week| week.parse::<usize>().ok());
        let missing: Vec<usize> =
            (1..=WEEKS_MIN).filter(|wanted| !rows.iter().any(|row| week(row) == Some(*wanted))).collect();
        assert!(missing.is_empty(), "{document} has no row of the weeks {missing:?}");
        found.extend(rows.iter().flat_map(|row| wrong(document, row)));
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn both_languages_have_the_same_rows() {
    let [english, korean] = [ENGLISH, KOREAN].map(|document| rows(&read(document)));
    let tables = |document: &str| {
        read(document)
            .lines()
            .filter(|line| line.starts_with("| ") && !line.starts_with("| |") && !line.starts_with("| ---"))
            .count()
    };
    assert_eq!((tables(ENGLISH), tables(KOREAN)), (english.len(), korean.len()), "lines of tables that are no row");
    let places = |rows: &[Row]| -> Vec<_> {
        rows.iter()
            .map(|row| {
                (row.number.clone(), targets(&row.page), spans(&row.test), spans(&row.command), spans(&row.requirement))
            })
            .collect()
    };
    assert_eq!(places(&english), places(&korean), "number, pages, tests, command and quoted calls of each row");
    let hangul = |row: &Row| row.requirement.chars().any(|letter| ('가'..='힣').contains(&letter));
    let untranslated: Vec<&str> = korean.iter().filter(|row| !hangul(row)).map(|row| row.number.as_str()).collect();
    assert!(untranslated.is_empty(), "rows without Korean: {untranslated:?}");
    assert!(!english.iter().any(hangul), "the English page has Korean");
}

#[test]
fn a_missing_page_test_or_command_is_found() {
    let row = |page: &str, test: &str, command: &str| {
        let text = format!("| 1.1 | Use: `PATCH /x` | {page} | {test} | {command} |\n");
        let rows = rows(&text);
        wrong(ENGLISH, &rows[0]).len()
    };
    let here = "`crates/testing/tests/budgets/weeks.rs::a_missing_page_test_or_command_is_found`";
    assert_eq!(row("[glossary](glossary.md)", here, "`cargo test --workspace --test budgets -- weeks`"), 0);
    assert_eq!(row("[gone](gone.md)", here, "`./test --long`"), 1);
    assert_eq!(row("[glossary](glossary.md)", "`crates/testing/tests/budgets/weeks.rs::rows`", "`./test`"), 1);
    assert_eq!(row("no page", "no test", "no command"), 1);
    for command in [
        "./test --never",
        "./bench locks never",
        "./bench never",
        "./talk never",
        "onsale never",
        "cargo run",
        "cargo test --workspace --test never",
        "cargo test --workspace --test budgets -- never",
        "cargo run --release --example never",
        "./drill never",
    ] {
        assert!(no_command(command).is_some(), "{command}");
    }
    for command in ["./bench locks quick", "./bench reads", "onsale events retry", "cargo run --release --example rush"]
    {
        assert_eq!(no_command(command), None, "{command}");
    }
}
