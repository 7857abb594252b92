//! The shipped files of Prometheus, with other targets and, if a test wants it, shorter times.

use std::net::SocketAddr;

/// A file of `deploy`, as shipped.
///
/// # Panics
/// If it cannot be read.
pub fn shipped(file: &str) -> String {
    let path = format!("{}/../../deploy/{file}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A line with another value after `key`.
fn with_value(line: &str, key: &str, value: &str) -> Option<String> {
    let start = line.find(key)? + key.len();
    line[..start].trim_end().ends_with(key.trim()).then(|| format!("{} {value}", &line[..start]))
}

/// `prometheus.yml` with other targets. With `every`, such as `500ms`, they are scraped and rules are evaluated that often.
///
/// # Panics
/// If the file lacks a key that is to be changed.
pub fn scrape_configuration(targets: &[SocketAddr], every: Option<&str>) -> String {
    let named: Vec<String> = targets.iter().map(|target| format!("\"{target}\"")).collect();
    let targets = format!("[{}]", named.join(", "));
    let mut values = vec![("- targets:", targets.as_str())];
    values.extend(every.into_iter().flat_map(|every| [("scrape_interval:", every), ("evaluation_interval:", every)]));
    let changed = |line: &str| values.iter().find_map(|(key, value)| with_value(line, key, value));
    let text = shipped("prometheus.yml");
    for (key, _) in &values {
        assert!(text.contains(key), "prometheus.yml has {key}");
    }
    text.lines().map(|line| changed(line).unwrap_or_else(|| line.to_owned()) + "\n").collect()
}

/// `alerts.yml`. With `after`, such as `1s`, alerts fire after that time. Each of the replacements must match.
///
/// # Panics
/// If a replacement does not match.
pub fn alert_rules(after: Option<&str>, replaced: &[(&str, &str)]) -> String {
    let mut text = shipped("alerts.yml");
    for (from, to) in replaced {
        assert!(text.contains(from), "alerts.yml has {from:?}");
        text = text.replace(from, to);
    }
    let Some(after) = after else { return text };
    text.lines().map(|line| with_value(line, "        for:", after).unwrap_or_else(|| line.to_owned()) + "\n").collect()
}
