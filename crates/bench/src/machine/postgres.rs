//! The Postgres of a run: durable, and the same server for the program and for pgbench.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use onsale_load_generator::Outcome;
use onsale_testing::postgres::{Server, Setup, driver};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::scale::Scale;

/// A Postgres server that runs until this value is dropped.
pub(crate) struct Postgres {
    runtime: Runtime,
    server: Server,
    /// The program that is measured. It creates the schema.
    program: PathBuf,
    /// A folder for scripts of pgbench.
    pub(crate) scripts: TempDir,
    /// Number of databases created, for their names.
    databases: Cell<usize>,
    /// Whether statements are counted, which has a small cost.
    is_profiled: bool,
}

impl Postgres {
    /// Starts a server. Its WAL may grow for a whole row before a checkpoint: one that starts in a single
    /// measurement would distort the comparison.
    pub(crate) fn start(program: &Path, scale: Scale, is_profiled: bool) -> Outcome<Self> {
        Self::start_with(program, scale, is_profiled, "256MB")
    }

    /// [`Postgres::start`] with other shared buffers.
    pub(crate) fn start_with(program: &Path, scale: Scale, is_profiled: bool, shared_buffers: &str) -> Outcome<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let mut setup = Setup::durable()
            .set("max_connections", 200)
            .set("shared_buffers", shared_buffers)
            .set("max_wal_size", "8GB")
            .set("min_wal_size", "2GB")
            .set("checkpoint_timeout", "30min");
        if is_profiled {
            setup = setup.set("shared_preload_libraries", "pg_stat_statements").set("pg_stat_statements.max", 1000);
        }
        let server = runtime.block_on(setup.start());
        let scripts = tempfile::Builder::new().prefix("onsale-pgbench-").tempdir()?;
        let program = program.to_owned();
        let postgres = Self { runtime, server, program, scripts, databases: Cell::new(0), is_profiled };
        if is_profiled {
            postgres.execute("postgres", "CREATE EXTENSION pg_stat_statements")?;
        }
        postgres.create_wal_files(scale.pick(128, 128, 1))?;
        Ok(postgres)
    }

    /// Creates WAL files in advance: a server that has run for a while recycles old ones, and at each new one (every
    /// 16 MiB) all commits wait until it is created, tens of milliseconds.
    fn create_wal_files(&self, count: u32) -> Outcome<()> {
        let files = format!(
            "DO $$ BEGIN FOR file IN 1..{count} LOOP
            PERFORM pg_logical_emit_message(false, 'bench', ''); PERFORM pg_switch_wal(); END LOOP; END $$"
        );
        self.execute("postgres", &files)?;
        // WAL before a checkpoint is recycled.
        self.execute("postgres", "CHECKPOINT")
    }

    /// Its version and settings, in one line.
    pub(crate) fn about(&self) -> Outcome<String> {
        let settings = "SELECT 'postgres: ' || current_setting('server_version') || ', ' ||
            string_agg(name || ' ' || current_setting(name), ', ' ORDER BY name) FROM pg_settings
            WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers', 'max_wal_size',
                'min_wal_size')";
        self.query("postgres", settings)
    }

    /// Creates a database with the program's schema.
    pub(crate) fn database(&self) -> Outcome<String> {
        self.databases.set(self.databases.get() + 1);
        let name = format!("sale_{}", self.databases.get());
        self.execute("postgres", &format!("CREATE DATABASE {name}"))?;
        let mut migrate = Command::new(&self.program);
        migrate.arg("migrate").env("ONSALE_DATABASE_URL", self.url(&name)).stdin(Stdio::null());
        let migrated = migrate.current_dir(self.scripts.path()).output()?;
        if !migrated.status.success() {
            return Err(format!("onsale migrate failed: {}", String::from_utf8_lossy(&migrated.stderr)).into());
        }
        Ok(name)
    }

    /// The URL of one of its databases.
    pub(crate) fn url(&self, database: &str) -> String {
        self.server.url(database)
    }

    /// The address at which it listens.
    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.server.address()
    }

    /// Executes statements in a database.
    pub(crate) fn execute(&self, database: &str, sql: &str) -> Outcome<()> {
        self.runtime.block_on(async {
            let client = self.server.sql(database).await;
            client.batch_execute(sql).await.map_err(|error| format!("{sql}: {error:?}").into())
        })
    }

    /// Opens a snapshot. It lives as long as the returned session.
    pub(crate) fn snapshot(&self, database: &str) -> Outcome<driver::Client> {
        self.runtime.block_on(async {
            let client = self.server.sql(database).await;
            let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SELECT count(*) FROM accounts";
            client.batch_execute(begin).await.map_err(|error| format!("{begin}: {error:?}"))?;
            Ok(client)
        })
    }

    /// Queries one text column; one line per row.
    pub(crate) fn query(&self, database: &str, sql: &str) -> Outcome<String> {
        let rows: Result<Vec<driver::Row>, _> =
            self.runtime.block_on(async { self.server.sql(database).await.query(sql, &[]).await });
        let rows = rows.map_err(|error| format!("{sql}: {error:?}"))?;
        Ok(rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join("\n"))
    }

    /// Flushes all prepared data to disk and updates statistics, so that no measurement pays for it. Skips
    /// tables without rows: the planner keeps assuming that a table that was empty when analyzed stays empty, and
    /// scans it.
    pub(crate) fn settle(&self, database: &str) -> Outcome<()> {
        let filled = "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
            AND pg_relation_size(oid) > 0";
        for table in self.query(database, filled)?.lines() {
            self.execute(database, &format!("VACUUM ANALYZE {table}"))?;
        }
        self.execute(database, "CHECKPOINT")
    }

    /// Processor time of all its processes so far, including those that have ended.
    pub(crate) fn process_time(&self) -> Duration {
        self.server.process_time()
    }

    /// The ids of its processes now.
    pub(crate) fn processes(&self) -> Vec<u32> {
        self.server.processes()
    }

    /// WAL bytes written so far.
    pub(crate) fn wal_bytes(&self) -> Outcome<u64> {
        Ok(self.query("postgres", "SELECT (pg_current_wal_insert_lsn() - '0/0')::text")?.parse()?)
    }

    /// Resets the statement statistics.
    pub(crate) fn reset_statements(&self) -> Outcome<()> {
        if !self.is_profiled {
            return Ok(());
        }
        self.query("postgres", "SELECT 'x' FROM pg_stat_statements_reset()").map(drop)
    }

    /// The most expensive statements since the reset.
    pub(crate) fn statements(&self, database: &str) -> Outcome<String> {
        if !self.is_profiled {
            return Ok(String::new());
        }
        let sql = format!(
            "SELECT format('%8s calls %10s rows %9s ms %8s µs a call %9s kB of WAL  %s', calls, rows,
                round(total_exec_time::numeric, 1), round(mean_exec_time::numeric * 1000, 1),
                round(wal_bytes / 1024), left(regexp_replace(query, '\\s+', ' ', 'g'), 70))
             FROM pg_stat_statements JOIN pg_database d ON d.oid = dbid WHERE datname = '{database}'
             ORDER BY total_exec_time DESC LIMIT 14"
        );
        self.query("postgres", &sql)
    }
}

/// Debian's folder for server programs. Each version has a folder of its own, and none of them is on `PATH`.
const INSTALLED: &str = "/usr/lib/postgresql";

/// The pgbench on `PATH`, or else the newest installed one.
///
/// # Errors
/// If there is none.
pub(crate) fn pgbench() -> Outcome<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join("pgbench"));
    let mut installed: Vec<(u32, PathBuf)> = std::fs::read_dir(INSTALLED)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin/pgbench")))
        })
        .collect();
    installed.sort();
    let mut found = on_path.chain(installed.into_iter().rev().map(|(_, path)| path));
    found.find(|path| path.exists()).ok_or_else(|| "pgbench is missing (Debian: postgresql)".into())
}
