//! Polls: their cost must not depend on the number of users in line.

use std::sync::Arc;

use onsale_load_generator::{Outcome, Request, Supply};

use super::CONNECTIONS;
use super::parts::{Home, Parts, crowd};
use crate::measure::{Bench, Expected, Server};
use crate::rows::crowd::tokens;
use crate::rows::still_room;
use crate::table::{Line, Verdict, grouped};

const OK: Expected = &[(200, "")];

/// Number of users who enter together.
const CHUNK: usize = 100_000;

/// Number of them to poll for.
const POLLED: usize = 10_000;

/// One user is admitted, the others wait. Polls some of them in turn, from the front to the back.
fn line(server: &Server, people: usize) -> Outcome<Arc<Supply>> {
    let concert = server.stage.concert(&still_room())?;
    tokens(server, &concert, 0..1)?;
    let mut polled = Vec::new();
    for from in (1..=people).step_by(CHUNK) {
        let until = (from + CHUNK).min(people + 1);
        let kept = (from + POLLED).min(until);
        polled.extend(tokens(server, &concert, from..kept)?);
        if kept < until {
            crowd(server, &concert, kept..until)?;
        }
    }
    let (waiting, active) = server.stage.line(&concert)?;
    if (waiting, active) != (people as u64, 1) {
        return Err(format!("{waiting} wait and {active} are active, not {people} and 1").into());
    }
    Ok(Arc::new(Supply::in_turn(polled.iter().map(|token| Request::get("/queue/token").token(token)))))
}

pub(super) fn poll(bench: &mut Bench) -> Outcome<()> {
    let is_quick = bench.scale.rounds == 1;
    for home in Home::BOTH {
        // The largest line of the table is measured on Redis only.
        let lines: &[usize] = match (is_quick, home) {
            (true, _) => &[10, 20_000],
            (false, Home::Redis) => &[10, 100_000, 1_000_000],
            (false, Home::Database) => &[10, 100_000],
        };
        let parts = Parts::start(bench, home, 1)?;
        let server = parts.first();
        let supplies = lines.iter().map(|people| line(server, *people)).collect::<Outcome<Vec<_>>>()?;
        let mut slices: Vec<_> = supplies.iter().map(|supply| bench.slice(server, supply, usize::MAX, OK)).collect();
        let measured = bench.compare(server, "room-poll", CONNECTIONS, &mut slices)?;
        drop(slices);
        for (people, one) in lines.iter().zip(&measured) {
            let work = format!("poll, room on {}, {} in line", home.name(), grouped(*people as f64));
            bench.table.add(one.line(&work, Some(0.7), Verdict::of(one.share >= 0.7)));
            let flat = one.rate / measured[0].rate;
            if *people != lines[0] {
                bench.table.add(Line {
                    share: format!("{flat:.3}"),
                    target: "0.9 to 1.1 of the first".to_owned(),
                    ..Line::new("    beside the first", Verdict::of((0.9..=1.1).contains(&flat)))
                });
            }
        }
        parts.finish()?;
    }
    Ok(())
}
