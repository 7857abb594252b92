//! The page of metrics lists exactly the metrics that running programs export.

use std::collections::BTreeMap;
use std::path::PathBuf;

use onsale_testing::Caller;

use crate::everything::Everything;

/// If this variable is set, the test writes the page.
const WRITE: &str = "ONSALE_TEST_WRITE_DOCS";

const HEAD: &str = "# Metrics

Every metric of `serve`, `relay` and `consume`, with their help texts. [Operate](operate.md#what-to-watch) lists those to watch, and
`deploy/alerts.yml` has the alerts. A test writes and checks this page. It reads the metrics of a server on Postgres with
Redis and Kafka, of its relay and consumer, and of a server on SQLite
(`ONSALE_TEST_WRITE_DOCS=1 cargo test --workspace --test alerts -- metrics`).

| metric | type | labels | meaning |
| --- | --- | --- | --- |
";

/// A family: its type, its help and the labels of its samples.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    help: String,
    labels: Vec<String>,
}

/// Names of labels between braces.
fn labels(text: &str) -> Vec<String> {
    let pairs = text.split("=\"").map(|part| part.rsplit([',', '{']).next().unwrap_or_default());
    pairs
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
        .map(str::to_owned)
        .collect()
}

/// Adds the families of one exposition in Prometheus' text format.
fn read(text: &str, families: &mut BTreeMap<String, Family>) {
    let mut current = String::new();
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|line| line.split_once(' ')) {
            families.entry(name.to_owned()).or_default().help = help.trim_end_matches('.').to_owned();
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' ')) {
            families.entry(name.to_owned()).or_default().kind = kind.to_owned();
            current = name.to_owned();
        } else if let Some((_, rest)) = line.split_once('{') {
            let family = families.entry(current.clone()).or_default();
            for label in labels(rest.rsplit_once('}').map_or(rest, |(inside, _)| inside)) {
                if label != "le" && !label.is_empty() && !family.labels.contains(&label) {
                    family.labels.push(label);
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_is_on_its_page() {
    let Some(everything) = Everything::start().await else { return };
    everything.is_used().await;
    let mut families = BTreeMap::new();
    for target in everything.targets() {
        let caller = Caller::new(&format!("http://{target}"));
        // Twice, because a request is counted after its answer.
        caller.get("/metrics").send().await;
        let shown = caller.get("/metrics").send().await;
        read(std::str::from_utf8(&shown.body).unwrap(), &mut families);
    }
    assert!(families.len() > 40, "{families:?}");
    let quoted = |labels: &[String]| labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
    let rows = families.iter().map(|(name, Family { kind, help, labels })| {
        assert!(!help.is_empty(), "{name} has no help text");
        format!("| `{name}` | {kind} | {} | {help} |\n", quoted(labels))
    });
    let wanted = HEAD.to_owned() + &rows.collect::<String>();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/metrics.md");
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let page = std::fs::read_to_string(&path).unwrap();
    let different = |one: &str, other: &str| {
        let known: Vec<&str> = other.lines().collect();
        one.lines().filter(|line| !known.contains(line)).map(str::to_owned).collect::<Vec<_>>()
    };
    let (missing, gone) = (different(&wanted, &page), different(&page, &wanted));
    assert!(
        page == wanted,
        "{WRITE}=1 writes docs/guide/metrics.md anew. Missing: {missing:#?}; shown by nothing: {gone:#?}"
    );
}
