//! The knee of one size: the search of the load test, with its parts under limits, and a run at half of it.

use std::time::Duration;

use onsale_load_generator::Outcome;
use onsale_testing::{Limited, Limits, Means, Usage};
use serde_json::Value;

use super::super::record::Record;
use super::super::run::Task;
use super::super::sale::Frame;
use super::super::scenario::{Objective, Scenario, Scenarios};
use super::cell::Cell;
use super::finding::Finding;
use crate::machine::Machine;

/// The scenarios of this suite, as they were when this program was built.
const FILE: &str = include_str!("../../../../../load/sizes.json");

/// Purchases a second and processor with which the search begins.
const GUESS: f64 = 300.0;

/// Searches that begin lower, each by this factor, if the first level was too much.
const SEARCHES: i32 = 3;
const LOWER: f64 = 0.2;

/// Processors of a part that is not limited.
const UNLIMITED: f64 = 64.0;

/// One size, ready to be measured.
struct Bench<'a> {
    cell: &'a Cell,
    machine: &'a Machine,
    frame: Frame,
    size: &'static str,
    objectives: Vec<Objective>,
    scenarios: &'static Value,
}

/// Measures the knee of a size.
///
/// # Errors
/// If a server does not start within its limits, or an audit finds a contradiction.
pub(super) fn measure(cell: &Cell, size: &'static str, (machine, means): (&Machine, Means)) -> Outcome<Finding> {
    let group = |limits: Limits| Limited::by(means, limits);
    let instances = (0..cell.instances).map(|_| group(cell.limits())).collect::<Result<Vec<_>, _>>()?;
    // The memory of Redis and Postgres is not limited here.
    let of_cpus = |cpus: f64| group(Limits::new(cpus, u64::MAX >> 12));
    let redis = cell.redis.map(of_cpus).transpose()?;
    let postgres = cell.postgres.map(|size| of_cpus(size.cpus)).transpose()?;
    if let Some(postgres) = &postgres {
        postgres.adopt(&machine.postgres()?.processes())?;
    }
    let bench = Bench {
        cell,
        machine,
        frame: Frame { instances, redis },
        size,
        objectives: Scenarios::read()?.objectives()?,
        // Read once for each cell, and used until the end of the program.
        scenarios: Box::leak(Box::new(serde_json::from_str(FILE)?)),
    };
    bench.measure(means)
}

impl Bench<'_> {
    fn measure(&self, means: Means) -> Outcome<Finding> {
        let knee = self.search()?;
        let before = self.usage();
        // Without a knee there is no half of it. In the smallest size it means nothing, but every line is run.
        let rate = if knee > 0.0 || self.size != "tiny" { knee } else { GUESS };
        let half = (rate > 0.0).then(|| self.run("half", rate)).transpose()?;
        let whole = self.usage();
        let used = whole.zip(before).map(|(whole, before)| whole.since(&before));
        Ok(Finding::of_knee(self.cell, means, (knee, half.as_ref()), (used, whole)))
    }

    /// Searches from a guess on, and from lower ones if that was too much.
    fn search(&self) -> Outcome<f64> {
        let cpus = self.cell.instance.cpus * self.cell.instances as f64;
        let cpus = self.cell.postgres.map_or(cpus, |postgres| cpus.min(postgres.cpus)).min(UNLIMITED);
        let searches = if self.size == "tiny" { 1 } else { SEARCHES };
        for number in 0..searches {
            let record = self.run("knee", GUESS * cpus * LOWER.powi(number))?;
            let knee = record.number("foundKnee");
            if knee > 0.0 {
                return Ok(knee);
            }
        }
        Ok(0.0)
    }

    fn run(&self, scenario: &str, knee: f64) -> Outcome<Record> {
        let scenario = Scenario::of(&self.scenarios[scenario]);
        let task = Task {
            scenario,
            objectives: &self.objectives,
            deployment: self.cell.deployment,
            frame: Some(&self.frame),
            gatling: None,
            factors: scenario.factors(self.size),
            knee,
            judges_speed: self.size != "tiny",
            cooldown: Duration::ZERO,
        };
        let record = task.run(self.machine);
        // A kill for memory shows as connections that break: the cause is in the group.
        record.map_err(|error| match self.usage() {
            Some(Usage { oom_kills, .. }) if oom_kills > 0 => format!("killed for memory; {error}").into(),
            _ => error,
        })
    }

    /// What all instances used so far. `None` if this machine does not count it.
    fn usage(&self) -> Option<Usage> {
        let mut sum = Usage::default();
        for limited in &self.frame.instances {
            let usage = limited.usage().ok()?;
            sum.cpu += usage.cpu;
            sum.periods += usage.periods;
            sum.throttled += usage.throttled;
            sum.throttled_time += usage.throttled_time;
            // Of the instance with most memory.
            sum.peak = sum.peak.max(usage.peak);
            sum.oom_kills += usage.oom_kills;
        }
        Some(sum)
    }
}
