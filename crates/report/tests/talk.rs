//! The published presentation is what the program writes.

#![allow(clippy::unwrap_used, reason = "a failed step ends the test")]

use std::path::Path;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

#[test]
fn the_published_slides_show_the_tables_as_they_are() {
    let root = Path::new(ROOT);
    let published = std::fs::read_to_string(root.join("docs/talk/talk.html")).unwrap();
    let written = onsale_report::talk::page(root, None).unwrap();
    let changed: Vec<&str> =
        written.lines().zip(published.lines()).filter(|(one, other)| one != other).map(|(line, _)| line).collect();
    let begin = |line: &&str| line.chars().take(90).collect::<String>();
    let changed: Vec<String> = changed.iter().map(begin).collect();
    assert!(written == published, "docs/talk/talk.html is old, run ./talk: {changed:#?}");
}

#[test]
fn a_qr_code_leads_to_the_address_of_the_speaker() {
    let page = onsale_report::talk::page(Path::new(ROOT), Some("http://192.0.2.7:8080/")).unwrap();
    assert!(page.contains("aria-label=\"QR: http://192.0.2.7:8080/\""));
}
