//! Entries into the line.

use std::sync::Arc;

use onsale_load_generator::{Outcome, Program, Supply};
use onsale_testing::redis::Redis;

use super::deployment::{Deployment, Issuer};
use crate::machine::{Machine, references};
use crate::measure::{CREATED, add_better, compare_with, requests, requests_per_slice};
use crate::results::Target;
use crate::row::Work;
use crate::users::{self, still_room, user};

/// Maximum number of entries, one per user.
const ENTRANTS: usize = 600_000;

pub(super) fn enter(machine: &Machine, target: Target, issuer: Issuer) -> Outcome<Work<'_>> {
    let deployment = Deployment::start(machine, issuer, 1)?;
    let concert = deployment.first().admin.concert(&still_room())?;
    let entrants = machine.scale.at_most(ENTRANTS);
    let supply = Arc::new(Supply::once((0..entrants).map(|number| users::enter(&concert, &user(number)))));
    // An entry on Redis is a share of a script call, so the reference is one call of the same Redis.
    let own = std::env::current_exe()?;
    let url = deployment.redis.as_ref().map(Redis::url);
    let incr = url.map(|url| Program::start(&own, &[references::INCR, &url])).transpose()?;
    Ok(Box::new(move |results| {
        let (server, count) = (deployment.first(), requests_per_slice(machine, entrants));
        let reference = incr.as_ref().unwrap_or(machine.empty());
        let mut both = Vec::new();
        for connections in [64, 256] {
            let mut slices = [requests(machine, server, &supply, count, CREATED)];
            both.extend(compare_with(machine, reference, (server, "room-enter"), connections, &mut slices)?);
        }
        let work = match issuer {
            Issuer::Redis => "enter, room on Redis, beside INCR",
            Issuer::Database => "enter, room on Postgres, beside the empty handler",
        };
        add_better(results, work, target, &both);
        deployment.finish()
    }))
}
