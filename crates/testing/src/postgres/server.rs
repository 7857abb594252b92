//! A server, its life cycle, and what a test can do to it.

use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Child;
use std::sync::Mutex;
use std::time::Duration;

use rustix::process::Signal;

use super::database::Templates;
use super::driver::Client;
use super::home::Home;
use super::setup::Setup;
use crate::disk::Disk;
use crate::patience::PATIENCE;
use crate::processes::send;

/// Interval of checks of a file or process that sends no notification.
const LOOK: Duration = Duration::from_millis(5);

/// A PostgreSQL server in its own folder, on a loopback port that it keeps over restarts. When
/// it is dropped, or when the test's process ends in any way, all its processes are killed and its folder is
/// removed.
pub struct Server {
    pub(super) home: Home,
    pub(super) templates: Templates,
    postmaster: Mutex<Option<Child>>,
}

impl Server {
    /// A durable server with default settings.
    pub async fn start() -> Self {
        Setup::durable().start().await
    }

    pub(super) fn of(home: Home) -> Self {
        Self { home, templates: Templates::default(), postmaster: Mutex::new(None) }
    }

    /// The address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.home.port.address()
    }

    /// The URL of one of its databases; `postgres` always exists.
    pub fn url(&self, database: &str) -> String {
        super::url(self.address(), database)
    }

    /// Connects to one of its databases.
    ///
    /// # Panics
    /// If the connection fails.
    pub async fn sql(&self, database: &str) -> Client {
        super::sql(&self.url(database)).await
    }

    /// Sets the clock of a server that has its own (see [`Setup::with_own_clock`]) to this many seconds ahead.
    ///
    /// # Panics
    /// If it has none.
    pub fn set_clock_ahead(&self, seconds: i64) {
        self.home.clock.as_ref().expect("a clock of its own").set_ahead(seconds);
    }

    /// Its log so far, over all starts.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.log()).unwrap_or_default()
    }

    /// The file of its log.
    pub fn log_path(&self) -> PathBuf {
        self.home.log()
    }

    /// The ids of its processes now: the postmaster, its helpers, and one per connection.
    pub fn processes(&self) -> Vec<u32> {
        self.home.processes().ids()
    }

    /// Processor time of all its processes so far, including those that have ended.
    pub fn process_time(&self) -> Duration {
        let ticks = |id: &u32| -> u64 {
            let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            // The name in brackets may contain anything. Own user and system time are the 12th and 13th word after it,
            // those of waited-for children the next two. A tick is 10 ms.
            let words = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
            words.skip(11).take(4).filter_map(|word| word.parse::<u64>().ok()).sum()
        };
        Duration::from_millis(self.processes().iter().map(ticks).sum::<u64>() * 10)
    }

    /// Number of deadlocks, over all databases and starts: from the statistics, which may lag by some seconds
    /// and lose counts in a crash or with a dropped database, or from the log, whichever is higher.
    pub async fn deadlocks(&self) -> u64 {
        let sum = "SELECT coalesce(sum(deadlocks), 0)::bigint FROM pg_stat_database";
        let row = self.sql("postgres").await.query_one(sum, &[]).await.expect("statistics");
        self.deadlocks_logged("").max(u64::try_from(row.get::<_, i64>(0)).expect("no negative count"))
    }

    /// Number of deadlocks of one database, or of all, from the log.
    pub(super) fn deadlocks_logged(&self, database: &str) -> u64 {
        super::database::deadlocks_in(&self.log(), database)
    }

    /// Shuts it down: transactions are rolled back, committed data is on the disk. Waits for a
    /// standby that does not answer; kill that one first. Does nothing if it is not running.
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

    /// Kills all its processes at once with SIGKILL, as a crash would. Does nothing if it is not running.
    pub async fn kill(&self) {
        // The postmaster first, so that it cannot restart the others.
        if let Some(id) = self.postmaster_id() {
            send(id, Signal::KILL);
        }
        self.home.processes().kill().await;
        self.ended().await;
    }

    /// Stops it if it is running, and starts it on the same port with its data. Returns when it accepts sessions.
    ///
    /// # Panics
    /// If it does not start. The message has its log.
    pub async fn restart(&self) {
        self.stop().await;
        let log = OpenOptions::new().create(true).append(true).open(self.home.log()).expect("a log");
        let mut command = self.home.programs.command("postgres");
        command.arg("-D").arg(self.home.data());
        if let Some(disk) = &self.home.disk {
            disk.under(&mut command);
        }
        if let Some(clock) = &self.home.clock {
            clock.under(&mut command);
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

    /// Stops all its processes with SIGSTOP: connections stay, and get no answer. The kernel accepts new
    /// connections, which get no answer either.
    pub async fn pause(&self) {
        self.home.processes().freeze().await;
    }

    /// Continues all its processes with SIGCONT.
    pub async fn resume(&self) {
        self.home.processes().thaw().await;
    }

    /// Sets a parameter of the running server that needs no restart. In force for new sessions when this
    /// returns, and for open ones a little later.
    ///
    /// # Panics
    /// If it does not know the parameter or the value.
    pub async fn set(&self, name: &str, value: &str) {
        let sql = self.sql("postgres").await;
        let before: String = sql.query_one("SELECT clock_timestamp()::text", &[]).await.expect("a clock").get(0);
        let set = format!("ALTER SYSTEM SET {name} = '{}'", value.replace('\'', "''"));
        sql.batch_execute(&set).await.unwrap_or_else(|error| panic!("{set}: {error:?}"));
        sql.batch_execute("SELECT pg_reload_conf()").await.expect("a reload");
        // A session that starts after the postmaster has read the file has the time of that read.
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

    /// Whether this postmaster accepts sessions: its id and `ready` are in lines 1 and 8 of `postmaster.pid`.
    fn ready(&self, id: u32) -> bool {
        let text = std::fs::read_to_string(self.home.data().join("postmaster.pid")).unwrap_or_default();
        let mut lines = text.lines().map(str::trim);
        lines.next() == Some(&id.to_string()) && lines.nth(6) == Some("ready")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The home's watchdog kills the others; a child must be waited for by its parent.
        if let Ok(Some(mut postmaster)) = self.postmaster.lock().map(|mut postmaster| postmaster.take()) {
            send(postmaster.id(), Signal::KILL);
            drop(postmaster.wait());
        }
    }
}

impl Server {
    /// Fills the disk: from now on no file of the server grows. A table that would grow is an error of the statement
    /// (`53100`); a WAL that needs a new segment stops the server. Needs [`super::Setup::on_a_small_disk`].
    ///
    /// # Panics
    /// If the server was not set up for it.
    pub fn fill_disk(&self) {
        self.small_disk().fill();
    }

    /// Frees space on the disk.
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
