//! A sentinel that watches one primary, and promotes a replica when that dies.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::{Client, Value};

use super::Redis;
use crate::patience::PATIENCE;
use crate::port::Port;
use crate::watchdog::Watchdog;

/// The name of the service.
const SERVICE: &str = "sale";

/// A sentinel in a folder and on a port of its own, which decides alone. It ends when it is dropped, or when the test's
/// process ends.
pub struct Sentinel {
    port: Port,
    process: Child,
    watchdog: Watchdog,
}

impl Sentinel {
    /// Watches a primary. With a password, that of the sentinel and of the servers.
    ///
    /// # Panics
    /// If it does not start, or does not know the replicas within the patience of tests.
    pub async fn start(primary: &Redis, replicas: usize, password: Option<&str>) -> Self {
        let folder = tempfile::Builder::new().prefix("onsale-sentinel-").tempdir().expect("a temporary folder");
        let folder: PathBuf = folder.keep().canonicalize().expect("a folder that is there");
        let data = folder.join("data");
        std::fs::create_dir(&data).expect("a folder for data");
        let watchdog = Watchdog::over(&folder);
        let port = Port::free();
        let mut settings = format!(
            "port {}\nbind 127.0.0.1\ndir {}\nsentinel monitor {SERVICE} 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds {SERVICE} 500\nsentinel failover-timeout {SERVICE} 2000\n",
            port.address().port(),
            data.display(),
            primary.address().port(),
        );
        if let Some(password) = password {
            settings += &format!("sentinel auth-pass {SERVICE} {password}\nrequirepass {password}\n");
        }
        std::fs::write(data.join("sentinel.conf"), settings).expect("a file of settings");
        let mut command = Command::new("redis-server");
        command.arg(data.join("sentinel.conf")).arg("--sentinel").current_dir(&data);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("redis-server starts");
        let sentinel = Self { port, process, watchdog };
        let known = || {
            let login = password.map(|password| format!(":{password}@")).unwrap_or_default();
            let client = Client::open(format!("redis://{login}{}", sentinel.address())).ok()?;
            let mut connection = client.get_connection_with_timeout(Duration::from_secs(2)).ok()?;
            let known: Vec<Value> = redis::cmd("SENTINEL").arg("REPLICAS").arg(SERVICE).query(&mut connection).ok()?;
            (known.len() == replicas).then_some(())
        };
        let ready = async {
            while known().is_none() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.expect("the sentinel knows all replicas");
        sentinel
    }

    /// The address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The URL by which onsale finds the primary.
    pub fn url(&self) -> String {
        format!("redis-sentinel://{}/{SERVICE}", self.address())
    }

    /// The same with a login at the servers and the sentinel; the password as it is written in a URL.
    pub fn url_with(&self, password: &str) -> String {
        format!("redis-sentinel://:{password}@{}/{SERVICE}?sentinel-password={password}", self.address())
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        // First, as it kills the process that the next line waits for.
        self.watchdog.clean_up();
        drop(self.process.wait());
    }
}
