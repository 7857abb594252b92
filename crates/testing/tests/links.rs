//! Every link in a document leads to a file and a heading that exist, and every page is reachable from the tour.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so and ends")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The text of each file that git tracks or would track, by its path from the root. Files that are not text are left out.
fn texts() -> BTreeMap<PathBuf, String> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git lists the files");
    let names = String::from_utf8(listed.stdout).unwrap();
    let read = |name: &str| Some((PathBuf::from(name), std::fs::read_to_string(root().join(name)).ok()?));
    names.lines().filter_map(read).collect()
}

fn documents(texts: &BTreeMap<PathBuf, String>) -> BTreeMap<&Path, &str> {
    let pages = texts.iter().filter(|(path, _)| path.extension().is_some_and(|extension| extension == "md"));
    pages.map(|(path, text)| (path.as_path(), text.as_str())).collect()
}

/// The lines of a page that are not inside a fenced block.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// The targets of links and pictures: `](target)`, `src="target"`, `srcset="target"`.
fn targets(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(text) {
        for (open, close) in [("](", ')'), ("src=\"", '"'), ("srcset=\"", '"')] {
            let rests = line.split(open).skip(1);
            found.extend(rests.filter_map(|rest| rest.split(close).next()).map(str::to_owned));
        }
    }
    found.retain(|target| !target.contains("://") && !target.starts_with("mailto:"));
    found
}

/// The anchors of a page's headings, as forges make them: lower case, words joined by hyphens, no punctuation.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    let anchor = |line: &str| -> String {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
        kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
    };
    headings.map(anchor).collect()
}

/// `target`, as a page in `folder` names it, as a path from the root.
fn resolved(folder: &Path, target: &str) -> PathBuf {
    let mut path = folder.to_path_buf();
    for part in Path::new(target).components() {
        match part {
            Component::ParentDir => drop(path.pop()),
            Component::CurDir => {}
            part => path.push(part),
        }
    }
    path
}

/// The file that a link on `page` leads to, and its anchor if it has one.
fn destination(page: &Path, target: &str) -> (PathBuf, Option<String>) {
    let (file, anchor) =
        target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor.to_owned())));
    let path = if file.is_empty() { page.to_path_buf() } else { resolved(page.parent().unwrap(), file) };
    (path, anchor)
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let texts = texts();
    let documents = documents(&texts);
    let mut broken = Vec::new();
    let mut checked = 0;
    for (page, text) in &documents {
        for target in targets(text) {
            checked += 1;
            let (path, anchor) = destination(page, &target);
            let has_anchor =
                |anchor: &String| documents.get(path.as_path()).is_some_and(|text| anchors(text).contains(anchor));
            if !root().join(&path).exists() || !anchor.as_ref().is_none_or(has_anchor) {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(checked > 100, "only {checked} links were found");
    assert!(broken.is_empty(), "these links lead nowhere: {broken:#?}");
}

#[test]
fn every_page_is_reachable_from_the_tour() {
    let texts = texts();
    let documents = documents(&texts);
    let mut reached = BTreeSet::new();
    let mut next = vec![PathBuf::from("docs/README.md")];
    while let Some(page) = next.pop() {
        let Some(text) = documents.get(page.as_path()) else { continue };
        if reached.insert(page.clone()) {
            next.extend(targets(text).iter().map(|target| destination(&page, target).0));
        }
    }
    let lost: Vec<_> = documents.keys().filter(|page| page.starts_with("docs") && !reached.contains(**page)).collect();
    assert!(lost.is_empty(), "no link leads from docs/README.md to these pages: {lost:#?}");
}

/// Comments, settings and messages name pages as `docs/folder/page.md`.
#[test]
fn pages_that_a_program_names_exist() {
    let texts = texts();
    let mut missing = Vec::new();
    let mut named = 0;
    for (path, text) in &texts {
        let ours = !path.ends_with("links.rs") && path.extension().is_none_or(|extension| extension != "md");
        for (start, _) in text.match_indices("docs/").filter(|_| ours) {
            let rest = &text[start..];
            let end =
                rest.find(|letter: char| !letter.is_alphanumeric() && !"/-_.".contains(letter)).unwrap_or(rest.len());
            let name = rest[..end].trim_end_matches('.');
            if name.ends_with(".md") {
                named += 1;
                if !root().join(name).exists() {
                    missing.push(format!("{}: {name}", path.display()));
                }
            }
        }
    }
    assert!(named > 10, "only {named} pages are named");
    assert!(missing.is_empty(), "these pages do not exist: {missing:#?}");
}
