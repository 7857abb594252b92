//! A real Prometheus that scrapes what a test runs and evaluates rules.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::caller::Caller;
use crate::patience::PATIENCE;
use crate::port::Port;

/// Interval of the queries that wait for a result.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// A server in a folder of its own, on a loopback port of its own. Killed when dropped.
pub struct Prometheus {
    _process: Child,
    caller: Caller,
    _folder: TempDir,
    port: Port,
}

impl Prometheus {
    /// Starts it with the whole text of `prometheus.yml`, and with files that this text names, each with its name. A test
    /// asks `without("prometheus")` first.
    ///
    /// # Panics
    /// If Prometheus is missing or refuses the configuration.
    pub async fn start(configuration: &str, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::Builder::new().prefix("onsale-prometheus-").tempdir().expect("a temporary folder");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file is written");
        write("prometheus.yml", configuration);
        files.iter().for_each(|(name, text)| write(name, text));
        let port = Port::free();
        let log = std::fs::File::create(folder.path().join("log")).expect("a log is written");
        let mut command = Command::new("prometheus");
        command.current_dir(folder.path()).args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"]);
        command.arg(format!("--web.listen-address={}", port.address())).arg("--log.level=warn");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true);
        let mut process = command.spawn().expect("prometheus starts");
        let caller = Caller::new(&format!("http://{}", port.address()));
        let ready = async {
            while !caller.get("/-/ready").try_send().await.is_ok_and(|reply| reply.status == 200) {
                if let Ok(Some(status)) = process.try_wait() {
                    panic!("prometheus ended: {status}: {}", log_of(folder.path()));
                }
                tokio::time::sleep(ASK_EVERY).await;
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.expect("prometheus is ready in time");
        Self { _process: process, caller, _folder: folder, port }
    }

    /// The base URL, such as `http://127.0.0.1:4711`.
    pub fn base(&self) -> String {
        format!("http://{}", self.port.address())
    }

    /// What an instant query finds now: a row for each series.
    ///
    /// # Panics
    /// If the expression cannot be evaluated.
    pub async fn query(&self, expression: &str) -> Vec<Value> {
        let body = format!("query={}", encoded(expression));
        let form = "application/x-www-form-urlencoded";
        let found = self.caller.post("/api/v1/query").header("content-type", form).bytes(body).expect(200).await;
        found["data"]["result"].as_array().cloned().unwrap_or_default()
    }

    /// All alerting rules as they were read: `name`, `query`, `annotations`, …
    ///
    /// # Panics
    /// If there are none.
    pub async fn rules(&self) -> Vec<Value> {
        let found = self.caller.get("/api/v1/rules?type=alert").expect(200).await;
        let groups = found["data"]["groups"].as_array().expect("groups of rules");
        groups.iter().flat_map(|group| group["rules"].as_array().expect("rules").clone()).collect()
    }

    /// The alerts of this name that fire now, each with its labels.
    pub async fn firing(&self, name: &str) -> Vec<Value> {
        let found = self.caller.get("/api/v1/alerts").expect(200).await;
        let alerts = found["data"]["alerts"].as_array().cloned().unwrap_or_default();
        let is_it = |alert: &Value| alert["labels"]["alertname"] == name && alert["state"] == "firing";
        alerts.into_iter().filter(is_it).collect()
    }

    /// Waits until an alert of this name fires or does not fire, as wanted; what fires then.
    ///
    /// # Panics
    /// If it never comes to be so.
    pub async fn until_firing(&self, name: &str, wanted: bool) -> Vec<Value> {
        let asking = async {
            loop {
                let firing = self.firing(name).await;
                if firing.is_empty() != wanted {
                    return firing;
                }
                tokio::time::sleep(ASK_EVERY).await;
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("{name} fires: never {wanted}"))
    }

    /// Waits until every target was scraped, whether it answered or not.
    ///
    /// # Panics
    /// If it never is.
    pub async fn until_scraped(&self, targets: &[SocketAddr]) {
        let all = targets.len().to_string();
        let asking = async {
            while self.query("count(up)").await.first().and_then(|row| row["value"][1].as_str()) != Some(all.as_str()) {
                tokio::time::sleep(ASK_EVERY).await;
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.expect("every target is scraped");
    }
}

/// Bytes of a form: everything but letters and digits is escaped.
fn encoded(text: &str) -> String {
    let escaped = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(escaped).collect()
}

fn log_of(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap_or_default()
}
