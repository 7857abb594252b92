//! The server behind a proxy, below another path.

use std::collections::BTreeSet;

use onsale_testing::{Caller, Launch, Nginx, Sale, without};
use serde_json::Value;

use crate::support::{ONSALE, column, start, text, until};

const SHOP: &str = "https://shop.example/tickets";

async fn public(url: &str) -> Sale {
    start(&[("ONSALE_PUBLIC_URL", url)]).await
}

/// The targets of links and assets in a page.
fn targets(page: &str) -> Vec<String> {
    let attributes = ["href=\"", "src=\""].into_iter().flat_map(|name| page.split(name).skip(1));
    attributes.map(|rest| rest[..rest.find('"').unwrap()].to_owned()).collect()
}

/// Files that a script or a style sheet names.
fn imports(text: &str) -> Vec<String> {
    let names = text.lines().filter_map(|line| {
        let (_, rest) =
            line.split_once(" from \"").or_else(|| line.strip_prefix("import \"").map(|rest| ("", rest)))?;
        Some(rest[..rest.find('"')?].to_owned())
    });
    names.collect()
}

/// Resolves a reference in the document at a path, as a browser does.
fn resolve(found_at: &str, reference: &str) -> Option<String> {
    let reference = reference.split('#').next().unwrap();
    if reference.is_empty() || reference.starts_with("data:") {
        return None;
    }
    assert!(!reference.starts_with('/') && !reference.contains("//"), "{reference} in {found_at} leads elsewhere");
    let folder = &found_at[..=found_at.rfind('/').unwrap()];
    Some(format!("{folder}{}", reference.strip_prefix("./").unwrap_or(reference)))
}

/// Loads a page with everything that it needs, as a browser does. Returns the loaded paths.
async fn walk(caller: &Caller, prefix: &str) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    // The modules of the shop too: its page loads them joined.
    let mut next = ["/", "/docs", "/assets/demo.js"].map(|path| format!("{prefix}{path}")).to_vec();
    while let Some(path) = next.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let reply = caller.get(&path).send().await;
        assert_eq!(reply.status, 200, "{path}");
        let media_type = reply.header("content-type").unwrap().to_owned();
        let content = String::from_utf8(reply.unpacked().to_vec()).unwrap();
        let references = match media_type.as_str() {
            "text/html; charset=utf-8" => targets(&content),
            "text/javascript; charset=utf-8" => imports(&content),
            _ => Vec::new(),
        };
        next.extend(references.iter().filter_map(|reference| resolve(&path, reference)));
    }
    seen
}

#[tokio::test]
async fn pages_work_under_any_path() {
    if without("nginx") {
        return;
    }
    let sale = start(&[]).await;
    let base = sale.instance.base();
    let server = format!("    location /tickets/ {{ proxy_pass {base}/; }}\n    location / {{ return 404; }}");
    let proxy = Nginx::start("", &server).await;
    let below = walk(&Caller::new(&proxy.base()), "/tickets").await;
    let own = walk(&Caller::new(base), "").await;
    assert!(
        own.len() > 20
            && ["/api.js", "/shop.js", "/shop.css"].iter().all(|name| own.iter().any(|path| path.ends_with(name))),
        "{own:?}"
    );
    let stripped: BTreeSet<String> =
        below.iter().map(|path| path.strip_prefix("/tickets").unwrap().to_owned()).collect();
    assert_eq!(stripped, own);
}

/// Scripts request paths only through `at`, which adds the path of the server.
#[tokio::test]
async fn scripts_call_the_path_that_they_were_loaded_from() {
    let sale = start(&[]).await;
    let caller = Caller::new(sale.instance.base());
    for path in walk(&caller, "").await.iter().filter(|path| path.ends_with(".js")) {
        let script = String::from_utf8(caller.get(path).send().await.unpacked().to_vec()).unwrap();
        for (what, sound) in [("fetch(", "at("), ("new EventSource(", "at("), ("sendBeacon(", "at(")] {
            for (_, argument) in script.match_indices(what).map(|(at, _)| script.split_at(at + what.len())) {
                let line = argument.lines().next().unwrap();
                assert!(argument.starts_with(sound), "{path}: {what}{line}");
            }
        }
        assert!(!script.contains("location.origin"), "{path}: the origin alone is not where the server is");
        for absolute in ["href: \"/", "href: `/", "src: \"/", "src: `/"] {
            assert!(!script.contains(absolute), "{path}: {absolute}");
        }
    }
}

#[tokio::test]
async fn links_begin_with_the_public_url() {
    let sale = public(&format!("{SHOP}/")).await;
    for _ in 0..3 {
        sale.lecture(5).await;
        sale.concert(&serde_json::json!({})).await;
    }
    for path in ["/lectures", "/concerts"] {
        let reply = sale.caller.get(&format!("{path}?limit=1")).send().await;
        let link = reply.header("link").unwrap();
        assert!(link.starts_with(&format!("<{SHOP}{path}?limit=1&cursor=")), "{link}");
        assert!(link.ends_with(">; rel=\"next\""), "{link}");
    }
    for amount in [5, 6] {
        sale.charge("ada", amount).await;
    }
    let reply = sale.caller.get("/point/ada/histories?limit=1").send().await;
    assert!(reply.header("link").unwrap().starts_with(&format!("<{SHOP}/point/ada/histories?limit=1&cursor=")));
    let document = sale.caller.get("/openapi.json").expect(200).await;
    assert_eq!(column(&document["servers"], "url"), [SHOP]);
    let caller = Caller::new(sale.instance.base());
    let schemas = caller.get("/events/schemas").expect(200).await;
    for listed in schemas.as_array().unwrap() {
        let schema = text(&listed["schema"]);
        let path = schema.strip_prefix(SHOP).unwrap_or_else(|| panic!("{schema}"));
        assert_eq!(text(&caller.get(path).expect(200).await["$id"]), schema);
    }
}

/// A list is followed to its end through the proxy, by its links alone.
#[tokio::test]
async fn next_links_of_lists_work_through_the_proxy() {
    if without("nginx") {
        return;
    }
    // The proxy's port is not known before it runs, so it stands before the server is there.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = listener.local_addr().unwrap();
    let server = format!("    location /tickets/ {{ proxy_pass http://{upstream}/; }}");
    let proxy = Nginx::start("", &server).await;
    drop(listener);
    let url = format!("{}/tickets", proxy.base());
    let listen = upstream.to_string();
    let sale = start(&[("ONSALE_PUBLIC_URL", &url), ("ONSALE_LISTEN", &listen)]).await;
    for _ in 0..5 {
        sale.lecture(5).await;
    }
    let caller = Caller::new("");
    let (mut next, mut rows) = (Some(format!("{url}/lectures?limit=2")), Vec::new());
    while let Some(page) = next {
        let reply = caller.get(&page).send().await;
        rows.extend(reply.expect(200).as_array().unwrap().clone());
        next = reply.header("link").map(|link| link[1..link.find('>').unwrap()].to_owned());
        assert!(next.as_ref().is_none_or(|next| next.starts_with(&url)), "{next:?}");
    }
    assert_eq!(rows.len(), 5);
}

#[tokio::test]
async fn the_greeting_names_the_public_url() {
    let launch = Launch::new(ONSALE).set("ONSALE_PUBLIC_URL", SHOP).with("--demo");
    let server = launch.start().await;
    let lines = [format!("{SHOP}/docs"), format!("B={SHOP} ")];
    until("it is named", async || lines.iter().all(|line| server.output().contains(line)).then_some(())).await;
    assert!(server.base().starts_with("http://127.0.0.1:"), "the first line has its address");
}

#[tokio::test]
async fn invalid_public_urls_end_the_start() {
    for url in [
        "shop.example",
        "/tickets",
        "ftp://shop.example",
        "https://",
        "https:///tickets",
        "https://shop.example?x=1",
        "https://shop.example/#x",
        "https://ada:secret@shop.example",
        "https://shop .example",
        "https://shop.example:0",
        "https://shop.example//tickets",
    ] {
        let launch = Launch::new(ONSALE).set("ONSALE_PUBLIC_URL", url).set("ONSALE_LISTEN", "127.0.0.1:0");
        let run = launch.run(&["serve"]).await;
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        assert_eq!(run.status.code(), Some(2), "{url}: {said}");
        assert!(said.contains("ONSALE_PUBLIC_URL") && run.stdout.is_empty(), "{url}: {said}");
        let run = Launch::new(ONSALE).run(&["serve", "--public-url", url]).await;
        assert!(String::from_utf8_lossy(&run.stderr).contains("--public-url"), "{url}");
    }
}

#[tokio::test]
async fn without_the_setting_links_are_relative() {
    let sale = start(&[]).await;
    for _ in 0..2 {
        sale.lecture(5).await;
    }
    let reply = sale.caller.get("/lectures?limit=1").send().await;
    assert!(reply.header("link").unwrap().starts_with("</lectures?limit=1&cursor="));
    let document: Value = sale.caller.get("/openapi.json").expect(200).await;
    assert_eq!(column(&document["servers"], "url"), ["/"]);
}
