//! Several servers in turns: one instance and three instances, and different numbers of lanes.

use std::sync::Arc;
use std::time::Duration;

use onsale_load_generator::{Outcome, Run, Supply, Tally, closed_loop};

use super::in_turns::{CONNECTIONS, OnPostgres, Sums};
use super::points::{hot, many, use_wallets};
use crate::machine::{Machine, Server};
use crate::measure::{OK, median_ratio, neighbours, slice_of};
use crate::results::{Figure, Line, Results, Target};
use crate::row::Work;
use crate::server::contention::{Contention, WORK};

/// Numbers of lanes to compare.
const LANES: [usize; 3] = [1, 2, 4];

/// Closed loops against all servers at once. Returns their combined replies.
fn at_once(machine: &Machine, servers: &[&Server], supply: &Arc<Supply>) -> Outcome<Run> {
    let how = slice_of(machine, CONNECTIONS);
    let runs: Vec<Outcome<Run>> = std::thread::scope(|scope| {
        let addresses = servers.iter().map(|server| server.program.address());
        let running: Vec<_> =
            addresses.map(|address| scope.spawn(move || closed_loop(address, supply, &how))).collect();
        running.into_iter().map(|run| run.join().unwrap_or_else(|_| Err("a closed loop panicked".into()))).collect()
    });
    let mut whole = Run { elapsed: Duration::ZERO, cpu: Duration::ZERO, tally: Tally::default() };
    for run in runs {
        let run = run?;
        run.tally.expect(OK)?;
        whole.elapsed = whole.elapsed.max(run.elapsed);
        // Each reports the processor time of the whole process.
        whole.cpu = whole.cpu.max(run.cpu);
        whole.tally.merge(run.tally);
    }
    Ok(whole)
}

pub(super) fn one_and_three(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let mut first = OnPostgres::start(machine, &[], &[])?;
    let url = first.postgres.url(&first.database);
    let mut others =
        (0..2).map(|_| machine.server(&[], &[("ONSALE_DATABASE_URL", &url)])).collect::<Outcome<Vec<_>>>()?;
    use_wallets(machine, &first.server)?;
    first.postgres.settle(&first.database)?;
    let supply = many();
    Ok(Box::new(move |results| {
        let all: Vec<&Server> = std::iter::once(&first.server).chain(&others).collect();
        // Each of the instances learns which wallets exist.
        at_once(machine, &all, &supply)?;
        let (mut one, mut three) = (Sums::default(), Sums::default());
        let measure = |sums: &mut Sums, servers: &[&Server]| {
            sums.measure((first.postgres, &first.server), || at_once(machine, servers, &supply))
        };
        measure(&mut one, &all[..1])?;
        for _ in 0..machine.scale.rounds {
            measure(&mut three, &all)?;
            measure(&mut one, &all[..1])?;
        }
        one.print()?;
        three.print()?;
        let ratio = median_ratio(&three.rates, &neighbours(&one.rates));
        let line = one.line("charge, 10,000 users: one instance", &one.measured(CONNECTIONS, 0.0, 1.0));
        results.add(Line { reference: Figure::None, ..line });
        let measured = three.measured(3 * CONNECTIONS, one.rate(), ratio);
        let line = three.line("    three instances on one database", &measured);
        // Processor time was measured for one of the three instances only.
        results.add(Line { cpu_micros: None, ..line }.judged(target, ratio));
        others.iter_mut().try_for_each(|server| server.program.stop().map(drop))?;
        first.server.finish()
    }))
}

/// Measures servers with different numbers of lanes in turns, and adds a line for each, with one lane as the reference.
fn add_lanes(
    machine: &Machine,
    servers: &[OnPostgres<'_>],
    results: &mut Results,
    work: &str,
    mut slice: impl FnMut(usize) -> Outcome<Run>,
) -> Outcome<()> {
    let mut all = LANES.map(|_| Sums::default());
    for _ in 0..machine.scale.rounds {
        for (number, (sums, on)) in all.iter_mut().zip(servers).enumerate() {
            sums.measure((on.postgres, &on.server), || slice(number))?;
        }
    }
    let of_one = &all[0];
    for (lanes, sums) in LANES.iter().zip(&all) {
        sums.print()?;
        let ratio = median_ratio(&sums.rates, &of_one.rates);
        let work = format!("{work}: {lanes} lane{}", if *lanes == 1 { "" } else { "s" });
        results.add(sums.line(work, &sums.measured(CONNECTIONS, of_one.rate(), ratio)));
    }
    Ok(())
}

pub(super) fn lanes(machine: &Machine, _: Target) -> Outcome<Work<'_>> {
    let mut servers = Vec::new();
    for lanes in LANES {
        let on = OnPostgres::start(machine, &[], &[("ONSALE_DATABASE_LANES", &lanes.to_string())])?;
        use_wallets(machine, &on.server)?;
        Contention::fill_wallets(machine, &on.server)?;
        on.postgres.settle(&on.database)?;
        servers.push(on);
    }
    Ok(Box::new(move |results| {
        for (work, supply) in [("charge, one hot user", hot()), ("charge, 10,000 users", many())] {
            let slice = |number: usize| at_once(machine, &[&servers[number].server], &supply);
            add_lanes(machine, &servers, results, work, slice)?;
        }
        let prepare = |on: &OnPostgres<'_>| Contention::for_each_round(machine, &on.server);
        let mut concerts = servers.iter().map(prepare).collect::<Outcome<Vec<_>>>()?;
        add_lanes(machine, &servers, results, WORK, |number| {
            concerts[number].pop().ok_or("no concert is left")?.run(&servers[number].server, CONNECTIONS)
        })?;
        servers.iter_mut().try_for_each(|on| on.server.finish())
    }))
}
