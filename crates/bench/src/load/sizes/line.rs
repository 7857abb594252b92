//! The line of one size: persons enter until memory ends. A kill for memory is a crash, so the books are audited after it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use onsale_load_generator::{Connection, Outcome, run_threads};
use onsale_testing::redis::{Keeps, Redis};
use onsale_testing::{Limited, Means};

use super::super::sale::Deployment;
use super::cell::Cell;
use super::finding::{Finding, Line};
use crate::machine::{Machine, Server};
use crate::users;

/// Connections that enter persons.
const CONNECTIONS: usize = 64;

/// A run ends at this number of persons if memory has not ended.
const PERSONS_MAX: u64 = 3_000_000;
const PERSONS_MAX_TINY: u64 = 300_000;

/// A run ends with an error after this time.
const PATIENCE: Duration = Duration::from_secs(900);

/// The pause of a connection after a refused entry.
const RESTS: Duration = Duration::from_millis(10);

/// In the smallest size memory ends this many bytes above the anonymous memory of the instance at its start. That is less than
/// its connections and caches need: a person in line needs next to none. Cached files do not count, as the kernel takes them
/// back.
const LEFT_TINY: u64 = 2 << 20;

/// What the connections share. Relaxed orders suffice: the counts are read after all threads have ended.
struct Counts {
    /// Persons whose entry was sent.
    sent: AtomicU64,
    /// Persons whose entry was acknowledged.
    entered: AtomicU64,
    most: u64,
    concert: String,
}

/// Fills the line of a size until its instance is killed, then audits, restarts it without a limit and counts.
///
/// # Errors
/// If the instance does not start within its limits, or not again after the kill.
pub(super) fn measure(cell: &Cell, size: &str, (machine, means): (&Machine, Means)) -> Outcome<Finding> {
    let limited = Limited::by(means, cell.limits())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut environment = Vec::new();
    let is_shared = cell.deployment == Deployment::Shared;
    // What was answered survives on Redis too: it is not the part that runs out of memory here.
    let redis = is_shared.then(|| runtime.block_on(Redis::start(Keeps::Everything)));
    if let Some(redis) = &redis {
        let postgres = machine.postgres()?;
        environment.push(("ONSALE_DATABASE_URL", postgres.url(&postgres.database()?)));
        environment.push(("ONSALE_REDIS_URL", redis.url()));
    }
    let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut server = machine.server_under(&limited.prefix(), &environment)?;
    let concert = server.admin.concert(&users::still_room())?;
    let is_tiny = size == "tiny";
    if is_tiny {
        limited.limit_memory(limited.usage()?.anonymous + LEFT_TINY)?;
    }
    let counts = Arc::new(Counts {
        sent: AtomicU64::new(0),
        entered: AtomicU64::new(0),
        most: if is_tiny { PERSONS_MAX_TINY } else { PERSONS_MAX },
        concert: concert.clone(),
    });
    fill(server.program.address(), &counts)?;
    let (sent, entered) = (counts.sent.load(Ordering::Relaxed), counts.entered.load(Ordering::Relaxed));
    let usage = limited.usage().ok();
    let mut line = after(&mut server, &concert, entered)?;
    if line.found > sent {
        return Err(format!("{} persons are in line, and {sent} came", line.found).into());
    }
    // Without a count of kills (Docker), the end of the process is the sign.
    line.is_killed = usage.map_or(line.is_killed, |usage| usage.oom_kills > 0);
    Ok(Finding::of_line(cell, means, &line, usage))
}

/// Enters persons until a connection breaks on each thread, or all have entered.
fn fill(address: SocketAddr, counts: &Arc<Counts>) -> Outcome<()> {
    run_threads(address, CONNECTIONS, PATIENCE, |share| {
        let counts = counts.clone();
        async move {
            let mut sending = tokio::task::JoinSet::new();
            for connection in share.connections {
                sending.spawn_local(enter(connection, counts.clone()));
            }
            while sending.join_next().await.is_some() {}
            Ok(())
        }
    })
    .map(drop)
}

/// Enters one person after another, until the connection breaks.
async fn enter(mut connection: Connection, counts: Arc<Counts>) {
    loop {
        let number = counts.sent.fetch_add(1, Ordering::Relaxed);
        if number >= counts.most {
            return;
        }
        let user = users::user(usize::try_from(number).unwrap_or(usize::MAX));
        let request = users::enter(&counts.concert, &user).to_bytes();
        match connection.exchange(&request).await {
            // An instance that is short of processor time refuses some: they are not in line.
            Ok(reply) if reply.status == 201 => {
                counts.entered.fetch_add(1, Ordering::Relaxed);
            }
            Ok(_) => tokio::time::sleep(RESTS).await,
            Err(_) => return,
        }
    }
}

/// Audits the books as the instance left them, starts it without a limit, and counts the line.
fn after(server: &mut Server, concert: &str, entered: u64) -> Outcome<Line> {
    let is_killed = server.program.ended()?.is_some();
    if !is_killed {
        // Nothing of an instance that is killed is written in order, as after a kill for memory.
        server.program.kill()?;
    }
    let is_sound = server.program.run(&["audit"])?.status.success();
    server.program.drop_prefix();
    server.program.restart()?;
    let (waiting, active) = server.admin.line(concert)?;
    let found = waiting + active;
    server.finish()?;
    Ok(Line { entered, found, lost: entered.saturating_sub(found), is_killed, is_sound })
}
