//! The liveness probe: a new connection to each instance again and again, as a balancer or an orchestrator does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use onsale_load_generator::{Connection, Outcome, Request};

/// An answer that takes longer than this counts as none.
const WITHIN: Duration = Duration::from_secs(1);

/// What the probe saw.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Liveness {
    pub(crate) probes: u32,
    /// Probes without an answer within a second.
    pub(crate) failed: u32,
    /// The longest time without an answer of any instance, in seconds.
    pub(crate) longest_gap: f64,
    /// The longest answer, in milliseconds.
    pub(crate) longest_millis: f64,
    /// Whether the last round was answered by all instances.
    pub(crate) is_alive: bool,
}

/// A probe that runs in a thread of its own.
pub(crate) struct Probe {
    /// Relaxed: the thread reads no other data for it.
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Outcome<Liveness>>,
}

impl Probe {
    /// Starts to probe these instances at this interval.
    pub(crate) fn start(addresses: Vec<SocketAddr>, interval: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(probe(&addresses, interval, &stopped))
        });
        Self { stop, thread }
    }

    /// Goes on for this time, stops, and returns what was seen.
    ///
    /// # Errors
    /// If the thread of the probe could not run.
    pub(crate) fn stop_after(self, time: Duration) -> Outcome<Liveness> {
        std::thread::sleep(time);
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "the thread of the probe panicked")?
    }
}

async fn probe(addresses: &[SocketAddr], interval: Duration, stop: &AtomicBool) -> Outcome<Liveness> {
    let request = Request::get("/healthz").to_bytes();
    let mut liveness = Liveness::default();
    let mut last_answer = Instant::now();
    // One more round after the stop, so that at least one follows the last request of the crowd.
    let mut is_last = false;
    while !is_last {
        is_last = stop.load(Ordering::Relaxed);
        let round = Instant::now();
        liveness.is_alive = true;
        for address in addresses {
            let began = Instant::now();
            let answer = tokio::time::timeout(WITHIN, async {
                let mut connection = Connection::open(*address).await?;
                connection.exchange(&request).await.map(|reply| reply.status)
            });
            liveness.probes += 1;
            if matches!(answer.await, Ok(Ok(200))) {
                liveness.longest_millis = liveness.longest_millis.max(began.elapsed().as_secs_f64() * 1e3);
                last_answer = Instant::now();
            } else {
                liveness.failed += 1;
                liveness.is_alive = false;
            }
            liveness.longest_gap = liveness.longest_gap.max(last_answer.elapsed().as_secs_f64());
        }
        if !is_last {
            tokio::time::sleep_until((round + interval).into()).await;
            // Time in which no probe was due is no time without an answer.
            if liveness.is_alive {
                last_answer = Instant::now();
            }
        }
    }
    Ok(liveness)
}
