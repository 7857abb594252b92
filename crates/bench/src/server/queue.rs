//! Measurements of the waiting room: entries and polls.

use std::sync::Arc;

use onsale_load_generator::{Outcome, Supply};

use crate::machine::{Machine, Server};
use crate::measure::{CREATED, Half, OK, Writes, at_half, compare, requests, requests_per_slice};
use crate::results::{Line, Target};
use crate::row::Work;
use crate::sqlite_batches::Write;
use crate::users::{self, expect_line, still_room, tokens, user};

const CONNECTIONS: usize = 64;

/// Maximum number of entries, one per user.
const ENTRANTS: usize = 360_000;

/// The rate with a long line, divided by that with a short one.
const FLAT: Target = Target::at_least(0.9).unit("of the first");

const HALF: Target = Target::p99_millis(5.0);

pub(crate) fn enter(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let server = machine.server(&[], &[])?;
    let concert = server.admin.concert(&still_room())?;
    let entrants = machine.scale.at_most(ENTRANTS);
    let writes = Writes {
        work: "place in line",
        target,
        supply: Arc::new(Supply::once((0..entrants).map(|number| users::enter(&concert, &user(number))))),
        expected: CREATED,
        count: requests_per_slice(machine, entrants),
        at_half: true,
        rows: Write::Place,
    };
    Ok(Box::new(move |results| writes.measure(machine, server, results)))
}

/// Polls of this many users in line, in turn.
fn line(server: &Server, waiting: usize) -> Outcome<Arc<Supply>> {
    let concert = server.admin.concert(&still_room())?;
    tokens(server, &concert, 0..1)?;
    let tokens = tokens(server, &concert, 1..waiting + 1)?;
    expect_line(server, &concert, waiting, 1)?;
    Ok(Arc::new(Supply::in_turn(tokens.iter().map(|token| users::poll(token)))))
}

pub(crate) fn poll(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let waiting = machine.scale.line;
    let mut server = machine.server(&[], &[])?;
    let (short, long) = (line(&server, 10)?, line(&server, waiting)?);
    Ok(Box::new(move |results| {
        let mut slices = [&short, &long].map(|supply| requests(machine, &server, supply, usize::MAX, OK));
        let measured = compare(machine, &server, "poll", CONNECTIONS, &mut slices)?;
        let [few, many] = &measured[..] else { return Err("not two kinds of polls were measured".into()) };
        results.add(few.line("poll, 10 in line (their 10 tokens in turn)").judged(target, few.ratio));
        results.add(many.line(format!("poll, {waiting} in line")));
        let flat = many.rate / few.rate;
        results.add(Line { ratio: Some(flat), ..Line::new("    beside the first") }.judged(FLAT, flat));
        let half = Half { work: "poll", target: HALF, supply: &long, expected: OK };
        results.add(at_half(machine, &server, &half, many)?);
        server.finish()
    }))
}
