//! pgbench: the throughput of a server that runs one transaction per request.

use std::cell::Cell;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use onsale_load_generator::Outcome;

use super::scripts::Script;
use crate::machine::{Postgres, pgbench};

/// Numbers of clients to try. The one with the highest rate is used.
const CLIENTS: [usize; 3] = [16, 32, 64];

/// A script with its own database.
pub(super) struct Pgbench<'a> {
    postgres: &'a Postgres,
    program: PathBuf,
    database: String,
    script: PathBuf,
    clients: usize,
    /// Number of runs. It keeps the ids of different runs apart.
    runs: Cell<usize>,
}

impl<'a> Pgbench<'a> {
    /// Creates the database with the program's schema and the rows of the script.
    pub(super) fn prepare(postgres: &'a Postgres, script: &Script) -> Outcome<Self> {
        let (program, database) = (pgbench()?, postgres.database()?);
        postgres.execute(&database, script.rows)?;
        postgres.settle(&database)?;
        let path = postgres.scripts.path().join(format!("{database}.sql"));
        std::fs::write(&path, script.script)?;
        Ok(Self { postgres, program, database, script: path, clients: 1, runs: Cell::new(0) })
    }

    /// Selects the number of clients with the highest rate.
    pub(super) fn with_best_clients(mut self, seconds: u64) -> Outcome<Self> {
        let mut best = (0.0, 0);
        for clients in CLIENTS {
            self.clients = clients;
            let rate = self.run(seconds)?;
            writeln!(stderr(), "    pgbench with {clients} clients: {rate:.0}/s")?;
            if rate > best.0 {
                best = (rate, clients);
            }
        }
        self.clients = best.1;
        Ok(self)
    }

    /// The number of clients.
    pub(super) fn clients(&self) -> usize {
        self.clients
    }

    /// Runs the script for some seconds. Returns transactions per second.
    ///
    /// # Errors
    /// If pgbench fails, or a transaction did.
    pub(super) fn run(&self, seconds: u64) -> Outcome<f64> {
        // On a machine that stands still for a moment, no transaction may end in a short time.
        for seconds in [seconds, 4 * seconds] {
            if let Some(rate) = self.once(seconds)? {
                return Ok(rate);
            }
        }
        self.once(16 * seconds)?.ok_or_else(|| "pgbench: no transaction ended".into())
    }

    /// `None` if no transaction ended in time.
    fn once(&self, seconds: u64) -> Outcome<Option<f64>> {
        let run = self.runs.replace(self.runs.get() + 1);
        let address = self.postgres.address();
        let output = Command::new(&self.program)
            .args(["--no-vacuum", "--protocol=prepared", "--jobs=2", "--username=postgres"])
            .arg(format!("--host={}", address.ip()))
            .arg(format!("--port={}", address.port()))
            .arg(format!("--client={}", self.clients))
            .arg(format!("--time={seconds}"))
            .arg(format!("--define=run={run}"))
            .arg(format!("--define=clients={}", self.clients))
            .arg("--define=n=-1")
            .args([Path::new("--file"), &self.script, Path::new(&self.database)])
            .stdin(Stdio::null())
            .output()?;
        let (text, problems) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let has_failed = !text.contains("number of failed transactions: 0 ");
        let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        match rate {
            Some(rate) if output.status.success() && !has_failed => Ok(Some(rate)),
            None if output.status.success() && text.contains("actually processed: 0\n") && !has_failed => Ok(None),
            _ => Err(format!("pgbench failed: {text}\n{problems}").into()),
        }
    }
}
