//! Writes: at 64 and at 256 connections, at half of the throughput, and next to raw batches of the same rows.

use std::sync::Arc;

use onsale_load_generator::{Outcome, Supply};

use super::{Expected, Half, Measured, at_half, compare, requests};
use crate::machine::{Machine, Server};
use crate::results::{Results, Target};
use crate::sqlite_batches::{self, Write};

/// The target of every write at half of its throughput.
const HALF: Target = Target::p99_millis(25.0);

/// A kind of write. The better result of the two numbers of connections is judged.
pub(crate) struct Writes {
    pub(crate) work: &'static str,
    pub(crate) target: Target,
    pub(crate) supply: Arc<Supply>,
    pub(crate) expected: Expected,
    /// Maximum requests of one measurement, if requests cannot be repeated.
    pub(crate) count: usize,
    /// Whether it is also measured at half of its throughput.
    pub(crate) at_half: bool,
    /// The rows that it writes, for the comparison with raw batches.
    pub(crate) rows: Write,
}

/// Requests for one measurement, so that a supply of this many lasts for all, with a fifth left for the open loop.
pub(crate) fn requests_per_slice(machine: &Machine, supply: usize) -> usize {
    supply * 4 / 5 / (2 * machine.scale.rounds)
}

impl Writes {
    /// Measures, stops the server, audits its file, and writes the same rows in raw batches.
    pub(crate) fn measure(self, machine: &Machine, mut server: Server, results: &mut Results) -> Outcome<()> {
        let mut both = Vec::new();
        for connections in [64, 256] {
            let mut slices = [requests(machine, &server, &self.supply, self.count, self.expected)];
            both.extend(compare(machine, &server, self.work, connections, &mut slices)?);
        }
        let better = add_better(results, self.work, self.target, &both);
        if self.at_half {
            let half = Half { work: self.work, target: HALF, supply: &self.supply, expected: self.expected };
            results.add(at_half(machine, &server, &half, &better)?);
        }
        server.finish()?;
        let file = server.program.folder().join("onsale.db");
        results.add_batches(sqlite_batches::compare(machine.scale, self.rows, self.work, &file, &both)?);
        Ok(())
    }
}

/// Adds a line for each number of connections. Returns the better one, which is judged.
pub(crate) fn add_better(results: &mut Results, work: &str, target: Target, both: &[Measured]) -> Measured {
    let better = usize::from(both[1].ratio > both[0].ratio);
    for (index, measured) in both.iter().enumerate() {
        let line = measured.line(work);
        results.add(if index == better { line.judged(target, measured.ratio) } else { line });
    }
    both[better].clone()
}
