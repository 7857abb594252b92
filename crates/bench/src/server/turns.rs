//! Kinds of work that are measured in turns on one server, one of them as the reference of the others.

use std::time::Duration;

use onsale_load_generator::{Histogram, Outcome, Run};

use crate::machine::Server;
use crate::measure::{Measured, median, median_ratio, per_answer};

/// The measurements of one kind of work.
#[derive(Default)]
pub(crate) struct Turns {
    /// Answers per second, in the order of the turns.
    pub(crate) rates: Vec<f64>,
    times: Histogram,
    /// Processor time of the server.
    cpu: Duration,
}

impl Turns {
    /// Runs the work of one turn, and adds its rate, its times and its processor time.
    pub(crate) fn measure(&mut self, server: &Server, work: impl FnOnce() -> Outcome<Run>) -> Outcome<Run> {
        let before = server.program.process_time()?;
        let run = work()?;
        self.cpu += server.program.process_time()?.saturating_sub(before);
        self.rates.push(run.rate());
        self.times.merge(&run.tally.times);
        Ok(run)
    }

    /// Processor time of the server per answer.
    pub(crate) fn cpu(&self) -> Duration {
        per_answer(self.cpu, self.times.total())
    }

    /// The result next to the rates of the reference in the same turns.
    pub(crate) fn measured(&self, connections: usize, references: &[f64]) -> Measured {
        Measured {
            connections,
            rate: median(self.rates.clone()),
            reference: median(references.to_vec()),
            ratio: median_ratio(&self.rates, references),
            times: self.times.clone(),
            cpu: self.cpu(),
        }
    }
}
