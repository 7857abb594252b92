//! The waiting room.

use std::sync::Arc;

use onsale_load_generator::{Outcome, Request, Supply};

use super::crowd::{enter as place, tokens, user};
use super::{Writes, share_of, still_room};
use crate::measure::{Bench, Expected, Server};
use crate::raw::Kind;
use crate::table::{Line, Verdict};

const CONNECTIONS: usize = 64;

const OK: Expected = &[(200, "")];

/// Maximum number of entries, one per user.
const ENTRANTS: usize = 360_000;

pub(crate) fn enter(bench: &mut Bench) -> Outcome<()> {
    let server = bench.server(&[])?;
    let concert = server.stage.concert(&still_room())?;
    let writes = Writes {
        work: "place in line",
        target: Some(0.2),
        supply: Arc::new(Supply::once((0..ENTRANTS).map(|number| place(&concert, &user(number))))),
        expected: &[(201, "")],
        count: share_of(bench, ENTRANTS),
        at_half: true,
        raw: Some(Kind::Place),
    };
    writes.measure(bench, server)
}

/// Polls of this many users in line, in turn.
fn line(server: &Server, people: usize) -> Outcome<Arc<Supply>> {
    let concert = server.stage.concert(&still_room())?;
    let first = tokens(server, &concert, 0..1)?;
    let tokens = tokens(server, &concert, 1..people + 1)?;
    let (waiting, active) = server.stage.line(&concert)?;
    if (first.len(), waiting, active) != (1, people as u64, 1) {
        return Err(format!("{waiting} wait and {active} are active, not {people} and 1").into());
    }
    Ok(Arc::new(Supply::in_turn(tokens.iter().map(|token| Request::get("/queue/token").token(token)))))
}

pub(crate) fn poll(bench: &mut Bench) -> Outcome<()> {
    let people = if bench.scale.rounds == 1 { bench.scale.crowd } else { 100_000 };
    let mut server = bench.server(&[])?;
    let (short, long) = (line(&server, 10)?, line(&server, people)?);
    let mut slices = [bench.slice(&server, &short, usize::MAX, OK), bench.slice(&server, &long, usize::MAX, OK)];
    let measured = bench.compare(&server, "poll", CONNECTIONS, &mut slices)?;
    drop(slices);
    let [few, many] = &measured[..] else { return Err("two kinds of polls were to be measured".into()) };
    bench.table.add(few.line("poll, 10 in line (their 10 tokens in turn)", Some(0.7), Verdict::of(few.share >= 0.7)));
    bench.table.add(many.line(&format!("poll, {people} in line"), None, Verdict::Told));
    let beside = many.rate / few.rate;
    bench.table.add(Line {
        share: format!("{beside:.3}"),
        target: "≥ 0.9 of the first".to_owned(),
        ..Line::new("    beside the first", Verdict::of(beside >= 0.9))
    });
    bench.at_half(&server, ("poll", 5.0), many, (&long, OK))?;
    server.finish()
}
