//! The threads that send: each with a runtime and a share of the connections of its own, so that none waits for
//! another.

use std::net::SocketAddr;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::task::LocalSet;

use super::{Connection, Outcome};

/// As many as the reference machine has cores.
pub const THREADS: usize = 2;

/// One thread's part.
#[derive(Debug)]
pub struct Member {
    /// Its connections, open already.
    pub connections: Vec<Connection>,
    /// Which of the threads it is, from 0.
    pub number: usize,
    /// When the work began, for all threads at about once.
    pub began: Instant,
}

/// What a crew did together.
#[derive(Debug)]
pub struct Shift<S> {
    /// What each thread brings back.
    pub results: Vec<S>,
    /// From the first thread's start to the last one's end.
    pub elapsed: Duration,
    /// Processor time that this process spent meanwhile.
    pub cpu: Duration,
}

/// Opens the connections, then lets every thread work; all begin together.
///
/// # Errors
/// If a connection cannot be opened, where a thread's work fails, or where it takes longer than `patience`.
pub fn crew<S, F, Fut>(address: SocketAddr, connections: usize, patience: Duration, work: F) -> Outcome<Shift<S>>
where
    S: Send,
    F: Fn(Member) -> Fut + Sync,
    Fut: Future<Output = Outcome<S>>,
{
    crew_over(&[address], connections, patience, work)
}

/// The same over several servers: of each thread's connections the first goes to the first server, the next to the
/// next, round and round.
///
/// # Errors
/// As [`crew`].
pub fn crew_over<S, F, Fut>(
    addresses: &[SocketAddr],
    connections: usize,
    patience: Duration,
    work: F,
) -> Outcome<Shift<S>>
where
    S: Send,
    F: Fn(Member) -> Fut + Sync,
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
            start.wait();
            let began = Instant::now();
            let work = work(Member { connections: opened?, number, began });
            let done = tokio::time::timeout(patience, work).await;
            let done = done.map_err(|_| format!("no end within {patience:?}"))??;
            Ok((done, began, Instant::now()))
        })
    };
    let ended: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|number| scope.spawn(move || one(number))).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| "a thread of the crew panicked")).collect()
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
    Ok(Shift { results, elapsed, cpu: process_time().saturating_sub(cpu) })
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
