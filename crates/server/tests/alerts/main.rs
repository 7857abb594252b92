//! The shipped alerts and dashboard, tried on a real Prometheus that scrapes real servers: each alert fires in the outage
//! that it is for, and each query finds series.
//!
//! An alert without an outage here fails `every_alert_of_the_rules_has_fired_in_a_test`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod buyers;
mod compose;
mod delivery;
mod events;
mod everything;
mod load;
mod metrics;
mod parts;
mod queries;
mod selectors;
#[path = "../support/mod.rs"]
mod support;
mod watch;

use onsale_testing::without;

use watch::Watch;

/// The tests of this program, as text.
fn tests() -> String {
    let folder = format!("{}/tests/alerts", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

#[tokio::test]
async fn every_alert_of_the_rules_has_fired_in_a_test() {
    if without("prometheus") {
        return;
    }
    let (tests, rules) = (tests(), Watch::over(&[]).await.prometheus.rules().await);
    assert!(rules.len() >= 7, "{rules:?}");
    for rule in rules {
        let name = rule["name"].as_str().unwrap();
        assert!(tests.contains(&format!(".fires(\"{name}\")")), "no test here causes the outage of {name}");
        for annotation in ["summary", "runbook"] {
            assert!(rule["annotations"][annotation].is_string(), "{name} has no {annotation}");
        }
        let page = rule["annotations"]["runbook"].as_str().unwrap().split('#').next().unwrap();
        let path = format!("{}/../../{page}", env!("CARGO_MANIFEST_DIR"));
        assert!(std::path::Path::new(&path).exists(), "{name}: {page} is no page");
    }
}
