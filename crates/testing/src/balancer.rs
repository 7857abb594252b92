//! A real load balancer, started with a complete configuration file.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::patience::PATIENCE;
use crate::port::Port;

/// Interval of checks whether it listens.
const TRY_EVERY: Duration = Duration::from_millis(10);

/// HAProxy or nginx in its own folder. Killed when dropped: it runs as one process.
pub struct Balancer {
    _process: Child,
    front: Port,
    folder: TempDir,
}

impl Balancer {
    /// A free loopback port for the balancer, or for an instance behind it.
    pub fn port() -> Port {
        Port::free()
    }

    /// Starts HAProxy, which listens on `front` according to `configuration`. A test asks `without("haproxy")` first.
    ///
    /// # Panics
    /// If HAProxy is missing or refuses the configuration.
    pub async fn haproxy(front: Port, configuration: &str) -> Self {
        Self::haproxy_behind("", front, configuration).await
    }

    /// The same with `TRUSTED_PROXIES` in its environment: addresses with spaces between.
    ///
    /// # Panics
    /// If HAProxy is missing or refuses the configuration.
    pub async fn haproxy_behind(trusted: &str, front: Port, configuration: &str) -> Self {
        Self::start(front, configuration, |folder| {
            let mut command = Command::new(installed("haproxy"));
            command.args(["-db", "-f"]).arg(folder.join("configuration")).env("TRUSTED_PROXIES", trusted);
            command
        })
        .await
    }

    /// Starts Caddy, which listens on `front` according to `configuration`. A test asks `without("caddy")` first.
    ///
    /// # Panics
    /// If Caddy is missing or refuses the configuration.
    pub async fn caddy(front: Port, configuration: &str) -> Self {
        Self::start(front, configuration, |folder| {
            let mut command = Command::new("caddy");
            command.args(["run", "--adapter", "caddyfile", "--config"]).arg(folder.join("configuration"));
            // What it keeps stays in its folder.
            command.env("HOME", folder).env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder);
            command
        })
        .await
    }

    /// Starts nginx, which listens on `front` according to `configuration`. A test asks `without("nginx")` first.
    ///
    /// # Panics
    /// If nginx is missing or refuses the configuration.
    pub async fn nginx(front: Port, configuration: &str) -> Self {
        let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary: String = kinds.iter().map(|kind| format!("{kind}_temp_path {kind};\n")).collect();
        let configuration = configuration.replacen("http {", &format!("http {{\n{temporary}"), 1);
        Self::start(front, &configuration, |folder| {
            let mut command = Command::new(installed("nginx"));
            let here = "daemon off; master_process off; pid nginx.pid; error_log stderr;";
            command.arg("-p").arg(folder).args(["-e", "stderr", "-g", here, "-c", "configuration"]);
            command
        })
        .await
    }

    async fn start(front: Port, configuration: &str, command: impl Fn(&Path) -> Command) -> Self {
        let folder = tempfile::Builder::new().prefix("onsale-balancer-").tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("configuration"), configuration).expect("a configuration is written");
        let log = std::fs::File::create(folder.path().join("log")).expect("a log is written");
        let mut command = command(folder.path());
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log).kill_on_drop(true);
        let mut process = command.spawn().expect("the balancer starts");
        let listening = async {
            while TcpStream::connect(front.address()).await.is_err() {
                if let Ok(Some(status)) = process.try_wait() {
                    panic!("the balancer ended: {status}: {}", log_of(folder.path()));
                }
                tokio::time::sleep(TRY_EVERY).await;
            }
        };
        tokio::time::timeout(PATIENCE, listening).await.expect("the balancer listens in time");
        Self { _process: process, front, folder }
    }

    /// The base URL, such as `http://127.0.0.1:4711`.
    pub fn base(&self) -> String {
        format!("http://{}", self.front.address())
    }

    /// The last part of its log so far.
    pub fn log(&self) -> String {
        let log = log_of(self.folder.path());
        let lines: Vec<&str> = log.lines().rev().take(20).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

fn log_of(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap_or_default()
}

/// Debian installs servers in a folder that is not on every `PATH`.
fn installed(name: &str) -> String {
    let path = format!("/usr/sbin/{name}");
    if Path::new(&path).exists() { path } else { name.to_owned() }
}
