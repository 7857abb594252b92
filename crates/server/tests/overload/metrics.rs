//! `/metrics`: OpenMetrics text with bounded labels, that counts what happens.

use std::collections::{BTreeMap, BTreeSet};

use onsale_testing::{Caller, Sale};
use serde_json::json;

use super::support::{start, until};

/// A sample: its name, its labels as written, its value.
#[derive(Clone, Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// The labels between braces: `name="value"` with commas between.
fn labels(text: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, value) = rest.split_once("=\"").unwrap_or_else(|| panic!("a label: {text}"));
        let end = value.find('"').unwrap_or_else(|| panic!("a label: {text}"));
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{text}");
        assert!(labels.insert(name.to_owned(), value[..end].to_owned()).is_none(), "a label twice: {text}");
        rest = value[end + 1..].strip_prefix(',').unwrap_or(&value[end + 1..]);
    }
    labels
}

fn sample(line: &str) -> Sample {
    let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap_or_else(|| panic!("a sample: {line}")));
    let (labelled, value) = match rest.strip_prefix('{') {
        Some(rest) => rest.rsplit_once("} ").unwrap_or_else(|| panic!("a sample: {line}")),
        None => ("", rest.trim_start()),
    };
    let value = value.parse().unwrap_or_else(|_| panic!("a number: {line}"));
    Sample { name: name.to_owned(), labels: labels(labelled), value }
}

/// The samples, with the type of each family.
struct Shown {
    samples: Vec<Sample>,
    types: BTreeMap<String, String>,
    /// Families that are described more than once.
    twice: BTreeSet<String>,
}

impl Shown {
    async fn of(caller: &Caller) -> Self {
        let reply = caller.get("/metrics").header("accept", "application/openmetrics-text").send().await;
        let media_type = reply.header("content-type").unwrap();
        assert!(media_type.starts_with("application/openmetrics-text; version=1.0.0"), "{media_type}");
        Self::read(std::str::from_utf8(&reply.body).unwrap())
    }

    fn read(text: &str) -> Self {
        let text = text.strip_suffix("# EOF\n").expect("the text ends with # EOF");
        let (mut samples, mut types, mut twice) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["#", "TYPE", family, kind] => {
                    if types.insert(family.to_owned(), kind.to_owned()).is_some() {
                        twice.insert(family.to_owned());
                    }
                }
                ["#", "UNIT", family, unit] => assert!(family.ends_with(&format!("_{unit}")), "{line}"),
                ["#", "HELP", _, ..] => {}
                _ => samples.push(sample(line)),
            }
        }
        Self { samples, types, twice }
    }

    /// The value of the one sample with this name, and this in its labels.
    fn value(&self, name: &str, labelled: &[(&str, &str)]) -> f64 {
        let has = |sample: &&Sample| {
            sample.name == name
                && labelled.iter().all(|(name, value)| sample.labels.get(*name).is_some_and(|own| own == value))
        };
        let found: Vec<&Sample> = self.samples.iter().filter(has).collect();
        let [sample] = found[..] else { panic!("one {name} with {labelled:?}: {found:?}") };
        sample.value
    }

    /// The family of a sample, by the suffixes that its type allows.
    fn family(&self, sample: &Sample) -> (&str, &str) {
        let suffixes: [(&str, &str); 5] = [
            ("", "gauge"),
            ("_total", "counter"),
            ("_bucket", "histogram"),
            ("_sum", "histogram"),
            ("_count", "histogram"),
        ];
        let known = suffixes.iter().find_map(|(suffix, kind)| {
            let family = sample.name.strip_suffix(suffix)?;
            let (family, known) = self.types.get_key_value(family)?;
            (known == kind).then_some((family.as_str(), *suffix))
        });
        known.unwrap_or_else(|| panic!("{} is of no family", sample.name))
    }
}

const FAMILIES: [(&str, &str); 14] = [
    ("onsale_http_server_request_duration_seconds", "histogram"),
    ("onsale_http_server_open_connections", "gauge"),
    ("onsale_waiting_room_waiting", "gauge"),
    ("onsale_waiting_room_active", "gauge"),
    ("onsale_desk_batch_size", "histogram"),
    ("onsale_desk_wait_seconds", "histogram"),
    ("onsale_desk_unit_seconds", "histogram"),
    ("onsale_desk_commit_seconds", "histogram"),
    ("onsale_desk_shed", "counter"),
    ("onsale_desk_commands_failed", "counter"),
    ("onsale_desk_answers_replayed", "counter"),
    ("onsale_desk_troubled", "gauge"),
    ("onsale_background_runs", "counter"),
    ("onsale_background_failures", "counter"),
];

/// A server at which a few things have happened.
async fn used() -> (Sale, Caller) {
    let sale = start(&[]).await;
    let room = json!({"maxActive": 1, "claimSeconds": 3_600});
    let concert = sale.concert(&room).await;
    sale.active(&concert, "user-1").await;
    for user in ["user-2", "user-3", "user-4"] {
        sale.enter(&concert, user).await;
    }
    for _ in 0..2 {
        sale.caller.patch("/point/user-1/charge").json(&json!({"amount": 5})).key("a-key").expect(200).await;
    }
    sale.charge("user-1", 5).await;
    sale.caller.patch("/point/user-1/use").json(&json!({"amount": 500})).refused(409, "insufficient-balance").await;
    let caller = Caller::new(sale.instance.base());
    (sale, caller)
}

#[tokio::test]
async fn the_metrics_count_what_happens() {
    let (_sale, caller) = used().await;
    let shown = Shown::of(&caller).await;
    for (family, kind) in FAMILIES {
        assert_eq!(shown.types.get(family).map(String::as_str), Some(kind), "{family}");
    }
    let requests = |method, route, status| {
        let labels = [("http_request_method", method), ("http_route", route), ("http_response_status_code", status)];
        shown.value("onsale_http_server_request_duration_seconds_count", &labels)
    };
    assert_eq!(requests("PATCH", "/point/{id}/charge", "200"), 3.0);
    assert_eq!(requests("PATCH", "/point/{id}/use", "409"), 1.0);
    assert!(requests("POST", "/queue/tokens", "201") >= 4.0);
    assert_eq!(shown.value("onsale_desk_answers_replayed_total", &[]), 1.0);
    assert_eq!(shown.value("onsale_waiting_room_waiting", &[]), 3.0);
    assert_eq!(shown.value("onsale_waiting_room_active", &[]), 1.0);
    assert_eq!(shown.value("onsale_desk_shed_total", &[]), 0.0);
    assert_eq!(shown.value("onsale_desk_troubled", &[]), 0.0);
    assert!(shown.value("onsale_desk_batch_size_sum", &[]) >= 9.0, "commands were decided");
    assert!(shown.value("onsale_http_server_open_connections", &[]) >= 1.0);
    let sweeps = async || {
        let runs = Shown::of(&caller).await.value("onsale_background_runs_total", &[("task", "lapsed-holds")]);
        (runs > 1.0).then_some(())
    };
    until("background work is counted", sweeps).await;
}

#[tokio::test]
async fn the_metrics_are_sound() {
    let (_sale, caller) = used().await;
    let shown = Shown::of(&caller).await;
    let mut series = BTreeSet::new();
    let mut buckets: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    let mut counts = BTreeMap::new();
    for sample in &shown.samples {
        let (family, suffix) = shown.family(sample);
        assert!(series.insert(format!("{}{:?}", sample.name, sample.labels)), "a series twice: {sample:?}");
        let mut others = sample.labels.clone();
        let bound = others.remove("le");
        let histogram = format!("{family}{others:?}");
        match (suffix, bound) {
            ("_bucket", Some(bound)) => {
                let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().unwrap() };
                buckets.entry(histogram).or_default().push((bound, sample.value));
            }
            ("_count", None) => drop(counts.insert(histogram, sample.value)),
            (_, bound) => assert_eq!(bound, None, "{sample:?}"),
        }
    }
    assert_eq!(buckets.len(), counts.len());
    for (histogram, buckets) in buckets {
        assert!(buckets.is_sorted_by(|one, next| one.0 < next.0 && one.1 <= next.1), "{histogram}: {buckets:?}");
        assert_eq!(buckets.last(), Some(&(f64::INFINITY, counts[&histogram])), "{histogram}");
    }
}

#[tokio::test]
async fn no_family_of_metrics_is_described_twice() {
    let (_sale, caller) = used().await;
    let twice = Shown::of(&caller).await.twice;
    assert!(twice.is_empty(), "OpenMetrics: the samples of a family stand together, under one TYPE: {twice:?}");
}

#[tokio::test]
async fn labels_are_bounded() {
    let (sale, caller) = used().await;
    let count = async || Shown::of(&caller).await.samples.len();
    caller.get("/nowhere").expect(404).await;
    caller.get("/point/user-0").expect(200).await;
    caller.delete("/point/user-0").expect(405).await;
    count().await;
    let before = count().await;
    for number in 0..50 {
        caller.get(&format!("/nowhere/{number}")).expect(404).await;
        caller.get(&format!("/point/user-{number}?a={number}")).send().await;
        caller.get(&format!("/point/user-{number}")).expect(200).await;
        caller.delete(&format!("/point/user-{number}")).expect(405).await;
        caller.call(format!("METHOD{number}").parse().unwrap(), "/point/ada").send().await;
    }
    let grown = count().await - before;
    assert!(grown < 50, "{grown} more samples after 250 requests: one new status of one route at most");
    for sample in Shown::of(&caller).await.samples {
        for (name, value) in &sample.labels {
            let is_user = value.strip_prefix("user-").is_some_and(|number| number.parse::<u32>().is_ok());
            let is_id = is_user || value.len() >= 32 && value.matches('-').count() == 4;
            assert!(!is_id && !value.contains("nowhere") && !value.starts_with("METHOD"), "{name}: {value}");
        }
    }
    assert!(sale.instance.terminate().await.success());
}
