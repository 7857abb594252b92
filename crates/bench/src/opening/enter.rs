//! Early entries next to entries into an open sale, in turns.

use std::sync::Arc;

use onsale_load_generator::{Outcome, Supply};

use super::early_concert;
use crate::machine::Machine;
use crate::measure::{CREATED, compare, requests, requests_per_slice};
use crate::results::{Line, Target};
use crate::room::{Deployment, Issuer};
use crate::row::Work;
use crate::users::{self, still_room, user};

/// Maximum number of entries into each room, one per user.
const ENTRANTS: usize = 300_000;

/// The list of a draw closes after the run, in seconds.
const DRAWS_IN: i64 = 80_000;

pub(super) fn enter<'m>(
    machine: &'m Machine,
    target: Target,
    issuer: Issuer,
    order: &'static str,
) -> Outcome<Work<'m>> {
    let deployment = Deployment::start(machine, issuer, 1)?;
    let server = deployment.first();
    let entrants = machine.scale.at_most(ENTRANTS);
    let supply =
        |concert: &str| Arc::new(Supply::once((0..entrants).map(|number| users::enter(concert, &user(number)))));
    let supplies = [
        supply(&server.admin.concert(&still_room())?),
        supply(&early_concert(server, &still_room(), order, DRAWS_IN)?),
    ];
    Ok(Box::new(move |results| {
        let (server, count) = (deployment.first(), requests_per_slice(machine, entrants));
        for connections in [64, 256] {
            let mut slices = supplies.each_ref().map(|supply| requests(machine, server, supply, count, CREATED));
            let measured = compare(machine, server, "enter-early", connections, &mut slices)?;
            let [open, early] = &measured[..] else { return Err("not two kinds of entries were measured".into()) };
            results.add(open.line(format!("enter an open sale, room on {}", issuer.name())));
            results.add(early.line(format!("enter early, order {order}, room on {}", issuer.name())));
            let ratio = early.rate / open.rate;
            let beside = Line { ratio: Some(ratio), connections, ..Line::new("    beside the open sale") };
            results.add(beside.judged(target, ratio));
        }
        deployment.finish()
    }))
}
