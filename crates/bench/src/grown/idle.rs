//! What a server costs while no client calls it: its start, its memory, processor time.

use std::time::{Duration, Instant};

use onsale_load_generator::Outcome;

use super::database::{Database, memory};
use super::pairs::{Pairs, in_seconds, megabytes, seconds};
use crate::machine::{Machine, Metrics};
use crate::results::Figure;

/// How often the progress of retiring rooms is read.
const READ_EVERY: Duration = Duration::from_millis(250);

/// Without a retired room or a dropped place for this long, nothing is left to do. The server searches every 10 s.
const QUIET: Duration = Duration::from_secs(12);

/// The longest that rooms and places may take to be retired and dropped.
const SETTLED_WITHIN: Duration = Duration::from_secs(1_200);

/// The figures of one database.
struct Idle {
    ready: Duration,
    memory: f64,
    /// Processor time per minute.
    server: Duration,
    database: Option<Duration>,
    /// Bytes written while idle.
    written: u64,
}

/// Measures each database alone: all of Postgres shares one count of processor time.
pub(super) fn measure(machine: &Machine, both: &[Database<'_>; 2], pairs: &mut Pairs<'_>) -> Outcome<()> {
    let [small, grown] = [one(machine, &both[0])?, one(machine, &both[1])?];
    pairs.figures("size of the data", [megabytes(both[0].bytes()? as f64), megabytes(both[1].bytes()? as f64)]);
    pairs.values("server ready", [in_seconds(small.ready), in_seconds(grown.ready)], seconds);
    pairs.values("memory of the server, idle", [small.memory, grown.memory], megabytes);
    pairs.values("processor time of the server, idle, a minute", [small.server, grown.server].map(in_seconds), seconds);
    if let (Some(small), Some(grown)) = (small.database, grown.database) {
        pairs.values("processor time of Postgres, idle, a minute", [small, grown].map(in_seconds), seconds);
    }
    pairs.figures("written while idle", [small.written, grown.written].map(|bytes| Figure::Bytes(bytes as f64)));
    Ok(())
}

fn one(machine: &Machine, database: &Database<'_>) -> Outcome<Idle> {
    let began = Instant::now();
    let mut server = database.serve(machine)?;
    let ready = began.elapsed();
    wait_until_settled(machine, server.program.address())?;
    let length = machine.scale.pick(Duration::from_secs(60), Duration::from_secs(20), Duration::from_millis(100));
    let before = (server.program.process_time()?, database.process_time(), database.written()?);
    std::thread::sleep(length);
    let minute = |time: Duration| time.mul_f64(60.0 / length.as_secs_f64());
    let idle = Idle {
        ready,
        memory: memory(&server.program)?,
        server: minute(server.program.process_time()?.saturating_sub(before.0)),
        database: database.process_time().zip(before.1).map(|(now, then)| minute(now.saturating_sub(then))),
        written: database.written()?.saturating_sub(before.2),
    };
    server.program.stop()?;
    Ok(idle)
}

/// Waits until no room is retired and no place is dropped any more.
fn wait_until_settled(machine: &Machine, address: std::net::SocketAddr) -> Outcome<()> {
    let quiet = machine.scale.pick(QUIET, QUIET, Duration::from_millis(100));
    let (began, mut changed, mut before) = (Instant::now(), Instant::now(), None);
    while began.elapsed() < SETTLED_WITHIN && changed.elapsed() < quiet {
        let metrics = Metrics::of(address)?;
        let progress = (metrics.number("waiting_room_rooms")?, metrics.number("retention_places_dropped_total")?);
        if before.replace(progress) != Some(progress) {
            changed = Instant::now();
        }
        std::thread::sleep(READ_EVERY.min(quiet));
    }
    Ok(())
}
