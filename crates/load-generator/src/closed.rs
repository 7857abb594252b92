//! The closed loop: each connection sends its next request once its last is answered. Shows the ceiling.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::{Connection, Outcome, Supply, Tally, crew};

/// How long a run may take beyond its time.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// How to send.
#[derive(Clone, Copy, Debug)]
pub struct Closed {
    /// How many connections.
    pub connections: usize,
    /// For how long.
    pub time: Duration,
    /// The most requests to send.
    pub count: usize,
    /// The string field to keep of each success.
    pub keep: Option<&'static str>,
}

impl Closed {
    /// Sends all of a supply.
    pub fn all(connections: usize) -> Self {
        Self { connections, time: Duration::from_secs(600), count: usize::MAX, keep: None }
    }
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Run {
    /// From the first request to the last reply.
    pub elapsed: Duration,
    /// Processor time of the load generator.
    pub cpu: Duration,
    /// What came back.
    pub tally: Tally,
}

impl Run {
    /// Replies a second.
    pub fn rate(&self) -> f64 {
        self.tally.times.total() as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// What the connections of all threads share.
struct Course {
    supply: Arc<Supply>,
    sent: AtomicUsize,
    how: Closed,
}

/// Sends requests of a supply until the time is over, the count is reached or none is left.
///
/// # Errors
/// If a connection fails. Statuses are the caller's to judge.
pub fn closed(address: SocketAddr, supply: &Arc<Supply>, how: &Closed) -> Outcome<Run> {
    let course = Arc::new(Course { supply: supply.clone(), sent: AtomicUsize::new(0), how: *how });
    let shift = crew(address, how.connections, how.time + PATIENCE, |member| {
        let course = course.clone();
        async move {
            let tally = Rc::new(RefCell::new(Tally::default()));
            let mut sending = JoinSet::new();
            for connection in member.connections {
                sending.spawn_local(send(connection, course.clone(), tally.clone(), member.began));
            }
            while let Some(ended) = sending.join_next().await {
                ended??;
            }
            Ok(tally.take())
        }
    })?;
    let mut tally = Tally::default();
    shift.results.into_iter().for_each(|part| tally.merge(part));
    tally.kept.sort_unstable_by_key(|(number, _)| *number);
    Ok(Run { elapsed: shift.elapsed, cpu: shift.cpu, tally })
}

async fn send(
    mut connection: Connection,
    course: Arc<Course>,
    tally: Rc<RefCell<Tally>>,
    began: Instant,
) -> Outcome<()> {
    let Closed { time, count, keep, .. } = course.how;
    let mut sent = Instant::now();
    while sent - began < time && course.sent.fetch_add(1, Ordering::Relaxed) < count {
        let Some((number, request)) = course.supply.take() else { break };
        let reply = connection.exchange(request).await?;
        let answered = Instant::now();
        let mut tally = tally.borrow_mut();
        tally.add(reply, answered - sent);
        if let Some(kept) = keep.filter(|_| reply.status < 300).and_then(|name| reply.text(name)) {
            tally.kept.push((number, kept.into()));
        }
        sent = answered;
    }
    Ok(())
}
