//! A hot row while another session keeps a snapshot open, as a backup or an audit does for minutes.

use std::io::{Write, stderr};
use std::time::{Duration, Instant};

use onsale_load_generator::{Closed, Outcome, closed};

use super::CONNECTIONS;
use super::beside::{Looks, server};
use super::points::hot;
use crate::measure::Bench;
use crate::rows::crowd::fill_wallets;
use crate::table::{Line, Verdict, grouped};

/// How long the snapshot is open, in seconds, unless `ONSALE_BENCH_SNAPSHOT_SECONDS` says otherwise.
const OPEN_SECONDS: u64 = 20;

/// What the rate at the end is to be of the rate before.
const OF_BEFORE: f64 = 0.7;

/// Charges one user without a snapshot, then with one, slice by slice; the last slice counts.
pub(super) fn hot_row(bench: &mut Bench) -> Outcome<()> {
    let cluster = bench.cluster()?;
    let (mut server, database) = server(bench, &[], None)?;
    fill_wallets(&server, 0..8, 1)?;
    cluster.settle(&database)?;
    let supply = hot();
    let slice = |looks: &mut Looks| {
        let how = Closed { connections: CONNECTIONS, time: bench.scale.slice, count: usize::MAX, keep: None };
        looks.look((&cluster, &server), || {
            let run = closed(server.program.address(), &supply, &how)?;
            run.tally.expect(&[(200, "")])?;
            Ok(run)
        })
    };
    let mut before = Looks::default();
    for _ in 0..3 {
        slice(&mut before)?;
    }
    let snapshot = cluster.snapshot(&database)?;
    let seconds = std::env::var("ONSALE_BENCH_SNAPSHOT_SECONDS").ok().map(|text| text.parse()).transpose()?;
    let (opened, open) = (Instant::now(), Duration::from_secs(seconds.unwrap_or(OPEN_SECONDS)));
    let mut last = Looks::default();
    while opened.elapsed() < open {
        last = Looks::default();
        slice(&mut last)?;
        writeln!(
            stderr(),
            "    snapshot of {:.0} s: {} a second",
            opened.elapsed().as_secs_f64(),
            grouped(last.rate())
        )?;
    }
    drop(snapshot);
    last.tell()?;
    let share = last.rate() / before.rate().max(1.0);
    let measured = last.measured(CONNECTIONS, before.rate(), share);
    let work = format!("charge, one hot user, a snapshot open for {} s", open.as_secs());
    bench.table.add(Line {
        empty: format!("{} before", grouped(before.rate())),
        target: format!("≥ {OF_BEFORE} of before"),
        ..last.line(&work, &measured, Verdict::of(share >= OF_BEFORE))
    });
    server.finish()
}
