//! Several servers in turns: one instance and three of them, lanes and lanes.

use std::sync::Arc;
use std::time::Duration;

use onsale_testing::traffic::{Closed, Outcome, Run, Supply, Tally, closed};

use super::beside::{Looks, server};
use super::points::{WALLETS, hot, many};
use super::{CONNECTIONS, Cluster};
use crate::measure::{Bench, Server, median};
use crate::rows::crowd::fill_wallets;
use crate::table::{Line, Verdict};

/// What is left of one instance's rate where three share the machine.
const TOGETHER: f64 = 0.8;

/// Closed loops against all of these at once; what they answered together.
fn at_once(servers: &[Server], supply: &Arc<Supply>, time: Duration) -> Outcome<Run> {
    let how = Closed { connections: CONNECTIONS, time, count: usize::MAX, keep: None };
    let runs: Vec<Outcome<Run>> = std::thread::scope(|scope| {
        let addresses = servers.iter().map(|server| server.program.address());
        let running: Vec<_> = addresses.map(|address| scope.spawn(move || closed(address, supply, &how))).collect();
        let ended = running.into_iter().map(|run| run.join().unwrap_or_else(|_| Err("a crew panicked".into())));
        ended.collect()
    });
    let mut whole = Run { elapsed: Duration::ZERO, cpu: Duration::ZERO, tally: Tally::default() };
    for run in runs {
        let run = run?;
        run.tally.expect(&[(200, "")])?;
        whole.elapsed = whole.elapsed.max(run.elapsed);
        // Each says what the whole process spent.
        whole.cpu = whole.cpu.max(run.cpu);
        whole.tally.merge(run.tally);
    }
    Ok(whole)
}

pub(super) fn instances(bench: &mut Bench) -> Outcome<()> {
    let cluster = bench.cluster()?;
    let database = cluster.database()?;
    let url = cluster.url(&database);
    let start = |_| bench.server_with(&[], &[("ONSALE_DATABASE_URL", &url)]);
    let mut servers = (0..3).map(start).collect::<Outcome<Vec<_>>>()?;
    fill_wallets(&servers[0], 0..WALLETS, 1)?;
    cluster.settle(&database)?;
    let (supply, time) = (many(), bench.scale.slice);
    // Each of the three learns which wallets there are.
    at_once(&servers, &supply, time)?;
    let (mut one, mut three) = (Looks::default(), Looks::default());
    one.look((&cluster, &servers[0]), || at_once(&servers[..1], &supply, time))?;
    for _ in 0..bench.scale.rounds {
        three.look((&cluster, &servers[0]), || at_once(&servers, &supply, time))?;
        one.look((&cluster, &servers[0]), || at_once(&servers[..1], &supply, time))?;
    }
    [&one, &three].into_iter().try_for_each(Looks::tell)?;
    let beside = one.rates.windows(2).map(|pair| f64::midpoint(pair[0], pair[1]));
    let ratio = median(three.rates.iter().zip(beside).map(|(three, one)| three / one).collect());
    let alone = one.measured(CONNECTIONS, 0.0, 1.0);
    let work = "charge, 10,000 users: one instance";
    bench.table.add(Line { empty: String::new(), ..one.line(work, &alone, Verdict::Told) });
    let together = three.measured(3 * CONNECTIONS, one.rate(), ratio);
    bench.table.add(Line {
        target: format!("≥ {TOGETHER} of one"),
        // The metrics and the processor time are those of one instance of the three.
        cpu: String::new(),
        ..three.line("    three instances on one database", &together, Verdict::of(ratio >= TOGETHER))
    });
    servers.drain(1..).try_for_each(|mut server| server.program.stop().map(drop))?;
    servers.iter_mut().try_for_each(Server::finish)
}

/// A server with so many lanes, whose wallets have been used.
fn with_lanes(bench: &mut Bench, cluster: &Cluster, lanes: usize) -> Outcome<Server> {
    let (server, database) = server(bench, &[], Some(lanes))?;
    fill_wallets(&server, 0..WALLETS, 1)?;
    cluster.settle(&database)?;
    Ok(server)
}

pub(super) fn lanes(bench: &mut Bench) -> Outcome<()> {
    let cluster = bench.cluster()?;
    let choices = [1, 2, 4];
    let mut servers = Vec::new();
    for lanes in choices {
        servers.push(with_lanes(bench, &cluster, lanes)?);
    }
    for (work, supply) in [("charge, one hot user", hot()), ("charge, 10,000 users", many())] {
        let mut looks = choices.map(|_| Looks::default());
        for _ in 0..bench.scale.rounds {
            for (looks, server) in looks.iter_mut().zip(&servers) {
                let time = bench.scale.slice;
                looks.look((&cluster, server), || at_once(std::slice::from_ref(server), &supply, time))?;
            }
        }
        let of_one = looks[0].rate();
        for (lanes, looks) in choices.iter().zip(&looks) {
            looks.tell()?;
            let measured = looks.measured(CONNECTIONS, of_one, looks.rate() / of_one);
            let work = format!("{work}: {lanes} lane{}", if *lanes == 1 { "" } else { "s" });
            bench.table.add(looks.line(&work, &measured, Verdict::Told));
        }
    }
    servers.iter_mut().try_for_each(Server::finish)
}
