//! A Prometheus with the shipped files, in which minutes are shortened to a second.

use std::net::SocketAddr;
use std::process::Stdio;

pub(crate) use onsale_testing::shipped;
use onsale_testing::{Balancer, Launch, Prometheus, Sale, alert_rules, scrape_configuration};
use serde_json::Value;
use tokio::process::Child;

use crate::support::until;

/// How often targets are scraped and rules evaluated.
const EVERY: &str = "500ms";

/// How long the expression of an alert must hold before it fires.
const AFTER: &str = "1s";

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
        let (configuration, rules) = (scrape_configuration(targets, Some(EVERY)), alert_rules(Some(AFTER), shortened));
        let prometheus = Prometheus::start(&configuration, &[("alerts.yml", &rules)]).await;
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
