//! The open loop: requests come at a constant rate whether or not the server keeps up. A reply's time counts from
//! the instant at which its request was due, so that a stall is felt by everyone who would have come meanwhile.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::closed::PATIENCE;
use super::{Connection, Outcome, Pacer, Run, Supply, THREADS, Tally, crew};

/// How often those who are due are let in.
const TICK: Duration = Duration::from_micros(200);

/// How to send.
#[derive(Clone, Copy, Debug)]
pub struct Open {
    /// Number of connections. If all are busy, a due request waits for one.
    pub connections: usize,
    /// How many requests come a second.
    pub per_second: f64,
    /// For how long.
    pub time: Duration,
}

/// Who has come and waits for a connection, within one thread.
struct Arrivals {
    due: RefCell<VecDeque<Instant>>,
    /// One permit for each who waits, and at the end one for each connection.
    waiting: Semaphore,
}

/// Sends requests of a supply at a constant rate.
///
/// # Errors
/// If a connection fails or the supply runs out. Statuses are the caller's to judge.
pub fn open(address: SocketAddr, supply: &Arc<Supply>, how: &Open) -> Outcome<Run> {
    let gap = Duration::from_secs_f64(THREADS as f64 / how.per_second.max(1.0));
    let shift = crew(address, how.connections.max(THREADS), how.time + PATIENCE, |member| {
        let supply = supply.clone();
        async move {
            let (arrivals, tally) = (
                Rc::new(Arrivals { due: RefCell::default(), waiting: Semaphore::new(0) }),
                Rc::new(RefCell::new(Tally::default())),
            );
            let connections = member.connections.len();
            let mut sending = JoinSet::new();
            for connection in member.connections {
                sending.spawn_local(send(connection, supply.clone(), arrivals.clone(), tally.clone()));
            }
            // The threads take turns, so that all together requests come evenly.
            let first = member.began + gap.mul_f64(member.number as f64 / THREADS as f64);
            let last = member.began + how.time;
            admit(&arrivals, first, last, gap).await?;
            arrivals.waiting.add_permits(connections);
            while let Some(ended) = sending.join_next().await {
                ended??;
            }
            Ok(tally.take())
        }
    })?;
    let mut tally = Tally::default();
    shift.results.into_iter().for_each(|part| tally.merge(part));
    Ok(Run { elapsed: shift.elapsed, cpu: shift.cpu, tally })
}

/// Releases the requests that are due, until the last.
async fn admit(arrivals: &Arrivals, first: Instant, last: Instant, gap: Duration) -> Outcome<()> {
    let pacer = Pacer::every(gap.max(TICK))?;
    let mut due = first;
    while due < last {
        let now = Instant::now();
        let mut came = 0;
        while due <= now && due < last {
            arrivals.due.borrow_mut().push_back(due);
            due += gap;
            came += 1;
        }
        arrivals.waiting.add_permits(came);
        pacer.tick().await?;
    }
    Ok(())
}

async fn send(
    mut connection: Connection,
    supply: Arc<Supply>,
    arrivals: Rc<Arrivals>,
    tally: Rc<RefCell<Tally>>,
) -> Outcome<()> {
    loop {
        arrivals.waiting.acquire().await?.forget();
        let Some(due) = arrivals.due.borrow_mut().pop_front() else { return Ok(()) };
        let (_, request) = supply.take().ok_or("the supply of requests ran out")?;
        let reply = connection.exchange(request).await?;
        tally.borrow_mut().add(reply, due.elapsed());
    }
}
