//! The program and pgbench in turns, so that other load on the machine affects both.

use std::io::{Write, stderr};
use std::sync::Arc;
use std::time::Duration;

use onsale_load_generator::{Closed, Histogram, Outcome, Run, Supply, closed};

use super::desk::Desk;
use super::pgbench::Rival;
use super::{CONNECTIONS, Cluster};
use crate::measure::{Bench, Expected, Measured, Server, median};
use crate::profile::Recording;
use crate::table::{Line, Verdict, grouped};

/// A server of the program on its own database.
pub(super) fn server(bench: &mut Bench, flags: &[&str], lanes: Option<usize>) -> Outcome<(Server, String)> {
    let cluster = bench.cluster()?;
    let database = cluster.database()?;
    let (url, lanes) = (cluster.url(&database), lanes.map(|lanes| lanes.to_string()));
    let mut environment = vec![("ONSALE_DATABASE_URL", url.as_str())];
    environment.extend(lanes.as_deref().map(|lanes| ("ONSALE_DATABASE_LANES", lanes)));
    Ok((bench.server_with(flags, &environment)?, database))
}

/// A kind of call, compared with a script.
pub(super) struct Call<'a> {
    pub(super) work: &'a str,
    /// The target ratio to the script, and the aim beyond it.
    pub(super) target: f64,
    pub(super) aim: Option<f64>,
    pub(super) supply: Arc<Supply>,
    pub(super) expected: Expected,
    /// Maximum requests of one measurement, if requests cannot be repeated.
    pub(super) count: usize,
}

/// Sums of the measurements of one server.
#[derive(Debug, Default)]
pub(super) struct Looks {
    pub(super) rates: Vec<f64>,
    times: Histogram,
    elapsed: Duration,
    program: Duration,
    database: Duration,
    generator: Duration,
    desk: Desk,
    /// WAL bytes that Postgres wrote.
    logged: u64,
}

impl Looks {
    /// Adds a measurement.
    pub(super) fn look(
        &mut self,
        (cluster, server): (&Cluster, &Server),
        slice: impl FnOnce() -> Outcome<Run>,
    ) -> Outcome<()> {
        let desk = Desk::of(server.program.address())?;
        let logged = cluster.logged()?;
        let (program, database) = (server.program.process_time()?, cluster.process_time());
        let run = slice()?;
        self.program += server.program.process_time()?.saturating_sub(program);
        self.database += cluster.process_time().saturating_sub(database);
        self.desk.add(&Desk::of(server.program.address())?.since(&desk));
        self.logged += cluster.logged()?.saturating_sub(logged);
        self.rates.push(run.rate());
        self.generator += run.cpu;
        self.elapsed += run.elapsed;
        self.times.merge(&run.tally.times);
        Ok(())
    }

    pub(super) fn rate(&self) -> f64 {
        median(self.rates.clone())
    }

    /// A table line in the usual form, compared with what was measured in the same seconds.
    pub(super) fn measured(&self, connections: usize, beside: f64, ratio: f64) -> Measured {
        Measured {
            connections,
            rate: self.rate(),
            empty: beside,
            share: ratio,
            cpu: self.each(self.program),
            times: self.times.clone(),
        }
    }

    fn each(&self, time: Duration) -> Duration {
        time.div_f64((self.times.total() as f64).max(1.0))
    }

    /// Its line in the table.
    pub(super) fn line(&self, work: &str, measured: &Measured, verdict: Verdict) -> Line {
        Line {
            database: format!("{:.1}", self.each(self.database).as_secs_f64() * 1e6),
            batch: format!("{:.1}", self.desk.batch()),
            log: grouped(self.logged as f64 / (self.times.total() as f64).max(1.0)),
            share: format!("{:.2}", measured.share),
            ..measured.line(work, None, verdict)
        }
    }

    /// How the processors and lanes spent their time.
    pub(super) fn tell(&self) -> Outcome<()> {
        let of = |time: Duration| time.as_secs_f64() / self.elapsed.as_secs_f64().max(1e-9);
        writeln!(
            stderr(),
            "    cores busy: program {:.2}, postgres {:.2}, generator {:.2}; {}",
            of(self.program),
            of(self.database),
            of(self.generator),
            self.desk
        )?;
        Ok(())
    }
}

/// Whole seconds of a measurement by pgbench, which supports no fractions.
pub(super) fn seconds(bench: &Bench) -> u64 {
    bench.scale.slice.as_secs().max(1)
}

/// Measures a call and a script in turns. Returns the medians of both and of their ratio.
pub(super) fn in_turns(
    bench: &Bench,
    cluster: &Cluster,
    rival: &Rival<'_>,
    (server, connections): (&Server, usize),
    call: &Call<'_>,
) -> Outcome<(Looks, Measured)> {
    let (mut looks, mut theirs) = (Looks::default(), vec![rival.run(seconds(bench))?]);
    for _ in 0..bench.scale.rounds {
        let recording = bench.record(server, &format!("pg-{}", call.work.replace([' ', ','], "-")))?;
        let how = Closed { connections, time: bench.scale.slice, count: call.count, keep: None };
        looks.look((cluster, server), || {
            let run = closed(server.program.address(), &call.supply, &how)?;
            run.tally.expect(call.expected)?;
            Ok(run)
        })?;
        recording.map(Recording::finish).transpose()?;
        theirs.push(rival.run(seconds(bench))?);
    }
    looks.tell()?;
    let beside: Vec<f64> = theirs.windows(2).map(|pair| f64::midpoint(pair[0], pair[1])).collect();
    let ratio = median(looks.rates.iter().zip(&beside).map(|(own, theirs)| own / theirs).collect());
    let measured = looks.measured(connections, median(beside), ratio);
    Ok((looks, measured))
}

impl Call<'_> {
    /// Compares with a script, then measures at half of the throughput, and audits.
    pub(super) fn measure(
        self,
        bench: &mut Bench,
        (mut server, database): (Server, String),
        rival: Rival<'_>,
    ) -> Outcome<()> {
        let cluster = bench.cluster()?;
        cluster.settle(&database)?;
        let rival = rival.at_its_best(seconds(bench))?;
        cluster.forget_statements()?;
        let (looks, measured) = in_turns(bench, &cluster, &rival, (&server, CONNECTIONS), &self)?;
        writeln!(stderr(), "{}", cluster.statements(&database)?)?;
        let target = match self.aim {
            Some(aim) => format!("≥ {} × (aim {aim})", self.target),
            None => format!("≥ {} ×", self.target),
        };
        bench.table.add(Line {
            target,
            empty: format!("{} ({})", grouped(measured.empty), rival.clients()),
            ..looks.line(self.work, &measured, Verdict::of(measured.share >= self.target))
        });
        bench.at_half(&server, (self.work, 25.0), &measured, (&self.supply, self.expected))?;
        server.finish()
    }
}
