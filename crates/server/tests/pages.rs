//! The files of the pages: validated, compressed, and kept by the browser.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod support;

use std::collections::BTreeSet;

use onsale_testing::{Caller, Reply, Sale};
use support::start;

/// The pages and their descriptions, each with its media type.
const PAGES: [(&str, &str); 11] = [
    ("/", "text/html; charset=utf-8"),
    ("/docs", "text/html; charset=utf-8"),
    ("/desk", "text/html; charset=utf-8"),
    ("/check-in", "text/html; charset=utf-8"),
    ("/check-in-worker.js", "text/javascript; charset=utf-8"),
    ("/assets/licences.txt", "text/plain; charset=utf-8"),
    ("/openapi.json", "application/json"),
    ("/assets/demo.js", "text/javascript; charset=utf-8"),
    ("/assets/style.css", "text/css; charset=utf-8"),
    ("/assets/shop.js", "text/javascript; charset=utf-8"),
    ("/assets/shop.css", "text/css; charset=utf-8"),
];

/// A caller that is not held to the API description: pages are not part of it.
fn plain(sale: &Sale) -> Caller {
    Caller::new(sale.instance.base())
}

async fn get(caller: &Caller, path: &str, headers: &[(&str, &str)]) -> Reply {
    let call = headers.iter().fold(caller.get(path), |call, (name, value)| call.header(name, value));
    call.send().await
}

/// Addresses of files that a page names, and those that they import.
async fn files_of(sale: &Sale, page: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut to_read = vec![page.to_owned()];
    while let Some(path) = to_read.pop() {
        let reply = get(&plain(sale), &path, &[]).await;
        assert_eq!(reply.status, 200, "{path}");
        let text = String::from_utf8(reply.body.to_vec()).unwrap();
        let folder = path.rsplit_once('/').unwrap().0;
        for quoted in text.split('"').skip(1).step_by(2) {
            if !quoted.ends_with(".js") && !quoted.ends_with(".css") {
                continue;
            }
            let named = match quoted.strip_prefix("./") {
                Some(name) => format!("{folder}/{name}"),
                None => format!("/{}", quoted.trim_start_matches('/')),
            };
            if found.insert(named.clone()) {
                to_read.push(named);
            }
        }
    }
    found
}

#[tokio::test]
async fn a_client_that_has_a_page_gets_304() {
    let sale = start(&[]).await;
    for (path, media_type) in PAGES {
        let first = get(&plain(&sale), path, &[]).await;
        assert_eq!((first.status.as_u16(), first.header("content-type")), (200, Some(media_type)), "{path}");
        assert_eq!(first.header("cache-control"), Some("no-cache"), "{path}");
        assert_eq!(first.header("x-content-type-options"), Some("nosniff"), "{path}");
        let tag = first.header("etag").unwrap_or_else(|| panic!("{path} has no validator"));
        assert!(tag.starts_with('"'), "{path}: {tag} is weak");
        let again = get(&plain(&sale), path, &[("if-none-match", tag)]).await;
        assert_eq!((again.status.as_u16(), again.body.len(), again.header("etag")), (304, 0, Some(tag)), "{path}");
        assert_eq!(again.header("content-security-policy"), first.header("content-security-policy"), "{path}");
        assert_eq!(get(&plain(&sale), path, &[("if-none-match", "\"other\"")]).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_client_that_takes_gzip_gets_the_same_page_in_gzip() {
    let sale = start(&[]).await;
    for (path, media_type) in PAGES {
        let whole = get(&plain(&sale), path, &[("accept-encoding", "identity")]).await;
        let packed = get(&plain(&sale), path, &[("accept-encoding", "gzip, deflate, br")]).await;
        assert_eq!(packed.header("content-encoding"), Some("gzip"), "{path}");
        assert_eq!(packed.header("content-type"), Some(media_type), "{path}");
        assert_eq!(whole.header("content-encoding"), None, "{path}");
        assert_eq!(packed.unpacked(), whole.body, "{path}");
        assert!(packed.body.len() * 10 < whole.body.len() * 7, "{path}: {} of {}", packed.body.len(), whole.body.len());
        assert_ne!(packed.header("etag"), whole.header("etag"), "{path}: two forms, two validators");
        for reply in [&whole, &packed] {
            assert!(reply.header("vary").unwrap().eq_ignore_ascii_case("accept-encoding"), "{path}");
        }
    }
}

#[tokio::test]
async fn the_files_of_a_page_are_kept_for_as_long_as_their_version_lasts() {
    let sale = start(&[]).await;
    for page in ["/", "/desk", "/docs", "/check-in"] {
        let files = files_of(&sale, page).await;
        assert!(files.len() >= 2, "{page} names {files:?}");
        for path in &files {
            let reply = get(&plain(&sale), path, &[]).await;
            let kept = reply.header("cache-control").unwrap();
            assert!(kept.contains("immutable") && kept.contains("max-age=31536000"), "{path}: {kept}");
        }
        // During a rolling restart the page of one build asks the instance of another: an answer, but not for a year.
        let name = files.first().unwrap().rsplit_once('/').unwrap().1;
        let other = get(&plain(&sale), &format!("/assets/0123456789abcdef/{name}"), &[]).await;
        assert_eq!((other.status.as_u16(), other.header("cache-control")), (200, Some("no-cache")));
    }
    sale.caller.get("/assets/nothing.js").refused(404, "not-found").await;
    sale.caller.get("/assets/0123456789abcdef/nothing.js").refused(404, "not-found").await;
}

/// Without a network the page of the door has only what its service worker keeps.
#[tokio::test]
async fn the_worker_of_the_door_keeps_each_file_of_its_page() {
    let sale = start(&[]).await;
    let worker = String::from_utf8(get(&plain(&sale), "/check-in-worker.js", &[]).await.body.to_vec()).unwrap();
    assert!(!worker.contains("{{"), "something was not filled in: {worker}");
    let files = files_of(&sale, "/check-in").await;
    assert!(files.len() > 20, "{files:?}");
    for path in files {
        let (folder, name) = path.rsplit_once('/').unwrap();
        assert!(worker.contains(&format!("\"{name}\"")), "{name} is not kept");
        assert!(worker.contains(folder.rsplit_once('/').unwrap().1), "another version than {folder}");
    }
}

#[tokio::test]
async fn the_pages_name_the_zone_of_their_dates() {
    for zone in ["Asia/Seoul", "America/Argentina/Buenos_Aires", "UTC"] {
        let sale = start(&[("ONSALE_TIMEZONE", zone)]).await;
        for path in ["/", "/desk", "/check-in"] {
            let page = String::from_utf8(get(&plain(&sale), path, &[]).await.body.to_vec()).unwrap();
            let wanted = format!("<meta name=\"onsale-timezone\" content=\"{zone}\">");
            assert!(page.contains(&wanted), "{wanted} is not in {page}");
            assert!(!page.contains("{{"), "something was not filled in: {page}");
        }
    }
}

/// What a browser loads before the shop shows anything but its frame: 60 KB, compressed. Over 400 kbit/s that takes 1.2 s.
#[tokio::test]
async fn the_first_load_of_the_shop_is_small() {
    let sale = start(&[]).await;
    let gzip = [("accept-encoding", "gzip")];
    let page = get(&plain(&sale), "/", &gzip).await;
    let html = String::from_utf8(page.unpacked().to_vec()).unwrap();
    let named = html.split('"').filter(|text| text.ends_with(".js") || text.ends_with(".css"));
    let mut sizes = vec![("/".to_owned(), page.body.len())];
    for name in named {
        let reply = get(&plain(&sale), &format!("/{name}"), &gzip).await;
        assert_eq!(reply.header("content-encoding"), Some("gzip"), "{name}");
        sizes.push((name.to_owned(), reply.body.len()));
    }
    assert_eq!(sizes.len(), 3, "one script and one file of styles, so that each waits for no other: {sizes:?}");
    let whole: usize = sizes.iter().map(|(_, size)| size).sum();
    assert!(whole < 60_000, "{whole} bytes: {sizes:?}");
}

#[tokio::test]
async fn a_server_without_a_shop_keeps_the_other_pages() {
    let sale = start(&[("ONSALE_PAGES", "off")]).await;
    sale.caller.get("/").refused(404, "not-found").await;
    for path in ["/desk", "/docs", "/openapi.json", "/assets/office.js"] {
        assert_eq!(get(&plain(&sale), path, &[]).await.status, 200, "{path}");
    }
    sale.caller.get("/concerts").expect(200).await;
}

#[tokio::test]
async fn only_a_demonstration_offers_a_crowd() {
    let offers = async |sale: &Sale, is_demo: bool| {
        let page = String::from_utf8(get(&plain(sale), "/", &[]).await.body.to_vec()).unwrap();
        let wanted = format!("<meta name=\"onsale-demo\" content=\"{is_demo}\">");
        assert!(page.contains(&wanted), "{wanted} is not in {page}");
    };
    offers(&start(&[]).await, false).await;
    offers(&Sale::start(&Sale::launch(support::ONSALE).with("--demo")).await, true).await;
}
