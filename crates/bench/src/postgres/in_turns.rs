//! The program and pgbench in turns, so that other load on the machine affects both.

use std::io::{Write, stderr};
use std::sync::Arc;
use std::time::Duration;

use onsale_load_generator::{ClosedLoop, Histogram, Outcome, Run, Supply, closed_loop};

use super::pgbench::Pgbench;
use crate::machine::{Batching, Machine, Postgres, Recording, Server};
use crate::measure::{
    Expected, Half, Measured, at_half, median, median_ratio, micros, neighbours, per_answer, slice_of,
};
use crate::results::{Figure, Line, Results, Target};

/// Connections of the closed loops.
pub(super) const CONNECTIONS: usize = 64;

/// The target of every call at half of its throughput.
const HALF: Target = Target::p99_millis(25.0);

/// A server on a database of its own.
pub(crate) struct OnPostgres<'m> {
    pub(crate) server: Server,
    pub(crate) postgres: &'m Postgres,
    pub(crate) database: String,
}

impl<'m> OnPostgres<'m> {
    /// Starts it, with these flags and environment variables.
    pub(crate) fn start(machine: &'m Machine, flags: &[&str], environment: &[(&str, &str)]) -> Outcome<Self> {
        let postgres = machine.postgres()?;
        let database = postgres.database()?;
        let url = postgres.url(&database);
        let environment: Vec<_> = [("ONSALE_DATABASE_URL", url.as_str())].iter().chain(environment).copied().collect();
        Ok(Self { server: machine.server(flags, &environment)?, postgres, database })
    }
}

/// Sums of the measurements of one server.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// Answers per second of each measurement.
    pub(super) rates: Vec<f64>,
    times: Histogram,
    elapsed: Duration,
    program: Duration,
    database: Duration,
    generator: Duration,
    batching: Batching,
    /// Bytes of WAL that Postgres wrote.
    wal_bytes: u64,
}

impl Sums {
    /// Runs a measurement, and adds it.
    pub(super) fn measure(
        &mut self,
        (postgres, server): (&Postgres, &Server),
        slice: impl FnOnce() -> Outcome<Run>,
    ) -> Outcome<()> {
        let batching = Batching::of(server.program.address())?;
        let wal_bytes = postgres.wal_bytes()?;
        let (program, database) = (server.program.process_time()?, postgres.process_time());
        let run = slice()?;
        self.program += server.program.process_time()?.saturating_sub(program);
        self.database += postgres.process_time().saturating_sub(database);
        self.batching.add(&Batching::of(server.program.address())?.since(&batching));
        self.wal_bytes += postgres.wal_bytes()?.saturating_sub(wal_bytes);
        self.rates.push(run.rate());
        self.generator += run.cpu;
        self.elapsed += run.elapsed;
        self.times.merge(&run.tally.times);
        Ok(())
    }

    /// The median of the rates, in requests per second.
    pub(super) fn rate(&self) -> f64 {
        median(self.rates.clone())
    }

    /// The result next to a reference that was measured in the same seconds.
    pub(super) fn measured(&self, connections: usize, reference: f64, ratio: f64) -> Measured {
        Measured {
            connections,
            rate: self.rate(),
            reference,
            ratio,
            cpu: per_answer(self.program, self.times.total()),
            times: self.times.clone(),
        }
    }

    /// Its line in the table, without a target.
    pub(super) fn line(&self, work: impl Into<String>, measured: &Measured) -> Line {
        Line {
            database_micros: Some(micros(per_answer(self.database, self.times.total()))),
            batch: Some(self.batching.commands_per_batch()),
            wal_bytes: Some(self.wal_bytes as f64 / (self.times.total() as f64).max(1.0)),
            ..measured.line(work)
        }
    }

    /// Prints how busy the processors were, and how commands were batched.
    pub(super) fn print(&self) -> Outcome<()> {
        let cores = |time: Duration| time.as_secs_f64() / self.elapsed.as_secs_f64().max(1e-9);
        writeln!(
            stderr(),
            "    cores busy: program {:.2}, postgres {:.2}, generator {:.2}; {}",
            cores(self.program),
            cores(self.database),
            cores(self.generator),
            self.batching
        )?;
        Ok(())
    }
}

/// A kind of call, next to a script of pgbench.
pub(super) struct Call {
    pub(super) work: &'static str,
    pub(super) target: Target,
    pub(super) supply: Arc<Supply>,
    pub(super) expected: Expected,
    /// Maximum requests of one measurement, if requests cannot be repeated.
    pub(super) count: usize,
}

/// Requests for one measurement, so that a fifth of a supply of this many is left for the open loop.
pub(super) fn requests_per_slice(machine: &Machine, supply: usize) -> usize {
    supply * 4 / 5 / machine.scale.rounds
}

impl Call {
    /// Measures the call and the script in turns. The ratio is the median over the rounds.
    pub(super) fn in_turns(
        &self,
        machine: &Machine,
        on: &OnPostgres<'_>,
        pgbench: &Pgbench<'_>,
        connections: usize,
    ) -> Outcome<(Sums, Measured)> {
        let seconds = pgbench_seconds(machine);
        let (mut sums, mut references) = (Sums::default(), vec![pgbench.run(seconds)?]);
        for _ in 0..machine.scale.rounds {
            let recording = machine.record(&on.server, &format!("pg-{}", self.work))?;
            let how = ClosedLoop { count: self.count, ..slice_of(machine, connections) };
            sums.measure((on.postgres, &on.server), || {
                let run = closed_loop(on.server.program.address(), &self.supply, &how)?;
                run.tally.expect(self.expected)?;
                Ok(run)
            })?;
            recording.map(Recording::finish).transpose()?;
            references.push(pgbench.run(seconds)?);
        }
        sums.print()?;
        let references = neighbours(&references);
        let ratio = median_ratio(&sums.rates, &references);
        let measured = sums.measured(connections, median(references), ratio);
        Ok((sums, measured))
    }

    /// Measures next to the script, then at half of the throughput. Stops the server, and audits its database.
    pub(super) fn measure(
        self,
        machine: &Machine,
        mut on: OnPostgres<'_>,
        pgbench: Pgbench<'_>,
        results: &mut Results,
    ) -> Outcome<()> {
        on.postgres.settle(&on.database)?;
        let pgbench = pgbench.with_best_clients(pgbench_seconds(machine))?;
        on.postgres.reset_statements()?;
        let (sums, measured) = self.in_turns(machine, &on, &pgbench, CONNECTIONS)?;
        writeln!(stderr(), "{}", on.postgres.statements(&on.database)?)?;
        let line = Line { reference: pgbench.figure(measured.reference), ..sums.line(self.work, &measured) };
        results.add(line.judged(self.target, measured.ratio));
        let half = Half { work: self.work, target: HALF, supply: &self.supply, expected: self.expected };
        results.add(at_half(machine, &on.server, &half, &measured)?);
        on.server.finish()
    }
}

/// Whole seconds of a measurement by pgbench, which supports no fractions.
fn pgbench_seconds(machine: &Machine) -> u64 {
    machine.scale.slice.as_secs().max(1)
}

impl Pgbench<'_> {
    /// The rate of the reference, with the number of its clients.
    pub(super) fn figure(&self, rate: f64) -> Figure {
        Figure::Words(format!("{} ({})", onsale_report::number(rate), self.clients()))
    }
}
