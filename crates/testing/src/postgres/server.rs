//! A server: its life, and what can be done to it.

use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::process::Child;
use std::sync::Mutex;
use std::time::Duration;

use rustix::process::Signal;

use super::database::Templates;
use super::driver::Client;
use super::home::Home;
use super::setup::Setup;
use crate::disk::Disk;
use crate::instance::PATIENCE;
use crate::processes::send;

/// How often a file or a process is looked at that cannot tell by itself that it changed.
const LOOK: Duration = Duration::from_millis(5);

/// A PostgreSQL server in a folder of its own, on a loopback port of its own that it keeps from start to start. When
/// it is dropped, or when the test's process ends in whatever way, all its processes are killed and its folder is
/// removed.
pub struct Server {
    pub(super) home: Home,
    pub(super) templates: Templates,
    postmaster: Mutex<Option<Child>>,
}

impl Server {
    /// A durable server with settings as they come.
    pub async fn start() -> Self {
        Setup::durable().start().await
    }

    pub(super) fn of(home: Home) -> Self {
        Self { home, templates: Templates::default(), postmaster: Mutex::new(None) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.home.port.address()
    }

    /// The URL of one of its databases; `postgres` is always there.
    pub fn url(&self, database: &str) -> String {
        super::url(self.address(), database)
    }

    /// Connects to one of its databases.
    ///
    /// # Panics
    /// If it cannot be had.
    pub async fn sql(&self, database: &str) -> Client {
        super::sql(&self.url(database)).await
    }

    /// What it wrote to its log so far, over all starts.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.log()).unwrap_or_default()
    }

    /// The ids of its processes now: the postmaster, its helpers, and one for each connection.
    pub fn processes(&self) -> Vec<u32> {
        self.home.processes().ids()
    }

    /// How many deadlocks there were, over all databases and starts: by the statistics, which may lag by some seconds
    /// and forget what a crash or a dropped database took along, or by the log, whichever counts more.
    pub async fn deadlocks(&self) -> u64 {
        let sum = "SELECT coalesce(sum(deadlocks), 0)::bigint FROM pg_stat_database";
        let row = self.sql("postgres").await.query_one(sum, &[]).await.expect("statistics");
        self.deadlocks_logged("").max(u64::try_from(row.get::<_, i64>(0)).expect("no negative count"))
    }

    /// Those of one database, by the log, or those of all.
    pub(super) fn deadlocks_logged(&self, database: &str) -> u64 {
        super::database::deadlocks_in(&self.log(), database)
    }

    /// Stops it as a shutdown does: transactions are rolled back, what was committed is on the disk. Waits for a
    /// standby that does not answer; kill that one first. Nothing where it does not run.
    ///
    /// # Panics
    /// If it does not end in time.
    pub async fn stop(&self) {
        self.resume().await;
        if let Some(id) = self.postmaster_id() {
            send(id, Signal::INT);
        }
        tokio::time::timeout(PATIENCE, self.ended()).await.expect("the server stops in time");
    }

    /// Kills every process of it at once with SIGKILL, as a crash would. Nothing where it does not run.
    pub async fn kill(&self) {
        // Its postmaster first, so that it cannot start what the others died of.
        if let Some(id) = self.postmaster_id() {
            send(id, Signal::KILL);
        }
        self.home.processes().kill().await;
        self.ended().await;
    }

    /// Stops it where it runs, and starts it on the same port with the data it had. Returns when it can be used.
    ///
    /// # Panics
    /// If it does not start; with its log.
    pub async fn restart(&self) {
        self.stop().await;
        let log = OpenOptions::new().create(true).append(true).open(self.home.log()).expect("a log");
        let mut command = self.home.programs.command("postgres");
        command.arg("-D").arg(self.home.data());
        if let Some(disk) = &self.home.disk {
            disk.under(&mut command);
        }
        command.stdout(log.try_clone().expect("a log")).stderr(log);
        let postmaster = command.spawn().expect("postgres starts");
        let id = postmaster.id();
        *self.postmaster.lock().unwrap() = Some(postmaster);
        let ready = async {
            while !self.ready(id) {
                assert!(self.runs(), "the server does not start; its log: {}", self.log());
                tokio::time::sleep(LOOK).await;
            }
        };
        let ready = tokio::time::timeout(PATIENCE, ready).await;
        assert!(ready.is_ok(), "the server does not start in time; its log: {}", self.log());
    }

    /// Freezes all its processes with SIGSTOP: connections stay, nothing is answered. New connections are accepted by
    /// the kernel, and not answered either.
    pub async fn pause(&self) {
        self.home.processes().freeze().await;
    }

    /// Lets it go on.
    pub async fn resume(&self) {
        self.home.processes().thaw().await;
    }

    /// Sets a parameter of the running server, of those that need no restart. In force for new sessions when this
    /// returns, and for those that are open a little later.
    ///
    /// # Panics
    /// If it does not know the parameter or the value.
    pub async fn set(&self, name: &str, value: &str) {
        let sql = self.sql("postgres").await;
        let before: String = sql.query_one("SELECT clock_timestamp()::text", &[]).await.expect("a clock").get(0);
        let set = format!("ALTER SYSTEM SET {name} = '{}'", value.replace('\'', "''"));
        sql.batch_execute(&set).await.unwrap_or_else(|error| panic!("{set}: {error:?}"));
        sql.batch_execute("SELECT pg_reload_conf()").await.expect("a reload");
        // A session that begins after the postmaster has read the file has that reading's time.
        let read = format!("SELECT pg_conf_load_time() >= '{before}'::timestamptz");
        self.until(&read).await;
    }

    /// Asks in a new session each time until the answer is true.
    pub(super) async fn until(&self, question: &str) {
        let asking = async {
            while !self.sql("postgres").await.query_one(question, &[]).await.expect("an answer").get::<_, bool>(0) {
                tokio::time::sleep(LOOK).await;
            }
        };
        let asked = tokio::time::timeout(PATIENCE, asking).await;
        assert!(asked.is_ok(), "never true: {question}; the server's log: {}", self.log());
    }

    fn postmaster_id(&self) -> Option<u32> {
        self.postmaster.lock().unwrap().as_ref().map(Child::id)
    }

    fn runs(&self) -> bool {
        let mut postmaster = self.postmaster.lock().unwrap();
        postmaster.as_mut().is_some_and(|child| child.try_wait().expect("a child of ours").is_none())
    }

    /// Waits for the end of the postmaster.
    async fn ended(&self) {
        while self.runs() {
            tokio::time::sleep(LOOK).await;
        }
        *self.postmaster.lock().unwrap() = None;
    }

    /// Whether this postmaster says that sessions may begin: in the first and eighth lines of its file.
    fn ready(&self, id: u32) -> bool {
        let text = std::fs::read_to_string(self.home.data().join("postmaster.pid")).unwrap_or_default();
        let mut lines = text.lines().map(str::trim);
        lines.next() == Some(&id.to_string()) && lines.nth(6) == Some("ready")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The home's watchdog kills the others; a child has to be waited for by its parent.
        if let Ok(Some(mut postmaster)) = self.postmaster.lock().map(|mut postmaster| postmaster.take()) {
            send(postmaster.id(), Signal::KILL);
            drop(postmaster.wait());
        }
    }
}

impl Server {
    /// Fills the disk: from now on no file of the server grows. A table that would grow is an error of the statement
    /// (`53100`); a log that needs a new segment takes the server down. Needs [`super::Setup::on_a_small_disk`].
    ///
    /// # Panics
    /// If the server was not set up for it.
    pub fn fill_disk(&self) {
        self.small_disk().fill();
    }

    /// There is room again.
    ///
    /// # Panics
    /// If the disk is not full.
    pub fn free_disk(&self) {
        self.small_disk().free();
    }

    fn small_disk(&self) -> &Disk {
        self.home.disk.as_ref().expect("a server that was set up on a small disk")
    }
}
