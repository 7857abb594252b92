//! The pages that show the document and the demonstration: complete without help from outside.

use std::collections::BTreeSet;

use onsale_testing::Sale;

use super::document;

/// What a page, a style sheet or a script asks for besides itself.
fn references(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for mark in ["src=\"", "href=\"", "url(\"", "url('", "from \"", "import \"", "import(\"", "@import \""] {
        for rest in text.split(mark).skip(1) {
            let end = rest.find(['"', '\'', ')']).unwrap_or(rest.len());
            found.insert(rest[..end].to_owned());
        }
    }
    // What a script fills in, and places within the page, are no files.
    found.retain(|reference| {
        !reference.is_empty() && !reference.starts_with(['#', '$']) && !reference.contains("data:")
    });
    found
}

/// The path that a reference in a page at `path` leads to.
fn resolved(reference: &str, path: &str) -> String {
    assert!(!reference.contains("//"), "{path} asks elsewhere for {reference}");
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let here = reference.strip_prefix("./").unwrap_or(reference);
    if reference.starts_with('/') { reference.to_owned() } else { format!("{folder}/{here}") }
}

/// Reads a page and all that it asks for, and what that asks for; everything must come from this server.
async fn read_page(sale: &Sale, path: &str) -> String {
    let mut whole = String::new();
    let (mut wanted, mut known) = (vec![path.to_owned()], BTreeSet::new());
    while let Some(path) = wanted.pop() {
        if !known.insert(path.clone()) {
            continue;
        }
        let reply = sale.caller.get(&path).send().await;
        reply.expect(200);
        let media_type = reply.header("content-type").unwrap();
        let expected = match path.rsplit_once('.') {
            Some((_, "js")) => "text/javascript",
            Some((_, "css")) => "text/css",
            None if ["/", "/desk", "/docs", "/check-in"].contains(&path.as_str()) => "text/html",
            // What a reader may follow a link to.
            _ => continue,
        };
        assert!(media_type.starts_with(expected), "{path}: {media_type}");
        let text = String::from_utf8(reply.body.to_vec()).unwrap();
        wanted.extend(references(&text).iter().map(|reference| resolved(reference, &path)));
        whole.push_str(&text);
    }
    // The names of XML's languages look like addresses, and are none.
    let whole = whole.replace("http://www.w3.org/", "");
    for outside in ["http://", "https://", "=\"//", "url(//", "\"//"] {
        assert!(!whole.contains(outside), "{path} and what it loads name {outside}");
    }
    whole
}

#[tokio::test]
async fn the_description_can_be_read_in_a_browser() {
    let (sale, _) = document().await;
    let whole = read_page(&sale, "/docs").await;
    assert!(whole.contains("openapi.json"), "it shows the document of this server");
}

#[tokio::test]
async fn the_back_office_needs_nothing_from_outside() {
    let (sale, _) = document().await;
    let whole = read_page(&sale, "/desk").await;
    assert!(whole.contains("/admin/live"), "it shows live figures");
}

#[tokio::test]
async fn the_demonstration_needs_nothing_from_outside() {
    let (sale, _) = document().await;
    let whole = read_page(&sale, "/").await;
    assert!(whole.contains("/queue/token"), "it shows a place in line");
}

#[tokio::test]
async fn the_door_needs_nothing_from_outside() {
    let (sale, _) = document().await;
    let whole = read_page(&sale, "/check-in").await;
    assert!(whole.contains("/check-ins/batch"), "it sends scans");
}
