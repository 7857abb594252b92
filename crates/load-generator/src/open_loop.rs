//! The open loop: requests are due at a constant rate whether or not the server keeps up. The latency of a reply counts from
//! the instant at which its request was due, so that a stall shows in every request that was due meanwhile.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::closed_loop::PATIENCE;
use super::{Connection, Outcome, Pacer, Run, Supply, THREADS, Tally, run_threads};

/// Interval at which due requests are released.
const TICK: Duration = Duration::from_micros(200);

/// The requests of an open loop, their rate, and for how long to send them.
#[derive(Clone, Copy, Debug)]
pub struct OpenLoop {
    /// Number of connections. If all are busy, a due request waits for one.
    pub connections: usize,
    /// Number of requests due per second.
    pub per_second: f64,
    /// For how long requests are due.
    pub time: Duration,
}

/// The requests of one thread that are due and wait for a connection.
struct Due {
    instants: RefCell<VecDeque<Instant>>,
    /// One permit for each waiting request, and at the end one for each connection, so that its task ends.
    permits: Semaphore,
}

/// Sends requests of a supply at a constant rate.
///
/// # Errors
/// If a connection fails or the supply runs out. The caller checks the statuses.
pub fn open_loop(address: SocketAddr, supply: &Arc<Supply>, how: &OpenLoop) -> Outcome<Run> {
    let gap = Duration::from_secs_f64(THREADS as f64 / how.per_second.max(1.0));
    let runs = run_threads(address, how.connections.max(THREADS), how.time + PATIENCE, |share| {
        let supply = supply.clone();
        async move {
            let due = Rc::new(Due { instants: RefCell::default(), permits: Semaphore::new(0) });
            let tally = Rc::new(RefCell::new(Tally::default()));
            let connections = share.connections.len();
            let mut sending = JoinSet::new();
            for connection in share.connections {
                sending.spawn_local(send(connection, supply.clone(), due.clone(), tally.clone()));
            }
            // The threads take turns, so that requests of all threads together are due at even intervals.
            let first = share.began + gap.mul_f64(share.number as f64 / THREADS as f64);
            release(&due, first, share.began + how.time, gap).await?;
            due.permits.add_permits(connections);
            while let Some(ended) = sending.join_next().await {
                ended??;
            }
            Ok(tally.take())
        }
    })?;
    let mut tally = Tally::default();
    runs.results.into_iter().for_each(|part| tally.merge(part));
    Ok(Run { elapsed: runs.elapsed, cpu: runs.cpu, tally })
}

/// Releases each request when it is due, until the last.
async fn release(due: &Due, first: Instant, end: Instant, gap: Duration) -> Outcome<()> {
    let pacer = Pacer::every(gap.max(TICK))?;
    let mut next = first;
    while next < end {
        let now = Instant::now();
        let mut released = 0;
        while next <= now && next < end {
            due.instants.borrow_mut().push_back(next);
            next += gap;
            released += 1;
        }
        due.permits.add_permits(released);
        pacer.tick().await?;
    }
    Ok(())
}

async fn send(mut connection: Connection, supply: Arc<Supply>, due: Rc<Due>, tally: Rc<RefCell<Tally>>) -> Outcome<()> {
    loop {
        due.permits.acquire().await?.forget();
        let Some(was_due) = due.instants.borrow_mut().pop_front() else { return Ok(()) };
        let (_, request) = supply.take().ok_or("the supply of requests ran out")?;
        let reply = connection.exchange(request).await?;
        tally.borrow_mut().add(reply, was_due.elapsed());
    }
}
