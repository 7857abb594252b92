//! `./bench load`: the scenarios of `load/scenarios.json` against a real sale, by two generators, watched and audited.
//! `docs/measurements/load-test.md` is the plan, and the page that the results fill in.
//!
//! Modules in the order in which they build on each other: [`calls`], [`arrivals`], [`scenario`]; [`answers`]; [`crowd`] and
//! [`gatling`], which send; [`sale`] and [`watch`], where they send to and what is seen there; [`verdict`], [`run`]; [`record`]
//! and [`show`].

mod answers;
mod arrivals;
mod calls;
mod crowd;
mod gatling;
mod record;
mod run;
mod sale;
mod scenario;
mod show;
pub(crate) mod sizes;
mod verdict;
mod watch;
mod words;

use std::io::{Write, stderr, stdout};
use std::time::Duration;

use onsale_load_generator::Outcome;

use crate::machine::{self, Machine};
use crate::scale::Scale;
use gatling::Gatling;
use record::Record;
use run::{Generator, Task};
use scenario::{Scenario, Scenarios};
use show::Page;
use words::Given;

pub(crate) use words::{Factors, Load, SUITE, read};

/// A load average above this before the start is another program's work.
const IDLE_LOAD: f64 = 0.5;

/// Does what the command line wants. Returns `false` if the server did something wrong.
///
/// # Errors
/// If a program is missing, a server cannot be started, or an audit finds a contradiction.
pub(crate) fn load(load: &Load) -> Outcome<bool> {
    let scenarios = Scenarios::read()?;
    match load {
        Load::List => {
            for scenario in scenarios.all() {
                writeln!(stdout(), "{:<12} {}", scenario.name(), scenario.aim())?;
            }
            Ok(true)
        }
        Load::Page(document) => Page::at(document).fill(&scenarios).map(|()| true),
        Load::Run(given) => run_all(&scenarios, given),
    }
}

fn run_all(scenarios: &Scenarios, given: &Given) -> Outcome<bool> {
    let scale = match given.size {
        "tiny" => Scale::TINY,
        "quick" => Scale::QUICK,
        _ => Scale::FULL,
    };
    let about = machine::describe(scale)?;
    writeln!(stdout(), "{about}\n")?;
    if given.size != "tiny" && load_average() > IDLE_LOAD {
        writeln!(stderr(), "!!! the machine is not idle (load average {:.2}): results do not count", load_average())?;
    }
    let machine = Machine::open(scale, given.program()?, false)?;
    let gatling = gatling(given)?;
    let objectives = scenarios.objectives()?;
    let (mut records, mut is_sound): (Vec<Record>, bool) = (Vec::new(), true);
    for deployment in &given.deployments {
        let mut knee = given.factors.knee.map_or_else(|| scenarios.knee(deployment.name()), Ok)?;
        for scenario in chosen(scenarios, given) {
            for generator in &given.generators {
                let gatling = match (generator, &gatling) {
                    (Generator::Rust, _) => None,
                    (Generator::Gatling, Some(gatling)) if scenario.name() != "storm" => Some(gatling),
                    // Gatling is missing, which was printed before, or does not open connections by the thousand.
                    (Generator::Gatling, _) => continue,
                };
                let task = Task {
                    scenario,
                    objectives: &objectives,
                    deployment: *deployment,
                    frame: None,
                    gatling,
                    factors: factors(scenario, given),
                    knee,
                    judges_speed: given.size != "tiny",
                    cooldown: Duration::from_secs(match given.size {
                        "tiny" => 0,
                        "quick" => 2,
                        _ => 60,
                    }),
                };
                writeln!(stderr(), "--- {} on {} by {}", scenario.name(), deployment.name(), generator.name())?;
                let record = task.run(&machine)?;
                writeln!(stdout(), "{}", show::console(&record))?;
                is_sound &= !record.is_wrong() && (scenario.name() != "smoke" || record.text("verdict") != "missed");
                if record.number("foundKnee") > 0.0 && scenario.levels().0 > 1 {
                    knee = record.number("foundKnee");
                }
                records.push(record);
            }
        }
    }
    writeln!(stdout(), "\n{}", show::results(&records))?;
    if let Some(document) = &given.document {
        let page = Page::at(document);
        page.keep(&about, &records)?;
        page.fill(scenarios)?;
    }
    Ok(is_sound)
}

/// The scenarios to run: smoke first, then the search for the knee, which the others use.
fn chosen(scenarios: &Scenarios, given: &Given) -> Vec<Scenario> {
    let is_chosen =
        |scenario: &Scenario| given.names.is_empty() || given.names.iter().any(|name| name == scenario.name());
    let mut chosen: Vec<Scenario> = scenarios.all().into_iter().filter(is_chosen).collect();
    chosen.sort_by_key(|scenario| match scenario.name() {
        "smoke" => 0,
        "breakpoint" => 1,
        _ => 2,
    });
    chosen
}

fn factors(scenario: Scenario, given: &Given) -> scenario::Factors {
    let of_size = scenario.factors(given.size);
    scenario::Factors {
        scale: given.factors.scale.unwrap_or(of_size.scale),
        stretch: given.factors.stretch.unwrap_or(of_size.stretch),
    }
}

/// Gatling, if it is wanted. If it cannot be had, a line on standard error names the reason; with `CI=true` that is an error.
fn gatling(given: &Given) -> Outcome<Option<Gatling>> {
    if !given.generators.contains(&Generator::Gatling) {
        return Ok(None);
    }
    let missing = gatling::missing();
    if let Some(missing) = missing {
        if std::env::var("CI").as_deref() == Ok("true") {
            return Err(format!("{missing}, and CI skips nothing").into());
        }
        writeln!(stderr(), "!!! SKIPPED: every run by Gatling: {missing}")?;
        return Ok(None);
    }
    Gatling::prepare().map(Some)
}

fn load_average() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|load| load.parse().ok()).unwrap_or(0.0)
}
