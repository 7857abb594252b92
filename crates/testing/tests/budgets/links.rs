//! Links of documents lead to a file and a heading, and paths in the text lead to a file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use regex::Regex;

use crate::sources::{all, root};

/// The lines of a document outside of fenced code, with their numbers from 1.
pub(crate) fn outside_of_code(text: &str) -> Vec<(usize, &str)> {
    let mut is_fenced = false;
    let lines = text.lines().enumerate().filter(|(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_fenced ^= is_fence;
        !is_fenced && !is_fence
    });
    lines.map(|(at, line)| (at + 1, line)).collect()
}

/// The fragments that lead to the headings of a document, as forges make them: lower case, without punctuation, `-` for a
/// space, and a number for a heading that occurs again.
fn anchors(text: &str) -> Vec<String> {
    let link = Regex::new(r"\[([^\]]*)\]\([^)]*\)").unwrap();
    let mut seen = BTreeMap::<String, usize>::new();
    let headings = outside_of_code(text).into_iter().filter(|(_, line)| {
        let level = line.len() - line.trim_start_matches('#').len();
        (1..=6).contains(&level) && line[level..].starts_with(' ')
    });
    headings
        .map(|(_, line)| {
            let title = link.replace_all(line.trim_start_matches('#').trim(), "$1").to_lowercase();
            let kept = title.chars().filter(|found| found.is_alphanumeric() || " -_".contains(*found));
            let anchor: String = kept.map(|found| if found == ' ' { '-' } else { found }).collect();
            let count = seen.entry(anchor.clone()).or_default();
            *count += 1;
            if *count == 1 { anchor } else { format!("{anchor}-{}", *count - 1) }
        })
        .collect()
}

/// The targets of links and pictures in a line, without those that lead to another host.
pub(crate) fn targets(line: &str) -> Vec<String> {
    let code = Regex::new(r"`[^`]*`").unwrap();
    let target =
        Regex::new(r#"\]\(<?([^)\s>]+)>?[^)]*\)|(?:src|href|srcset)="([^"]+)"|^\s*\[[^\]]+\]:\s+(\S+)"#).unwrap();
    let line = code.replace_all(line, "``");
    let found = target.captures_iter(&line).filter_map(|found| found.iter().skip(1).flatten().next());
    let found = found.map(|target| target.as_str().to_owned());
    found.filter(|target| !target.contains("://") && !target.starts_with("mailto:")).collect()
}

/// Why a link in this document leads nowhere.
pub(crate) fn broken(document: &str, target: &str) -> Option<String> {
    let (path, fragment) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let folder = Path::new(document).parent().unwrap_or(Path::new(""));
    let file = root().join(if path.is_empty() { document.into() } else { folder.join(path) });
    if !file.exists() {
        return Some("no such file".to_owned());
    }
    let anchor = fragment.filter(|_| file.extension().is_some_and(|ending| ending == "md"))?;
    let headings = anchors(&std::fs::read_to_string(&file).unwrap());
    (!headings.iter().any(|heading| heading == anchor)).then(|| format!("no such heading; there are {headings:?}"))
}

#[test]
fn each_link_leads_to_a_file_and_a_heading() {
    let mut links = 0;
    let mut wrong = Vec::new();
    for name in all().into_iter().filter(|name| name.ends_with(".md")) {
        let text = std::fs::read_to_string(root().join(&name)).unwrap();
        for (line, text) in outside_of_code(&text) {
            for target in targets(text) {
                links += 1;
                wrong.extend(broken(&name, &target).map(|why| format!("{name}:{line}: {target}: {why}")));
            }
        }
    }
    assert!(links > 30, "only {links} links were found");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The path of a link's file from the root of the repository. The link is in `document`.
fn destination(document: &str, target: &str) -> String {
    let path = target.split('#').next().unwrap_or_default();
    let mut parts: Vec<&str> = document.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." => {}
            part => parts.push(part),
        }
    }
    if path.is_empty() { document.to_owned() } else { parts.join("/") }
}

#[test]
fn each_page_is_reachable_from_the_tour() {
    let mut reached = BTreeSet::new();
    let mut next = vec!["docs/README.md".to_owned()];
    while let Some(page) = next.pop() {
        if !page.ends_with(".md") || !reached.insert(page.clone()) {
            continue;
        }
        let text = std::fs::read_to_string(root().join(&page)).unwrap();
        let lines = outside_of_code(&text).into_iter();
        next.extend(lines.flat_map(|(_, line)| targets(line)).map(|target| destination(&page, &target)));
    }
    let is_lost = |page: &String| page.starts_with("docs/") && page.ends_with(".md") && !reached.contains(page);
    let lost: Vec<String> = all().into_iter().filter(is_lost).collect();
    assert!(reached.len() > 20, "only {reached:?}");
    assert!(lost.is_empty(), "no link leads from docs/README.md to these pages: {lost:#?}");
}

/// Comments, messages and documents name files of the documentation by their path from the root.
#[test]
fn each_document_that_is_named_exists() {
    let path = Regex::new(r"(?:^|[^\w/.-])(docs/[\w/-]+\.(?:md|svg|png|txt|json)|crates/[\w/-]+\.\w+)").unwrap();
    let mut named = 0;
    let mut wrong = Vec::new();
    for name in all() {
        let Ok(text) = std::fs::read_to_string(root().join(&name)) else { continue };
        // The history of changes keeps old names, and these tests name files that do not exist.
        if name == "CHANGELOG.md" || name.starts_with("crates/testing/tests/budgets/") {
            continue;
        }
        for (line, text) in text.lines().enumerate() {
            for found in path.captures_iter(text) {
                named += 1;
                if !root().join(&found[1]).exists() {
                    wrong.push(format!("{name}:{}: {} does not exist", line + 1, &found[1]));
                }
            }
        }
    }
    assert!(named > 30, "only {named} paths were found");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_link_to_a_missing_file_or_heading_is_found() {
    let text = "# One `two`: [three](x.md)\n```\n# four\n```\n## One\n## One\n";
    assert_eq!(anchors(text), ["one-two-three", "one", "one-1"]);
    let line = "[a](b.md#c) `[x](y)` ![d](e.svg \"f\") <img src=\"g.png\"> [h](https://i) [j](#k)";
    assert_eq!(targets(line), ["b.md#c", "e.svg", "g.png", "#k"]);
    assert_eq!(broken("README.md", "Cargo.toml"), None);
    assert!(broken("README.md", "absent.md").is_some());
    assert!(broken("docs/glossary.md", "../README.md#absent").is_some());
    assert_eq!(destination("docs/guide/api.md", "../design/desk.md#why"), "docs/design/desk.md");
    assert_eq!(destination("docs/guide/api.md", "#why"), "docs/guide/api.md");
}
