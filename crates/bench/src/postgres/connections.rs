//! Numbers of connections: many buyers on few seats, many connections for few lanes, and a single client.

use std::io::{Write, stderr};
use std::sync::Arc;

use onsale_load_generator::{ClosedLoop, Outcome, Request, Supply, closed_loop};
use onsale_report::number;
use onsale_testing::allow_open_files;

use super::in_turns::{CONNECTIONS, Call, OnPostgres, Sums};
use super::pgbench::Pgbench;
use super::points::{WALLETS, many, use_wallets};
use super::scripts::CHARGE_WITH_EVENT;
use crate::machine::{Batching, Machine};
use crate::measure::{OK, compare, slice_of};
use crate::results::{Figure, Line, Target};
use crate::row::Work;
use crate::server::contention::{Contention, WORK};
use crate::users::{Dice, charge, user};

pub(super) fn contention(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let mut on = OnPostgres::start(machine, &[], &[])?;
    Contention::fill_wallets(machine, &on.server)?;
    let concerts = Contention::for_each_round(machine, &on.server)?;
    on.postgres.settle(&on.database)?;
    Ok(Box::new(move |results| {
        on.postgres.reset_statements()?;
        let before = Batching::of(on.server.program.address())?;
        let mut concerts = concerts.into_iter();
        let run = |connections| concerts.next().ok_or("no concert is left")?.run(&on.server, connections);
        let measured = compare(machine, &on.server, "pg-contention", CONNECTIONS, &mut [Box::new(run)])?.remove(0);
        let batching = Batching::of(on.server.program.address())?.since(&before);
        writeln!(stderr(), "    {batching}\n{}", on.postgres.statements(&on.database)?)?;
        let line = Line {
            reference: Figure::Words(format!("{} empty", number(measured.reference))),
            batch: Some(batching.commands_per_batch()),
            ..measured.line(WORK)
        };
        results.add(line.judged(target, measured.ratio));
        on.server.finish()
    }))
}

/// Charges and wallet reads in turn, over far more connections than lanes and readers can serve at once.
pub(super) fn thousand(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let connections = machine.scale.at_most(1_000);
    allow_open_files(8_192);
    let few = [("ONSALE_DATABASE_LANES", "2"), ("ONSALE_DATABASE_READERS", "2")];
    let mut on = OnPostgres::start(machine, &[], &few)?;
    use_wallets(machine, &on.server)?;
    let mut dice = Dice(11);
    let pairs = std::iter::repeat_with(|| {
        let user = user(dice.below(machine.scale.at_most(WALLETS)));
        [charge(&user, 1), Request::get(&format!("/point/{user}"))]
    });
    let supply = Arc::new(Supply::in_turn(pairs.take(machine.scale.at_most(50_000)).flatten()));
    Ok(Box::new(move |results| {
        let (mut sums, mut refused) = (Sums::default(), 0);
        for _ in 0..machine.scale.rounds {
            // If the server hangs, the closed loop ends with an error.
            let how: ClosedLoop = slice_of(machine, connections);
            sums.measure((on.postgres, &on.server), || {
                let run = closed_loop(on.server.program.address(), &supply, &how)?;
                let problems = run.tally.problems();
                refused += problems.iter().map(|(_, _, count)| count).sum::<u64>();
                match problems.iter().find(|(_, status, _)| *status != 503) {
                    Some((code, status, count)) => Err(format!("{count} x {status} {code}").into()),
                    None => Ok(run),
                }
            })?;
        }
        sums.print()?;
        let line = Line {
            reference: Figure::Words(format!("{refused} × 503")),
            ratio: None,
            ..sums.line("charges and reads, 2 lanes, 2 readers", &sums.measured(connections, 0.0, 0.0))
        };
        results.add(line.judged_if(target, true));
        on.server.finish()
    }))
}

/// One connection: every batch has one command, so batching gains nothing.
pub(super) fn single(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let mut on = OnPostgres::start(machine, &[], &[])?;
    use_wallets(machine, &on.server)?;
    let pgbench = Pgbench::prepare(on.postgres, &CHARGE_WITH_EVENT)?;
    on.postgres.settle(&on.database)?;
    let work = "charge, over one connection";
    let call = Call { work, target, supply: many(), expected: OK, count: usize::MAX };
    Ok(Box::new(move |results| {
        let (sums, measured) = call.in_turns(machine, &on, &pgbench, 1)?;
        let line = Line { reference: pgbench.figure(measured.reference), ..sums.line(work, &measured) };
        results.add(line.judged(target, measured.ratio));
        on.server.finish()
    }))
}
