//! A database for each test, cloned from a template that was migrated once.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::{Mutex, OnceCell};

use super::driver::Client;
use super::server::Server;
use super::setup::Setup;
use crate::part::say;

/// Maximum number of sessions of the shared server: tests in parallel, each with several programs.
const SHARED_SESSIONS: u32 = 400;

/// Maximum time to drop a database before it is left to the end of the server.
const DROP_SECONDS_MAX: Duration = Duration::from_secs(10);

static CLONES: AtomicU64 = AtomicU64::new(0);

/// One server for all tests of this process that need no separate server. Its commits are not synced; it ends with
/// the process. A test must not do anything to it that affects another test.
pub async fn shared() -> &'static Server {
    static SHARED: OnceCell<Server> = OnceCell::const_new();
    SHARED.get_or_init(|| Setup::unsynced().set("max_connections", SHARED_SESSIONS).start()).await
}

/// The templates of a server. Locked while one is created or cloned, because no session may be connected to it then.
#[derive(Default)]
pub(super) struct Templates(Mutex<HashSet<String>>);

impl Server {
    /// A separate database for one test, cloned from a template. If the template does not exist yet, it is created:
    /// `migrate` gets the URL of an empty database, and must have closed its connections when it returns.
    ///
    /// # Panics
    /// If a database cannot be created, or if `migrate` panics; the next call tries again.
    pub async fn database<M, F>(&self, template: &str, migrate: M) -> Database
    where
        M: FnOnce(String) -> F,
        F: Future<Output = ()>,
    {
        let mut made = self.templates.0.lock().await;
        let sql = self.sql("postgres").await;
        if !made.contains(template) {
            execute(&sql, &format!(r#"DROP DATABASE IF EXISTS "{template}" WITH (FORCE)"#)).await;
            execute(&sql, &format!(r#"CREATE DATABASE "{template}""#)).await;
            migrate(self.url(template)).await;
            execute(&sql, &format!(r#"ALTER DATABASE "{template}" ALLOW_CONNECTIONS false"#)).await;
            made.insert(template.to_owned());
        }
        let name = format!("{template}_{}", CLONES.fetch_add(1, Ordering::Relaxed));
        execute(&sql, &format!(r#"CREATE DATABASE "{name}" TEMPLATE "{template}""#)).await;
        Database { name, server: self.address(), log: self.home.log() }
    }

    /// A separate database for one test, with the schema as the program creates it.
    ///
    /// # Panics
    /// Same as [`Server::database`].
    pub async fn migrated(&self, program: impl AsRef<Path>) -> Database {
        let migrate = async |url: String| {
            let mut command = Command::new(program.as_ref());
            command.arg("migrate").env("ONSALE_DATABASE_URL", url).stdin(Stdio::null());
            let output = command.output().await.expect("the program starts");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        self.database("onsale", migrate).await
    }

    /// A separate, empty database for one test.
    ///
    /// # Panics
    /// If it cannot be made.
    pub async fn empty_database(&self) -> Database {
        let name = format!("empty_{}", CLONES.fetch_add(1, Ordering::Relaxed));
        execute(&self.sql("postgres").await, &format!(r#"CREATE DATABASE "{name}""#)).await;
        Database { name, server: self.address(), log: self.home.log() }
    }
}

async fn execute(sql: &Client, statement: &str) {
    sql.batch_execute(statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
}

/// Number of deadlocks in the log of a server, for this database or, with an empty name, for any. The server writes the
/// error to the log before the session that is aborted gets it.
pub(super) fn deadlocks_in(log: &str, database: &str) -> u64 {
    let place = if database.is_empty() { "database=".to_owned() } else { format!("database={database} ") };
    let told = log.lines().filter(|line| line.contains(&place) && line.contains("ERROR:  deadlock detected"));
    told.count().try_into().unwrap_or(u64::MAX)
}

/// A database of one test. Dropping this drops the database, with all its sessions.
pub struct Database {
    name: String,
    server: SocketAddr,
    log: PathBuf,
}

impl Database {
    /// The name of the database on its server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The URL with user and password.
    pub fn url(&self) -> String {
        self.url_at(self.server)
    }

    /// Its URL with another address: that of a wire cutter in front of the server, or of a standby.
    pub fn url_at(&self, address: SocketAddr) -> String {
        super::url(address, &self.name)
    }

    /// Connects to it.
    ///
    /// # Panics
    /// If the connection fails.
    pub async fn sql(&self) -> Client {
        super::sql(&self.url()).await
    }

    /// Number of deadlocks in it, from the server's log.
    pub fn deadlocks(&self) -> u64 {
        deadlocks_in(&std::fs::read_to_string(&self.log).unwrap_or_default(), &self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (url, name) = (super::url(self.server, "postgres"), std::mem::take(&mut self.name));
        // A runtime cannot block inside another; a thread can.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async { tokio::time::timeout(DROP_SECONDS_MAX, drop_database(&url, &name)).await })?;
            Ok::<_, std::io::Error>(())
        });
        if !matches!(dropping.join(), Ok(Ok(()))) {
            say("a test's database could not be dropped; it goes with its server");
        }
    }
}

/// Drops a database. Does nothing if the server is gone.
async fn drop_database(url: &str, name: &str) {
    let Ok((sql, connection)) = tokio_postgres::connect(url, tokio_postgres::NoTls).await else { return };
    let driving = tokio::spawn(connection);
    if let Err(error) = sql.batch_execute(&format!(r#"DROP DATABASE "{name}" WITH (FORCE)"#)).await {
        say(&format!("the database {name} could not be dropped: {error:?}"));
    }
    drop(sql);
    drop(driving.await);
}
