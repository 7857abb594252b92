//! The load generator and `wrk`, both on the empty handler: the generator must not be what limits the other rows.

use std::io::{Write, stderr};
use std::process::Command;

use onsale_load_generator::{Histogram, Outcome};

use crate::machine::Machine;
use crate::measure::{Measured, median, micros, per_answer, reference_run};
use crate::results::{Figure, Line, Target};
use crate::row::Work;

const CONNECTIONS: usize = 64;

pub(crate) fn next_to_wrk(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    Ok(Box::new(move |results| {
        let (mut rates, mut times, mut own_cpu) = (Vec::new(), Histogram::default(), std::time::Duration::ZERO);
        let before = machine.empty().process_time()?;
        for _ in 0..machine.scale.rounds {
            let run = reference_run(machine, machine.empty(), CONNECTIONS)?;
            rates.push(run.rate());
            own_cpu += run.cpu;
            times.merge(&run.tally.times);
        }
        let cpu = per_answer(machine.empty().process_time()?.saturating_sub(before), times.total());
        let own_cpu = micros(per_answer(own_cpu, times.total()));
        let rate = median(rates);
        let measured = Measured { connections: CONNECTIONS, rate, reference: rate, ratio: 1.0, times, cpu };
        results.add(measured.line("empty handler"));
        results.add(Line { cpu_micros: Some(own_cpu), ..Line::new("    processor time of the generator") });

        let mut of_wrk = Vec::new();
        for _ in 0..machine.scale.rounds {
            of_wrk.extend(wrk(machine)?);
        }
        if of_wrk.is_empty() {
            let line = Line::new("    wrk is ABSENT: the generator was NOT checked (package wrk)");
            results.add(line.judged_if(target, false));
            return Ok(());
        }
        let of_wrk = median(of_wrk);
        let ratio = rate / of_wrk;
        let line = Line {
            connections: CONNECTIONS,
            result: Figure::PerSecond(of_wrk),
            ratio: Some(ratio),
            ..Line::new("    the same by wrk")
        };
        results.add(line.judged(target, ratio));
        Ok(())
    }))
}

/// The throughput that wrk measures. `None` if it is not installed.
fn wrk(machine: &Machine) -> Outcome<Option<f64>> {
    let seconds = format!("{}s", machine.scale.reference.as_secs().max(1));
    let url = format!("http://{}/", machine.empty().address());
    let output = Command::new("wrk").args(["-t2", &format!("-c{CONNECTIONS}"), "-d", &seconds, &url]).output();
    let Ok(output) = output else {
        writeln!(stderr(), "!!! wrk is not installed, so the load generator is not checked")?;
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let rate = text.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:")?.trim().parse().ok());
    rate.map(Some).ok_or_else(|| format!("wrk printed no rate: {text}").into())
}
