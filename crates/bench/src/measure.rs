//! Side-by-side measurement: the empty handler, the work, the empty handler again, in rounds, so that other load on
//! the machine affects both.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use onsale_load_generator::{Closed, Histogram, Open, Outcome, Program, Request, Run, Stage, Supply, closed, open};

use crate::empty;
use crate::postgres::Cluster;
use crate::profile::Recording;
use crate::raw::RawLine;
use crate::table::{Line, Table, Verdict, grouped};

/// Expected answers: statuses, with their codes for problems.
pub(crate) type Expected = &'static [(u16, &'static str)];

/// Durations and sizes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) rounds: usize,
    /// Duration of one measurement of the empty handler.
    pub(crate) empty: Duration,
    /// Duration of one measurement of the work.
    pub(crate) slice: Duration,
    /// Duration of one measurement at a constant rate.
    pub(crate) open: Duration,
    /// Number of persons to prepare if each may act once.
    pub(crate) crowd: usize,
}

impl Scale {
    /// The full size, for the targets.
    pub(crate) const FULL: Self = Self {
        rounds: 3,
        empty: Duration::from_millis(1_000),
        slice: Duration::from_millis(2_000),
        open: Duration::from_millis(5_000),
        crowd: 120_000,
    };

    /// A quick run: one round, and a crowd that is too small for the targets.
    pub(crate) const QUICK: Self = Self {
        rounds: 1,
        empty: Duration::from_millis(500),
        slice: Duration::from_millis(800),
        open: Duration::from_millis(2_000),
        crowd: 24_000,
    };
}

/// A server for one row.
pub(crate) struct Server {
    pub(crate) program: Program,
    pub(crate) stage: Stage,
}

impl Server {
    /// Stops it, then audits its file.
    pub(crate) fn finish(&mut self) -> Outcome<()> {
        let status = self.program.stop()?;
        if !status.success() {
            return Err(format!("the server ended with {status}").into());
        }
        let audit = self.program.run(&["audit"])?;
        if !audit.status.success() {
            let lines = String::from_utf8_lossy(&audit.stdout).into_owned();
            return Err(format!("the audit ended with {}:\n{lines}", audit.status).into());
        }
        Ok(())
    }
}

/// The result of a kind of work at one number of connections.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) connections: usize,
    /// Answers per second: the median of the rounds, as in the next two fields.
    pub(crate) rate: f64,
    pub(crate) empty: f64,
    pub(crate) share: f64,
    pub(crate) times: Histogram,
    /// Processor time of the server per answer.
    pub(crate) cpu: Duration,
}

impl Measured {
    /// Its line in the table.
    pub(crate) fn line(&self, work: &str, target: Option<f64>, verdict: Verdict) -> Line {
        let millis = |permille| format!("{:.2}", self.times.permille(permille).as_secs_f64() * 1000.0);
        Line {
            connections: self.connections,
            rate: grouped(self.rate),
            empty: grouped(self.empty),
            share: format!("{:.3}", self.share),
            target: target.map(|target| format!("≥ {target}")).unwrap_or_default(),
            p50: millis(500),
            p99: millis(990),
            cpu: format!("{:.1}", self.cpu.as_secs_f64() * 1e6),
            ..Line::new(work, verdict)
        }
    }
}

/// One measurement of a kind of work, at a number of connections.
pub(crate) type Slice<'a> = Box<dyn FnMut(usize) -> Outcome<Run> + 'a>;

/// The state of a benchmark run.
pub(crate) struct Bench {
    pub(crate) scale: Scale,
    pub(crate) table: Table,
    pub(crate) raw: Vec<RawLine>,
    program: PathBuf,
    pub(crate) empty: Program,
    requests: Arc<Supply>,
    /// Folder for profiles of the server, if they are recorded.
    profiles: Option<PathBuf>,
    /// The Postgres, started for the first row that needs it.
    cluster: Option<Rc<Cluster>>,
}

impl Bench {
    /// Starts the empty handler. The program is expected in the folder of this one.
    pub(crate) fn open(scale: Scale, profile: bool) -> Outcome<Self> {
        let own = std::env::current_exe()?;
        let program = own.with_file_name("onsale");
        if !program.exists() {
            return Err(format!("{} is missing: run ./bench, which builds it", program.display()).into());
        }
        let empty = Program::start(&own, &[empty::ARGUMENT])?;
        let requests = Arc::new(Supply::in_turn([Request::get("/")]));
        let profiles = profile.then(|| own.with_file_name("profiles"));
        if let Some(folder) = &profiles {
            std::fs::create_dir_all(folder)?;
        }
        let table = Table::default();
        Ok(Self { scale, table, raw: Vec::new(), program, empty, requests, profiles, cluster: None })
    }

    /// The program that is measured.
    pub(crate) fn program(&self) -> &std::path::Path {
        &self.program
    }

    /// The Postgres of this run, started for the first row that needs it.
    pub(crate) fn cluster(&mut self) -> Outcome<Rc<Cluster>> {
        if let Some(cluster) = &self.cluster {
            return Ok(cluster.clone());
        }
        let cluster = Rc::new(Cluster::start(&self.program, self.profiles.is_some())?);
        self.cluster = Some(cluster.clone());
        Ok(cluster)
    }

    /// Starts the real program in its own folder.
    pub(crate) fn server(&self, flags: &[&str]) -> Outcome<Server> {
        self.server_with(flags, &[])
    }

    /// Starts it with settings in its environment, such as a database.
    pub(crate) fn server_with(&self, flags: &[&str], environment: &[(&str, &str)]) -> Outcome<Server> {
        let arguments: Vec<&str> = ["serve", "--log", "warn"].iter().chain(flags).copied().collect();
        let program = Program::start_with(&self.program, &arguments, environment)?;
        let stage = Stage::of(program.address());
        Ok(Server { program, stage })
    }

    /// One measurement of the empty handler.
    pub(crate) fn look_at_empty(&self, connections: usize) -> Outcome<Run> {
        self.look_at(&self.empty, connections)
    }

    /// One measurement of another reference handler.
    fn look_at(&self, handler: &Program, connections: usize) -> Outcome<Run> {
        let how = Closed { connections, time: self.scale.empty, count: usize::MAX, keep: None };
        let run = closed(handler.address(), &self.requests, &how)?;
        run.tally.expect(&[(200, "")])?;
        Ok(run)
    }

    /// A measurement of a single-request workload: every answer must be as expected, and there must be enough of them.
    pub(crate) fn slice<'a>(
        &self,
        server: &Server,
        supply: &'a Arc<Supply>,
        count: usize,
        expected: Expected,
    ) -> Slice<'a> {
        let (address, time) = (server.program.address(), self.scale.slice);
        Box::new(move |connections| {
            let how = Closed { connections, time, count, keep: None };
            let run = closed(address, supply, &how)?;
            run.tally.expect(expected)?;
            Ok(run)
        })
    }

    /// Measures each kind of work in turn, with the empty handler in between.
    pub(crate) fn compare(
        &self,
        server: &Server,
        name: &str,
        connections: usize,
        slices: &mut [Slice<'_>],
    ) -> Outcome<Vec<Measured>> {
        self.compare_beside(&self.empty, (server, name), connections, slices)
    }

    /// The same with another handler in between.
    pub(crate) fn compare_beside(
        &self,
        handler: &Program,
        (server, name): (&Server, &str),
        connections: usize,
        slices: &mut [Slice<'_>],
    ) -> Outcome<Vec<Measured>> {
        let mut empties = vec![self.look_at(handler, connections)?.rate()];
        let mut rates = vec![Vec::new(); slices.len()];
        let mut measured: Vec<(Histogram, Duration)> = vec![Default::default(); slices.len()];
        for _ in 0..self.scale.rounds {
            for (index, slice) in slices.iter_mut().enumerate() {
                let recording = self.record(server, &format!("{name}-{index}-{connections}"))?;
                let before = server.program.process_time()?;
                let run = slice(connections)?;
                let (times, cpu) = &mut measured[index];
                times.merge(&run.tally.times);
                *cpu += server.program.process_time()?.saturating_sub(before);
                rates[index].push(run.rate());
                recording.map(Recording::finish).transpose()?;
            }
            empties.push(self.look_at(handler, connections)?.rate());
        }
        let beside: Vec<f64> = empties.windows(2).map(|pair| f64::midpoint(pair[0], pair[1])).collect();
        Ok(rates
            .iter()
            .zip(measured)
            .map(|(rates, (times, cpu))| Measured {
                connections,
                rate: median(rates.clone()),
                empty: median(beside.clone()),
                share: median(rates.iter().zip(&beside).map(|(rate, empty)| rate / empty).collect()),
                cpu: cpu.div_f64((times.total() as f64).max(1.0)),
                times,
            })
            .collect())
    }

    pub(crate) fn record(&self, server: &Server, name: &str) -> Outcome<Option<Recording>> {
        // With a database server, part of the work is done there.
        let process = Some(server.program.id()).filter(|_| self.cluster.is_none());
        let start = |folder: &PathBuf| Recording::start(folder, name, process, self.scale.slice);
        self.profiles.as_ref().map(start).transpose()
    }

    /// The p99 latency at a constant rate of half the throughput.
    pub(crate) fn at_half(
        &mut self,
        server: &Server,
        (work, target_millis): (&str, f64),
        ceiling: &Measured,
        (supply, expected): (&Arc<Supply>, Expected),
    ) -> Outcome<()> {
        let per_second = ceiling.rate / 2.0;
        let enough = Duration::from_secs_f64(supply.left() as f64 / per_second);
        let how = Open { connections: 256, per_second, time: self.scale.open.min(enough.mul_f64(0.99)) };
        let cpu = server.program.process_time()?;
        let run = open(server.program.address(), supply, &how)?;
        run.tally.expect(expected)?;
        let cpu = server.program.process_time()?.saturating_sub(cpu);
        let measured = Measured {
            connections: how.connections,
            rate: run.rate(),
            cpu: cpu.div_f64((run.tally.times.total() as f64).max(1.0)),
            times: run.tally.times,
            ..ceiling.clone()
        };
        let reached = measured.times.permille(990).as_secs_f64() * 1000.0 <= target_millis;
        let line = measured.line(&format!("{work}: half of that, open loop"), None, Verdict::of(reached));
        let target = format!("p99 ≤ {target_millis} ms");
        self.table.add(Line { target, empty: String::new(), share: String::new(), ..line });
        Ok(())
    }

    /// The notes below the table.
    pub(crate) fn notes(&self) -> String {
        let mut text = String::from(
            "share: of what the empty handler answers in the same seconds over as many connections; median of the \
             rounds.\nTimes of closed loops are those of a saturated server. cpu: of the server, for each answer.",
        );
        if !self.raw.is_empty() {
            text.push_str("\n\n");
            text.push_str(&crate::raw::table(&self.raw));
        }
        text
    }
}

/// The median.
pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    match numbers.len() {
        0 => 0.0,
        count if count % 2 == 1 => numbers[count / 2],
        count => f64::midpoint(numbers[count / 2 - 1], numbers[count / 2]),
    }
}
