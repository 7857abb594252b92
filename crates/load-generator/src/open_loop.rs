//! The open loop: work is due at a constant rate whether or not the server keeps up. Its latency counts from the instant at
//! which it was due, so that a stall shows in everything that was due meanwhile.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::closed_loop::PATIENCE;
use super::{Connection, Outcome, Pacer, Run, Supply, THREADS, Tally, ThreadRuns, run_threads};

/// Interval at which due work is released.
const TICK: Duration = Duration::from_micros(200);

/// The rate of an open loop, its connections, and for how long it runs.
#[derive(Clone, Copy, Debug)]
pub struct OpenLoop {
    /// Number of connections. If all are busy, due work waits for one.
    pub connections: usize,
    /// Number of requests, or of other pieces of work, due per second.
    pub per_second: f64,
    /// For how long work is due.
    pub time: Duration,
}

/// The work of one thread that is due and waits for a connection.
struct Due {
    instants: RefCell<VecDeque<Instant>>,
    /// One permit for each waiting piece of work, and at the end one for each connection, so that its task ends.
    permits: Semaphore,
}

/// Sends requests of a supply at a constant rate.
///
/// # Errors
/// If a connection fails or the supply runs out. The caller checks the statuses.
pub fn open_loop(address: SocketAddr, supply: &Arc<Supply>, how: &OpenLoop) -> Outcome<Run> {
    let supply = supply.clone();
    let runs =
        open_loop_of(address, how, async move |connection: &mut Connection, was_due, tally: &RefCell<Tally>| {
            let (_, request) = supply.take().ok_or("the supply of requests ran out")?;
            let reply = connection.exchange(request).await?;
            tally.borrow_mut().add(reply, was_due.elapsed());
            Ok(())
        })?;
    let mut tally = Tally::default();
    runs.results.into_iter().for_each(|part| tally.merge(part));
    Ok(Run { elapsed: runs.elapsed, cpu: runs.cpu, tally })
}

/// Does work of several requests at a constant rate. The work gets a free connection, the instant at which it was due, and
/// the sums of its thread. Returns the sums of each thread.
///
/// # Errors
/// If a connection or the work fails.
pub fn open_loop_of<S, W>(address: SocketAddr, how: &OpenLoop, work: W) -> Outcome<ThreadRuns<S>>
where
    S: Default + Send + 'static,
    W: AsyncFn(&mut Connection, Instant, &RefCell<S>) -> Outcome<()> + Clone + Send + Sync + 'static,
{
    let gap = Duration::from_secs_f64(THREADS as f64 / how.per_second.max(1.0));
    run_threads(address, how.connections.max(THREADS), how.time + PATIENCE, |share| {
        let work = work.clone();
        async move {
            let due = Rc::new(Due { instants: RefCell::default(), permits: Semaphore::new(0) });
            let sums = Rc::new(RefCell::new(S::default()));
            let connections = share.connections.len();
            let mut working = JoinSet::new();
            for connection in share.connections {
                working.spawn_local(serve(connection, work.clone(), due.clone(), sums.clone()));
            }
            // The threads take turns, so that the work of all threads together is due at even intervals.
            let first = share.began + gap.mul_f64(share.number as f64 / THREADS as f64);
            release(&due, first, share.began + how.time, gap).await?;
            due.permits.add_permits(connections);
            while let Some(ended) = working.join_next().await {
                ended??;
            }
            Ok(sums.take())
        }
    })
}

/// Releases each piece of work when it is due, until the last.
async fn release(due: &Due, first: Instant, end: Instant, gap: Duration) -> Outcome<()> {
    let pacer = Pacer::every(TICK)?;
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

/// Does work over one connection until none is due any more.
async fn serve<S, W>(mut connection: Connection, work: W, due: Rc<Due>, sums: Rc<RefCell<S>>) -> Outcome<()>
where
    W: AsyncFn(&mut Connection, Instant, &RefCell<S>) -> Outcome<()>,
{
    loop {
        due.permits.acquire().await?.forget();
        let Some(was_due) = due.instants.borrow_mut().pop_front() else { return Ok(()) };
        work(&mut connection, was_due, &sums).await?;
    }
}
