//! Measurements next to a reference: the reference, the work, the reference again, in rounds, so that other load on the
//! machine affects both.

use std::sync::Arc;
use std::time::Duration;

use onsale_load_generator::{ClosedLoop, Histogram, Outcome, Program, Request, Run, Supply, closed_loop};

use crate::machine::{Machine, Recording, Server};
use crate::results::{Figure, Line};

/// Expected answers: statuses, with their codes for problems.
pub(crate) type Expected = &'static [(u16, &'static str)];

/// Every answer is a 200.
pub(crate) const OK: Expected = &[(200, "")];

/// Every answer is a 201.
pub(crate) const CREATED: Expected = &[(201, "")];

/// One measurement of a kind of work, at a number of connections.
pub(super) type Slice<'a> = Box<dyn FnMut(usize) -> Outcome<Run> + 'a>;

/// The result of a kind of work at one number of connections.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) connections: usize,
    /// Answers per second: the median of the rounds, as in the next two fields.
    pub(crate) rate: f64,
    /// Answers per second of the reference.
    pub(crate) reference: f64,
    /// The rate divided by that of the reference in the same round.
    pub(crate) ratio: f64,
    pub(crate) times: Histogram,
    /// Processor time of the server per answer.
    pub(crate) cpu: Duration,
}

impl Measured {
    /// Its line in the table, without a target.
    pub(crate) fn line(&self, work: impl Into<String>) -> Line {
        Line {
            connections: self.connections,
            result: Figure::PerSecond(self.rate),
            reference: Figure::PerSecond(self.reference),
            ratio: Some(self.ratio),
            p50_millis: Some(self.times.millis(500)),
            p99_millis: Some(self.times.millis(990)),
            cpu_micros: Some(micros(self.cpu)),
            ..Line::new(work)
        }
    }
}

/// A duration in microseconds.
pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// A duration divided by a number of answers.
pub(crate) fn per_answer(time: Duration, answers: u64) -> Duration {
    time.div_f64((answers as f64).max(1.0))
}

/// The median. Zero of no numbers.
pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    match numbers.len() {
        0 => 0.0,
        count if count % 2 == 1 => numbers[count / 2],
        count => f64::midpoint(numbers[count / 2 - 1], numbers[count / 2]),
    }
}

/// For measurements with a reference before and after each: the mean of the two.
pub(crate) fn neighbours(references: &[f64]) -> Vec<f64> {
    references.windows(2).map(|pair| f64::midpoint(pair[0], pair[1])).collect()
}

/// The median of the ratios of numbers that belong together.
pub(crate) fn median_ratio(numbers: &[f64], references: &[f64]) -> f64 {
    median(numbers.iter().zip(references).map(|(number, reference)| number / reference).collect())
}

/// A closed loop for the duration of one slice.
pub(crate) fn slice_of(machine: &Machine, connections: usize) -> ClosedLoop {
    ClosedLoop { connections, time: machine.scale.slice, count: usize::MAX, keep: None }
}

/// One measurement of a reference server.
pub(crate) fn reference_run(machine: &Machine, reference: &Program, connections: usize) -> Outcome<Run> {
    let how = ClosedLoop { time: machine.scale.reference, ..slice_of(machine, connections) };
    let run = closed_loop(reference.address(), &Arc::new(Supply::in_turn([Request::get("/")])), &how)?;
    run.tally.expect(OK)?;
    Ok(run)
}

/// Measurements of one kind of request, of at most this many requests each. Every answer must be an expected one.
pub(crate) fn requests(
    machine: &Machine,
    server: &Server,
    supply: &Arc<Supply>,
    count: usize,
    expected: Expected,
) -> Slice<'static> {
    let (address, supply) = (server.program.address(), supply.clone());
    let how = ClosedLoop { count, ..slice_of(machine, 0) };
    Box::new(move |connections| {
        let run = closed_loop(address, &supply, &ClosedLoop { connections, ..how })?;
        run.tally.expect(expected)?;
        Ok(run)
    })
}

/// Measures each kind of work in turn, with the empty handler in between.
pub(crate) fn compare(
    machine: &Machine,
    server: &Server,
    name: &str,
    connections: usize,
    slices: &mut [Slice<'_>],
) -> Outcome<Vec<Measured>> {
    compare_with(machine, machine.empty(), (server, name), connections, slices)
}

/// Measures each kind of work in turn, with a reference server in between.
pub(crate) fn compare_with(
    machine: &Machine,
    reference: &Program,
    (server, name): (&Server, &str),
    connections: usize,
    slices: &mut [Slice<'_>],
) -> Outcome<Vec<Measured>> {
    let mut references = vec![reference_run(machine, reference, connections)?.rate()];
    let mut rates = vec![Vec::new(); slices.len()];
    let mut sums: Vec<(Histogram, Duration)> = vec![Default::default(); slices.len()];
    for _ in 0..machine.scale.rounds {
        for (index, slice) in slices.iter_mut().enumerate() {
            let recording = machine.record(server, &format!("{name}-{index}-{connections}"))?;
            let before = server.program.process_time()?;
            let run = slice(connections)?;
            let (times, cpu) = &mut sums[index];
            times.merge(&run.tally.times);
            *cpu += server.program.process_time()?.saturating_sub(before);
            rates[index].push(run.rate());
            recording.map(Recording::finish).transpose()?;
        }
        references.push(reference_run(machine, reference, connections)?.rate());
    }
    let references = neighbours(&references);
    let measured = rates.into_iter().zip(sums).map(|(rates, (times, cpu))| Measured {
        connections,
        ratio: median_ratio(&rates, &references),
        rate: median(rates),
        reference: median(references.clone()),
        cpu: per_answer(cpu, times.total()),
        times,
    });
    Ok(measured.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_formed_within_a_round() {
        assert_eq!(neighbours(&[10.0, 20.0, 40.0]), [15.0, 30.0]);
        assert_eq!(median_ratio(&[15.0, 60.0], &[15.0, 30.0]), 1.5);
        assert_eq!([median(vec![]), median(vec![3.0, 1.0, 2.0])], [0.0, 2.0]);
    }
}
