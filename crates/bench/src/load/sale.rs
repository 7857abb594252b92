//! The sale that a scenario visits: instances on SQLite or on Postgres and Redis, with concerts and seats.

use std::net::SocketAddr;
use std::time::Duration;

use onsale_load_generator::Outcome;
use onsale_testing::Limited;
use onsale_testing::redis::{Keeps, Redis};
use serde_json::json;
use tokio::runtime::Runtime;

use super::crowd::{Concert, SECRET, Venue};
use super::scenario::{Factors, Scenario};
use crate::machine::{Machine, Postgres, Server};

/// Length of turns, in seconds: longer than every run.
pub(super) const ACTIVE_SECONDS: u32 = 86_400;

/// How long a user who does not act keeps a turn, in seconds: longer than every run.
pub(super) const CLAIM_SECONDS: u32 = 3_600;

/// Price of a seat, in points.
const PRICE: u32 = 1_000;

/// Performances of a concert at most, so that the list of dates stays as short as a real one.
const PERFORMANCES_MAX: u32 = 20;

/// The servers of a sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deployment {
    /// One instance on a file.
    Sqlite,
    /// One instance on a Postgres, without Redis. Only on request.
    Postgres,
    /// Three instances on one Postgres and one Redis.
    Shared,
}

impl Deployment {
    pub(super) const ALL: [Self; 3] = [Self::Sqlite, Self::Postgres, Self::Shared];

    /// The deployments that are measured if none is named, in this order.
    pub(super) const USUAL: [Self; 2] = [Self::Sqlite, Self::Shared];

    /// Its name on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Shared => "shared",
        }
    }
}

/// The groups that limit the parts of a sale.
#[derive(Debug, Default)]
pub(super) struct Frame {
    /// One for each instance.
    pub(super) instances: Vec<Limited>,
    pub(super) redis: Option<Limited>,
}

impl Frame {
    /// The words in front of the command line of each instance.
    fn prefixes(&self) -> Vec<Vec<String>> {
        self.instances.iter().map(Limited::prefix).collect()
    }
}

/// A sale that runs.
pub(super) struct Sale<'m> {
    pub(super) servers: Vec<Server>,
    pub(super) redis: Option<Redis>,
    /// Runs the tasks of the helpers that started Redis.
    _runtime: Runtime,
    pub(super) postgres: Option<&'m Postgres>,
    pub(super) venue: Venue,
    /// Seats of all performances.
    pub(super) seats: u32,
}

impl<'m> Sale<'m> {
    /// Starts the servers, and creates what this many persons need.
    ///
    /// # Errors
    /// If a server does not start, or refuses to create something.
    pub(super) fn start(
        machine: &'m Machine,
        deployment: Deployment,
        (scenario, factors): (Scenario, Factors),
        (persons, frame): (u32, Option<&Frame>),
    ) -> Outcome<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let is_shared = deployment == Deployment::Shared;
        let redis = is_shared.then(|| runtime.block_on(Redis::start(Keeps::Nothing)));
        let postgres = if deployment == Deployment::Sqlite { None } else { Some(machine.postgres()?) };
        let hold_seconds = scenario.hall("holdSeconds").to_string();
        let mut environment = vec![
            ("ONSALE_TRUSTED_PROXIES".to_owned(), "127.0.0.1".to_owned()),
            ("ONSALE_HOLD_SECONDS".to_owned(), hold_seconds),
        ];
        if scenario.has_bearers() {
            environment.push(("ONSALE_AUTH".to_owned(), "jwt".to_owned()));
            environment.push(("ONSALE_JWT_SECRET".to_owned(), SECRET.to_owned()));
        }
        if let Some(postgres) = postgres {
            environment.push(("ONSALE_DATABASE_URL".to_owned(), postgres.url(&postgres.database()?)));
        }
        environment.extend(redis.as_ref().map(|redis| ("ONSALE_REDIS_URL".to_owned(), redis.url())));
        let environment: Vec<(&str, &str)> =
            environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let prefixes = frame.map_or_else(|| vec![Vec::new(); if is_shared { 3 } else { 1 }], Frame::prefixes);
        if let (Some(limited), Some(redis)) = (frame.and_then(|frame| frame.redis.as_ref()), &redis) {
            limited.adopt(&redis.ids())?;
        }
        let start = |prefix: &Vec<String>| machine.server_under(prefix, &environment);
        let servers = prefixes.iter().map(start).collect::<Outcome<Vec<Server>>>()?;
        let (venue, seats) = venue(&servers, (scenario, factors), persons)?;
        Ok(Self { servers, redis, _runtime: runtime, postgres, venue, seats })
    }

    /// The addresses of the instances.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.servers.iter().map(|server| server.program.address()).collect()
    }

    /// Kills all instances at once, and starts them again.
    ///
    /// # Errors
    /// If one does not start.
    pub(super) fn kill_all_and_restart(&mut self) -> Outcome<()> {
        self.servers.iter_mut().try_for_each(|server| server.program.kill())?;
        self.servers.iter_mut().try_for_each(|server| server.program.restart())
    }

    /// Stops all instances, then audits the database.
    ///
    /// # Errors
    /// If an instance does not end with success, or the audit finds a contradiction.
    pub(super) fn finish(&mut self) -> Outcome<()> {
        // The first instance runs the audit, so all others stop before it.
        for mut server in self.servers.drain(1..) {
            server.program.stop()?;
        }
        self.servers.iter_mut().try_for_each(Server::finish)
    }
}

/// Creates concerts, performances and a lecture. Returns them, and the number of seats.
fn venue(servers: &[Server], (scenario, factors): (Scenario, Factors), persons: u32) -> Outcome<(Venue, u32)> {
    let admin = &servers[0].admin;
    let seats = scenario.seats(factors);
    let performances = scenario.performances(seats, persons);
    let room = json!({
        "maxActive": scenario.room("maxActive", factors), "admitPerSecond": scenario.room("admitPerSecond", factors),
        "activeSeconds": ACTIVE_SECONDS, "claimSeconds": CLAIM_SECONDS,
    });
    let mut concerts = Vec::new();
    for from in (0..performances).step_by(PERFORMANCES_MAX as usize) {
        let id = admin.concert(&room)?;
        let days = from..(from + PERFORMANCES_MAX).min(performances);
        let performance = |day: u32| admin.performance(&id, seats, PRICE.into(), i64::from(day - from));
        let performances = days.map(performance).collect::<Outcome<_>>()?;
        concerts.push(Concert { id, performances });
    }
    let lecture = scenario.lecture().or(Some(persons).filter(|_| scenario.name() == "smoke"));
    let venue = Venue {
        addresses: servers.iter().map(|server| server.program.address()).collect(),
        concerts,
        lecture: lecture.map(|places| admin.lecture(places)).transpose()?,
        has_bearers: scenario.has_bearers(),
        think: Duration::from_millis(scenario.hall("thinkMillis")),
        price: PRICE,
    };
    Ok((venue, seats * performances))
}
