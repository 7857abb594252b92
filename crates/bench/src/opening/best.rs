//! Holds of the best seat and of a named one, in halls of which 99 % are sold, in turns.

use std::sync::Arc;

use onsale_load_generator::{Outcome, Request, Supply};
use serde_json::json;

use crate::machine::{Machine, Server};
use crate::measure::{CREATED, compare, requests};
use crate::results::{Line, Target};
use crate::row::Work;
use crate::users::{self, open_room, tokens, wait_until_admitted};

/// Seats of a hall, and how many of them are left. Each user holds one of these.
const SEATS: usize = 50_000;
const LEFT: usize = 500;

/// Halls in which one kind of request takes all seats that are left.
const HALLS: usize = 8;

/// The most seats that one call blocks.
const BLOCKED_AT_ONCE: usize = 1_000;

/// The price of a seat, in points.
const PRICE: i64 = 1_000;

pub(super) fn seats<'m>(
    machine: &'m Machine,
    mut server: Server,
    on: &'static str,
    target: Target,
) -> Outcome<Work<'m>> {
    let (seats, left, halls) = machine.scale.pick((SEATS, LEFT, HALLS), (SEATS, LEFT, 2), (200, 20, 2));
    let concert = server.admin.concert(&open_room())?;
    let tokens = tokens(&server, &concert, 0..left)?;
    wait_until_admitted(&server, &concert, left)?;
    // For each number of connections, halls for each kind of request.
    let mut supplies = Vec::new();
    for part in 0..2 {
        let mut named = Vec::new();
        let mut best = Vec::new();
        for hall in 0..halls {
            for (kind, all) in [&mut named, &mut best].into_iter().enumerate() {
                let day = i64::try_from((part * halls + hall) * 2 + kind)?;
                let performance = hall_of(&server, &concert, seats, left, day)?;
                let hold = |(index, token): (usize, &String)| match kind {
                    0 => users::hold(token, &performance, seats - left + index + 1),
                    _ => any(token, &performance),
                };
                all.extend(tokens.iter().enumerate().map(hold));
            }
        }
        supplies.push([named, best].map(|requests| Arc::new(Supply::once(requests))));
    }
    Ok(Box::new(move |results| {
        let count = halls * left / machine.scale.rounds;
        // With 256 connections some 256 holds are in one batch.
        for (connections, supplies) in [64, 256].into_iter().zip(&supplies) {
            let mut slices = supplies.each_ref().map(|supply| requests(machine, &server, supply, count, CREATED));
            let measured = compare(machine, &server, "best-seats", connections, &mut slices)?;
            let [named, best] = &measured[..] else { return Err("not two kinds of holds were measured".into()) };
            results.add(named.line(format!("hold a named seat of a hall that is nearly sold, {on}")));
            results.add(best.line(format!("hold the best seat of it, {on}")));
            let ratio = best.rate / named.rate;
            let beside = Line { ratio: Some(ratio), connections, ..Line::new("    beside the named seat") };
            results.add(beside.judged(target, ratio));
        }
        server.finish()
    }))
}

/// A performance of which only the last seats are left. Blocked seats stand for sold ones: neither can be taken.
fn hall_of(server: &Server, concert: &str, seats: usize, left: usize, day: i64) -> Outcome<String> {
    let performance = server.admin.performance(concert, u32::try_from(seats)?, PRICE, day)?.id;
    let path = format!("/admin/performances/{performance}/blocks");
    for from in (1..=seats - left).step_by(BLOCKED_AT_ONCE) {
        let numbers: Vec<usize> = (from..(from + BLOCKED_AT_ONCE).min(seats - left + 1)).collect();
        let body = json!({"seats": numbers, "reason": "sold"});
        server.admin.call(&server.admin.authorize(Request::post(&path)).json(body.to_string()))?;
    }
    Ok(performance)
}

/// A request to hold the best seat.
fn any(token: &str, performance: &str) -> Request {
    let body = format!(r#"{{"performanceId":"{performance}","any":{{"count":1}}}}"#);
    Request::post("/reservations").token(token).json(body)
}
