//! Alerts, pages, drills and the rows of docs/incidents/README.md belong together, and each page has its form.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use onsale_drills::NAMES;
use onsale_drills::page::{LINES_MAX, Page, SECTIONS, Step, folder};
use onsale_testing::shipped;

/// An alert of `deploy/alerts.yml`.
struct Alert {
    expression: String,
    runbook: String,
}

/// A text with one space between words.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The alerts by name.
fn alerts() -> BTreeMap<String, Alert> {
    let rules = shipped("alerts.yml");
    let parts = rules.split("- alert: ").skip(1);
    let parse = |part: &str| {
        let name = part.lines().next().unwrap().trim().to_owned();
        let after = |key: &str| part.split_once(key).unwrap_or_else(|| panic!("{name} has no {key}")).1;
        let ends = ["\n        for:", "\n        annotations:"];
        let expression = after("expr:");
        let end = ends.iter().filter_map(|end| expression.find(end)).min().unwrap();
        let runbook = after("runbook: ").split([' ', '}', ',']).next().unwrap().to_owned();
        let expression = plain(expression[..end].trim_start_matches([' ', '>', '-']));
        (name, Alert { expression, runbook })
    };
    parts.map(parse).collect()
}

/// Every file of the folder that is the page of an incident.
fn pages() -> Vec<Page> {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let is_page = |path: &Path| {
        let name = path.file_stem().unwrap().to_str().unwrap();
        path.extension().is_some_and(|ending| ending == "md") && !["README", "postmortem"].contains(&name)
    };
    let files = files.filter(|path| is_page(path));
    files.map(|path| Page::read(path.file_stem().unwrap().to_str().unwrap()).unwrap()).collect()
}

/// Cells of the rows of the table of incidents in the overview, by drill.
fn overview() -> BTreeMap<String, Vec<String>> {
    let text = std::fs::read_to_string(folder().join("README.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| ["));
    rows.map(|row| {
        let cells: Vec<String> = row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
        let name = cells[0].split(['[', ']']).nth(1).unwrap().to_owned();
        (name, cells)
    })
    .collect()
}

#[test]
fn every_drill_has_a_page_and_a_row_and_none_is_left_over() {
    let drills: BTreeSet<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
    let pages: BTreeSet<String> = pages().into_iter().map(|page| page.name).collect();
    let rows: BTreeSet<String> = overview().into_keys().collect();
    assert_eq!(drills.len(), NAMES.len(), "a drill is listed twice");
    assert_eq!(pages, drills, "pages of docs/incidents, and drills");
    assert_eq!(rows, drills, "rows of docs/incidents/README.md, and drills");
}

#[test]
fn every_alert_has_a_page_of_its_own() {
    let mut seen = BTreeSet::new();
    for (name, alert) in alerts() {
        let drill = alert.runbook.strip_prefix("docs/incidents/").and_then(|file| file.strip_suffix(".md"));
        let drill = drill.unwrap_or_else(|| panic!("{name}: {} is no page of an incident", alert.runbook));
        let page = Page::read(drill).unwrap();
        assert_eq!(page.alert(), Some(name.as_str()), "the page {drill} is about another alert");
        assert!(seen.insert(drill.to_owned()), "{drill} is the page of two alerts");
    }
}

#[test]
fn every_page_shows_its_alert_with_the_expression_as_shipped() {
    let (alerts, overview) = (alerts(), overview());
    for page in pages() {
        let row = &overview[&page.name];
        assert!(
            page.text.contains(&format!("**Severity {}", row[2])),
            "{}: another severity in the overview",
            page.name
        );
        let Some(name) = page.alert() else {
            assert!(row[1].starts_with('–'), "{}: the overview names an alert", page.name);
            assert!(!page.steps("Signals").is_empty(), "{}: neither an alert nor a command shows it", page.name);
            continue;
        };
        let alert = alerts.get(name).unwrap_or_else(|| panic!("{}: no alert is called {name}", page.name));
        assert!(plain(page.section("Signals")).contains(&alert.expression), "{}: another expression", page.name);
        assert_eq!(row[1], format!("`{name}`"), "{}: the alert in the overview", page.name);
        assert!(page.text.starts_with(&format!("# {name}: ")), "{}: the title begins with its alert", page.name);
    }
}

/// What is wrong with the form of a page.
fn faults(page: &Page) -> Vec<String> {
    let mut faults = Vec::new();
    let mut check = |holds: bool, what: &str| faults.extend((!holds).then(|| format!("{}: {what}", page.name)));
    // A page whose drill did not run yet gets five lines more.
    let figures = if page.text.contains("<!-- begin figures -->\n<!-- end figures -->") { 5 } else { 0 };
    check(page.text.lines().count() + figures <= LINES_MAX, "more than 60 lines");
    check(page.titles() == SECTIONS, "other sections, or in another order");
    let severity = ["**Severity 1", "**Severity 2", "**Severity 3", "**Severity 4"];
    check(severity.iter().any(|text| page.text.contains(text)), "no severity");
    check(page.section("Signals").contains("Not this"), "what looks like it and is not");
    check(page.alert().is_none() || page.section("Signals").contains(" s:"), "no seconds until its signal");
    let commands = |title: &str| {
        let steps = page.steps(title).into_iter();
        steps.filter_map(|step| if let Step::Command { line, prints } = step { Some((line, prints)) } else { None })
    };
    check(commands("Look").count() == 3, "not three commands to look");
    let every = ["Signals", "Look", "Do", "It is over when"].into_iter().flat_map(commands);
    for (line, prints) in every {
        check(!prints.is_empty(), &format!("what does this print: {line}"));
    }
    let is_action = |text: &str| text.starts_with(|first: char| first.is_ascii_digit()) && text.contains(". ");
    check(page.section("Do").lines().filter(|line| is_action(line)).count() >= 2, "fewer than two numbered actions");
    check(page.section("Do").to_lowercase().contains("undo"), "no way back of an action");
    check(
        ["not ", "Never ", "never ", "Restart no", "Add no"].iter().any(|word| page.section("Do").contains(word)),
        "nothing that is not to be done",
    );
    check(!page.steps("Do").is_empty(), "the drill has nothing to do");
    check(commands("It is over when").any(|(line, _)| line.starts_with("onsale audit")), "no audit at the end");
    let is_korean = |text: &str| text.chars().any(|found| ('가'..='힣').contains(&found));
    let message = |language: &str| {
        let start = format!("> **{language}** ");
        page.section("Tell").lines().find_map(|line| line.strip_prefix(&start).map(str::to_owned))
    };
    check(message("ko").is_some_and(|text| is_korean(&text)), "no message in Korean");
    check(message("en").is_some_and(|text| !is_korean(&text)), "no message in English");
    check(page.section("Drill").contains(&format!("`./drill {}`", page.name)), "its drill is not named");
    check(page.section("Drill").contains("<!-- begin figures -->"), "no place for the figures of the drill");
    faults
}

#[test]
fn every_page_has_its_form() {
    let faults: Vec<String> = pages().iter().flat_map(faults).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_page_without_its_form_is_found() {
    let page = Page::read("database-away").unwrap();
    assert!(faults(&page).is_empty());
    for (from, to) in [
        ("## Tell", "## Say"),
        ("> **ko** ", "> "),
        ("onsale audit", "true"),
        ("**Severity", "**Gravity"),
        ("# prints: poll 200", ""),
    ] {
        let broken = Page::of(&page.name, &page.text.replace(from, to));
        assert!(page.text.contains(from) && !faults(&broken).is_empty(), "without {from:?} nothing is found");
    }
}
