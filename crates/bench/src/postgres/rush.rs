//! Rushes: few seats and many buyers, many connections and few lanes, and a single client.

use std::io::{Write, stderr};
use std::sync::Arc;

use onsale_load_generator::{Closed, Outcome, Request, Supply, closed};
use onsale_testing::allow_open_files;

use super::beside::{Call, Looks, in_turns, server};
use super::pgbench::Rival;
use super::points::{WALLETS, many};
use super::scripts::CHARGE_AND_TELL;
use super::{CONNECTIONS, desk::Desk};
use crate::measure::Bench;
use crate::rows::contention::{SCENE, Scene, fill};
use crate::rows::crowd::{Dice, charge, fill_wallets, user};
use crate::table::{Line, Verdict, grouped};

/// Maximum cost of a batch of one compared with a plain transaction that writes the same rows.
const COST: f64 = 1.2;

const OF_EMPTY: f64 = 0.25;

pub(super) fn contention(bench: &mut Bench) -> Outcome<()> {
    let cluster = bench.cluster()?;
    let (mut server, database) = server(bench, &[], None)?;
    fill(&server)?;
    let scenes = (0..bench.scale.rounds).map(|_| Scene::prepare(&server)).collect::<Outcome<Vec<_>>>()?;
    cluster.settle(&database)?;
    cluster.forget_statements()?;
    let before = Desk::of(server.program.address())?;
    let mut scenes = scenes.into_iter();
    let play = |connections| scenes.next().ok_or("no scene is left")?.play(&server, connections);
    let measured = bench.compare(&server, "pg-contention", CONNECTIONS, &mut [Box::new(play)])?.remove(0);
    let desk = Desk::of(server.program.address())?.since(&before);
    writeln!(stderr(), "    {desk}\n{}", cluster.statements(&database)?)?;
    bench.table.add(Line {
        empty: format!("{} empty", grouped(measured.empty)),
        target: format!("≥ {OF_EMPTY} of empty"),
        batch: format!("{:.1}", desk.batch()),
        ..measured.line(SCENE, None, Verdict::of(measured.share >= OF_EMPTY))
    });
    server.finish()
}

/// Alternates charges and wallet reads over far more connections than lanes and readers can serve at once.
pub(super) fn crowd(bench: &mut Bench) -> Outcome<()> {
    const PEOPLE: usize = 1_000;
    allow_open_files(8_192);
    let cluster = bench.cluster()?;
    let database = cluster.database()?;
    let url = cluster.url(&database);
    let few = [("ONSALE_DATABASE_LANES", "2"), ("ONSALE_DATABASE_READERS", "2"), ("ONSALE_DATABASE_URL", &url)];
    let mut server = bench.server_with(&[], &few)?;
    fill_wallets(&server, 0..WALLETS, 1)?;
    let mut dice = Dice(11);
    let pairs = std::iter::repeat_with(|| {
        let one = user(dice.below(WALLETS));
        [charge(&one, 1), Request::get(&format!("/point/{one}"))]
    });
    let supply = Arc::new(Supply::in_turn(pairs.take(50_000).flatten()));
    let (mut looks, mut shed) = (Looks::default(), 0);
    for _ in 0..bench.scale.rounds {
        // If the server hangs, the run ends with an error.
        let how = Closed { connections: PEOPLE, time: bench.scale.slice, count: usize::MAX, keep: None };
        looks.look((&cluster, &server), || {
            let run = closed(server.program.address(), &supply, &how)?;
            let problems = run.tally.problems();
            shed += problems.iter().map(|(_, _, count)| count).sum::<u64>();
            match problems.iter().find(|(_, status, _)| *status != 503) {
                Some((code, status, count)) => Err(format!("{count} x {status} {code}").into()),
                None => Ok(run),
            }
        })?;
    }
    looks.tell()?;
    let measured = looks.measured(PEOPLE, 0.0, 0.0);
    bench.table.add(Line {
        empty: format!("{} × 503", grouped(shed as f64)),
        share: String::new(),
        target: "no hang, only 503".to_owned(),
        ..looks.line("charges and reads, 2 lanes, 2 readers", &measured, Verdict::Reached)
    });
    server.finish()
}

/// One connection: every batch has one command, so batching gains nothing.
pub(super) fn alone(bench: &mut Bench) -> Outcome<()> {
    let cluster = bench.cluster()?;
    let (mut server, database) = server(bench, &[], None)?;
    fill_wallets(&server, 0..WALLETS, 1)?;
    let rival = Rival::prepare(&cluster, CHARGE_AND_TELL.rows, CHARGE_AND_TELL.script)?;
    cluster.settle(&database)?;
    let work = "charge, over one connection";
    let call = Call { work, target: 0.0, aim: None, supply: many(), expected: &[(200, "")], count: usize::MAX };
    let (looks, measured) = in_turns(bench, &cluster, &rival, (&server, 1), &call)?;
    bench.table.add(Line {
        empty: format!("{} (1)", grouped(measured.empty)),
        target: format!("≥ {:.2} (costs ≤ {COST} ×)", 1.0 / COST),
        ..looks.line(work, &measured, Verdict::of(measured.share >= 1.0 / COST))
    });
    server.finish()
}
