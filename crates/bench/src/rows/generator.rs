//! Checks the load generator against another one, on the same handler.

use std::io::{Write, stderr};
use std::process::Command;

use onsale_load_generator::Outcome;

use crate::measure::{Bench, Measured, median};
use crate::table::{Line, Verdict, grouped};

const CONNECTIONS: usize = 64;

/// The lowest acceptable ratio.
const TARGET: f64 = 0.9;

pub(crate) fn beside_wrk(bench: &mut Bench) -> Outcome<()> {
    let (mut own, mut theirs, mut spent, mut answers) = (Vec::new(), Vec::new(), 0.0, 0);
    let mut last = None;
    let before = bench.empty.process_time()?;
    for _ in 0..bench.scale.rounds {
        let run = bench.look_at_empty(CONNECTIONS)?;
        own.push(run.rate());
        spent += run.cpu.as_secs_f64();
        answers += run.tally.times.total();
        last = Some(run);
    }
    let served = bench.empty.process_time()?.saturating_sub(before);
    for _ in 0..bench.scale.rounds {
        theirs.extend(wrk(bench)?);
    }
    let (rate, run) = (median(own), last.ok_or("nothing was measured")?);
    let cpu = served.div_f64(answers as f64);
    let measured = Measured { connections: CONNECTIONS, rate, empty: rate, share: 1.0, times: run.tally.times, cpu };
    bench.table.add(measured.line("empty handler", None, Verdict::Told));
    let own_cpu = Line {
        cpu: format!("{:.1}", spent * 1e6 / answers as f64),
        ..Line::new("    processor time of the generator", Verdict::Told)
    };
    bench.table.add(own_cpu);
    if theirs.is_empty() {
        bench.table.add(Line::new("    wrk is ABSENT: the generator was NOT checked (package wrk)", Verdict::Missed));
        return Ok(());
    }
    let theirs = median(theirs);
    bench.table.add(Line {
        connections: CONNECTIONS,
        rate: grouped(theirs),
        share: format!("{:.3}", rate / theirs),
        target: format!("≥ {TARGET} of wrk"),
        ..Line::new("    the same by wrk", Verdict::of(rate / theirs >= TARGET))
    });
    Ok(())
}

/// The throughput measured by wrk; `None` if it is not installed.
fn wrk(bench: &Bench) -> Outcome<Option<f64>> {
    let seconds = format!("{}s", bench.scale.empty.as_secs().max(1));
    let url = format!("http://{}/", bench.empty.address());
    let output = Command::new("wrk").args(["-t2", &format!("-c{CONNECTIONS}"), "-d", &seconds, &url]).output();
    let Ok(output) = output else {
        writeln!(stderr(), "!!! wrk is not installed: the load generator goes unchecked")?;
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let rate = text.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:")?.trim().parse().ok());
    rate.map(Some).ok_or_else(|| format!("wrk says no rate: {text}").into())
}
