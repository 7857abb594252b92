//! A real load balancer, started with a complete configuration file.

use std::fs::OpenOptions;
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

/// Makes the command that starts a balancer in its folder, with further words at its end.
type Start = Box<dyn Fn(&Path, &[String]) -> Command + Send + Sync>;

/// HAProxy or nginx in its own folder. Killed when dropped: it runs as one process.
pub struct Balancer {
    process: Child,
    command: Start,
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
        let trusted = trusted.to_owned();
        Self::start(front, configuration, move |folder, last| {
            let mut command = Command::new(installed("haproxy"));
            command.args(["-db", "-f"]).arg(folder.join("configuration")).env("TRUSTED_PROXIES", &trusted);
            command.args(last);
            command
        })
        .await
    }

    /// Starts Caddy, which listens on `front` according to `configuration`. A test asks `without("caddy")` first.
    ///
    /// # Panics
    /// If Caddy is missing or refuses the configuration.
    pub async fn caddy(front: Port, configuration: &str) -> Self {
        Self::start(front, configuration, |folder, _| {
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
        Self::start(front, &configuration, |folder, _| {
            let mut command = Command::new(installed("nginx"));
            let here = "daemon off; master_process off; pid nginx.pid; error_log stderr;";
            command.arg("-p").arg(folder).args(["-e", "stderr", "-g", here, "-c", "configuration"]);
            command
        })
        .await
    }

    async fn start(
        front: Port,
        configuration: &str,
        command: impl Fn(&Path, &[String]) -> Command + Send + Sync + 'static,
    ) -> Self {
        let folder = tempfile::Builder::new().prefix("onsale-balancer-").tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("configuration"), configuration).expect("a configuration is written");
        let process = run(command(folder.path(), &[]), folder.path());
        let mut balancer = Self { process, command: Box::new(command), front, folder };
        balancer.listens().await;
        balancer
    }

    /// Waits until it accepts connections.
    async fn listens(&mut self) {
        let listening = async {
            while TcpStream::connect(self.front.address()).await.is_err() {
                if let Ok(Some(status)) = self.process.try_wait() {
                    panic!("the balancer ended: {status}: {}", log_of(self.folder.path()));
                }
                tokio::time::sleep(TRY_EVERY).await;
            }
        };
        tokio::time::timeout(PATIENCE, listening).await.expect("the balancer listens in time");
    }

    /// Kills it with SIGKILL. From then on connections to its port are refused.
    ///
    /// # Panics
    /// If the system does not allow it.
    pub async fn kill(&mut self) {
        self.process.kill().await.expect("a child can be killed");
    }

    /// Starts it again after [`Self::kill`], on the same port with the same configuration.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn restart(&mut self) {
        self.process = run((self.command)(self.folder.path(), &[]), self.folder.path());
        self.listens().await;
    }

    /// Lets another HAProxy with a changed configuration take over, as `systemctl reload` does: no client notices. The old
    /// process closes each connection after its next answer, and ends with the last. `from` is a text of the
    /// configuration, `to` takes its place.
    ///
    /// # Panics
    /// If the configuration does not have the text, or HAProxy refuses the changed one.
    pub async fn reload(&mut self, from: &str, to: &str) {
        let file = self.folder.path().join("configuration");
        let text = std::fs::read_to_string(&file).expect("a configuration");
        assert!(text.contains(from), "the configuration has {from:?}");
        std::fs::write(&file, text.replace(from, to)).expect("a configuration is written");
        let old = self.process.id().expect("a balancer that runs");
        let command = (self.command)(self.folder.path(), &["-sf".to_owned(), old.to_string()]);
        let mut old = std::mem::replace(&mut self.process, run(command, self.folder.path()));
        // Killed with the runtime, if it has not ended by then.
        tokio::spawn(async move { old.wait().await });
        self.listens().await;
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

/// Starts it, with its log in the folder.
fn run(mut command: Command, folder: &Path) -> Child {
    let log = OpenOptions::new().create(true).append(true).open(folder.join("log")).expect("a log is written");
    command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log).kill_on_drop(true);
    command.spawn().expect("the balancer starts")
}

fn log_of(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap_or_default()
}

/// Debian installs servers in a folder that is not on every `PATH`.
fn installed(name: &str) -> String {
    let path = format!("/usr/sbin/{name}");
    if Path::new(&path).exists() { path } else { name.to_owned() }
}
