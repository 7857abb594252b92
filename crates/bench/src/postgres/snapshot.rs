//! A hot row while another session keeps a snapshot open, as a backup or an audit does for minutes.

use std::io::{Write, stderr};
use std::time::{Duration, Instant};

use onsale_load_generator::{Outcome, closed_loop};
use onsale_report::number;

use super::in_turns::{CONNECTIONS, OnPostgres, Sums};
use super::points::hot;
use crate::machine::Machine;
use crate::measure::{OK, slice_of};
use crate::results::{Figure, Line, Target};
use crate::row::Work;
use crate::users::fill_wallets;

/// The variable that sets for how many seconds the snapshot is open.
const SECONDS: &str = "ONSALE_BENCH_SNAPSHOT_SECONDS";

/// For how many seconds the snapshot is open without the variable.
const SECONDS_DEFAULT: u64 = 20;

/// Charges one user without a snapshot, then with one, slice by slice. The last slice counts.
pub(super) fn hot_row(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let mut on = OnPostgres::start(machine, &[], &[])?;
    fill_wallets(&on.server, 0..8, 1)?;
    on.postgres.settle(&on.database)?;
    let seconds = std::env::var(SECONDS).ok().map(|text| text.parse()).transpose()?;
    let seconds = seconds.unwrap_or(machine.scale.pick(SECONDS_DEFAULT, SECONDS_DEFAULT, 1));
    let supply = hot();
    Ok(Box::new(move |results| {
        let slice = |sums: &mut Sums| {
            sums.measure((on.postgres, &on.server), || {
                let run = closed_loop(on.server.program.address(), &supply, &slice_of(machine, CONNECTIONS))?;
                run.tally.expect(OK)?;
                Ok(run)
            })
        };
        let mut before = Sums::default();
        for _ in 0..3 {
            slice(&mut before)?;
        }
        let snapshot = on.postgres.snapshot(&on.database)?;
        let opened = Instant::now();
        let mut last = Sums::default();
        while opened.elapsed() < Duration::from_secs(seconds) {
            last = Sums::default();
            slice(&mut last)?;
            let (open, rate) = (opened.elapsed().as_secs_f64(), number(last.rate()));
            writeln!(stderr(), "    snapshot open for {open:.0} s: {rate} per second")?;
        }
        drop(snapshot);
        last.print()?;
        let ratio = last.rate() / before.rate().max(1.0);
        let work = format!("charge, one hot user, a snapshot open for {seconds} s");
        let line = last.line(work, &last.measured(CONNECTIONS, before.rate(), ratio));
        let reference = Figure::Words(format!("{} before", number(before.rate())));
        results.add(Line { reference, ..line }.judged(target, ratio));
        on.server.finish()
    }))
}
