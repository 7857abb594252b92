//! A server: its life, and what can be done to it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use redis::{Client, Connection, FromRedisValue};

use crate::patience::PATIENCE;
use crate::port::Port;
use crate::processes::Processes;
use crate::watchdog::Watchdog;

/// Interval of the checks whether it accepts connections.
const LOOK: Duration = Duration::from_millis(5);

/// What a server keeps when it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// Nothing: no file is written.
    Nothing,
    /// Everything that was answered.
    Everything,
}

/// A Redis server in a folder of its own, on a loopback port of its own that it keeps from start to start. When it is
/// dropped, or when the test's process ends in whatever way, it is killed and its folder is removed.
pub struct Redis {
    folder: PathBuf,
    port: Port,
    arguments: Vec<String>,
    process: Mutex<Option<Child>>,
    watchdog: Watchdog,
}

impl Redis {
    /// Starts one server without replicas.
    pub async fn start(keeps: Keeps) -> Self {
        Self::start_with(keeps, &[]).await
    }

    /// A server alone, with further arguments of `redis-server`.
    pub async fn start_with(keeps: Keeps, arguments: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("onsale-redis-").tempdir().expect("a temporary folder");
        let folder = folder.keep().canonicalize().expect("a folder that is there");
        std::fs::create_dir(folder.join("data")).expect("a folder for data");
        let watchdog = Watchdog::over(&folder);
        let append = if keeps == Keeps::Everything { "yes" } else { "no" };
        let own = ["--save", "", "--appendonly", append, "--appendfsync", "always", "--bind", "127.0.0.1"];
        let arguments = own.iter().chain(arguments).map(|argument| (*argument).to_owned()).collect();
        let process = Mutex::new(None);
        let server = Self { folder, port: Port::free(), arguments, process, watchdog };
        server.restart().await;
        server
    }

    /// The address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The URL, without a password.
    pub fn url(&self) -> String {
        Self::url_at(self.address())
    }

    /// The URL of a server at this address: its own, or that of a wire cutter before it.
    pub fn url_at(address: SocketAddr) -> String {
        format!("redis://{address}")
    }

    /// The ids of its processes now: one, if it runs.
    pub fn ids(&self) -> Vec<u32> {
        self.processes().ids()
    }

    /// A connection of the test's own.
    ///
    /// # Panics
    /// If it cannot be had.
    pub fn connection(&self) -> Connection {
        self.try_connection().expect("a connection")
    }

    fn try_connection(&self) -> redis::RedisResult<Connection> {
        Client::open(self.url())?.get_connection_with_timeout(Duration::from_secs(2))
    }

    /// Runs a command, such as `["FLUSHALL"]`.
    ///
    /// # Panics
    /// If it fails.
    pub fn run<T: FromRedisValue>(&self, command: &[&str]) -> T {
        let mut call = redis::cmd(command[0]);
        call.arg(&command[1..]);
        call.query(&mut self.connection()).unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// Makes it a replica of another server, and returns when it has all of that server's data.
    ///
    /// # Panics
    /// If it does not catch up.
    pub async fn follow(&self, primary: &Self) {
        self.run::<()>(&["REPLICAOF", "127.0.0.1", &primary.address().port().to_string()]);
        let offset =
            |info: &str, name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
        let caught_up = || {
            let replication = self.run::<String>(&["INFO", "replication"]);
            let there = primary.run::<String>(&["INFO", "replication"]);
            replication.contains("master_link_status:up")
                && offset(&there, "master_repl_offset:") <= offset(&replication, "slave_repl_offset:")
        };
        let following = async {
            while !caught_up() {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(PATIENCE, following).await.expect("the replica catches up");
    }

    /// Makes it a primary, with the data that it has.
    pub fn promote(&self) {
        self.run::<()>(&["REPLICAOF", "NO", "ONE"]);
    }

    /// The folder of its data.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Kills it with SIGKILL. Does nothing if it is not running.
    pub async fn kill(&self) {
        self.processes().kill().await;
        if let Some(mut process) = self.process.lock().unwrap().take() {
            drop(process.wait());
        }
    }

    /// Kills it where it runs, and starts it on the same port with the data that it kept. Returns when it answers.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn restart(&self) {
        self.kill().await;
        let data = self.folder.join("data");
        let mut command = Command::new("redis-server");
        command.current_dir(&data).args(["--port", &self.address().port().to_string()]).arg("--dir").arg(&data);
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        *self.process.lock().unwrap() = Some(command.spawn().expect("redis-server starts"));
        let answers = || {
            let mut connection = self.try_connection().ok()?;
            redis::cmd("PING").query::<String>(&mut connection).ok()
        };
        let ready = async {
            while answers().is_none() {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.expect("redis-server answers in time");
    }

    /// Freezes it with SIGSTOP: connections stay, nothing is answered.
    pub async fn pause(&self) {
        self.processes().freeze().await;
    }

    /// Lets it go on.
    pub async fn resume(&self) {
        self.processes().thaw().await;
    }

    fn processes(&self) -> Processes {
        Processes::of(&self.folder.join("data"))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // First, as it kills the process that the next line waits for.
        self.watchdog.clean_up();
        if let Some(mut process) = self.process.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take() {
            drop(process.wait());
        }
    }
}
