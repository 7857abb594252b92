//! Polls: their cost must not depend on the number of users in line.

use std::sync::Arc;

use onsale_load_generator::{Outcome, Supply};
use onsale_report::number;

use super::deployment::{Deployment, Issuer};
use crate::machine::{Machine, Server};
use crate::measure::{OK, compare, requests};
use crate::results::{Line, Target};
use crate::row::Work;
use crate::users::{self, enter_all, expect_line, still_room, tokens};

const CONNECTIONS: usize = 64;

/// Number of users who enter together.
const CHUNK: usize = 100_000;

/// Number of them to poll for.
const POLLED: usize = 10_000;

/// The rate with a long line, divided by that with the shortest.
const FLAT: Target = Target::within(0.9, 1.1).unit("of the first");

/// One user is admitted, the others wait. Polls for some of them in turn, from the front to the back.
fn line(server: &Server, waiting: usize) -> Outcome<Arc<Supply>> {
    let concert = server.admin.concert(&still_room())?;
    tokens(server, &concert, 0..1)?;
    let mut polled = Vec::new();
    for from in (1..=waiting).step_by(CHUNK) {
        let until = (from + CHUNK).min(waiting + 1);
        let kept = (from + POLLED).min(until);
        polled.extend(tokens(server, &concert, from..kept)?);
        if kept < until {
            enter_all(server, &concert, kept..until)?;
        }
    }
    expect_line(server, &concert, waiting, 1)?;
    Ok(Arc::new(Supply::in_turn(polled.iter().map(|token| users::poll(token)))))
}

pub(super) fn poll(machine: &Machine, target: Target, issuer: Issuer) -> Outcome<Work<'_>> {
    let full: &[usize] = match issuer {
        Issuer::Redis => &[10, 100_000, 1_000_000],
        Issuer::Database => &[10, 100_000],
    };
    let lines = machine.scale.pick(full, &[10, 20_000], &[10, 100]);
    let deployment = Deployment::start(machine, issuer, 1)?;
    let supplies = lines.iter().map(|waiting| line(deployment.first(), *waiting)).collect::<Outcome<Vec<_>>>()?;
    Ok(Box::new(move |results| {
        let server = deployment.first();
        let slice = |supply: &Arc<Supply>| requests(machine, server, supply, usize::MAX, OK);
        let mut slices: Vec<_> = supplies.iter().map(slice).collect();
        let all = compare(machine, server, "room-poll", CONNECTIONS, &mut slices)?;
        for (index, (waiting, measured)) in lines.iter().zip(&all).enumerate() {
            let work = format!("poll, room on {}, {} in line", issuer.name(), grouped(*waiting));
            results.add(measured.line(work).judged(target, measured.ratio));
            if index > 0 {
                let flat = measured.rate / all[0].rate;
                results.add(Line { ratio: Some(flat), ..Line::new("    beside the first") }.judged(FLAT, flat));
            }
        }
        deployment.finish()
    }))
}

/// A whole number with separated thousands.
fn grouped(count: usize) -> String {
    if count < 100 { count.to_string() } else { number(count as f64) }
}
