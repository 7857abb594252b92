//! Latency at half of the throughput, with requests at a constant rate.

use std::sync::Arc;
use std::time::Duration;

use onsale_load_generator::{OpenLoop, Outcome, Supply, open_loop};

use super::{Expected, Measured, per_answer};
use crate::machine::{Machine, Server};
use crate::results::{Figure, Line, Target};

/// Connections of an open loop. A due request waits if all are busy.
const CONNECTIONS: usize = 256;

/// The requests of an open loop.
pub(crate) struct Half<'a> {
    pub(crate) work: &'a str,
    /// The target of the p99 latency.
    pub(crate) target: Target,
    pub(crate) supply: &'a Arc<Supply>,
    pub(crate) expected: Expected,
}

/// Measures at half of the throughput of a closed loop. Returns the line.
pub(crate) fn at_half(machine: &Machine, server: &Server, half: &Half<'_>, ceiling: &Measured) -> Outcome<Line> {
    let per_second = ceiling.rate / 2.0;
    // A supply of requests that are sent once must last.
    let lasts = Duration::from_secs_f64(half.supply.left() as f64 / per_second);
    let how = OpenLoop { connections: CONNECTIONS, per_second, time: machine.scale.open.min(lasts.mul_f64(0.99)) };
    let before = server.program.process_time()?;
    let run = open_loop(server.program.address(), half.supply, &how)?;
    run.tally.expect(half.expected)?;
    let cpu = server.program.process_time()?.saturating_sub(before);
    let measured = Measured {
        connections: how.connections,
        rate: run.rate(),
        cpu: per_answer(cpu, run.tally.times.total()),
        times: run.tally.times,
        ..ceiling.clone()
    };
    let line = Line {
        reference: Figure::None,
        ratio: None,
        ..measured.line(format!("{}: half of that, open loop", half.work))
    };
    Ok(line.judged(half.target, measured.times.millis(990)))
}
