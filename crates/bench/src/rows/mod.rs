//! The rows. Each is a function that starts a server, prepares it, measures, and audits its file.

mod connections;
pub(crate) mod contention;
pub(crate) mod crowd;
mod generator;
mod journey;
mod lecture;
mod memory;
mod points;
mod queue;
mod reads;
pub(crate) mod sale;

use std::sync::Arc;

use onsale_load_generator::{Outcome, Supply};
use serde_json::{Value, json};

use crate::measure::{Bench, Expected, Measured, Server};
use crate::raw::{self, Kind};
use crate::table::Verdict;

/// A named measurement.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: fn(&mut Bench) -> Outcome<()>,
}

pub(crate) const fn row(name: &'static str, about: &'static str, run: fn(&mut Bench) -> Outcome<()>) -> Row {
    Row { name, about, run }
}

/// All rows, in the order of the table.
pub(crate) const ROWS: &[Row] = &[
    row("generator", "the load generator beside wrk, on the empty handler", generator::beside_wrk),
    row("poll", "status poll, with 10 and with 100,000 in line", queue::poll),
    row("reads", "seat list of 50, dates", reads::seats_and_dates),
    row("charge-hot", "charges of one user", points::charge_hot),
    row("charge-many", "charges of 10,000 users", points::charge_many),
    row("charge-hot-keys", "charges of one user, each with a key", points::charge_hot_with_keys),
    row("charge-many-keys", "charges of 10,000 users, each with a key", points::charge_many_with_keys),
    row("application", "lecture applications of unique users", lecture::apply),
    row("place", "places in line of unique users", queue::enter),
    row("reservation", "reservations of free seats", sale::reserve),
    row("payment", "payments", sale::pay),
    row("contention", "5,000 buyers on 50 seats, 20 performances one after another", contention::buyers),
    row("journey", "token, dates, seats, reserve, charge, pay", journey::whole),
    row("memory", "idle, and with 100,000 in line", memory::lines),
    row("connections", "memory for each open connection, by what it does", connections::lines),
];

/// A room that admits everyone, and ends no turn for silence.
pub(crate) fn open_room() -> Value {
    json!({"maxActive": 1_000_000, "admitPerSecond": 1_000_000, "activeSeconds": 86_400, "claimSeconds": 3_600})
}

/// A room that admits one user a day.
pub(crate) fn still_room() -> Value {
    json!({"maxActive": 1, "admitPerSecond": 1, "activeSeconds": 86_400, "claimSeconds": 3_600})
}

/// A write, measured at 64 and at 256 connections. The better result counts.
pub(crate) struct Writes<'a> {
    pub(crate) work: &'a str,
    pub(crate) target: Option<f64>,
    pub(crate) supply: Arc<Supply>,
    pub(crate) expected: Expected,
    /// Maximum requests of one measurement, if requests cannot be repeated.
    pub(crate) count: usize,
    /// Whether it is also measured at half of its throughput.
    pub(crate) at_half: bool,
    /// The rows that it writes, if they are compared with raw batches.
    pub(crate) raw: Option<Kind>,
}

/// Requests for one measurement, so that a supply of this many lasts for all, with a fifth left for the open loop.
pub(crate) fn share_of(bench: &Bench, people: usize) -> usize {
    people * 4 / 5 / (2 * bench.scale.rounds)
}

impl Writes<'_> {
    /// Measures, stops the server, audits, and compares with raw batches.
    pub(crate) fn measure(self, bench: &mut Bench, mut server: Server) -> Outcome<()> {
        let mut both = Vec::new();
        for connections in [64, 256] {
            let mut slices = [bench.slice(&server, &self.supply, self.count, self.expected)];
            let name = self.work.replace([' ', ','], "-");
            both.extend(bench.compare(&server, &name, connections, &mut slices)?);
        }
        let better = report_better(bench, self.work, self.target, &both);
        if self.at_half {
            bench.at_half(&server, (self.work, 25.0), &better, (&self.supply, self.expected))?;
        }
        server.finish()?;
        if let Some(kind) = self.raw {
            let line = raw::compare(kind, self.work, &server.program.folder().join("onsale.db"), &both)?;
            bench.raw.push(line);
        }
        Ok(())
    }
}

/// A line for each number of connections. Returns the better one, which is judged.
pub(crate) fn report_better(bench: &mut Bench, work: &str, target: Option<f64>, both: &[Measured]) -> Measured {
    let better = if both[1].share > both[0].share { 1 } else { 0 };
    for (index, measured) in both.iter().enumerate() {
        let judged = index == better && target.is_some();
        let reached = target.is_none_or(|target| measured.share >= target);
        let verdict = if judged { Verdict::of(reached) } else { Verdict::Told };
        bench.table.add(measured.line(work, target.filter(|_| judged), verdict));
    }
    both[better].clone()
}
