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

/// How many sessions the shared server has room for: tests in parallel, each with several programs.
const SHARED_SESSIONS: u32 = 400;

/// How long dropping a database may take before it is left to the end of the server.
const DROP_SECONDS_MAX: Duration = Duration::from_secs(10);

static CLONES: AtomicU64 = AtomicU64::new(0);

/// One server for all tests of this process that need no server of their own. Its commits are not synced; it ends with
/// the process. Do nothing to it that another test would feel.
pub async fn shared() -> &'static Server {
    static SHARED: OnceCell<Server> = OnceCell::const_new();
    SHARED.get_or_init(|| Setup::unsynced().set("max_connections", SHARED_SESSIONS).start()).await
}

/// The templates that a server has. Locked while one is made or cloned: nothing may be connected to it then.
#[derive(Default)]
pub(super) struct Templates(Mutex<HashSet<String>>);

impl Server {
    /// A database of its own for one test, cloned from a template. Where the template is not there yet, it is made:
    /// `migrate` gets the URL of an empty database, and is done with it when it returns.
    ///
    /// # Panics
    /// If the databases cannot be made, or where `migrate` panics; the next one to ask tries again.
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

    /// A database of its own for one test, with the schema as the program makes it.
    ///
    /// # Panics
    /// As the above does.
    pub async fn migrated(&self, program: impl AsRef<Path>) -> Database {
        let migrate = async |url: String| {
            let mut command = Command::new(program.as_ref());
            command.arg("migrate").env("ONSALE_DATABASE_URL", url).stdin(Stdio::null());
            let output = command.output().await.expect("the program starts");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        self.database("onsale", migrate).await
    }

    /// An empty database of its own for one test.
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

/// How often the log of a server tells of a deadlock, in this database or, with an empty name, in any. An error is
/// written there before the session that gave way hears of it.
pub(super) fn deadlocks_in(log: &str, database: &str) -> u64 {
    let place = if database.is_empty() { "database=".to_owned() } else { format!("database={database} ") };
    let told = log.lines().filter(|line| line.contains(&place) && line.contains("ERROR:  deadlock detected"));
    told.count().try_into().unwrap_or(u64::MAX)
}

/// A database of one test. Dropped, with whoever is still connected to it, when this is.
pub struct Database {
    name: String,
    server: SocketAddr,
    log: PathBuf,
}

impl Database {
    /// Its name in the server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its URL.
    pub fn url(&self) -> String {
        self.url_at(self.server)
    }

    /// Its URL behind another address: that of a wire cutter before the server, or of a standby.
    pub fn url_at(&self, address: SocketAddr) -> String {
        super::url(address, &self.name)
    }

    /// Connects to it.
    ///
    /// # Panics
    /// If it cannot be had.
    pub async fn sql(&self) -> Client {
        super::sql(&self.url()).await
    }

    /// How many deadlocks there were in it, by the server's log.
    pub fn deadlocks(&self) -> u64 {
        deadlocks_in(&std::fs::read_to_string(&self.log).unwrap_or_default(), &self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (url, name) = (super::url(self.server, "postgres"), std::mem::take(&mut self.name));
        // A runtime cannot be waited for from within another; a thread can.
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

/// Drops a database. A server that is gone has none.
async fn drop_database(url: &str, name: &str) {
    let Ok((sql, connection)) = tokio_postgres::connect(url, tokio_postgres::NoTls).await else { return };
    let driving = tokio::spawn(connection);
    if let Err(error) = sql.batch_execute(&format!(r#"DROP DATABASE "{name}" WITH (FORCE)"#)).await {
        say(&format!("the database {name} could not be dropped: {error:?}"));
    }
    drop(sql);
    drop(driving.await);
}
