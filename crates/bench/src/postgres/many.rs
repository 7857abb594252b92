//! Several servers in turns: one instance and three instances, and different numbers of lanes.

use std::sync::Arc;
use std::time::Duration;

use onsale_load_generator::{Closed, Outcome, Run, Supply, Tally, closed};

use super::beside::{Looks, server};
use super::points::{WALLETS, hot, many};
use super::{CONNECTIONS, Cluster};
use crate::measure::{Bench, Scale, Server, median};
use crate::rows::contention::{SCENE, Scene, fill};
use crate::rows::crowd::fill_wallets;
use crate::table::{Line, Table, Verdict};

/// The expected share of one instance's throughput if three share the machine.
const TOGETHER: f64 = 0.8;

/// Numbers of lanes to compare.
const LANES: [usize; 3] = [1, 2, 4];

/// Closed loops against all of these at once. Returns their combined answers.
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
        // Each reports the processor time of the whole process.
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
    // Each of the three instances learns which wallets exist.
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
        // The metrics and the processor time are of one of the three instances.
        cpu: String::new(),
        ..three.line("    three instances on one database", &together, Verdict::of(ratio >= TOGETHER))
    });
    servers.drain(1..).try_for_each(|mut server| server.program.stop().map(drop))?;
    servers.iter_mut().try_for_each(Server::finish)
}

/// A server with this many lanes, whose wallets have been used.
fn with_lanes(bench: &mut Bench, cluster: &Cluster, lanes: usize) -> Outcome<Server> {
    let (server, database) = server(bench, &[], Some(lanes))?;
    fill_wallets(&server, 0..WALLETS, 1)?;
    fill(&server)?;
    cluster.settle(&database)?;
    Ok(server)
}

/// Work for servers with different numbers of lanes, in turns.
struct Race<'a> {
    cluster: &'a Cluster,
    servers: &'a [Server],
    rounds: usize,
}

impl Race<'_> {
    /// Runs it on each server in rounds. Returns a line for each, compared with one lane.
    fn run(&self, table: &mut Table, work: &str, mut slice: impl FnMut(usize) -> Outcome<Run>) -> Outcome<()> {
        let mut looks = LANES.map(|_| Looks::default());
        for _ in 0..self.rounds {
            for (number, (looks, server)) in looks.iter_mut().zip(self.servers).enumerate() {
                looks.look((self.cluster, server), || slice(number))?;
            }
        }
        let of_one = &looks[0];
        for (lanes, looks) in LANES.iter().zip(&looks) {
            looks.tell()?;
            let ratio = median(looks.rates.iter().zip(&of_one.rates).map(|(rate, one)| rate / one).collect());
            let measured = looks.measured(CONNECTIONS, of_one.rate(), ratio);
            let work = format!("{work}: {lanes} lane{}", if *lanes == 1 { "" } else { "s" });
            table.add(looks.line(&work, &measured, Verdict::Told));
        }
        Ok(())
    }
}

pub(super) fn lanes(bench: &mut Bench) -> Outcome<()> {
    let cluster = bench.cluster()?;
    let servers = LANES.iter().map(|lanes| with_lanes(bench, &cluster, *lanes)).collect::<Outcome<Vec<_>>>();
    let (mut servers, Scale { rounds, slice, .. }) = (servers?, bench.scale);
    let race = Race { cluster: &cluster, servers: &servers, rounds };
    for (work, supply) in [("charge, one hot user", hot()), ("charge, 10,000 users", many())] {
        race.run(&mut bench.table, work, |server| at_once(&servers[server..=server], &supply, slice))?;
    }
    let mut scenes = Vec::new();
    for server in &servers {
        scenes.push((0..rounds).map(|_| Scene::prepare(server)).collect::<Outcome<Vec<_>>>()?);
    }
    race.run(&mut bench.table, SCENE, |server| {
        scenes[server].pop().ok_or("no scene is left")?.play(&servers[server], CONNECTIONS)
    })?;
    servers.iter_mut().try_for_each(Server::finish)
}
