//! Reads by admitted users.

use std::sync::Arc;

use onsale_load_generator::{Outcome, Request, Supply};

use super::crowd::{everyone_is_active, tokens};
use super::open_room;
use crate::measure::{Bench, Expected};
use crate::table::Verdict;

const CONNECTIONS: usize = 64;

const OK: Expected = &[(200, "")];

const TARGET: f64 = 0.6;

pub(crate) fn seats_and_dates(bench: &mut Bench) -> Outcome<()> {
    let people = if bench.scale.rounds == 1 { bench.scale.crowd } else { 100_000 };
    let mut server = bench.server(&[])?;
    let concert = server.stage.concert(&open_room())?;
    let performance = server.stage.performance(&concert, 50, 50_000, 0)?;
    for day in 1..3 {
        server.stage.performance(&concert, 50, 50_000, day)?;
    }
    let tokens = tokens(&server, &concert, 0..people)?;
    everyone_is_active(&server, &concert, people)?;
    let looks = |path: &str| Arc::new(Supply::in_turn(tokens.iter().map(|token| Request::get(path).token(token))));
    let seats = looks(&format!("/concerts/{concert}/seats?date={}", performance.date));
    let dates = looks(&format!("/concerts/{concert}/dates"));
    let mut slices = [bench.slice(&server, &seats, usize::MAX, OK), bench.slice(&server, &dates, usize::MAX, OK)];
    let measured = bench.compare(&server, "reads", CONNECTIONS, &mut slices)?;
    drop(slices);
    for (measured, work) in measured.iter().zip(["seat list of 50", "dates (3)"]) {
        bench.table.add(measured.line(work, Some(TARGET), Verdict::of(measured.share >= TARGET)));
    }
    server.finish()
}
