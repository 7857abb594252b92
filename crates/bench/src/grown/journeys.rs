//! Whole journeys at a modest constant rate, on both databases in turns.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use onsale_load_generator::{Connection, OpenLoop, Outcome, open_loop_of};

use super::pairs::Pairs;
use crate::machine::{Machine, Server};
use crate::server::{Journeys, Step, StepTimes};

/// Connections of the open loop. A journey keeps one for all of its calls.
const CONNECTIONS: usize = 64;

/// Journeys per second, of seven calls each.
const PER_SECOND: f64 = 100.0;

/// Measures journeys. Each round sells from the small database, then from the grown one.
pub(super) fn measure(machine: &Machine, servers: &[Server; 2], pairs: &mut Pairs<'_>) -> Outcome<()> {
    let time = machine.scale.pick(Duration::from_secs(10), Duration::from_secs(5), Duration::from_millis(100));
    let rounds = machine.scale.pick(3, 2, 1);
    let how = OpenLoop { connections: CONNECTIONS, per_second: PER_SECOND, time };
    // One more per thread and round, because each thread begins with one.
    let count = rounds * machine.scale.pick(1_010, 510, 20);
    let prepare = |server| Outcome::Ok(Arc::new(Journeys::prepare(server, count)?));
    let journeys: [Arc<Journeys>; 2] = [prepare(&servers[0])?, prepare(&servers[1])?];
    let mut both = [StepTimes::default(), StepTimes::default()];
    for _ in 0..rounds {
        for ((server, journeys), times) in servers.iter().zip(&journeys).zip(&mut both) {
            let journeys = journeys.clone();
            let work =
                async move |connection: &mut Connection, was_due: std::time::Instant, sums: &RefCell<StepTimes>| {
                    journeys.run(connection, Some(sums)).await?;
                    sums.borrow_mut().whole.add(was_due.elapsed());
                    Ok(())
                };
            let runs = open_loop_of(server.program.address(), &how, work)?;
            runs.results.iter().for_each(|part: &StepTimes| times.merge(part));
        }
    }
    let [small, grown] = both;
    for (step, (small, grown)) in Step::ALL.iter().zip(small.steps.into_iter().zip(grown.steps)) {
        pairs.latencies(&format!("journey: {}", step.name()), CONNECTIONS, &[small, grown]);
    }
    pairs.latencies("journey: all seven calls", CONNECTIONS, &[small.whole, grown.whole]);
    Ok(())
}
