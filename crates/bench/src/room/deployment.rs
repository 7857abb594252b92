//! The servers of a waiting room: a database of the run's Postgres, its own Redis, and instances of the program.

use std::io::{Write, stderr};
use std::net::SocketAddr;
use std::time::Duration;

use onsale_load_generator::{Outcome, Request};
use onsale_testing::auditor::{self, Log, Room};
use onsale_testing::redis::{Keeps, Redis};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::machine::{Machine, Postgres, Server};
use crate::results::Results;

/// Length of turns, in seconds: longer than every run.
const ACTIVE_SECONDS: u32 = 86_400;

/// How long a user who does not act keeps a turn, in seconds: longer than every run.
const CLAIM_SECONDS: u32 = 3_600;

/// The variable that names a file for the log of answers.
const LOG: &str = "ONSALE_BENCH_LOG";

/// The system that hands out the places of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Issuer {
    Database,
    Redis,
}

impl Issuer {
    /// Its name in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Database => "Postgres",
            Self::Redis => "Redis",
        }
    }
}

/// Instances that serve one sale.
pub(crate) struct Deployment<'m> {
    pub(super) servers: Vec<Server>,
    pub(super) redis: Option<Redis>,
    pub(super) runtime: Runtime,
    postgres: &'m Postgres,
    database: String,
}

impl<'m> Deployment<'m> {
    /// Starts this many instances on a new database. Redis keeps its data in memory only, because rooms need no more.
    pub(crate) fn start(machine: &'m Machine, issuer: Issuer, instances: usize) -> Outcome<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let redis = (issuer == Issuer::Redis).then(|| runtime.block_on(Redis::start(Keeps::Nothing)));
        let postgres = machine.postgres()?;
        let database = postgres.database()?;
        let (database_url, redis_url) = (postgres.url(&database), redis.as_ref().map(Redis::url));
        let mut environment = vec![("ONSALE_DATABASE_URL", database_url.as_str())];
        environment.extend(redis_url.as_deref().map(|url| ("ONSALE_REDIS_URL", url)));
        let servers = (0..instances).map(|_| machine.server(&[], &environment)).collect::<Outcome<Vec<_>>>()?;
        Ok(Self { servers, redis, runtime, postgres, database })
    }

    /// The first instance.
    pub(crate) fn first(&self) -> &Server {
        &self.servers[0]
    }

    /// The addresses of the instances.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.servers.iter().map(|server| server.program.address()).collect()
    }

    /// Processor time of all instances so far.
    pub(super) fn process_time(&self) -> Outcome<Duration> {
        self.servers.iter().map(|server| server.program.process_time()).sum()
    }

    /// A number of Redis' INFO, such as `used_memory`.
    pub(super) fn redis_info(&self, section: &str, name: &str) -> Outcome<u64> {
        let redis = self.redis.as_ref().ok_or("this deployment has no Redis")?;
        let text: String = redis.run(&["INFO", section]);
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        Ok(line.ok_or_else(|| format!("INFO {section} of Redis has no {name}"))?.trim().parse()?)
    }

    /// Stops all instances, prints the most expensive statements if they are counted, and audits the database.
    pub(crate) fn finish(mut self) -> Outcome<()> {
        let statements = self.postgres.statements(&self.database)?;
        if !statements.is_empty() {
            writeln!(stderr(), "{statements}")?;
        }
        // The first instance runs the audit, so all others stop before it.
        for mut server in self.servers.drain(1..) {
            server.program.stop()?;
        }
        self.servers.iter_mut().try_for_each(Server::finish)
    }
}

/// Changes the settings of a room.
pub(super) fn configure(server: &Server, concert: &str, settings: &Value) -> Outcome<Value> {
    let path = format!("/admin/concerts/{concert}/queue");
    server.admin.call(&server.admin.authorize(Request::patch(&path)).json(settings.to_string()))
}

/// The settings of a room with these limits.
pub(super) fn room(max_active: u32, admit_per_second: u32) -> Value {
    let (active, claim) = (ACTIVE_SECONDS, CLAIM_SECONDS);
    json!({
        "maxActive": max_active, "admitPerSecond": admit_per_second, "activeSeconds": active, "claimSeconds": claim,
    })
}

/// The limits that the auditor applies to such a room.
pub(super) fn limits(max_active: u32, admit_per_second: u32) -> Room {
    Room {
        max_active,
        admit_per_second,
        active_seconds: ACTIVE_SECONDS,
        claim_seconds: CLAIM_SECONDS,
        as_of_millis_max: 250,
        // Instances may differ by this much.
        shows_millis_max: 250,
        // An instance knows the room's clock from messages that take time.
        clocks_differ_millis: 50,
    }
}

/// Audits the answers, and adds the report to the results. `ONSALE_BENCH_LOG` names a file to write the log to.
///
/// # Errors
/// If answers contradict each other or the limits.
pub(super) fn audit(log: &Log, results: &mut Results) -> Outcome<()> {
    if let Some(path) = std::env::var_os(LOG) {
        log.write(path.as_ref())?;
    }
    let report = auditor::audit(log);
    results.remark(report.to_string().trim_end());
    if report.is_sound() {
        Ok(())
    } else {
        Err("answers contradict each other; the report of the auditor lists them".into())
    }
}
