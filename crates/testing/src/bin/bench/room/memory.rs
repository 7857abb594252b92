//! What one who waits costs: in Redis, and in the process.

use onsale_testing::traffic::Outcome;

use super::parts::{Home, Parts, crowd};
use crate::measure::Bench;
use crate::rows::crowd::tokens;
use crate::rows::still_room;
use crate::table::{Line, Verdict};

const CROWD: usize = 100_000;

/// In Redis.
const BYTES_MAX: f64 = 150.0;

/// What the process may take for a crowd, in bytes a waiter: its allocator's slack, and nothing for each of them.
const SLACK: f64 = 20.0;

pub(super) fn a_waiter(bench: &mut Bench) -> Outcome<()> {
    let parts = Parts::start(bench, Home::Redis, 1)?;
    let server = parts.first();
    let concert = server.stage.concert(&still_room())?;
    // The first crowd fills the buffers that any crowd needs.
    tokens(server, &concert, 0..1)?;
    crowd(server, &concert, 1..CROWD + 1)?;
    let look = || {
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>((
            parts.redis_says("memory", "used_memory")? as f64,
            server.program.kilobytes("RssAnon")? as f64 * 1024.0,
        ))
    };
    let before = look()?;
    crowd(server, &concert, CROWD + 1..2 * CROWD + 1)?;
    let after = look()?;
    let redis = (after.0 - before.0) / CROWD as f64;
    let process = (after.1 - before.1) / CROWD as f64;
    bench.table.add(Line {
        rate: format!("{redis:.0} bytes"),
        target: format!("≤ {BYTES_MAX} bytes"),
        ..Line::new("a waiter in Redis, of 100,000 more", Verdict::of(redis <= BYTES_MAX))
    });
    bench.table.add(Line {
        rate: format!("{process:.1} bytes"),
        target: format!("≤ {SLACK} bytes"),
        ..Line::new("a waiter in the process (anonymous memory)", Verdict::of(process <= SLACK))
    });
    parts.finish()
}
