//! Each query of the shipped dashboard and alerts finds series of running programs, with the labels that it names.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use onsale_testing::{Prometheus, without};
use serde_json::Value;

use crate::everything::Everything;
use crate::selectors::{asked, shown};
use crate::support::{text, until};
use crate::watch::{Watch, shipped};

/// The time after which Prometheus has scraped everything: each target is scraped twice a second. The rest is for a slow machine.
const SCRAPED_WITHIN: Duration = Duration::from_secs(3 + 27);

/// A query, and the labels of its result that a panel shows.
struct Query {
    from: String,
    expression: String,
    shown: Vec<String>,
}

/// The queries of the dashboard.
fn of_dashboard() -> Vec<Query> {
    let dashboard: Value = serde_json::from_str(&shipped("grafana/dashboards/onsale.json")).unwrap();
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let shown = shown(target["legendFormat"].as_str().unwrap_or_default());
            queries.push(Query { from: text(&panel["title"]), expression: text(&target["expr"]), shown });
        }
    }
    assert!(queries.len() > 30, "the dashboard has queries");
    queries
}

/// The expressions of the alerts, as Prometheus has read them.
async fn of_alerts(prometheus: &Prometheus) -> Vec<Query> {
    let of = |rule: Value| {
        let shown = rule["annotations"].as_object().unwrap().values().flat_map(|note| shown(note.as_str().unwrap()));
        Query { from: text(&rule["name"]), expression: text(&rule["query"]), shown: shown.collect() }
    };
    prometheus.rules().await.into_iter().map(of).collect()
}

/// Returns what is wrong with a query, if anything is.
async fn complaint(prometheus: &Prometheus, query: &Query) -> Option<String> {
    let Query { from, expression, shown } = query;
    let asked = asked(expression);
    if asked.selectors.is_empty() {
        return Some(format!("{from}: {expression} asks for no metric"));
    }
    let mut labels = BTreeSet::new();
    for selector in &asked.selectors {
        let series = prometheus.query(selector).await;
        if series.is_empty() {
            return Some(format!("{from}: nothing has {selector}"));
        }
        for one in series {
            labels.extend(one["metric"].as_object().unwrap().keys().cloned());
        }
    }
    let missing: Vec<_> = asked.labels.iter().chain(shown).filter(|label| !labels.contains(*label)).collect();
    (!missing.is_empty()).then(|| format!("{from}: {expression} wants {missing:?} of {labels:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_query_of_alerts_and_dashboards_matches_exported_series() {
    let Some(everything) = Everything::start().await else { return };
    let watch = Watch::over(&everything.targets()).await;
    everything.is_used().await;

    let (mut complaints, mut queries) = (Vec::new(), of_dashboard());
    queries.extend(of_alerts(&watch.prometheus).await);
    // A new series appears with the next scrape.
    for query in &queries {
        let matches = async || complaint(&watch.prometheus, query).await.is_none().then_some(());
        if tokio::time::timeout(SCRAPED_WITHIN, until("it matches", matches)).await.is_err() {
            complaints.extend(complaint(&watch.prometheus, query).await);
        }
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
    // Dashboards show what a query gives as a whole.
    for Query { from, expression, .. } in of_dashboard() {
        let shows = async || (!watch.prometheus.query(&expression).await.is_empty()).then_some(());
        until(&format!("{from}: {expression} shows something"), shows).await;
    }
}

#[test]
fn promtool_accepts_the_rules_and_the_configuration() {
    if without("prometheus") {
        return;
    }
    let deploy = format!("{}/../../deploy", env!("CARGO_MANIFEST_DIR"));
    for check in [["check", "rules", "alerts.yml"], ["check", "config", "prometheus.yml"]] {
        let run = Command::new("promtool").args(check).current_dir(&deploy).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    }
}
