//! A Prometheus with the shipped files, in which minutes are shortened to a second.

use std::net::SocketAddr;
use std::process::Stdio;

use onsale_testing::{Balancer, Launch, Prometheus, Sale};
use serde_json::Value;
use tokio::process::Child;

use crate::support::until;

/// A file of `deploy`, as shipped.
pub(crate) fn shipped(file: &str) -> String {
    let path = format!("{}/../../deploy/{file}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A line with another value after `key`.
fn with_value(line: &str, key: &str, value: &str) -> Option<String> {
    let start = line.find(key)? + key.len();
    line[..start].trim_end().ends_with(key.trim()).then(|| format!("{} {value}", &line[..start]))
}

/// `prometheus.yml` with other targets, each scraped twice a second.
fn configuration(targets: &[SocketAddr]) -> String {
    let named: Vec<String> = targets.iter().map(|target| format!("\"{target}\"")).collect();
    let targets = format!("[{}]", named.join(", "));
    let values = [("scrape_interval:", "500ms"), ("evaluation_interval:", "500ms"), ("- targets:", targets.as_str())];
    let changed = |line: &str| values.iter().find_map(|(key, value)| with_value(line, key, value));
    let text = shipped("prometheus.yml");
    for (key, _) in values {
        assert!(text.contains(key), "prometheus.yml has {key}");
    }
    text.lines().map(|line| changed(line).unwrap_or_else(|| line.to_owned()) + "\n").collect()
}

/// `alerts.yml` in which alerts fire after a second, with further replacements, each of which must match.
fn rules(shortened: &[(&str, &str)]) -> String {
    let mut text = shipped("alerts.yml");
    for (long, short) in shortened {
        assert!(text.contains(long), "alerts.yml has {long:?}");
        text = text.replace(long, short);
    }
    text.lines().map(|line| with_value(line, "        for:", "1s").unwrap_or_else(|| line.to_owned()) + "\n").collect()
}

/// A Prometheus with the shipped rules.
pub(crate) struct Watch {
    pub(crate) prometheus: Prometheus,
}

impl Watch {
    /// Over the metrics at these addresses, all of them scraped once. A test asks `without("prometheus")` first.
    pub(crate) async fn over(targets: &[SocketAddr]) -> Self {
        Self::shortened(targets, &[]).await
    }

    /// The same with parts of `alerts.yml` replaced, such as a threshold of minutes.
    pub(crate) async fn shortened(targets: &[SocketAddr], shortened: &[(&str, &str)]) -> Self {
        let prometheus = Prometheus::start(&configuration(targets), &[("alerts.yml", &rules(shortened))]).await;
        if !targets.is_empty() {
            prometheus.until_scraped(targets).await;
        }
        Self { prometheus }
    }

    /// Waits until none of these alerts fires.
    pub(crate) async fn is_quiet(&self, alerts: &[&str]) {
        for alert in alerts {
            // On a slow machine a scrape may have failed just now. An alert that an outage causes fires as long as that lasts.
            self.ends(alert).await;
        }
    }

    /// Waits until an alert fires, and returns it.
    pub(crate) async fn fires(&self, alert: &str) -> Vec<Value> {
        self.prometheus.until_firing(alert, true).await
    }

    /// Waits until an alert no longer fires.
    pub(crate) async fn ends(&self, alert: &str) {
        self.prometheus.until_firing(alert, false).await;
    }
}

/// The address of a server's metrics.
pub(crate) fn address(sale: &Sale) -> SocketAddr {
    sale.instance.base().strip_prefix("http://").unwrap().parse().unwrap()
}

/// Starts `relay` or `consume` next to a server. Returns the process, killed when dropped, and the address of its metrics.
pub(crate) async fn beside(launch: &Launch, command: &str) -> (Child, SocketAddr) {
    let port = Balancer::port();
    let address = port.address();
    let mut command = launch.command(&[command]);
    command.env("ONSALE_METRICS_LISTEN", address.to_string());
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let listens = async || tokio::net::TcpStream::connect(address).await.ok();
    until("the metrics are shown", listens).await;
    (child, address)
}
