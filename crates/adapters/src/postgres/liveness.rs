//! Shared knowledge of a process's connections about whether the server still answers.
//!
//! A server that vanishes (power, network) closes no connection. The connection that first times out reports it, and every
//! connection that was opened before is then replaced before its next use. Otherwise each would time out by itself, at
//! the cost of one more caller.
//!
//! One slow statement does not mean that the server is gone: a time-out counts only if no connection had an answer lately. The
//! connection that polls for changes queries ten times a second, so a server that is well always answers something.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// A server that answered any connection within this time is alive.
const ALIVE_WITHIN: Duration = Duration::from_secs(3);

/// Counts how often the server stopped answering. Clones share the count.
#[derive(Clone, Debug)]
pub(super) struct Liveness {
    /// How often the server stopped answering. The watch channel wakes waiting queries and orders the updates by its own
    /// lock, so that two reports of one outage count once.
    outages: watch::Sender<u64>,
    answered: Arc<LastAnswer>,
}

/// When any connection last had an answer.
#[derive(Debug)]
struct LastAnswer {
    since: Instant,
    /// Milliseconds after `since`. `Relaxed` everywhere: the value guards no other data, and a delay of some milliseconds
    /// between threads does not matter beside the limit of 3 s.
    at: AtomicU64,
}

impl Default for Liveness {
    fn default() -> Self {
        let answered = LastAnswer { since: Instant::now(), at: AtomicU64::new(0) };
        Self { outages: watch::Sender::new(0), answered: Arc::new(answered) }
    }
}

impl Liveness {
    /// Subscribes a connection. Must be called before the connection is opened: an outage while it opens then counts.
    pub(super) fn subscribe(&self) -> Subscription {
        Subscription { liveness: self.clone(), opened_in: *self.outages.borrow() }
    }
}

/// One connection's view of [`Liveness`].
#[derive(Debug)]
pub(super) struct Subscription {
    liveness: Liveness,
    /// The number of outages when the connection was opened. A higher number makes the connection stale.
    opened_in: u64,
}

impl Subscription {
    /// Notes that the server has answered; an error is an answer too.
    pub(super) fn note_answer(&self) {
        let answered = &self.liveness.answered;
        answered.at.store(u64::try_from(answered.since.elapsed().as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Reports that the server has not answered in time. Ignored if another connection had an answer lately.
    pub(super) fn report_timeout(&self) {
        let answered = &self.liveness.answered;
        let last = Duration::from_millis(answered.at.load(Ordering::Relaxed));
        if answered.since.elapsed().saturating_sub(last) < ALIVE_WITHIN {
            return;
        }
        self.liveness.outages.send_if_modified(|outages| {
            // A connection from before an outage that was reported already knows nothing about newer connections.
            let is_first = *outages == self.opened_in;
            *outages += u64::from(is_first);
            is_first
        });
    }

    /// Whether an outage was reported since the connection was opened.
    pub(super) fn is_stale(&self) -> bool {
        *self.liveness.outages.borrow() != self.opened_in
    }

    /// Waits until an outage is reported.
    pub(super) async fn stale(&self) {
        let mut outages = self.liveness.outages.subscribe();
        // Cannot fail: `self` keeps the sender alive.
        let _ = outages.wait_for(|outages| *outages != self.opened_in).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_counts_only_if_no_connection_had_an_answer() {
        let liveness = Liveness::default();
        let (slow, other) = (liveness.subscribe(), liveness.subscribe());
        other.note_answer();
        slow.report_timeout();
        assert!(!slow.is_stale() && !other.is_stale(), "only one statement is slow");

        let long_ago = LastAnswer { since: Instant::now() - 2 * ALIVE_WITHIN, at: AtomicU64::new(0) };
        let liveness = Liveness { answered: Arc::new(long_ago), ..liveness };
        let (first, second) = (liveness.subscribe(), liveness.subscribe());
        first.report_timeout();
        assert!(first.is_stale() && second.is_stale(), "no connection had an answer");
        let later = liveness.subscribe();
        second.report_timeout();
        assert!(!later.is_stale(), "one outage counts once");
    }
}
