//! pgbench: the throughput of a server that runs one transaction per request.

use std::cell::Cell;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use onsale_load_generator::Outcome;

use super::Cluster;

/// Numbers of clients to try; the best is used.
const CLIENTS: [usize; 3] = [16, 32, 64];

/// Debian's folder for server programs: one per version, not on `PATH`.
const INSTALLED: &str = "/usr/lib/postgresql";

/// The pgbench on `PATH`, or else the newest installed one.
pub(super) fn find() -> Outcome<PathBuf> {
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

/// A script with its own database.
pub(super) struct Rival<'a> {
    cluster: &'a Cluster,
    database: String,
    script: PathBuf,
    clients: usize,
    /// Keeps the ids of different runs apart.
    runs: Cell<usize>,
}

impl<'a> Rival<'a> {
    /// Creates the database with the program's schema and the required rows.
    pub(super) fn prepare(cluster: &'a Cluster, rows: &str, script: &str) -> Outcome<Self> {
        let database = cluster.database()?;
        cluster.execute(&database, rows)?;
        cluster.settle(&database)?;
        let path = cluster.scripts.path().join(format!("{database}.sql"));
        std::fs::write(&path, script)?;
        Ok(Self { cluster, database, script: path, clients: 1, runs: Cell::new(0) })
    }

    /// Selects the number of clients with the highest throughput.
    pub(super) fn at_its_best(mut self, seconds: u64) -> Outcome<Self> {
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

    pub(super) fn clients(&self) -> usize {
        self.clients
    }

    /// Runs the script for some seconds. Returns transactions per second.
    pub(super) fn run(&self, seconds: u64) -> Outcome<f64> {
        let run = self.runs.get();
        self.runs.set(run + 1);
        let address = self.cluster.address();
        let output = Command::new(&self.cluster.pgbench)
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
        let (said, problems) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let failed = !said.contains("number of failed transactions: 0 ");
        let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        match rate {
            Some(rate) if output.status.success() && !failed => Ok(rate),
            _ => Err(format!("pgbench: {said}\n{problems}").into()),
        }
    }
}
