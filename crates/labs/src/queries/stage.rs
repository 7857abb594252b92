//! The servers of the laboratory: a Postgres that counts statements, and instances that share it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use onsale_load_generator::Outcome;
use onsale_testing::postgres::driver::Client;
use onsale_testing::postgres::{self, Server, Setup};
use onsale_testing::{Caller, Launch, Sale};
use tokio::process::Child;

/// The user of the instances. The laboratory is another user, so that its own statements are not counted with theirs.
pub(crate) const USER: &str = "onsale";

/// The database of the sale.
const DATABASE: &str = "sale";

/// A server with an empty sale.
pub(crate) struct Stage {
    pub(crate) server: Server,
    /// In the database of the sale, as its owner's superuser.
    pub(crate) sql: Client,
    program: PathBuf,
    is_synced: bool,
}

/// The most connections of the server.
const CONNECTIONS: usize = 100;

impl Stage {
    /// Starts Postgres and creates the schema with the program. `is_synced`: each commit waits for the disk, as in production.
    ///
    /// # Errors
    /// If the server lacks `pg_stat_statements` or the program fails.
    pub(crate) async fn start(program: &Path, is_synced: bool) -> Outcome<Self> {
        let setup = if is_synced { Setup::durable() } else { Setup::unsynced() };
        let setup = setup
            .set("max_connections", CONNECTIONS)
            .set("shared_buffers", "256MB")
            .set("max_wal_size", "4GB")
            .set("checkpoint_timeout", "30min")
            .set("shared_preload_libraries", "pg_stat_statements,auto_explain")
            .set("pg_stat_statements.track", "all")
            .set("pg_stat_statements.track_planning", "on")
            .set("auto_explain.log_min_duration", "-1")
            .set("auto_explain.log_format", "json")
            .set("auto_explain.log_verbose", "on")
            .set("auto_explain.log_nested_statements", "on");
        let server = setup.start().await;
        let counters = server.sql("postgres").await;
        counters.batch_execute("CREATE EXTENSION pg_stat_statements").await?;
        counters.batch_execute(&format!("CREATE ROLE {USER} LOGIN")).await?;
        counters.batch_execute(&format!("CREATE DATABASE {DATABASE} OWNER {USER}")).await?;
        let sql = server.sql(DATABASE).await;
        let stage = Self { server, sql, program: program.to_owned(), is_synced };
        stage.run(&["migrate"]).await?;
        Ok(stage)
    }

    /// How instances and commands are started.
    pub(crate) fn launch(&self) -> Launch {
        let url = postgres::url(self.server.address(), DATABASE).replacen("postgres@", &format!("{USER}@"), 1);
        Sale::launch(&self.program.to_string_lossy())
            .on(url)
            .set("ONSALE_LOG", "warn")
            .set("ONSALE_EVENTS_KEPT_DAYS", 1)
            .set("ONSALE_HOLD_SECONDS", 300)
    }

    /// A session in another database, which has the extension.
    pub(crate) async fn counters(&self) -> Client {
        self.server.sql("postgres").await
    }

    /// Empties the memory of the server by a restart; the operating system may still have the pages. Not in the smallest size.
    pub(crate) async fn chill(&self) {
        if self.is_synced {
            self.server.restart().await;
        }
    }

    /// Another session in the database of the sale.
    pub(crate) async fn session(&self) -> Client {
        self.server.sql(DATABASE).await
    }

    /// Runs a command of the program to its end.
    ///
    /// # Errors
    /// If it fails.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Outcome<String> {
        let launch = self.launch();
        let output = launch.command(arguments).output().await?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        match output.status.success() {
            true => Ok(text),
            false => Err(format!("{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr)).into()),
        }
    }

    /// Starts an instance with settings of its own.
    pub(crate) async fn instance(&self, settings: &[(&str, &str)]) -> Sale {
        let launch = settings.iter().fold(self.launch(), |launch, (name, value)| launch.set(name, value));
        let instance = launch.start().await;
        let caller = Caller::new(instance.base());
        Sale { instance, caller }
    }

    /// Starts `onsale consume`, which delivers events to files. Killed when it is dropped.
    ///
    /// # Errors
    /// If it does not start.
    pub(crate) fn consumer(&self, launch: &Launch) -> Outcome<Child> {
        Ok(launch.command(&["consume"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
    }

    /// Writes the plan of each execution to the server's log from now on, or stops that.
    pub(crate) async fn log_plans(&self, is_on: bool) {
        self.server.set("auto_explain.log_min_duration", if is_on { "0" } else { "-1" }).await;
    }
}
