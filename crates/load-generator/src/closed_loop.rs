//! The closed loop: each connection sends its next request when its last one is answered. It measures the throughput of a
//! saturated server.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::{Connection, Outcome, Supply, Tally, run_threads};

/// How long a run may take beyond its time before it fails.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// The requests of a closed loop, and for how long to send them.
#[derive(Clone, Copy, Debug)]
pub struct ClosedLoop {
    /// Number of connections, over all threads.
    pub connections: usize,
    /// No request is sent later than this after the start.
    pub time: Duration,
    /// Maximum number of requests.
    pub count: usize,
    /// The string field to keep of each success.
    pub keep: Option<&'static str>,
}

impl ClosedLoop {
    /// Sends all requests of a supply, for up to ten minutes.
    pub fn all(connections: usize) -> Self {
        Self { connections, time: Duration::from_secs(600), count: usize::MAX, keep: None }
    }
}

/// The result of a run.
#[derive(Clone, Debug)]
pub struct Run {
    /// From the first request to the last reply.
    pub elapsed: Duration,
    /// Processor time of the load generator.
    pub cpu: Duration,
    /// The replies, counted by status, with their times.
    pub tally: Tally,
}

impl Run {
    /// Replies per second.
    pub fn rate(&self) -> f64 {
        self.tally.times.total() as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// What the connections of all threads share.
struct Shared {
    supply: Arc<Supply>,
    /// Number of requests sent. Relaxed: it only bounds how many are sent, and guards no other data.
    sent: AtomicUsize,
    how: ClosedLoop,
}

/// Sends requests of a supply until the time is over, the count is reached or none is left.
///
/// # Errors
/// If a connection fails. The caller checks the statuses.
pub fn closed_loop(address: SocketAddr, supply: &Arc<Supply>, how: &ClosedLoop) -> Outcome<Run> {
    let shared = Arc::new(Shared { supply: supply.clone(), sent: AtomicUsize::new(0), how: *how });
    let runs = run_threads(address, how.connections, how.time + PATIENCE, |share| {
        let shared = shared.clone();
        async move {
            let tally = Rc::new(RefCell::new(Tally::default()));
            let mut sending = JoinSet::new();
            for connection in share.connections {
                sending.spawn_local(send(connection, shared.clone(), tally.clone(), share.began));
            }
            while let Some(ended) = sending.join_next().await {
                ended??;
            }
            Ok(tally.take())
        }
    })?;
    let mut tally = Tally::default();
    runs.results.into_iter().for_each(|part| tally.merge(part));
    tally.kept.sort_unstable_by_key(|(number, _)| *number);
    Ok(Run { elapsed: runs.elapsed, cpu: runs.cpu, tally })
}

async fn send(
    mut connection: Connection,
    shared: Arc<Shared>,
    tally: Rc<RefCell<Tally>>,
    began: Instant,
) -> Outcome<()> {
    let ClosedLoop { time, count, keep, .. } = shared.how;
    let mut sent = Instant::now();
    // The first request is sent in any case: on a stalled machine a short time may be over before any thread ran.
    let mut is_first = true;
    while (std::mem::take(&mut is_first) || sent - began < time) && shared.sent.fetch_add(1, Ordering::Relaxed) < count
    {
        let Some((number, request)) = shared.supply.take() else { break };
        let reply = connection.exchange(request).await?;
        let answered = Instant::now();
        let mut tally = tally.borrow_mut();
        tally.add(reply, answered - sent);
        if let Some(kept) = keep.filter(|_| reply.status < 300).and_then(|name| reply.text(name)) {
            tally.kept.push((number, kept.into()));
        }
        // The next request is sent now. One reading of the clock for both saves a system call per request.
        sent = answered;
    }
    Ok(())
}
