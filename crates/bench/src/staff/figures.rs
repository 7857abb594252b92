//! Figures for organisers of a performance with few seats sold, next to one with many.

use std::sync::Arc;
use std::time::{Duration, Instant};

use onsale_load_generator::{Outcome, Request, Run, Supply, closed_loop};
use onsale_report::number;

use crate::machine::{Machine, Server};
use crate::measure::{OK, micros, neighbours, slice_of};
use crate::results::{Line, Target};
use crate::row::Work;
use crate::server::sale::{FLAGS, Seats};
use crate::server::turns::Turns;

/// Connections of the readers.
const CONNECTIONS: usize = 16;

/// Seats sold: few, and many.
const SOLD: [usize; 2] = [50, 50_000];

/// The time between two readings of the processor time of a server that was busy.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// The share of a processor that an idle server uses at most: its background tasks go on.
const IDLE_SHARE: f64 = 0.04;

/// The longest time until a server is idle.
const IDLE_WITHIN: Duration = Duration::from_secs(120);

/// The processor time of an answer with many sold, divided by that with few.
const CPU: Target = Target::at_most(1.05).unit("of few");

/// A server with a performance, some seats of which are sold, and a request for the figures of all.
struct Sale {
    server: Server,
    figures: Arc<Supply>,
    turns: Turns,
}

impl Sale {
    /// Both sales have as many users with a turn, so that they differ by what is sold alone.
    fn with(machine: &Machine, sold: usize, users: usize) -> Outcome<Self> {
        let server = machine.server(FLAGS, &[])?;
        let mut seats = Seats::prepare(&server, users)?;
        seats.fill_wallets(&server)?;
        seats.sell(&server, sold)?;
        wait_until_idle(&server)?;
        let figures = server.admin.authorize(Request::get("/admin/live"));
        Ok(Self { server, figures: Arc::new(Supply::in_turn([figures])), turns: Turns::default() })
    }

    fn measure(&mut self, machine: &Machine) -> Outcome<()> {
        let (server, figures) = (&self.server, &self.figures);
        let read = || -> Outcome<Run> {
            let run = closed_loop(server.program.address(), figures, &slice_of(machine, CONNECTIONS))?;
            run.tally.expect(OK)?;
            Ok(run)
        };
        self.turns.measure(server, read).map(drop)
    }
}

/// Waits until the server has done what a sale leaves for later: it records used turns in steps.
///
/// # Errors
/// If it is busy for longer than 120 s.
fn wait_until_idle(server: &Server) -> Outcome<()> {
    let (began, mut before) = (Instant::now(), server.program.process_time()?);
    loop {
        std::thread::sleep(ASK_EVERY);
        let used = server.program.process_time()?;
        if used.saturating_sub(before) <= ASK_EVERY.mul_f64(IDLE_SHARE) {
            return Ok(());
        }
        if began.elapsed() > IDLE_WITHIN {
            return Err(format!("the server is still busy after {IDLE_WITHIN:?}").into());
        }
        before = used;
    }
}

pub(super) fn few_and_many(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let [few, many] = SOLD.map(|sold| machine.scale.at_most(sold));
    let (mut of_few, mut of_many) = (Sale::with(machine, few, many)?, Sale::with(machine, many, many)?);
    Ok(Box::new(move |results| {
        of_few.measure(machine)?;
        for _ in 0..machine.scale.rounds * machine.scale.pick(3, 3, 1) {
            of_many.measure(machine)?;
            of_few.measure(machine)?;
        }
        let reference = of_few.turns.measured(CONNECTIONS, &of_few.turns.rates);
        results.add(reference.line(format!("live figures, {few} seats sold")));
        let measured = of_many.turns.measured(CONNECTIONS, &neighbours(&of_few.turns.rates));
        let line = measured.line(format!("live figures, {} seats sold, beside few", number(many as f64)));
        results.add(line.judged(target, measured.ratio));
        // Processor time comes in steps of 10 ms, so a short turn may have used none.
        let cpu = Some(micros(of_many.turns.cpu()) / micros(of_few.turns.cpu())).filter(|ratio| ratio.is_finite());
        let line = Line { ratio: cpu, ..Line::new("    processor time with many, beside few") };
        results.add(match cpu {
            Some(ratio) => line.judged(CPU, ratio),
            None => line,
        });
        of_few.server.finish()?;
        of_many.server.finish()
    }))
}
