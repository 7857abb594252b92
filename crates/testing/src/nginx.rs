//! A real nginx in front of a server.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::patience::PATIENCE;
use crate::port::Port;

/// Interval of checks whether it listens.
const LOOK: Duration = Duration::from_millis(10);

/// An nginx in its own folder, on a free loopback port. Needs nginx (a test asks `without("nginx")` first). Killed when
/// it is dropped: it runs as one process.
pub struct Nginx {
    _process: Child,
    address: SocketAddr,
    folder: TempDir,
    _port: Port,
}

impl Nginx {
    /// Starts it with these directives in its one `server` block, and these in the `http` block around it.
    ///
    /// # Panics
    /// If nginx is missing, or refuses the directives.
    pub async fn start(http: &str, server: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("onsale-nginx-").tempdir().expect("a temporary folder");
        let port = Port::free();
        let address = port.address();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("  {kind}_temp_path {kind};\n"))
            .collect();
        let text = format!(
            "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {{ worker_connections 4096; }}\n\
             http {{\n{temporary}  access_log off;\n{http}\n  server {{\n    listen {address};\n{server}\n  }}\n}}\n"
        );
        std::fs::write(folder.path().join("nginx.conf"), text).expect("settings can be written");
        let mut command = Command::new(program());
        command.arg("-p").arg(folder.path()).args(["-e", "stderr", "-c", "nginx.conf"]);
        let log = std::fs::File::create(folder.path().join("log")).expect("a log can be written");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true);
        let mut process = command.spawn().expect("nginx starts");
        let listening = async {
            while TcpStream::connect(address).await.is_err() {
                if let Ok(Some(status)) = process.try_wait() {
                    panic!("nginx ended: {status}: {}", log_of(folder.path()));
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(PATIENCE, listening).await.expect("nginx listens in time");
        Self { _process: process, address, folder, _port: port }
    }

    /// The base URL, such as `http://127.0.0.1:4711`.
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        log_of(self.folder.path())
    }
}

fn log_of(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap_or_default()
}

/// Debian installs it in a folder that is not on every `PATH`.
fn program() -> &'static str {
    ["/usr/sbin/nginx", "/usr/local/sbin/nginx"].into_iter().find(|path| Path::new(path).exists()).unwrap_or("nginx")
}
