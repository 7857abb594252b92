//! The servers behind a room: a database of the run's Postgres, and its own Redis.

use std::io::{Write, stderr, stdout};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use onsale_load_generator::{Closed, Outcome, Request, Supply, closed};
use onsale_testing::auditor::{self, Log, Room};
use onsale_testing::redis::{Keeps, Redis};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::measure::{Bench, Server};
use crate::postgres::Cluster;
use crate::rows::crowd::{enter, user};

/// Length of turns, longer than every run.
const ACTIVE_SECONDS: u32 = 86_400;
const CLAIM_SECONDS: u32 = 3_600;

/// The variable that names the file for the log of answers.
const KEPT: &str = "ONSALE_BENCH_LOG";

/// The home of a room: the system that hands out its places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    Database,
    Redis,
}

impl Home {
    pub(super) const BOTH: [Self; 2] = [Self::Redis, Self::Database];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Database => "Postgres",
            Self::Redis => "Redis",
        }
    }
}

/// Instances that serve one sale.
pub(super) struct Parts {
    pub(super) servers: Vec<Server>,
    pub(super) redis: Option<Redis>,
    pub(super) runtime: Runtime,
    cluster: Rc<Cluster>,
    database: String,
}

impl Parts {
    /// Starts this many instances on a new database. Redis keeps its data in memory only: the rooms need
    /// no more.
    pub(super) fn start(bench: &mut Bench, home: Home, instances: usize) -> Outcome<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let redis = (home == Home::Redis).then(|| runtime.block_on(Redis::start(Keeps::Nothing)));
        let cluster = bench.cluster()?;
        let database = cluster.database()?;
        let place = cluster.url(&database);
        let url = redis.as_ref().map(Redis::url);
        let mut environment = vec![("ONSALE_DATABASE_URL", place.as_str())];
        environment.extend(url.as_deref().map(|url| ("ONSALE_REDIS_URL", url)));
        let servers = (0..instances).map(|_| bench.server_with(&[], &environment)).collect::<Outcome<Vec<_>>>()?;
        Ok(Self { servers, redis, runtime, cluster, database })
    }

    pub(super) fn first(&self) -> &Server {
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

    /// A value of Redis' INFO, such as `used_memory`.
    pub(super) fn redis_says(&self, section: &str, name: &str) -> Outcome<u64> {
        let redis = self.redis.as_ref().ok_or("there is no Redis here")?;
        let text: String = redis.run(&["INFO", section]);
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        Ok(line.ok_or_else(|| format!("Redis does not tell {name}"))?.trim().parse()?)
    }

    /// Stops all, and prints the most expensive statements if they are counted. Then audits the database.
    pub(super) fn finish(mut self) -> Outcome<()> {
        let statements = self.cluster.statements(&self.database)?;
        if !statements.is_empty() {
            writeln!(stderr(), "{statements}")?;
        }
        // The first is the one that is audited, after all others have stopped.
        for mut server in self.servers.drain(1..) {
            server.program.stop()?;
        }
        self.servers.iter_mut().try_for_each(Server::finish)
    }
}

/// Lets these users enter, in about this order, and drops the answers.
pub(super) fn crowd(server: &Server, concert: &str, users: std::ops::Range<usize>) -> Outcome<()> {
    let supply = Arc::new(Supply::once(users.map(|number| enter(concert, &user(number)))));
    let run = closed(server.program.address(), &supply, &Closed::all(256))?;
    run.tally.expect(&[(201, "")]).map_err(|error| format!("while preparing: {error}").into())
}

/// Changes a room's settings.
pub(super) fn configure(server: &Server, concert: &str, settings: &Value) -> Outcome<Value> {
    let path = format!("/admin/concerts/{concert}/queue");
    server.stage.call(&server.stage.admin(Request::patch(&path)).json(settings.to_string()))
}

/// A room that admits this many.
pub(super) fn room(max_active: u32, admit_per_second: u32) -> Value {
    let (active, claim) = (ACTIVE_SECONDS, CLAIM_SECONDS);
    json!({
        "maxActive": max_active, "admitPerSecond": admit_per_second, "activeSeconds": active, "claimSeconds": claim,
    })
}

/// The limits that the auditor applies to such a room.
pub(super) fn rules(max_active: u32, admit_per_second: u32) -> Room {
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

/// Audits the answers. `ONSALE_BENCH_LOG` names a file to write the log to.
pub(super) fn audited(log: &Log) -> Outcome<()> {
    if let Some(path) = std::env::var_os(KEPT) {
        log.write(path.as_ref())?;
    }
    let report = auditor::audit(log);
    write!(stdout(), "{report}")?;
    if report.is_sound() { Ok(()) } else { Err("the answers contradict each other; see above".into()) }
}
