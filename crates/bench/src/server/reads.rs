//! Reads by admitted users.

use std::sync::Arc;

use onsale_load_generator::{Outcome, Request, Supply};

use crate::machine::Machine;
use crate::measure::{OK, compare, requests};
use crate::results::Target;
use crate::row::Work;
use crate::users::{open_room, tokens, wait_until_admitted};

const CONNECTIONS: usize = 64;

pub(crate) fn seats_and_dates(machine: &Machine, target: Target) -> Outcome<Work<'_>> {
    let users = machine.scale.line;
    let mut server = machine.server(&[], &[])?;
    let concert = server.admin.concert(&open_room())?;
    let performance = server.admin.performance(&concert, 50, 50_000, 0)?;
    for day in 1..3 {
        server.admin.performance(&concert, 50, 50_000, day)?;
    }
    let tokens = tokens(&server, &concert, 0..users)?;
    wait_until_admitted(&server, &concert, users)?;
    let reads = |path: &str| Arc::new(Supply::in_turn(tokens.iter().map(|token| Request::get(path).token(token))));
    let seats = reads(&format!("/concerts/{concert}/seats?date={}", performance.date));
    let dates = reads(&format!("/concerts/{concert}/dates"));
    Ok(Box::new(move |results| {
        let mut slices = [&seats, &dates].map(|supply| requests(machine, &server, supply, usize::MAX, OK));
        let measured = compare(machine, &server, "lists", CONNECTIONS, &mut slices)?;
        for (measured, work) in measured.iter().zip(["seat list of 50", "dates (3)"]) {
            results.add(measured.line(work).judged(target, measured.ratio));
        }
        server.finish()
    }))
}
