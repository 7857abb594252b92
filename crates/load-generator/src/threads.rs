//! The threads that send. Each has its own runtime and its own share of the connections, so that no thread waits for another.

use std::net::SocketAddr;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::task::LocalSet;

use super::{Connection, Outcome};

/// Number of threads, and of cores of the machine that the published numbers are from.
pub const THREADS: usize = 2;

/// The share of one thread.
#[derive(Debug)]
pub struct ThreadShare {
    /// Its connections, which are open.
    pub connections: Vec<Connection>,
    /// The number of the thread, from 0.
    pub number: usize,
    /// When this thread began. All threads begin within microseconds of each other.
    pub began: Instant,
}

/// What the threads did together.
#[derive(Debug)]
pub struct ThreadRuns<S> {
    /// The result of each thread.
    pub results: Vec<S>,
    /// From the first thread's start to the last one's end.
    pub elapsed: Duration,
    /// Processor time of this process meanwhile.
    pub cpu: Duration,
}

/// Opens the connections, then runs the work on every thread. All begin together.
///
/// # Errors
/// If a connection cannot be opened, the work of a thread fails, or it takes longer than `patience`.
pub fn run_threads<S, F, Fut>(
    address: SocketAddr,
    connections: usize,
    patience: Duration,
    work: F,
) -> Outcome<ThreadRuns<S>>
where
    S: Send,
    F: Fn(ThreadShare) -> Fut + Sync,
    Fut: Future<Output = Outcome<S>>,
{
    run_threads_over(&[address], connections, patience, work)
}

/// [`run_threads`] over several servers, which the connections of each thread go to in turn.
///
/// # Errors
/// As [`run_threads`].
pub fn run_threads_over<S, F, Fut>(
    addresses: &[SocketAddr],
    connections: usize,
    patience: Duration,
    work: F,
) -> Outcome<ThreadRuns<S>>
where
    S: Send,
    F: Fn(ThreadShare) -> Fut + Sync,
    Fut: Future<Output = Outcome<S>>,
{
    let threads = THREADS.min(connections).max(1);
    let start = Barrier::new(threads);
    let cpu = process_time();
    let one = |number: usize| -> Outcome<(S, Instant, Instant)> {
        let share = connections / threads + usize::from(number < connections % threads);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        LocalSet::new().block_on(&runtime, async {
            let opened = connect(addresses, share).await;
            // Every thread waits here even if it could not connect: the others would wait for it forever.
            start.wait();
            let began = Instant::now();
            let work = work(ThreadShare { connections: opened?, number, began });
            let done = tokio::time::timeout(patience, work).await;
            let done = done.map_err(|_| format!("the work did not end within {patience:?}"))??;
            Ok((done, began, Instant::now()))
        })
    };
    let ended: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|number| scope.spawn(move || one(number))).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| "a thread of the load generator panicked")).collect()
    });
    let mut results = Vec::with_capacity(threads);
    let (mut first, mut last) = (None::<Instant>, None::<Instant>);
    for ended in ended {
        let (result, began, finished) = ended??;
        results.push(result);
        first = Some(first.map_or(began, |first| first.min(began)));
        last = Some(last.map_or(finished, |last| last.max(finished)));
    }
    let elapsed = first.zip(last).map_or(Duration::ZERO, |(first, last)| last - first);
    Ok(ThreadRuns { results, elapsed, cpu: process_time().saturating_sub(cpu) })
}

async fn connect(addresses: &[SocketAddr], count: usize) -> Outcome<Vec<Connection>> {
    let mut connections = Vec::with_capacity(count);
    for address in addresses.iter().cycle().take(count) {
        connections.push(Connection::open(*address).await?);
    }
    Ok(connections)
}

/// Processor time of this process so far.
pub fn process_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}
