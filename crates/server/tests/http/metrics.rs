//! The format of `/metrics` follows `Accept`.

use std::collections::BTreeMap;

use onsale_testing::Reply;

use crate::support::start;

/// The types of families, by name; and that nothing else is described.
fn types(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    lines.map(|(family, kind)| (family.to_owned(), kind.to_owned())).collect()
}

/// Checks that every sample follows the description of its family, as format 0.0.4 requires.
fn is_prometheus_text(reply: &Reply) {
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"), "{}", reply.call);
    let text = std::str::from_utf8(&reply.body).unwrap();
    let mut family = ("", "");
    let mut samples = 0;
    for line in text.lines() {
        if let Some(described) = line.strip_prefix("# TYPE ") {
            family = described.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram", "summary", "untyped"].contains(&family.1), "{line}");
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        assert!(!line.starts_with('#'), "{line}");
        let name = &line[..line.find(['{', ' ']).unwrap()];
        let is_of_it = match family.1 {
            "histogram" => ["_bucket", "_sum", "_count"].iter().any(|end| name.strip_suffix(end) == Some(family.0)),
            _ => name == family.0,
        };
        assert!(is_of_it, "{line} belongs to no {family:?}");
        assert!(!line.contains(" # "), "an exemplar: {line}");
        samples += 1;
    }
    assert!(samples > 20, "{text}");
    let types = types(text);
    assert_eq!(types["onsale_desk_shed_total"], "counter");
    assert_eq!(types["onsale_http_server_request_duration_seconds"], "histogram");
}

fn is_open_metrics(reply: &Reply) {
    let media_type = reply.header("content-type").unwrap();
    assert_eq!(media_type, "application/openmetrics-text; version=1.0.0; charset=utf-8", "{}", reply.call);
    let text = std::str::from_utf8(&reply.body).unwrap();
    assert!(text.ends_with("\n# EOF\n"));
    assert_eq!(types(text)["onsale_desk_shed"], "counter");
}

#[tokio::test]
async fn the_format_of_metrics_follows_the_accept_header() {
    let sale = start(&[]).await;
    let get = || sale.caller.get("/metrics");
    is_prometheus_text(&get().send().await);
    for accept in [
        "*/*",
        "text/plain",
        "text/plain;version=0.0.4",
        "text/html,*/*;q=0.8",
        "application/json",
        "",
        "application/openmetrics-text;q=0",
        "application/openmetrics-text;q=0.3,text/plain;q=0.7",
    ] {
        is_prometheus_text(&get().header("accept", accept).send().await);
    }
    let scraper = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
        text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    for accept in [scraper, "application/openmetrics-text", "text/plain;q=0.3, application/openmetrics-text;q=0.7"] {
        is_open_metrics(&get().header("accept", accept).send().await);
    }
    let reply = get().send().await;
    assert_eq!(reply.header("vary"), Some("accept"));
}
