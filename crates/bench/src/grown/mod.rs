//! The suite of a grown database: a year of sales next to a sale that has just begun, in the same minutes.
//!
//! Full size: 10,000 past concerts, 2 million reservations, 5 million ledger entries, 10 million events. `quick`: as many
//! concerts, a hundredth of the rest.

mod commands;
mod database;
mod fill;
mod idle;
mod journeys;
mod lists;
mod pairs;
mod size;

use std::io::{Write, stderr};
use std::time::Instant;

use onsale_load_generator::{Admin, Outcome};

use crate::machine::Machine;
use crate::results::{Results, Target};
use crate::row::{Row, Work, row};
use database::Database;
use fill::Dialect;
use pairs::{Pairs, in_seconds, seconds};
use size::Size;

/// All rows, in the order of the table.
pub(crate) const ROWS: &[Row] = &[
    row("grown-sqlite", "a file after a year, next to a small one", Target::NONE, sqlite),
    row("grown-postgres", "Postgres after a year, next to a small database", Target::NONE, postgres),
];

/// The notes below the table.
pub(crate) const NOTES: &str = "\
per second: the figure of the grown database. reference: that of a small one, measured in turns with it. Latencies are p99, at a
constant rate (300 reads, 100 journeys a second). ratio: the grown one divided by the small one. size of the data: at the end.";

/// Lectures that have not started.
const LECTURES: usize = 50;

fn sqlite(machine: &Machine, _: Target) -> Outcome<Work<'_>> {
    Ok(Box::new(move |results| run(machine, Dialect::Sqlite, results)))
}

fn postgres(machine: &Machine, _: Target) -> Outcome<Work<'_>> {
    machine.postgres()?;
    Ok(Box::new(move |results| run(machine, Dialect::Postgres, results)))
}

fn run(machine: &Machine, dialect: Dialect, results: &mut Results) -> Outcome<()> {
    let name = if dialect == Dialect::Sqlite { "SQLite" } else { "Postgres" };
    let mut pairs = Pairs { results, database: name };
    let began = Instant::now();
    let small = Database::filled(machine, dialect, Size::small(machine.scale))?;
    let of_small = began.elapsed();
    let grown = Database::filled(machine, dialect, Size::grown(machine.scale))?;
    let both = [small, grown];
    pairs.figures("filled in", [of_small, began.elapsed() - of_small].map(|time| seconds(in_seconds(time))));
    say(name, "filled; measuring idle servers", began)?;
    idle::measure(machine, &both, &mut pairs)?;
    say(name, "measuring requests", began)?;
    let mut servers = [both[0].serve(machine)?, both[1].serve(machine)?];
    for server in &servers {
        open_lectures(machine, &server.admin)?;
    }
    lists::measure(machine, &servers, [&both[0].size, &both[1].size], &mut pairs)?;
    journeys::measure(machine, &servers, &mut pairs)?;
    for server in &mut servers {
        server.program.stop()?;
    }
    drop(servers);
    say(name, "measuring commands", began)?;
    commands::measure(machine, &both, &mut pairs)?;
    say(name, "done", began)
}

/// Shows how far a run is, as it takes long.
fn say(database: &str, what: &str, began: Instant) -> Outcome<()> {
    Ok(writeln!(stderr(), "{database}: {what} ({:.0} s)", began.elapsed().as_secs_f64())?)
}

fn open_lectures(machine: &Machine, admin: &Admin) -> Outcome<()> {
    for _ in 0..machine.scale.pick(LECTURES, LECTURES, 2) {
        admin.lecture(30)?;
    }
    Ok(())
}
