//! Drills: each causes an incident on real servers, measures the seconds to its signal, performs the commands of its page in
//! `docs/incidents`, checks the end, and audits the books.
//!
//! Modules in the order in which they build on each other: [`page`]; `shell`, `timeline`, `clients`, `traffic`; `scene`, the small
//! sale;
//! `report`; `drill`, the course of all; `incidents`, what goes wrong.

mod clients;
mod drill;
mod incidents;
pub mod page;
mod report;
mod scene;
mod shell;
mod timeline;
mod traffic;

use std::io::{Write, stderr, stdout};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

pub use incidents::NAMES;

use incidents::{lacks_limits, parts_of, run_named};
use report::Report;
use scene::Pace;

/// What a drill returns; an error is a sentence for an operator.
pub(crate) type Outcome<T> = Result<T, String>;

/// Drills that run at the same time. Each has servers of its own and waits most of the time.
const AT_ONCE: usize = 4;

const USAGE: &str = "usage: drill list | all | NAME… [--doc] [--short]";

/// What the command line wants.
struct Given {
    names: Vec<&'static str>,
    /// Fill the rows into the pages.
    documents: bool,
    pace: Pace,
}

/// Does what the words of the command line say. Returns whether all drills passed.
///
/// # Errors
/// If a word is unknown, or the program `onsale` is not next to this one.
pub fn run(words: &[String]) -> Result<bool, String> {
    if words.iter().any(|word| word == "list") {
        let lines: String = NAMES.iter().map(|name| format!("{name}\n")).collect();
        return stdout().write_all(lines.as_bytes()).map(|()| true).map_err(|error| error.to_string());
    }
    let given = read(words)?;
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let program = this.with_file_name("onsale");
    if !program.exists() {
        return Err(format!("{} is missing: cargo build --workspace --bins", program.display()));
    }
    let ran = all(&given, &program);
    let mut passed: Vec<Report> = Vec::new();
    let mut failed = String::new();
    for (name, outcome) in ran {
        match outcome {
            Ok(report) => passed.push(report),
            Err(error) => failed.push_str(&format!("{name} FAILED: {error}\n")),
        }
    }
    if given.documents {
        passed.iter().try_for_each(report::document).map_err(|error| error.to_string())?;
    }
    let text = format!("\n{}\n{failed}", report::table(&passed));
    stdout().write_all(text.as_bytes()).map_err(|error| error.to_string())?;
    Ok(failed.is_empty())
}

fn read(words: &[String]) -> Outcome<Given> {
    let mut given = Given { names: Vec::new(), documents: false, pace: Pace::Shipped };
    for word in words {
        match word.as_str() {
            "--doc" => given.documents = true,
            "--short" => given.pace = Pace::Short,
            "all" => given.names = NAMES.to_vec(),
            name => match NAMES.iter().find(|known| **known == name) {
                Some(known) => given.names.push(known),
                None => return Err(format!("no drill is called {name}; there are {}\n{USAGE}", NAMES.join(", "))),
            },
        }
    }
    if given.names.is_empty() {
        return Err(USAGE.to_owned());
    }
    if given.documents && given.pace == Pace::Short {
        return Err("--short shows that a drill works; its seconds are not those of the shipped alerts".to_owned());
    }
    Ok(given)
}

/// Runs the drills, some at the same time. Returns the outcome of each, in their order.
fn all(given: &Given, program: &Path) -> Vec<(&'static str, Outcome<Report>)> {
    let names: Vec<&'static str> = given.names.iter().copied().filter(|name| !is_left_out(name)).collect();
    let (next, outcomes) = (Arc::new(Mutex::new(names.clone().into_iter())), Arc::new(Mutex::new(Vec::new())));
    let workers: Vec<_> = (0..AT_ONCE.min(names.len()))
        .map(|_| {
            let (next, outcomes, pace, program) = (next.clone(), outcomes.clone(), given.pace, PathBuf::from(program));
            std::thread::spawn(move || {
                loop {
                    let name = next.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some(name) = name else { return };
                    let outcome = alone(name, &program, pace);
                    outcomes.lock().unwrap_or_else(PoisonError::into_inner).push((name, outcome));
                }
            })
        })
        .collect();
    workers.into_iter().for_each(|worker| drop(worker.join()));
    let mut outcomes = std::mem::take(&mut *outcomes.lock().unwrap_or_else(PoisonError::into_inner));
    outcomes.sort_by_key(|(name, _)| names.iter().position(|known| known == name));
    outcomes
}

/// Runs one drill on a thread and a runtime of its own, so that a helper that panics fails only this drill.
fn alone(name: &'static str, program: &Path, pace: Pace) -> Outcome<Report> {
    let program = program.to_owned();
    let ran = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.map_err(|error| error.to_string())?.block_on(run_named(name, &program, pace))
    });
    let joined = ran.map_err(|error| error.to_string())?.join();
    joined.unwrap_or_else(|_| Err("a part did not do what the drill needs; standard error has the reason".to_owned()))
}

/// Whether this machine lacks a part of a drill. A line on standard error names it.
fn is_left_out(name: &str) -> bool {
    let always = ["postgres", "redis", "haproxy", "prometheus"];
    let mut missing = always.iter().chain(parts_of(name)).copied().find(|part| onsale_testing::without(part));
    if missing.is_none() && lacks_limits(name) {
        missing = Some("control group that this process may make");
    }
    if let Some(part) = missing {
        drop(writeln!(stderr(), "!! SKIPPED: the drill {name}: no {part}"));
    }
    missing.is_some()
}
