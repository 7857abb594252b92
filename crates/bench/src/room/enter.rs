//! Entering the line.

use std::sync::Arc;

use onsale_load_generator::{Outcome, Program, Supply};
use onsale_testing::redis::Redis;

use super::incr;
use super::parts::{Home, Parts};
use crate::measure::{Bench, Expected};
use crate::rows::crowd::{enter as place, user};
use crate::rows::{report_better, share_of, still_room};

const NEW: Expected = &[(201, "")];

/// Maximum number of entries, one per user.
const ENTRANTS: usize = 600_000;

pub(super) fn enter(bench: &mut Bench) -> Outcome<()> {
    for home in Home::BOTH {
        let parts = Parts::start(bench, home, 1)?;
        let server = parts.first();
        let concert = server.stage.concert(&still_room())?;
        let supply = Arc::new(Supply::once((0..ENTRANTS).map(|number| place(&concert, &user(number)))));
        let count = share_of(bench, ENTRANTS);
        let own = std::env::current_exe()?;
        let url = parts.redis.as_ref().map(Redis::url);
        let handler = url.map(|url| Program::start(&own, &[incr::ARGUMENT, &url])).transpose()?;
        let mut both = Vec::new();
        for connections in [64, 256] {
            let mut slices = [bench.slice(server, &supply, count, NEW)];
            let handler = handler.as_ref().unwrap_or(&bench.empty);
            both.extend(bench.compare_beside(handler, (server, "room-enter"), connections, &mut slices)?);
        }
        let (work, target) = match home {
            Home::Redis => ("enter, room on Redis, beside INCR", Some(0.7)),
            Home::Database => ("enter, room on Postgres, beside the empty handler", None),
        };
        report_better(bench, work, target, &both);
        parts.finish()?;
    }
    Ok(())
}
