//! docs/talk: each figure on a slide is a cell of a table that a command prints, and no other number is on a slide. This
//! shares no code with the program that writes the slides.

use std::collections::BTreeSet;

use regex::Regex;

use crate::sources::{all, root};

const SLIDES: usize = 16;
/// The length of the talk.
const SECONDS: u32 = 20 * 60;
const NOT_MEASURED: &str = "–";

/// Numbers on slides that are neither measured nor part of the name of a row or a column, and why each is there.
const NUMBERS: &[(&str, &str)] = &[
    ("2019", "a year"),
    ("2021", "a year"),
    ("2022", "a year"),
    ("2024", "a year"),
    ("4", "a week of the course"),
    ("6", "a week of the course"),
    ("7", "a week of the course"),
    ("8", "a week of the course"),
    ("9", "a week of the course; the signal of kill -9"),
    ("10", "a week of the course; a tenth, in Korean"),
    ("503", "a status"),
    ("500", "the seats of examples/rush"),
    ("20,000", "the buyers of examples/rush"),
];

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

fn slides() -> Vec<(String, String)> {
    let names = all().into_iter().filter(|name| name.starts_with("docs/talk/source/slides/"));
    names.map(|name| (name.clone(), read(&name))).collect()
}

fn cells(line: &str) -> Vec<String> {
    let plain = |cell: &str| cell.replace("**", "").replace('`', "").trim().to_owned();
    line.trim().trim_matches('|').split('|').map(plain).collect()
}

/// A line of the list of figures.
struct Figure {
    name: String,
    document: String,
    section: String,
    heading: String,
    row: String,
    column: String,
}

fn listed(list: &str) -> Vec<Figure> {
    let lines =
        list.lines().map(cells).filter(|cells| cells.len() == 7 && cells[0].contains('.') || cells[0] == "knee");
    lines
        .map(|cells| {
            let [name, document, section, heading, row, column, _] = <[String; 7]>::try_from(cells).unwrap();
            Figure { name, document, section, heading, row, column }
        })
        .collect()
}

/// The cell that a figure names in the text of its document: `Ok(None)` if its section has no table yet.
fn cell(document: &str, figure: &Figure) -> Result<Option<String>, String> {
    let marker = format!(r"(?s)<!-- begin {0} -->(.*?)<!-- end {0} -->", regex::escape(&figure.section));
    let found = Regex::new(&marker).unwrap().captures(document).ok_or("no such section, so no command fills it")?;
    if !found[1].lines().any(|line| line.starts_with('|')) {
        return Ok(None);
    }
    let (name, nth) = figure.column.split_once(" #").unwrap_or((&figure.column, "1"));
    let wanted: Vec<&str> = figure.row.split(" / ").collect();
    let (mut heading, mut column) = (String::new(), None);
    let mut before = "";
    for line in found[1].lines() {
        if let Some(title) = line.strip_prefix("### ") {
            title.clone_into(&mut heading);
        }
        if line.starts_with('|') && !before.starts_with('|') {
            let same = cells(line).into_iter().enumerate().filter(|(_, cell)| cell == name);
            column = same.map(|(index, _)| index).nth(nth.parse::<usize>().unwrap() - 1);
        }
        let is_below = before.starts_with('|');
        before = line;
        let cells = cells(line);
        let is_row = match figure.row.as_str() {
            "" => line.starts_with('|') && is_below && !line.starts_with("| --"),
            _ => wanted.iter().enumerate().all(|(at, text)| cells.get(at).is_some_and(|cell| cell == text)),
        };
        let found = column.and_then(|column| cells.get(column));
        if let Some(cell) = found.filter(|_| heading.starts_with(&figure.heading) && is_row) {
            return Ok(Some(cell.clone()));
        }
    }
    Err(format!("no row \"{}\" with a column \"{}\" under \"{}\"", figure.row, figure.column, figure.heading))
}

/// Why a slide may not show this text for this figure.
fn wrong(document: &str, figure: &Figure, shown: &str) -> Option<String> {
    let is_right = match cell(document, figure) {
        Err(why) => return Some(why),
        Ok(None) => shown == NOT_MEASURED,
        Ok(Some(cell)) if ["", "–", "not measured"].contains(&cell.as_str()) => shown == NOT_MEASURED,
        // The whole cell, or some of its words: no part of a number.
        Ok(Some(cell)) => {
            let words = Regex::new(&format!(r"(^|[\s(]){}($|[\s;,)])", regex::escape(shown))).unwrap();
            !shown.is_empty() && words.is_match(&cell)
        }
    };
    (!is_right).then(|| format!("the slide shows \"{shown}\", and the table {:?}: run ./talk", cell(document, figure)))
}

#[test]
fn each_figure_of_the_presentation_is_in_its_table() {
    let figures = listed(&read("docs/talk/figures.md"));
    let page = read("docs/talk/talk.html").replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">");
    let data = Regex::new(r#"<data value="([^"]+)"[^>]*>([^<]*)</data>"#).unwrap();
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for shown in data.captures_iter(&page) {
        let Some(figure) = figures.iter().find(|figure| figure.name == shown[1]) else {
            found.push(format!("{} is not in figures.md", &shown[1]));
            continue;
        };
        seen.insert(figure.name.clone());
        let why = wrong(&read(&format!("docs/{}", figure.document)), figure, &shown[2]);
        found.extend(why.map(|why| format!("{}: docs/{}: {why}", figure.name, figure.document)));
    }
    assert!(seen.len() > 50, "only {} figures were found", seen.len());
    let unused: Vec<&str> =
        figures.iter().map(|figure| figure.name.as_str()).filter(|name| !seen.contains(*name)).collect();
    assert!(unused.is_empty(), "no slide shows {unused:?}");
    assert!(found.is_empty(), "{found:#?}");
}

/// The numbers of a slide that a person typed.
fn typed(slide: &str) -> Vec<String> {
    let made = Regex::new(r"(?s)<svg.*?</svg>|\{\{.*?\}\}|<[^>]*>|&#?\w+;").unwrap();
    let number = Regex::new(r"\d+(?:[.,]\d+)*").unwrap();
    number.find_iter(&made.replace_all(slide, " ")).map(|found| found.as_str().to_owned()).collect()
}

#[test]
fn no_other_number_is_on_a_slide() {
    let list = read("docs/talk/figures.md");
    let names: BTreeSet<String> = listed(&list)
        .iter()
        .flat_map(|figure| typed(&format!("{} {} {}", figure.heading, figure.row, figure.column)))
        .collect();
    let mut found = Vec::new();
    let mut used = BTreeSet::new();
    for (name, slide) in slides() {
        for number in typed(&slide) {
            let is_known = names.contains(&number) || NUMBERS.iter().any(|(known, _)| *known == number);
            used.insert(number.clone());
            if !is_known {
                found.push(format!("{name}: {number}"));
            }
        }
    }
    assert!(found.is_empty(), "a number on a slide is a figure of docs/talk/figures.md: {found:#?}");
    let unused: Vec<&str> =
        NUMBERS.iter().map(|(number, _)| *number).filter(|number| !used.contains(*number)).collect();
    assert!(unused.is_empty(), "no slide has {unused:?}");
}

#[test]
fn each_slide_has_both_languages_and_notes_for_its_time() {
    let slides = slides();
    assert_eq!(slides.len(), SLIDES);
    let seconds = Regex::new(r#"data-seconds="(\d+)""#).unwrap();
    let plan = Regex::new(r"(?m)^\| (\d+) \| .+ \| (\d+) \|$").unwrap();
    let readme = read("docs/talk/README.md");
    let planned: Vec<u32> = plan.captures_iter(&readme).map(|line| line[2].parse().unwrap()).collect();
    let taken: Vec<u32> =
        slides.iter().map(|(_, slide)| seconds.captures(slide).unwrap()[1].parse().unwrap()).collect();
    assert_eq!(planned, taken, "the table of docs/talk/README.md and the slides");
    assert_eq!(taken.iter().sum::<u32>(), SECONDS);
    let text = |slide: &str, language: &str| -> Vec<String> {
        let span = Regex::new(&format!(
            r"(?s)<{language}>(.*?)</{language}>|<aside class=.notes. lang=.{language}.>(.*?)</aside>"
        ))
        .unwrap();
        span.captures_iter(slide).map(|found| found.get(1).or(found.get(2)).unwrap().as_str().to_owned()).collect()
    };
    let hangul = |text: &str| text.chars().any(|letter| ('가'..='힣').contains(&letter));
    // Names and titles that are the same in both languages, such as `single flight`, stand outside of the texts.
    for (name, slide) in &slides {
        let (english, korean) = (text(slide, "en"), text(slide, "ko"));
        assert_eq!(english.len(), korean.len(), "{name}: texts in English and in Korean");
        assert!(english.len() >= 3 && english.iter().chain(&korean).all(|text| !text.trim().is_empty()), "{name}");
        assert!(!english.iter().any(|text| hangul(text)), "{name}: Korean in an English text");
        let untranslated: Vec<&String> =
            korean.iter().filter(|text| !hangul(text) && text.chars().any(char::is_alphabetic)).collect();
        assert!(
            untranslated.iter().all(|text| NAMES.contains(&text.as_str())),
            "{name}: no Korean in {untranslated:?}"
        );
        assert_eq!(slide.matches("class=\"notes\"").count(), 2, "{name}: notes in two languages");
    }
}

/// Texts that are names, also in Korean.
const NAMES: &[&str] = &["Redis", "Postgres"];

#[test]
fn a_figure_that_is_in_no_table_is_found() {
    let figure = |row: &str, column: &str| Figure {
        name: "a.b".to_owned(),
        document: "x.md".to_owned(),
        section: "s".to_owned(),
        heading: "Costs".to_owned(),
        row: row.to_owned(),
        column: column.to_owned(),
    };
    let document = "<!-- begin s -->\n### Costs, 8 clients\n\n| way | on | x | x |\n| --- | --- | --: | --: |\n\
        | one | p | 1 | 12,345 (1 to 2) |\n| two | q | – | 3 |\n<!-- end s -->\n";
    assert_eq!(wrong(document, &figure("one", "x #2"), "12,345"), None);
    assert_eq!(wrong(document, &figure("two / q", "x"), "–"), None);
    assert_eq!(wrong(document, &figure("", "on"), "p"), None);
    assert!(wrong(document, &figure("one", "x #2"), "345").is_some(), "a part of a number");
    assert!(wrong(document, &figure("one", "x"), "2").is_some(), "another number");
    assert!(wrong(document, &figure("one / q", "x"), "1").is_some(), "another row");
    assert!(wrong(document, &figure("one", "y"), "1").is_some(), "no such column");
    assert!(wrong("12,345", &figure("one", "x"), "12,345").is_some(), "no command fills this");
    let empty = "<!-- begin s -->\nNot measured yet.\n<!-- end s -->";
    assert_eq!(wrong(empty, &figure("one", "x"), "–"), None);
    assert!(wrong(empty, &figure("one", "x"), "1").is_some(), "not measured");
    assert_eq!(typed("<p style=\"--n: 3\">{{a.b}} of 12,345</p> p99"), ["12,345", "99"]);
}
