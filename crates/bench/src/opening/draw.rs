//! A draw of many entries: polls while the order is unknown, the draw itself with its memory, and polls by the order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use onsale_load_generator::{Outcome, Request, Supply};
use onsale_report::number;
use onsale_testing::iso;
use serde_json::{Value, json};

use super::early_concert;
use crate::machine::{Machine, Server};
use crate::measure::{OK, compare, requests};
use crate::results::{Figure, Line, Results, Target};
use crate::room::{Deployment, Issuer};
use crate::row::Work;
use crate::users::{self, enter_all, still_room, tokens};

const CONNECTIONS: usize = 64;

/// Number of users who enter together.
const CHUNK: usize = 100_000;

/// Number of them to poll for.
const POLLED: usize = 10_000;

const DRAWN: Target = Target::at_most(10.0).unit("s");
const MEMORY: Target = Target::at_most(32.0).unit("MB");
const KEPT: Target = Target::at_most(8.0).unit("MB");

/// The time between two reads of the draw and of the memory.
const READ_EVERY: Duration = Duration::from_millis(20);

/// The longest time from the closing to the hash of the list, and from the beacon to the order.
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) fn draw(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let (entries, closes_in) = machine.scale.pick((1_000_000, 240), (20_000, 30), (200, 6));
    let deployment = Deployment::start(machine, Issuer::Database, 1)?;
    let server = deployment.first();
    let concert = early_concert(server, &still_room(), "draw", closes_in)?;
    // The draw waits for the value of a beacon, so that polls before it can be measured.
    let beacon = json!({"beaconName": "the end of the first polls", "beaconAt": iso(closes_in + 60)});
    let path = format!("/admin/concerts/{concert}/queue");
    server.admin.call(&server.admin.authorize(Request::patch(&path)).json(beacon.to_string()))?;
    let polled = tokens(server, &concert, 0..entries.min(POLLED))?;
    for from in (polled.len()..entries).step_by(CHUNK) {
        enter_all(server, &concert, from..(from + CHUNK).min(entries))?;
    }
    let patience = Duration::from_secs(closes_in.unsigned_abs()) + PATIENCE;
    let closed = until(server, &concert, patience, |draw| draw["entriesHash"].is_string())?;
    if closed["entries"] != entries {
        return Err(format!("the list closed before all users had entered: {closed}").into());
    }
    let supply = Arc::new(Supply::in_turn(polled.iter().map(|token| users::poll(token))));
    Ok(Box::new(move |results| {
        let server = deployment.first();
        let poll = |results: &mut Results, when: &str| -> Outcome<()> {
            let mut slices = [requests(machine, server, &supply, usize::MAX, OK)];
            for measured in compare(machine, server, "poll-early", CONNECTIONS, &mut slices)? {
                let line = measured.line(format!("poll, {} early tokens, {when} the draw", number(entries as f64)));
                results.add(line.judged(target, measured.ratio));
            }
            Ok(())
        };
        poll(results, "before")?;
        measure_draw(server, &concert, entries, results)?;
        poll(results, "after")?;
        deployment.finish()
    }))
}

/// The draw as the server publishes it, once it is as wanted.
fn until(server: &Server, concert: &str, patience: Duration, is_wanted: impl Fn(&Value) -> bool) -> Outcome<Value> {
    let (began, path) = (Instant::now(), format!("/concerts/{concert}/draw"));
    loop {
        let draw = server.admin.call(&Request::get(&path))?;
        if is_wanted(&draw) {
            return Ok(draw);
        }
        if began.elapsed() > patience {
            return Err(format!("after {patience:?} the draw is {draw}").into());
        }
        std::thread::sleep(READ_EVERY);
    }
}

/// Sends the value of the beacon, and measures until the order is published.
fn measure_draw(server: &Server, concert: &str, entries: usize, results: &mut Results) -> Outcome<()> {
    let megabytes = || -> Outcome<f64> { Ok(server.program.kilobytes("RssAnon")? as f64 / 1_024.0) };
    let before = megabytes()?;
    let put = Request::new("PUT", &format!("/admin/concerts/{concert}/draw/beacon"));
    server.admin.call(&server.admin.authorize(put).json(json!({"value": "6"}).to_string()))?;
    let (began, mut most) = (Instant::now(), before);
    let path = format!("/concerts/{concert}/draw");
    while server.admin.call(&Request::get(&path))?["state"] != "drawn" {
        most = most.max(megabytes()?);
        if began.elapsed() > PATIENCE {
            return Err(format!("{entries} entries were not drawn within {PATIENCE:?}").into());
        }
        std::thread::sleep(READ_EVERY);
    }
    let (seconds, entries) = (began.elapsed().as_secs_f64(), number(entries as f64));
    most = most.max(megabytes()?);
    let drawn = Line { result: Figure::Seconds(seconds), ..Line::new(format!("{entries} entries drawn")) };
    results.add(drawn.judged(DRAWN, seconds));
    for (when, used, target) in [("while drawing", most - before, MEMORY), ("after it", megabytes()? - before, KEPT)] {
        let line =
            Line { result: Figure::Megabytes(used), ..Line::new(format!("    memory {when}, more than before")) };
        results.add(line.judged(target, used));
    }
    Ok(())
}
